"""A connector instance with a server in memory on one side and a CRM on the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import stamina

from connector.crm.memory import MemoryCrm
from connector.engine.context import Policy, ReceiptSigner, SilentProgress
from connector.engine.run import Engine
from connector.keys import ConnectorKeys
from connector.pds.client import PDSClient, http_client
from connector.pds.proofs import generate_key, receipt_key
from connector.state.store import StateStore
from tests.integration.connector.identity import CLIENT, SECRET, rules_of
from tests.support.pds_peer import FrozenClock, PDSPeer
from tests.support.tryton import fresh_database, tryton_server

AYSEL = {
    "profile": {"given_name": "Aysel", "family_name": "Məmmədova"},
    "contact": {"email": "aysel@mail.example", "phone": "050 123 45 67"},
    "addresses": {"street": "Nizami 10", "postal_code": "AZ1000", "city": "Bakı"},
}
MEMORY_RULES = (
    ("profile", "name", "words(given_name, family_name)", ()),
    ("contact", "email", "records[?email].email | [0]", ("email",)),
    ("contact", "phone", "records[?phone].phone | [0]", ("phone",)),
    ("addresses", "addresses[home]", "{street: street, postal_code: postal_code, city: city}", ()),
)


class Crash(BaseException):
    """The process dies here: nothing catches it."""


class Rig:
    """One connector between its two peers; `restart` is what a new process would have."""

    def __init__(self, store_url, *, crm=None, rules=None, clock=None, issuer=None) -> None:
        self.clock = clock or FrozenClock()
        self.peer = PDSPeer(self.clock, issuer=issuer or "https://vault.test")
        self.crm = crm if crm is not None else MemoryCrm()
        self.rules = rules or rules_of(MEMORY_RULES, obj="contact")
        self.policy = Policy(per_second=1e6, erase_per_second=1e6)
        self.key, self.dpop_key = generate_key(), generate_key()
        self.peer.register(CLIENT, self.key.as_dict(private=False))
        self.url = store_url
        self.keys = ConnectorKeys(SECRET)
        self.store = StateStore(store_url, keys=self.keys, clock=self.clock)
        self.store.create()
        self.reached = []
        self.restart()

    def restart(self, *, crash_at=None, **changes):
        """Forget everything in memory; die at a point when it is reached for the nth time."""
        self.http = http_client()
        self.http._transport = self.peer.transport()
        client = PDSClient(
            self.peer.issuer,
            client_id=CLIENT,
            key=self.key,
            dpop_key=self.dpop_key,
            http=self.http,
            clock=self.clock,
        )
        private, kid = receipt_key([self.key])

        def reach(point):
            self.reached.append(point)
            if crash_at is not None and (point, self.reached.count(point)) == crash_at:
                raise Crash(point)

        self.reached.clear()
        self.engine = Engine(
            client=client,
            store=self.store,
            crm=self.crm,
            crm_name="main",
            rules=self.rules,
            policy=self.policy,
            clock=self.clock,
            signer=ReceiptSigner(private, kid, "pds-connector/test"),
            reach=reach,
        )
        self.engine = replace(self.engine, **changes)

    def person(self, data=AYSEL, **terms):
        """Let a person consent, and hand the connector the token, as `connect` does."""
        connection = self.peer.grant(data, **terms)
        self.hand_over_token(connection)
        return connection

    def hand_over_token(self, connection):
        with self.store.write() as state:
            state.connections.put_refresh_token(connection.grant_id, connection.refresh_token)

    def run(self, **options):
        return self.engine.run(progress=SilentProgress(), **options)

    def run_well(self, **options):
        report = self.run(**options)
        assert report.problem is None, report.problem
        return report

    def contacts(self):
        return sorted(self.crm.contacts.values(), key=lambda contact: contact.key)

    def contact(self):
        (contact,) = self.contacts()
        return contact

    def jobs(self):
        with self.store.read() as state:
            return state.erasures.all()

    def dead(self):
        with self.store.read() as state:
            return state.queue.dead()

    def lengths(self):
        with self.store.read() as state:
            return state.queue.lengths()

    def close(self):
        self.http.close()
        self.store.engine.dispose()


@pytest.fixture(autouse=True)
def _no_pauses():
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def store_url(stores, store_kind):
    with stores.empty(store_kind) as settings:
        yield settings.database_url


@pytest.fixture
def sqlite_url(stores):
    with stores.empty("sqlite") as settings:
        yield settings.database_url


@pytest.fixture
def rig(sqlite_url):
    rig = Rig(sqlite_url)
    yield rig
    rig.close()


@pytest.fixture
def rig_on(store_url):
    """Give a rig on each kind of store."""
    rig = Rig(store_url)
    yield rig
    rig.close()


@pytest.fixture(scope="session")
def tryton():
    """Run one Tryton for the whole run; mark the tests `crm`."""
    with tryton_server() as running:
        yield running


@pytest.fixture
def database(tryton):
    """Give a Tryton database that no other test uses."""
    return fresh_database(tryton)
