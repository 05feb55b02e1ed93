"""The configuration is checked whole, and secrets stay out of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connector import config
from connector.errors import ConfigurationError, StateError
from connector.keys import ConnectorKeys
from connector.pds.proofs import generate_key
from consent.formats.note import Signer

GOOD = """
[pds]
url = "https://vault.example.org/"
client_id = "acme-crm"
private_key = { file = "key.json" }
[state]
url = "sqlite:///connector.db"
secret = { env = "CONNECTOR_HMAC" }
[sync]
consent_ttl = "90s"
[crm.main]
adapter = "tryton"
url = "http://127.0.0.1:18000/crm"
token = { env = "TRYTON_KEY" }
rate = "30/m"
[[map]]
category = "profile"
field = "name"
expr = "given_name"
conflict = "fill_empty"
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setenv("CONNECTOR_HMAC", "a secret of sixteen bytes")
    monkeypatch.setenv("TRYTON_KEY", "tryton-key")
    key = json.dumps(generate_key().as_dict(private=True))
    (tmp_path / "key.json").write_text(key, "utf-8")

    def load(text=GOOD):
        path = tmp_path / "connector.toml"
        path.write_text(text, "utf-8")
        return config.load(path)

    return load


def test_a_good_file_is_read(load, tmp_path):
    loaded = load()

    assert loaded.server.url == "https://vault.example.org"
    assert loaded.state.url == f"sqlite:///{tmp_path}/connector.db"
    assert loaded.sync.consent_ttl.total_seconds() == 90
    assert loaded.crm.per_second == 0.5
    assert loaded.crm.token == "tryton-key"
    assert loaded.rules[0].conflict == "fill_empty"


def test_the_example_of_the_manual_is_valid(load, tmp_path, monkeypatch):
    monkeypatch.setenv("TRYTON_PASSWORD", "tryton-password")
    (tmp_path / "client-key.json").write_bytes((tmp_path / "key.json").read_bytes())
    (tmp_path / "state-secret").write_text("a secret of sixteen bytes", "utf-8")
    vkey = Signer.generate("vault.example.org/log").verifier.to_text()
    (tmp_path / "log.vkey").write_text(vkey + "\n", "utf-8")
    manual = (Path(__file__).parents[3] / "docs" / "connector.md").read_text("utf-8")

    loaded = load(re.search(r"```toml\n(.*?)```", manual, re.DOTALL)[1])

    assert [rule.category for rule in loaded.rules] == ["profile", "contact", "addresses"]


def test_no_secret_is_in_its_repr(load):
    text = repr(load())

    assert "tryton-key" not in text
    assert "a secret of sixteen" not in text
    assert '"d"' not in text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('url = "https://vault', 'url = "http://vault', "must be https"),
        ("[sync]", "[sync]\nkeep = true", "sync.keep"),
        ('consent_ttl = "90s"', 'consent_ttl = "90"', "sync.consent_ttl"),
        ('consent_ttl = "90s"', 'on_end = "keep"', "sync.on_end"),
        ('{ env = "CONNECTOR_HMAC" }', '"plain text"', "state.secret"),
        ('{ env = "CONNECTOR_HMAC" }', '{ env = "NOT_SET" }', "NOT_SET is not set"),
        ('{ env = "CONNECTOR_HMAC" }', '{ file = "nowhere" }', "nowhere"),
        ('{ env = "CONNECTOR_HMAC" }', "{ }", "[state] secret"),
        ('adapter = "tryton"', 'adapter = "excel"', "adapter"),
        ("[crm.main]", '[crm.other]\nadapter = "memory"\n[crm.main]', "crm"),
        ('expr = "given_name"', 'expr = "given_name["', "expr"),
        ('conflict = "fill_empty"', 'transform = ["rot13"]', "transform"),
        ('conflict = "fill_empty"', 'conflict = "review"', "conflict"),
        ('url = "sqlite:///connector.db"', 'url = "::"', "database URL"),
        ("[pds]", "[pds", "connector.toml"),
    ],
)
def test_what_is_wrong_is_named(load, old, new, problem):
    with pytest.raises(ConfigurationError) as caught:
        load(GOOD.replace(old, new, 1))

    assert problem in str(caught.value)


def test_keep_does_not_exist(load):
    with pytest.raises(ConfigurationError):
        load(GOOD.replace("[crm.main]", 'on_end = "keep"\n[crm.main]'))


@pytest.mark.parametrize(
    ("text", "result"), [("60s", 60), ("5m", 300), ("24h", 86400), ("30d", 2592000)]
)
def test_durations(text, result):
    assert config.seconds(text) == result


def test_a_short_secret_is_refused():
    with pytest.raises(ConfigurationError):
        ConnectorKeys(b"fifteen bytes..")


def test_a_credential_opens_in_its_own_place_only_con_30():
    keys = ConnectorKeys(b"a secret of sixteen bytes")
    sealed = keys.seal(b"token", place="grant:1")

    assert keys.open_sealed(sealed, place="grant:1") == b"token"
    with pytest.raises(StateError):
        keys.open_sealed(sealed, place="grant:2")
    with pytest.raises(StateError):
        ConnectorKeys(b"another secret, also long").open_sealed(sealed, place="grant:1")


def test_a_contact_key_says_nothing_and_changes_with_the_life_con_7_con_g5():
    keys = ConnectorKeys(b"a secret of sixteen bytes")

    first, again = keys.contact_key("c1", life=1), keys.contact_key("c1", life=1)

    assert first == again
    assert len(first) == 26
    assert len({first, keys.contact_key("c1", life=2), keys.contact_key("c2", life=1)}) == 3
    assert ConnectorKeys(b"another secret, also long").contact_key("c1", life=1) != first
