"""Make an instance (`init`) and try everything it needs (`check`)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from connector import config, wiring
from connector.crm.base import CheckReport
from connector.engine.run import require_fitting
from connector.errors import ConfigurationError, ConnectorError
from connector.pds import proofs
from connector.pds.client import checked_issuer
from connector.wiring import Environment, Instance
from consent.formats.checkpoint import open_checkpoint
from consent.formats.errors import FormatError

KEY_FILE = "client-key.json"
SECRET_FILE = "state-secret"  # noqa: S105 - the name of a file
SKEW_LIMIT = timedelta(seconds=5)  # proofs are taken 10 seconds ahead and 60 behind
CONFIGURATION = """\
[pds]
url = {url}
client_id = {client_id}
private_key = {{ file = "client-key.json" }}
# log_vkeys = "log.vkey"  # lines of the server's /log/vkeys: pinned, they let runs check its log

[state]
url = "sqlite:///connector.db"
secret = {{ file = "state-secret" }}

[sync]
consent_ttl = "5m"        # a write rests on a check of the consent no older than this
max_reject_ratio = 0.2    # more rejects than this stop the run
on_end = "erase"          # erase | anonymise
erase_within = "24h"

[match]
otherwise = "create"

[crm.main]
{crm}
[[map]]
category = "profile"
field = "name"
expr = "words(given_name, family_name)"

[[map]]
category = "contact"
field = "{email}"
expr = "records[?email].email | [0]"
transform = ["email"]
"""
ADAPTER_TABLES = {
    "memory": 'adapter = "memory"\n',
    "tryton": """\
adapter = "tryton"
url = "http://127.0.0.1:8000/crm"
token = { env = "TRYTON_KEY" }            # key of a `rest` user application
login = "connector"                       # the erase wizard needs a user with a password
password = { env = "TRYTON_PASSWORD" }
rate = "10/s"
batch = 50
""",
}
EMAIL_FIELDS = {"memory": "email", "tryton": "contact_mechanisms[email]"}


@dataclass(frozen=True, slots=True)
class Made:
    """What `init` made, and the public key to register."""

    files: Sequence[Path]
    public_key: Mapping[str, object] = field(repr=False)


def create(
    path: Path, *, url: str | None, client_id: str | None, adapter: str, environment: Environment
) -> Made:
    """Make what is missing of an instance; repeating it changes nothing.

    Raises:
        ConfigurationError: a new configuration needs `url` and `client_id`, or is wrong.
    """
    files: list[Path] = []
    if not path.exists():
        if url is None or client_id is None:
            raise ConfigurationError(f"{path} is new: give --url and --client-id")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = json.dumps(proofs.generate_key().as_dict(private=True))
        text = CONFIGURATION.format(
            url=json.dumps(checked_issuer(url)),
            client_id=json.dumps(client_id),
            crm=ADAPTER_TABLES[adapter],
            email=EMAIL_FIELDS[adapter],
        )
        for place, content in (
            (path.parent / KEY_FILE, key),
            (path.parent / SECRET_FILE, secrets.token_urlsafe(32)),
            (path, text),
        ):
            if not place.exists():
                _write_private(place, content)
                files.append(place)
    core = config.load_core(path)
    store = wiring.open_store(core.state, environment)
    store.create()
    wiring.ensure_dpop_key(store)
    keys = proofs.load_keys(core.server.private_keys)
    return Made(files, keys[0].as_dict(private=False))


def check(instance: Instance) -> CheckReport:
    """Try server, CRM, mapping and state store, each though another fails; write nothing."""
    facts: list[str] = []
    problems: list[str] = []
    tests: Sequence[Callable[[Instance], CheckReport]] = (
        _check_state,
        _check_server,
        _check_log,
        _check_crm,
        _check_mapping,
    )
    for test in tests:
        try:
            report = test(instance)
        except ConnectorError as error:
            problems.append(f"{error.code}: {error}")
        else:
            facts += report.facts
            problems += report.problems
    return CheckReport(problems, facts)


def _check_state(instance: Instance) -> CheckReport:
    with instance.store.read() as state:
        broken_at = state.audit.broken_at()
    problems = [] if broken_at is None else [f"the audit trail does not hold from line {broken_at}"]
    return CheckReport(problems, ("state store",))


def _check_server(instance: Instance) -> CheckReport:
    client = instance.client
    client.metadata()
    next(iter(client.connections()))
    problems = []
    skew = client.clock_skew()
    if skew is not None and abs(skew) > SKEW_LIMIT:
        problems.append(f"this machine's clock is off by {skew.total_seconds():.0f} s")
    if instance.signer is None:
        problems.append("no Ed25519 key: deletion receipts cannot be signed")
    return CheckReport(problems, (f"server {client.issuer}",))


def _check_log(instance: Instance) -> CheckReport:
    keys = instance.config.server.log_keys
    if not keys:
        return CheckReport((), ("log: no key is pinned, so nothing is looked up in it",))
    try:
        tree = open_checkpoint(instance.client.checkpoint(), log_keys=keys).checkpoint
    except FormatError as error:
        return CheckReport((f"log {keys[0].name}: {error}",), ())
    return CheckReport((), (f"log {tree.origin}: {tree.size} entries, signed by a pinned key",))


def _check_crm(instance: Instance) -> CheckReport:
    report = instance.crm.check()
    external_id = instance.crm.capabilities.external_id
    return CheckReport(report.problems, (*report.facts, f"key field: {external_id}"))


def _check_mapping(instance: Instance) -> CheckReport:
    require_fitting(instance.crm, instance.rules)
    return CheckReport((), (f"mapping: {len(instance.rules)} fields",))


def _write_private(path: Path, content: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(content + "\n", encoding="utf-8")
