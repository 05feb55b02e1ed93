"""Settings: defaults, then `pds.toml` in the instance folder, then `PDS_SECTION__KEY`.

One frozen tree, loaded once, units in the names, unknown keys refused. No secret is in it: those
are files of the instance folder (`pds.instance`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from pds.crypto.passphrase import CEILING, FLOOR
from pds.errors import ConfigurationError

SETTINGS_FILE = "pds.toml"
INSTANCE_VARIABLE = "PDS_INSTANCE"
_PREFIX = "PDS_"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and how it is reached."""

    issuer: str = "http://127.0.0.1:8321"  # public base URL; every proof and token is bound to it
    host: str = "127.0.0.1"
    port: int = 8321
    workers: int = 1
    threads: int = 4
    trusted_proxies: str = ""  # addresses or networks, with commas: whose X-Forwarded-For is read
    insecure_loopback: bool = False  # plain HTTP on 127.0.0.1, for demo and tests only (P-37)
    max_body_bytes: int = 1_048_576
    max_upload_bytes: int = 20_971_520

    @property
    def proxies(self) -> list[str]:
        """The trusted proxies one by one."""
        return [each.strip() for each in self.trusted_proxies.split(",") if each.strip()]


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the data is; empty: SQLite in the instance folder."""

    url: str = ""
    pool_size: int = 10


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """What a passphrase costs to try and how long a sign-in lasts."""

    argon2_memory_kib: int = 65_536
    argon2_passes: int = 3
    argon2_lanes: int = 4
    argon2_slots: int = 2  # concurrent runs; more wait, then are told to come back
    sign_in_seconds: int = 43_200
    unlock_idle_seconds: int = 900
    unlock_seconds: int = 28_800
    attempts_per_quarter_hour: int = 10  # sign-ins with a wrong passphrase, per account
    address_attempts_per_quarter_hour: int = 100  # the same, per address, whatever the account
    deletion_cooling_days: int = 7  # from asking for a vault's deletion to its end
    max_attachment_bytes: int = 26_214_400  # of one file
    max_files_bytes: int = 1_073_741_824  # of all files of a vault, sealed and padded


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Lifetimes of what the authorization server hands out."""

    request_seconds: int = 590  # FAPI 2.0 5.3.2.2: less than 600
    code_seconds: int = 60
    access_token_seconds: int = 600


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The transparency log."""

    origin: str = ""  # empty: the issuer's host with "/log"
    epoch: int = 1  # raised by one for each restore epoch
    interval_ms: int = 500  # between two runs of the integrator
    witnesses: str = ""  # file with a C2SP tlog-policy, from the instance folder; empty: none
    witness_loopback: bool = False  # witnesses on this machine may be asked, over plain HTTP
    alarm_seconds: int = 60  # an entry that waits for longer to be published is wrong
    refuse_seconds: int = 600  # and after so long, no new consent is taken; 0: always


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How letters leave; without a host none do, but on an insecure loopback, to files."""

    host: str = ""
    port: int = 587
    tls: str = "starttls"  # starttls, tls (from the first byte) or none (loopback only)
    sender: str = ""  # address in `From`
    username: str = ""
    password_file: str = ""  # mode 0600; read at each connection


_Section = (
    ServerSettings | DatabaseSettings | VaultSettings | OAuthSettings | LogSettings | MailSettings
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one instance."""

    instance: Path
    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    vault: VaultSettings = field(default_factory=VaultSettings)
    oauth: OAuthSettings = field(default_factory=OAuthSettings)
    log: LogSettings = field(default_factory=LogSettings)
    mail: MailSettings = field(default_factory=MailSettings)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the store."""
        if not self.database.url:
            return f"sqlite:///{self.instance / 'pds.db'}"
        return self.database.url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def log_origin(self) -> str:
        """The log's origin: a schema-less URL (C2SP tlog-checkpoint)."""
        first = self.log.origin or urlsplit(self.server.issuer).netloc + "/log"
        return first if self.log.epoch == 1 else f"{first}/{self.log.epoch}"


def load(instance: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Load and check the settings of an instance folder.

    Raises:
        ConfigurationError: a key is unknown, a value is of the wrong type or out of bounds.
    """
    path = instance / SETTINGS_FILE
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"{instance} is no instance folder: it has no {SETTINGS_FILE}. Run `pds init` first."
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path}: {exc}") from exc
    return from_tables(instance, tables, environment)


def from_tables(
    instance: Path, tables: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Settings:
    """Check settings as `pds.toml` has them, completed by the environment.

    Raises:
        ConfigurationError: as `load`.
    """
    environment = os.environ if environment is None else environment  # noqa: TID251 - the one place
    settings = Settings(instance)
    sections = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "instance"}
    unknown = sorted(set(tables) - set(sections))
    if unknown:
        raise ConfigurationError(f"{SETTINGS_FILE}: unknown section [{unknown[0]}]")
    for name, section in sections.items():
        table = dict(tables.get(name, {}))
        table |= _from_environment(name, section, environment)
        sections[name] = _section(section, name, table)
    loaded = replace(settings, **sections)
    _check(loaded)
    return loaded


def find_instance(given: str | None, environment: Mapping[str, str] | None = None) -> Path:
    """Return the instance folder: the one given, else `PDS_INSTANCE`, else `./instance`."""
    environment = os.environ if environment is None else environment  # noqa: TID251 - the one place
    return Path(given or environment.get(INSTANCE_VARIABLE) or "instance").resolve()


def _from_environment(
    name: str, section: _Section, environment: Mapping[str, str]
) -> dict[str, object]:
    found: dict[str, object] = {}
    for item in fields(section):
        variable = f"{_PREFIX}{name}__{item.name}".upper()  # ascii
        if variable in environment:
            found[item.name] = environment[variable]
    return found


def _section(section: _Section, name: str, table: dict[str, object]) -> _Section:
    types = get_type_hints(type(section))
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in types:
            raise ConfigurationError(f"{SETTINGS_FILE}: unknown key {name}.{key}")
        values[key] = _typed(f"{name}.{key}", types[key], value)
    return replace(section, **values)  # type: ignore[arg-type]  # _typed has checked each one


def _typed(key: str, wanted: type, value: object) -> object:
    if isinstance(value, str) and wanted is bool and value in ("true", "false"):
        return value == "true"
    if isinstance(value, str) and wanted is int and value.isdecimal():
        return int(value)
    if type(value) is not wanted:
        raise ConfigurationError(f"{key} must be {wanted.__name__}, not {value!r}")
    return value


def _check(settings: Settings) -> None:
    server, vault = settings.server, settings.vault
    issuer = urlsplit(server.issuer)
    if issuer.query or issuer.fragment or issuer.path or not issuer.hostname:
        raise ConfigurationError("server.issuer must be scheme://host[:port], nothing after it")
    if server.insecure_loopback:
        # `localhost` never leaves the machine (RFC 6761 section 6.3), and unlike an address it is a
        # name for which browsers make passkeys.
        issuer_is_here = issuer.hostname == "localhost" or _is_loopback(issuer.hostname)
        if not (_is_loopback(server.host) and issuer_is_here):
            raise ConfigurationError("server.insecure_loopback is for 127.0.0.1 only (P-37)")
    elif issuer.scheme != "https":
        raise ConfigurationError(
            "server.issuer must be an https URL; for a trial on this machine only, set"
            " server.insecure_loopback = true"
        )
    _check_log(settings.log)
    _check_proxies(server)
    _check_mail(settings.mail)
    _check_vault(vault)
    if not 0 < settings.oauth.request_seconds < 600:  # noqa: PLR2004 - FAPI 2.0 5.3.2.2 item 12
        raise ConfigurationError("oauth.request_seconds must be below 600")
    if not 0 < settings.oauth.code_seconds <= 60:  # noqa: PLR2004 - FAPI 2.0 5.3.2.1 item 11
        raise ConfigurationError("oauth.code_seconds must be at most 60")


def _check_vault(vault: VaultSettings) -> None:
    # What is out of these bounds is refused at every sign-in (TAK-17): a vault that was made with
    # it would never open.
    for name, value, least, most in (
        ("memory_kib", vault.argon2_memory_kib, FLOOR.memory_kib, CEILING.memory_kib),
        ("passes", vault.argon2_passes, FLOOR.passes, CEILING.passes),
        ("lanes", vault.argon2_lanes, FLOOR.lanes, CEILING.lanes),
    ):
        if not least <= value <= most:
            raise ConfigurationError(f"vault.argon2_{name} must be {least} to {most}")
    if vault.argon2_slots < 1:
        raise ConfigurationError("vault.argon2_slots must be at least 1, or nobody can sign in")
    if not 1 <= vault.deletion_cooling_days <= 90:  # noqa: PLR2004 - GDPR Art. 12 (3): 3 months
        raise ConfigurationError("vault.deletion_cooling_days must be 1 to 90")
    if not 0 < vault.max_attachment_bytes <= vault.max_files_bytes:
        raise ConfigurationError("vault.max_attachment_bytes must be 1 to vault.max_files_bytes")


def _check_log(log: LogSettings) -> None:
    if log.epoch < 1:
        raise ConfigurationError("log.epoch must be at least 1")
    if log.alarm_seconds < 1 or log.refuse_seconds < 0:
        raise ConfigurationError("log.alarm_seconds must be at least 1, log.refuse_seconds 0")


def _check_proxies(server: ServerSettings) -> None:
    for proxy in server.proxies:
        try:
            ip_network(proxy)
        except ValueError as exc:
            raise ConfigurationError(
                f"server.trusted_proxies: {proxy!r} is neither an address nor a network"
            ) from exc


def _check_mail(mail: MailSettings) -> None:
    if not mail.host:
        return
    if "@" not in mail.sender:
        raise ConfigurationError("mail.sender must be the address that letters come from")
    if mail.tls not in ("starttls", "tls") and not (mail.tls == "none" and _is_loopback(mail.host)):
        raise ConfigurationError("mail.tls must be starttls or tls; none for 127.0.0.1 only")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
