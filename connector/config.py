"""The configuration: one TOML file, checked whole, turned into frozen dataclasses.

Secrets never stand in the file; it says where they are: `{ env = "NAME" }` or `{ file = "path" }`.
Paths are relative to the file's own folder, so that cron and systemd find them, too.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from connector.errors import ConfigurationError
from connector.mapping.expressions import compile_expression
from connector.mapping.rules import Conflict, MapRule
from connector.mapping.transforms import TRANSFORMS
from connector.pds.client import checked_issuer
from consent.formats.note import Verifier

ADAPTERS = ("memory", "tryton")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"([1-9][0-9]{0,6})([smhd])")
CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,79}\Z")
RATE = re.compile(r"([1-9][0-9]{0,4})/([smh])")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`[pds]`: `private_keys` is the text of a JWK or JWK Set; no `log_keys`: none is pinned."""

    url: str
    client_id: str
    private_keys: str = field(repr=False)
    log_keys: Sequence[Verifier]


@dataclass(frozen=True, slots=True)
class StateConfig:
    """`[state]`: a SQLAlchemy URL, and the secret that everything kept is keyed with."""

    url: str = field(repr=False)  # may hold a database password
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """`[sync]`: how old a consent check may be, and what happens at the end."""

    consent_ttl: timedelta
    max_reject_ratio: float
    on_end: Literal["erase", "anonymise"]
    erase_within: timedelta


@dataclass(frozen=True, slots=True)
class CrmConfig:
    """`[crm.<name>]`: `per_second` paces writes, `erase_per_second` erasures."""

    name: str
    adapter: str
    url: str
    token: str | None = field(repr=False)
    login: str | None
    password: str | None = field(repr=False)
    per_second: float
    erase_per_second: float
    batch: int


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """What `init` needs: the CRM's secrets may still be missing."""

    server: ServerConfig
    state: StateConfig


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """All of it; rules without an object get the adapter's own when the CRM is opened."""

    server: ServerConfig
    state: StateConfig
    sync: SyncConfig
    crm: CrmConfig
    rules: Sequence[MapRule]


class _Secret(Schema):
    env = fields.String()
    file = fields.String()


class _Server(Schema):
    url = fields.Url(required=True, require_tld=False)
    client_id = fields.String(required=True, validate=validate.Length(1, 200))
    private_key = fields.Nested(_Secret, required=True)
    log_vkeys = fields.String(validate=validate.Length(1, 1000))


class _State(Schema):
    url = fields.String(required=True)
    secret = fields.Nested(_Secret, required=True)


class _Sync(Schema):
    consent_ttl = fields.String(load_default="5m", validate=validate.Regexp(DURATION))
    max_reject_ratio = fields.Float(load_default=0.2, validate=validate.Range(0.0, 1.0))
    on_end = fields.String(load_default="erase", validate=validate.OneOf(["erase", "anonymise"]))
    erase_within = fields.String(load_default="24h", validate=validate.Regexp(DURATION))


class _Crm(Schema):
    adapter = fields.String(required=True, validate=validate.OneOf(ADAPTERS))
    url = fields.Url(load_default="", require_tld=False)
    token = fields.Nested(_Secret)
    login = fields.String()
    password = fields.Nested(_Secret)
    rate = fields.String(load_default="10/s", validate=validate.Regexp(RATE))
    erase_rate = fields.String(load_default="10/s", validate=validate.Regexp(RATE))
    batch = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class _Match(Schema):
    # Matching to contacts that exist already needs a person's review, which is yet to come.
    otherwise = fields.String(load_default="create", validate=validate.OneOf(["create"]))


class _Map(Schema):
    category = fields.String(required=True, validate=validate.Regexp(CATEGORY))
    object = fields.String(load_default="", validate=validate.Length(0, 80))
    field = fields.String(required=True, validate=validate.Length(1, 120))
    expr = fields.String(required=True, validate=validate.Length(1, 2000))
    transform = fields.List(fields.String(validate=validate.OneOf(sorted(TRANSFORMS))))
    conflict = fields.Enum(Conflict, by_value=True, load_default=Conflict.VAULT_WINS)


class _File(Schema):
    pds = fields.Nested(_Server, required=True)
    state = fields.Nested(_State, required=True)
    sync = fields.Nested(_Sync, load_default=lambda: _Sync().load({}))
    crm = fields.Dict(
        fields.String(), fields.Nested(_Crm), required=True, validate=validate.Length(equal=1)
    )
    match = fields.Nested(_Match)
    map = fields.List(fields.Nested(_Map), required=True)


def load(path: Path) -> ConnectorConfig:
    """Read and check a configuration file.

    Raises:
        ConfigurationError: it is absent or wrong; the message names the place.
    """
    checked, folder = _checked(path), path.parent
    (name, crm), *_ = checked["crm"].items()
    core, sync = _core(checked, folder), checked["sync"]
    return ConnectorConfig(
        server=core.server,
        state=core.state,
        sync=SyncConfig(
            consent_ttl=timedelta(seconds=seconds(sync["consent_ttl"])),
            max_reject_ratio=sync["max_reject_ratio"],
            on_end=sync["on_end"],
            erase_within=timedelta(seconds=seconds(sync["erase_within"])),
        ),
        crm=_crm(name, crm, folder),
        rules=[_rule(item) for item in checked["map"]],
    )


def load_core(path: Path) -> CoreConfig:
    """Read and check a whole file, but fetch the secrets of `[pds]` and `[state]` only.

    Raises:
        ConfigurationError: as `load`.
    """
    return _core(_checked(path), path.parent)


def seconds(duration: str) -> int:
    """Return the seconds of a duration such as `5m`.

    Raises:
        ConfigurationError: it is none.
    """
    match = DURATION.fullmatch(duration)
    if match is None:
        raise ConfigurationError(f"{duration!r} is no duration: write 60s, 5m, 24h or 30d")
    return int(match[1]) * UNITS[match[2]]


def _checked(path: Path) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}: run `pds-connector init`") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    try:
        checked: Mapping[str, Any] = _File().load(document)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {'; '.join(_sentences(error.messages))}") from error
    return checked


def _core(checked: Mapping[str, Any], folder: Path) -> CoreConfig:
    server, state = checked["pds"], checked["state"]
    return CoreConfig(
        server=ServerConfig(
            url=checked_issuer(server["url"]),
            client_id=server["client_id"],
            private_keys=_key_text(server["private_key"], folder),
            log_keys=_log_keys(server.get("log_vkeys"), folder),
        ),
        state=StateConfig(
            url=_database_url(state["url"], folder),
            secret=_secret(state["secret"], folder, "[state] secret").encode(),
        ),
    )


def _crm(name: str, crm: Mapping[str, Any], folder: Path) -> CrmConfig:
    def secret(member: str) -> str | None:
        return _secret(crm[member], folder, f"[crm.{name}] {member}") if member in crm else None

    return CrmConfig(
        name=name,
        adapter=crm["adapter"],
        url=crm["url"].rstrip("/"),
        token=secret("token"),
        login=crm.get("login"),
        password=secret("password"),
        per_second=_per_second(crm["rate"]),
        erase_per_second=_per_second(crm["erase_rate"]),
        batch=crm["batch"],
    )


def _rule(item: Mapping[str, Any]) -> MapRule:
    return MapRule(
        category=item["category"],
        object=item["object"],
        field=item["field"],
        expression=compile_expression(item["expr"]),
        transforms=tuple(item.get("transform", ())),
        conflict=item["conflict"],
    )


def _per_second(rate: str) -> float:
    count, _, unit = rate.partition("/")
    return int(count) / UNITS[unit]


def _key_text(source: Mapping[str, str], folder: Path) -> str:
    """Read the private key; here the environment names a file, unless it holds the JWK itself."""
    if "env" not in source:
        return _secret(source, folder, "[pds] private_key")
    value = _secret(source, folder, "[pds] private_key")
    if value.startswith("{"):
        return value
    return _secret({"file": value}, folder, "[pds] private_key")


def _log_keys(file: str | None, folder: Path) -> Sequence[Verifier]:
    """Read pinned keys of the server's log, one a line, as `/log/vkeys` gives them."""
    if file is None:
        return ()
    try:
        lines = (folder / file).read_text(encoding="utf-8").split()
        keys = [Verifier.from_text(line) for line in lines]
    except OSError as error:
        raise ConfigurationError(f"[pds] log_vkeys: {file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"[pds] log_vkeys: {file}: {error}") from error
    if len({key.name for key in keys}) != 1:
        raise ConfigurationError(f"[pds] log_vkeys: {file}: write the keys of one log, one a line")
    return keys


def _secret(source: Mapping[str, str], folder: Path, place: str) -> str:
    if len(source) != 1:
        raise ConfigurationError(f'{place}: write {{ env = "NAME" }} or {{ file = "path" }}')
    if "env" in source:
        value = os.environ.get(source["env"])  # noqa: TID251 - the connector's one place that may
        if not value:
            raise ConfigurationError(f"{place}: {source['env']} is not set")
        return value
    try:
        return (folder / source["file"]).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{place}: {source['file']}: {error.strerror}") from error


def _database_url(text: str, folder: Path) -> str:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError("[state] url is no database URL") from error
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_absolute():
        url = url.set(database=str(folder / url.database))
    return url.render_as_string(hide_password=False)


def _sentences(messages: Any, place: str = "") -> list[str]:  # noqa: ANN401 - marshmallow's nest of dicts and lists
    if isinstance(messages, dict):
        return [
            sentence
            for name, inner in messages.items()
            for sentence in _sentences(inner, f"{place}.{name}" if place else str(name))
        ]
    return [f"{place}: {message}" for message in messages]
