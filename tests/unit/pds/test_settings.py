"""Settings and instance folder: what is wrong, and how to mend it (P-19, P-37, SEC-S73)."""

from __future__ import annotations

import pytest

from pds import instance, settings
from pds.errors import ConfigurationError

HTTPS = '[server]\nissuer = "https://vault.example"\n'


@pytest.fixture
def folder(tmp_path):
    instance.create(tmp_path / "instance")
    return tmp_path / "instance"


def load(folder, text=HTTPS, **environment):
    (folder / "pds.toml").write_text(text, "utf-8")
    return settings.load(folder, environment)


def refused(folder, text=HTTPS, **environment):
    with pytest.raises(ConfigurationError) as error:
        load(folder, text, **environment)
    return str(error.value)


def test_trusted_proxies_are_addresses_or_networks(folder):
    """SEC-S53"""
    loaded = load(folder, HTTPS + 'trusted_proxies = "127.0.0.1, 10.0.0.0/8,::1"\n')

    assert loaded.server.proxies == ["127.0.0.1", "10.0.0.0/8", "::1"]
    for wrong in ("proxy.example", "10.0.0.1/8", "*"):
        assert wrong in refused(folder, HTTPS + f'trusted_proxies = "{wrong}"\n')


def test_defaults_are_overridden_by_the_file_and_that_by_the_environment(folder):
    text = HTTPS + "threads = 3\nworkers = 2\n[log]\ninterval_ms = 100\n"

    loaded = load(folder, text, PDS_SERVER__WORKERS="5", PDS_DATABASE__URL="postgresql://h/d")

    assert (loaded.server.threads, loaded.server.workers) == (3, 5)
    assert (loaded.server.port, loaded.log.interval_ms) == (8321, 100)
    assert loaded.database_url == "postgresql+psycopg://h/d"
    assert loaded.log_origin == "vault.example/log"


def test_without_a_database_it_is_sqlite_in_the_folder(folder):
    assert load(folder).database_url == f"sqlite:///{folder / 'pds.db'}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nissur = 1\n", "server.issur"),
        ("[sever]\n", "[sever]"),
        ('[server]\nport = "eight"\n', "server.port"),
        ("[server]\nport = true\n", "server.port"),
        ("[server]\ninsecure_loopback = 1\n", "server.insecure_loopback"),
        ("[server\n", "pds.toml"),
        ("\xff", "pds.toml"),
    ],
    ids=["key", "section", "text", "switch", "number", "syntax", "encoding"],
)
def test_what_is_unknown_or_of_the_wrong_kind_is_named(folder, text, named):
    (folder / "pds.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as error:
        settings.load(folder, {})

    assert named in str(error.value)


def test_a_wrong_variable_is_named(folder):
    assert "server.port" in refused(folder, PDS_SERVER__PORT="eight")
    assert "insecure_loopback" in refused(folder, PDS_SERVER__INSECURE_LOOPBACK="yes")


@pytest.mark.parametrize(
    "issuer",
    [
        "http://vault.example",
        "https://vault.example/",
        "https://vault.example/path",
        "https://vault.example?x=1",
        "https://vault.example#x",
        "vault.example",
        "",
    ],
)
def test_the_issuer_is_an_https_origin(folder, issuer):
    assert "server.issuer" in refused(folder, f'[server]\nissuer = "{issuer}"\n')


@pytest.mark.parametrize(
    ("issuer", "host"),
    [
        ("http://vault.example", "127.0.0.1"),
        ("http://127.0.0.1:8321", "0.0.0.0"),  # noqa: S104 - must be refused
        ("http://10.0.0.1", "127.0.0.1"),
        ("http://localhost.example", "127.0.0.1"),
    ],
)
def test_plain_http_is_for_this_machine_alone(folder, issuer, host):
    """P-37."""
    text = f'[server]\nissuer = "{issuer}"\nhost = "{host}"\ninsecure_loopback = true\n'

    assert "P-37" in refused(folder, text)
    for issuer_of_here in ("http://127.0.0.1:8321", "http://localhost:8321"):
        good = f'[server]\nissuer = "{issuer_of_here}"\ninsecure_loopback = true\n'
        assert load(folder, good).server.insecure_loopback


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("[vault]\nargon2_memory_kib = 47103\n", "argon2_memory_kib"),
        ("[vault]\nargon2_memory_kib = 1048577\n", "argon2_memory_kib"),
        ("[vault]\nargon2_passes = 0\n", "argon2_passes"),
        ("[vault]\nargon2_passes = 17\n", "argon2_passes"),
        ("[vault]\nargon2_lanes = 0\n", "argon2_lanes"),
        ("[vault]\nargon2_lanes = 17\n", "argon2_lanes"),
        ("[vault]\nargon2_slots = 0\n", "argon2_slots"),
        ("[oauth]\nrequest_seconds = 600\n", "request_seconds"),
        ("[oauth]\nrequest_seconds = 0\n", "request_seconds"),
        ("[oauth]\ncode_seconds = 61\n", "code_seconds"),
    ],
)
def test_weak_settings_are_refused(folder, table, named):
    """SEC-S73, TAK-17, FAPI 2.0 section 5.3.2."""
    assert named in refused(folder, HTTPS + table)


def test_a_folder_without_settings_is_no_instance(tmp_path):
    with pytest.raises(ConfigurationError, match="pds init"):
        settings.load(tmp_path, {})


def test_the_instance_is_the_given_folder_else_the_variable_else_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {"PDS_INSTANCE": str(tmp_path / "there")}

    assert settings.find_instance("given", environment) == tmp_path / "given"
    assert settings.find_instance(None, environment) == tmp_path / "there"
    assert settings.find_instance(None, {}) == tmp_path / "instance"


def test_a_new_instance_is_closed_to_others_and_its_keys_are_its_own(tmp_path):
    """P-19."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        instance.create(folder)

    assert folders[0].stat().st_mode & 0o777 == 0o700
    for name in instance.KEY_FILES:
        assert (folders[0] / name).stat().st_mode & 0o777 == 0o600
    contents = [(folder / name).read_bytes() for folder in folders for name in instance.KEY_FILES]
    assert len({*contents}) == 2 * len(instance.KEY_FILES)
    one, two = (instance.load(folder) for folder in folders)
    assert one.deployment != two.deployment
    assert len({one.cursor, one.csrf, one.route, one.pairwise, one.pseudonym, one.at_rest}) == 6


def test_keys_are_never_replaced(folder):
    before = {name: (folder / name).read_bytes() for name in instance.KEY_FILES}

    with pytest.raises(ConfigurationError, match="keys already"):
        instance.create(folder)

    assert {name: (folder / name).read_bytes() for name in instance.KEY_FILES} == before


@pytest.mark.parametrize("name", instance.KEY_FILES)
def test_a_missing_key_file_is_named_with_what_to_do(folder, name):
    (folder / name).unlink()

    with pytest.raises(ConfigurationError) as error:
        instance.load(folder)

    assert name in str(error.value)
    assert "backup" in str(error.value)


@pytest.mark.parametrize("name", instance.KEY_FILES)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(folder, name, mode):
    """P-19: and the message says how to mend it."""
    (folder / name).chmod(mode)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        instance.load(folder)


@pytest.mark.parametrize("name", instance.KEY_FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"00", b"0" * 63, b"0" * 66, b"z" * 64, b"\xff" * 64],
    ids=["empty", "short", "odd", "long", "no hex", "no text"],
)
def test_a_damaged_key_file_is_named_and_not_quoted(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError) as error:
        instance.load(folder)

    assert name in str(error.value)
    assert "zzzz" not in str(error.value)


def test_peppers_stand_beside_each_other_by_version(folder):
    """TAK-16."""
    (folder / "pepper.v12").write_text("ab" * 32)
    (folder / "pepper.v12").chmod(0o600)

    keys = instance.load(folder)

    assert sorted(keys.peppers) == [1, 12]
    assert keys.pepper_version == 12


def test_what_is_printed_of_the_keys_shows_none(folder):
    """TAK-52."""
    keys = instance.load(folder)

    for name in instance.KEY_FILES:
        text = (folder / name).read_text().strip()
        assert text not in repr(keys)
        assert repr(bytes.fromhex(text)) not in repr(keys)


def test_a_folder_that_cannot_be_made_is_an_error_of_configuration(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigurationError):
        instance.create(tmp_path / "file" / "instance")
