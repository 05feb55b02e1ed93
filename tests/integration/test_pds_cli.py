"""The operator's command: what is wrong is one line that says what to do, and changes nothing."""

from __future__ import annotations

import json
import sqlite3

import pytest
from click.testing import CliRunner

from api.cli import main
from api.keys import new_jwk
from pds.ids import random_uuid

ISSUER = "https://vault.example"


def type_in(*arguments, code=0, environment=None):
    """Run `pds` and return its result."""
    result = CliRunner().invoke(main, [*map(str, arguments)], env=environment)
    assert result.exit_code == code, (result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make one instance; tests that break one copy it."""
    folder = tmp_path_factory.mktemp("made") / "instance"
    type_in("init", "--instance", folder, "--issuer", ISSUER)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Give a copy of an instance."""
    copy = tmp_path / "instance"
    copy.mkdir(mode=0o700)
    for path in made.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
        (copy / path.name).chmod(0o600)
    return copy


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


def set_revision(folder, revision):
    with sqlite3.connect(folder / "pds.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.close()


CREATE = (
    *("organisation", "create", "--name-az", "Dükan", "--name-en", "Shop"),
    *("--contact", "privacy@shop.example", "--address", "Bakı", "--client-name", "Shop"),
    *("--redirect-uri", "https://shop.example/cb"),
)
SUSPEND = ("organisation", "suspend", "2c9fba32-d7d1-418b-a598-b8b7d469fd52")
COMMANDS = {
    "serve": ("serve",),
    "worker": ("worker",),
    "db upgrade": ("db", "upgrade"),
    "organisation list": ("organisation", "list"),
    "organisation suspend": SUSPEND,
    "auditor create": ("auditor", "create", "--name", "Nigar"),
}
each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@each_command
def test_a_database_of_a_newer_version_is_refused_by_every_command_and_left_alone(folder, command):
    set_revision(folder, "9999")
    before = (folder / "pds.db").read_bytes()

    result = type_in(*command, "--instance", folder, code=2)

    assert "written by a newer version" in result.stderr
    assert (folder / "pds.db").read_bytes() == before
    assert "newer version" in type_in("doctor", "--instance", folder, code=1).stdout


@each_command
def test_a_database_that_is_none_is_told_in_one_line(folder, command):
    (folder / "pds.db").write_bytes(b"no database at all")

    result = type_in(*command, "--instance", folder, code=2)

    assert "the database cannot be used" in result.stderr
    assert "Traceback" not in result.output
    assert "database" in type_in("doctor", "--instance", folder, code=1).stdout


def test_a_database_that_is_older_is_refused_until_it_is_upgraded(folder):
    (folder / "pds.db").unlink()

    refused = type_in("organisation", "list", "--instance", folder, code=2)
    type_in("db", "upgrade", "--instance", folder)

    assert "pds db upgrade" in refused.stderr
    assert type_in("organisation", "list", "--instance", folder, "--json").stdout == "[]\n"


def remove(path):
    path.unlink()


def damage(path):
    path.write_text("00", "ascii")


def open_up(path):
    path.chmod(0o644)


def replace_by_folder(path):
    path.unlink()
    path.mkdir(mode=0o700)


@pytest.mark.parametrize("key", ["instance.key", "pepper.v1", "log.key", "receipt.key"])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (remove, "is missing"),
        (damage, "is damaged"),
        (open_up, "chmod 600"),
        (replace_by_folder, "cannot be read"),
    ],
    ids=["missing", "damaged", "open to others", "unreadable"],
)
def test_a_key_that_cannot_be_used_is_named_and_stays_as_it_is(folder, key, harm, told):
    harm(folder / key)
    before = {path.name for path in folder.iterdir()}

    result = type_in("serve", "--instance", folder, code=2)

    assert told in result.stderr
    assert key in result.stderr
    assert {path.name for path in folder.iterdir()} == before
    assert told in type_in("doctor", "--instance", folder, code=1).stdout


@pytest.mark.parametrize(
    "issuer", ["http://vault.example", "https://vault.example/path", "vault", ""]
)
def test_an_issuer_that_cannot_be_leaves_no_half_made_instance(tmp_path, issuer):
    folder = tmp_path / "new"

    result = type_in("init", "--instance", folder, "--issuer", issuer, code=2)

    assert "server.issuer" in result.stderr
    assert not folder.exists()
    type_in("init", "--instance", folder, "--issuer", ISSUER)


@each_command
def test_a_folder_that_is_no_instance_is_left_as_it_is(tmp_path, command):
    result = type_in(*command, "--instance", tmp_path, code=2)

    assert "Run `pds init` first" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_instance_is_not_made_twice(folder):
    before = content(folder)

    result = type_in("init", "--instance", folder, "--issuer", ISSUER, code=2)

    assert "has keys already" in result.stderr
    assert content(folder) == before


def test_a_database_that_does_not_answer_says_how_to_go_on(tmp_path):
    url = "postgresql://nobody:canary@127.0.0.1:1/none"

    result = type_in(
        *("init", "--instance", tmp_path / "i", "--issuer", ISSUER, "--database-url", url), code=2
    )

    assert "pds db upgrade" in result.stderr
    assert "canary" not in result.output


def test_the_folder_comes_from_the_option_or_the_environment(made):
    listed = type_in("organisation", "list", "--json", environment={"PDS_INSTANCE": str(made)})

    assert json.loads(listed.stdout) == []
    refused = type_in("organisation", "list", code=2, environment={"PDS_INSTANCE": "/nowhere"})
    assert "is no instance folder" in refused.stderr


READ_COMMANDS = [("doctor",), ("organisation", "list"), ("config", "check")]


@pytest.mark.parametrize("command", READ_COMMANDS, ids=[" ".join(one) for one in READ_COMMANDS])
def test_what_reads_has_json(made, command):
    assert json.loads(type_in(*command, "--instance", made, "--json").stdout) is not None


def test_the_password_of_a_database_is_not_shown(folder):
    environment = {"PDS_DATABASE__URL": "postgresql://pds:canary@db.example/pds"}

    for options in ((), ("--json",)):
        shown = type_in("config", "check", "--instance", folder, *options, environment=environment)
        assert "db.example" in shown.stdout
        assert "canary" not in shown.output


def test_the_description_needs_no_database(folder):
    (folder / "pds.db").unlink()

    described = json.loads(type_in("openapi", "--instance", folder).stdout)

    assert described["openapi"] == "3.1.0"
    assert all(
        operation["summary"]
        for path in described["paths"].values()
        for name, operation in path.items()
        if name in {"get", "post", "put", "delete"}
    )


def approved(folder):
    """Approve an organisation with a key of its own; return its ids and the key's file."""
    key = folder / "shop.jwk"
    result = type_in(*CREATE, "--instance", folder, "--new-key", key)
    return json.loads(result.stdout), key


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'], ids=range(6)
)
def test_keys_that_are_none_approve_nobody(folder, text):
    jwks = folder / "keys.json"
    jwks.write_text(text, "utf-8")

    type_in(*CREATE, "--instance", folder, "--jwks", jwks, code=2)

    assert type_in("organisation", "list", "--instance", folder, "--json").stdout == "[]\n"


def test_a_private_key_is_not_taken_for_a_public_one(folder):
    jwks = folder / "keys.json"
    jwks.write_text(json.dumps({"keys": [new_jwk()]}), "utf-8")

    type_in(*CREATE, "--instance", folder, "--jwks", jwks, code=2)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{", None),
        ("[]", None),
        ("{}", None),
        ('{"organisation": "x"}', None),
        ("{}", "{}"),
        ("{}", '{"d": "AA", "kid": "k"}'),
        ("{}", '{"d": 1, "kid": "k"}'),
    ],
    ids=["cut off", "array", "empty", "organisation", "no key", "short key", "number"],
)
def test_a_template_that_is_none_is_not_published(folder, template, key):
    _, own = approved(folder)
    (folder / "template.json").write_text(template, "utf-8")
    if key is not None:
        own.write_text(key, "utf-8")

    result = type_in(
        *("organisation", "publish", "--instance", folder, folder / "template.json"),
        *("--key", own),
        code=2,
    )

    assert "Traceback" not in result.output


def test_an_organisation_or_client_that_is_not_there_is_told(folder):
    assert "no such thing" in type_in(*SUSPEND, "--instance", folder, code=2).stderr
    key = folder / "new.jwk"
    rotate = ("organisation", "rotate-key", SUSPEND[-1], "--new-key", key, "--instance", folder)
    assert "no such thing" in type_in(*rotate, code=2).stderr
    assert not key.exists()


def test_an_organisation_is_suspended_and_reinstated_and_keeps_its_ids(folder):
    ids, _ = approved(folder)
    words = (ids["organisation"], "--instance", folder)

    for _ in range(2):
        assert "suspended" in type_in("organisation", "suspend", *words, "--yes").stdout
    assert "may ask again" in type_in("organisation", "reinstate", *words).stdout
    (listed,) = json.loads(type_in("organisation", "list", "--json", "--instance", folder).stdout)
    assert (listed["standing"], listed["clients"]) == ("good", [ids["client_id"]])


def test_a_registration_token_is_shown_once_for_an_organisation_that_is_there(folder):
    """RFC 7591 section 3: few uses, a time; THR-2."""
    ids, _ = approved(folder)
    words = ("organisation", "registration-token", "--instance", folder)

    shown = json.loads(type_in(*words, ids["organisation"], "--uses", "2", "--days", "3").stdout)

    assert shown["registration_token"].startswith("pds_ir.")
    assert shown["uses"] == 2
    assert "no such thing" in type_in(*words, SUSPEND[-1], code=2).stderr
    assert type_in(*words, ids["organisation"], "--days", "31", code=2).stderr
    type_in("organisation", "suspend", ids["organisation"], "--instance", folder, "--yes")
    assert "good standing" in type_in(*words, ids["organisation"], code=2).stderr


def test_a_name_that_looks_like_anothers_is_refused_unless_the_operator_says_so(folder):
    """THR-2: at the operator's hand as at registration; the log keeps what was overridden."""
    approved(folder)
    words = (
        *("organisation", "create", "--instance", folder, "--contact", "a@b.example"),
        *("--address", "x", "--client-name", "Kassa", "--redirect-uri", "https://a.example/cb"),
    )
    taken = json.loads(type_in("organisation", "list", "--json", "--instance", folder).stdout)
    alike = taken[0]["name"].upper()
    named = ("--name-az", alike, "--name-en", alike, "--new-key", folder / "alike.jwk")

    refused = type_in(*words, *named, code=1).stderr
    assert "looks like another's" in refused
    assert "--allow-look-alike" in refused
    assert not (folder / "alike.jwk").exists()
    mixed = ("--name-az", "X\u0435zer", "--name-en", "Other", "--new-key", folder / "m.jwk")
    assert "mixes scripts" in type_in(*words, *mixed, code=1).stderr

    assert "client_id" in type_in(*words, *named, "--allow-look-alike").stdout
    written = b"".join(each.read_bytes() for each in folder.glob("*.db*"))
    assert b"look-alike-allowed" in written


def test_an_auditor_is_engaged_and_stopped_by_the_operator(folder):
    """AUD-1: an access opens what the operator engages its holder for."""
    auditor = type_in("auditor", "create", "--name", "Nigar", "--instance", folder)
    auditor_id = json.loads(auditor.stdout)["auditor"]
    begun = ("auditor", "engage", auditor_id, "--since", "2026-01-01", "--instance", folder)

    type_in(*begun, code=2)
    type_in(*begun, "--organisation", str(random_uuid()), code=2)
    opened = json.loads(type_in(*begun, "--all-organisations").stdout)["engagement"]
    waiting = type_in("auditor", "unmasking", "list", "--json", "--instance", folder)
    type_in("auditor", "unmasking", "allow", random_uuid(), "--instance", folder, code=2)
    type_in("auditor", "end", opened, "--instance", folder)

    assert json.loads(waiting.stdout) == []
    listed = json.loads(type_in("auditor", "list", "--json", "--instance", folder).stdout)
    (engagement,) = listed["engagements"]
    assert (engagement["engagement"], engagement["auditors"]) == (opened, [auditor_id])
    assert engagement["ended_at"] is not None
    assert opened in type_in("auditor", "list", "--instance", folder).stdout
