"""Put the parts together as the configuration says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import httpx

from connector import config
from connector.clock import Clock, SystemClock
from connector.config import ConnectorConfig, StateConfig
from connector.crm.base import CrmAdapter
from connector.crm.memory import MemoryCrm
from connector.crm.tryton import TrytonCrm
from connector.crm.tryton_http import TrytonHTTP
from connector.engine.context import Policy, ReceiptSigner
from connector.engine.run import Engine
from connector.errors import ConfigurationError, StateError
from connector.keys import ConnectorKeys
from connector.mapping.rules import MapRule
from connector.pds import proofs
from connector.pds.client import PDSClient, http_client
from connector.state.store import StateStore

DPOP_KEY = "dpop-key"


@dataclass(frozen=True, slots=True)
class Environment:
    """What the machine gives: a clock, and clients that reach the network."""

    clock: Clock
    http: Callable[[], httpx.Client]


def real_environment() -> Environment:
    """Return the machine's own."""
    return Environment(SystemClock(), http_client)


@dataclass(frozen=True, slots=True)
class Instance:
    """A configured connector."""

    config: ConnectorConfig
    environment: Environment
    store: StateStore
    client: PDSClient
    crm: CrmAdapter
    rules: Sequence[MapRule]
    signer: ReceiptSigner | None

    def engine(self) -> Engine:
        """Return what runs."""
        sync, crm = self.config.sync, self.config.crm
        return Engine(
            client=self.client,
            store=self.store,
            crm=self.crm,
            crm_name=crm.name,
            rules=self.rules,
            policy=Policy(
                consent_ttl=sync.consent_ttl,
                max_reject_ratio=sync.max_reject_ratio,
                on_end=sync.on_end,
                erase_within=sync.erase_within,
                per_second=crm.per_second,
                erase_per_second=crm.erase_per_second,
            ),
            clock=self.environment.clock,
            signer=self.signer,
            log_keys=self.config.server.log_keys,
        )


def open_instance(path: Path, environment: Environment) -> Instance:
    """Read the configuration and open everything it names; nothing is sent.

    Raises:
        ConfigurationError: something is missing or wrong; the message says what to do.
        StateError: the state store is not there, or not ours.
    """
    loaded = config.load(path)
    store = open_store(loaded.state, environment)
    store.require()
    keys = proofs.load_keys(loaded.server.private_keys)
    crm = _open_crm(loaded, environment)
    return Instance(
        config=loaded,
        environment=environment,
        store=store,
        client=PDSClient(
            loaded.server.url,
            client_id=loaded.server.client_id,
            key=keys[0],
            dpop_key=_dpop_key(store),
            http=environment.http(),
            clock=environment.clock,
        ),
        crm=crm,
        rules=_rules(loaded, crm),
        signer=_signer(keys),
    )


def open_store(state: StateConfig, environment: Environment) -> StateStore:
    """Open the state store, whether or not it has tables."""
    return StateStore(state.url, keys=ConnectorKeys(state.secret), clock=environment.clock)


def ensure_dpop_key(store: StateStore) -> None:
    """Make the key that all tokens are bound to, if there is none yet."""
    with store.write() as state:
        if state.connections.secret(DPOP_KEY) is None:
            key = proofs.generate_key()
            state.connections.put_secret(DPOP_KEY, json.dumps(key.as_dict(private=True)).encode())


def program_name() -> str:
    """Return name and version, as receipts cite them."""
    try:
        version = metadata.version("personal-data-store")
    except metadata.PackageNotFoundError:
        version = "source"
    return f"pds-connector/{version}"


def _dpop_key(store: StateStore) -> proofs.SigningKey:
    with store.read() as state:
        secret = state.connections.secret(DPOP_KEY)
    if secret is None:
        raise StateError("the state store has no key: run `pds-connector init`")
    return proofs.load_keys(secret.decode())[0]


def _signer(keys: list[proofs.SigningKey]) -> ReceiptSigner | None:
    try:
        key, kid = proofs.receipt_key(keys)
    except ConfigurationError:
        return None  # `check` reports it; erasures go on without receipts
    return ReceiptSigner(key, kid, program_name())


def _open_crm(loaded: ConnectorConfig, environment: Environment) -> CrmAdapter:
    crm = loaded.crm
    if crm.adapter == "memory":
        return MemoryCrm(max_batch=crm.batch)
    if not crm.url or crm.token is None:
        raise ConfigurationError(f"[crm.{crm.name}] needs url and token")
    tryton = TrytonHTTP(
        crm.url,
        token=crm.token,
        login=crm.login,
        password=crm.password,
        http=environment.http(),
    )
    return TrytonCrm(tryton, max_batch=crm.batch)


def _rules(loaded: ConnectorConfig, crm: CrmAdapter) -> Sequence[MapRule]:
    first = next((rule.object for rule in loaded.rules if rule.object), None)
    obj = first or crm.capabilities.default_object
    rules = [replace(rule, object=rule.object or obj) for rule in loaded.rules]
    if any(rule.object != obj for rule in rules):
        raise ConfigurationError("[[map]]: one kind of object for each connector instance")
    return rules
