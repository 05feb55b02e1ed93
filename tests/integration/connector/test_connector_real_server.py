"""The connector against this project's own server, over its real interfaces (P-24, P-29, P-33)."""

from __future__ import annotations

import httpx
import pytest

from connector.crm.memory import MemoryCrm
from connector.engine.context import Policy, ReceiptSigner, SilentProgress
from connector.engine.run import Engine
from connector.keys import ConnectorKeys
from connector.pds.client import PDSClient
from connector.pds.proofs import receipt_key
from connector.state.store import StateStore
from consent.log.feed import number_feed
from pds.records import Draft
from tests.integration.connector.conftest import SECRET, rules_of
from tests.support.worlds import TickingClock, world_on

RULES = (
    ("profile", "name", "words(given_name, family_name)", ()),
    ("contact", "email", "records[?email].email | [0]", ("email",)),
    ("contact", "phone", "records[?phone].phone | [0]", ("phone",)),
)


class WaitingClock(TickingClock):
    def sleep(self, seconds):
        self.move(seconds=seconds)


class Story:
    """One person, one organisation, and its connector."""

    def __init__(self, world, clock, url) -> None:
        self.world, self.clock = world, clock
        self.organisation = world.organisation()
        self.template = self.organisation.publish(
            required=["profile.given_name", "profile.family_name", "contact.email"],
            optional=["contact.phone"],
        )
        self.person = world.person()
        self.profile = self.person.save("profile", given_name="Aysel", family_name="Məmmədova")
        self.person.save("contact", email="aysel@mail.example")
        self.person.save("contact", phone="+994501234567")
        self.store = StateStore(url, keys=ConnectorKeys(SECRET), clock=clock)
        self.store.create()
        self.crm = MemoryCrm()
        self.http = httpx.Client(transport=httpx.WSGITransport(app=world.app))

    def connect(self, *optional):
        connected = self.world.connect(
            self.person, self.organisation, self.template, optional=optional
        )
        with self.store.write() as state:
            state.connections.put_refresh_token(connected.body["grant_id"], connected.refresh_token)
        return connected

    def run(self):
        while self.world.services.uow.write(number_feed):
            pass
        client = self.organisation.client
        signing_key, kid = receipt_key([client.key])
        engine = Engine(
            client=PDSClient(
                self.world.issuer,
                client_id=client.client_id,
                key=client.key,
                dpop_key=client.dpop_key,
                http=self.http,
                clock=self.clock,
            ),
            store=self.store,
            crm=self.crm,
            crm_name="main",
            rules=rules_of(RULES, obj="contact"),
            policy=Policy(per_second=1e6, erase_per_second=1e6),
            clock=self.clock,
            signer=ReceiptSigner(signing_key, kid, "pds-connector/test"),
        )
        report = engine.run(progress=SilentProgress())
        assert report.problem is None, report.problem
        with self.store.read() as state:
            assert state.queue.dead() == []
        return report.counts

    def contacts(self):
        return [contact.fields for contact in self.crm.contacts.values()]

    def obligations(self, state):
        self.organisation.token = ""  # the last one may be over by now
        token = self.organisation.organisation_token()
        answer = self.organisation.get(f"/v1/obligations?state={state}", token)
        return answer.json()["obligations"]


@pytest.fixture
def story(store, tmp_path):
    clock = WaitingClock()
    with world_on(store, clock=clock) as world:
        story = Story(world, clock, f"sqlite:///{tmp_path}/connector.db")
        yield story
        story.http.close()
        story.store.engine.dispose()


def test_what_a_person_allows_reaches_the_crm_and_no_more(story):
    story.connect()

    counts = story.run()

    assert counts["created"] == 1
    assert story.contacts() == [{"name": "Aysel Məmmədova", "email": "aysel@mail.example"}]


def test_a_change_in_the_vault_reaches_the_crm_by_the_feed_p_24(story):
    story.connect("contact.phone")
    story.run()

    data = {"given_name": "Aysel", "family_name": "Quliyeva"}
    profile = story.profile
    story.person.records.save(Draft("profile", data, id=profile.id, version=profile.version))
    story.run()

    assert story.contacts()[0]["name"] == "Aysel Quliyeva"
    assert story.contacts()[0]["phone"] == "+994501234567"


def test_runs_without_news_read_nothing(story):
    story.connect()
    story.run()

    assert story.run().get("applied", 0) == 0


def test_a_withdrawal_erases_and_the_server_takes_the_receipt_con_g4(story):
    connected = story.connect()
    story.run()

    connected.withdraw()
    story.run()

    assert story.contacts() == []
    assert story.obligations("due") == []
    (confirmed,) = story.obligations("confirmed")
    assert confirmed["agreement"]["id"] == str(connected.agreement_id)


def test_a_legal_block_is_told_to_the_server_and_later_resolved_con_g4(story):
    connected = story.connect()
    story.run()
    story.crm.blocked["1"] = "unpaid_invoices"

    connected.withdraw()
    story.run()
    assert len(story.obligations("retained_with_basis")) == 1

    story.crm.blocked.clear()
    story.clock.move(hours=7)
    story.run()
    assert len(story.obligations("confirmed")) == 1
    assert story.contacts() == []


def test_a_narrower_second_consent_takes_the_difference_out_of_the_crm_con_g6(story):
    story.connect("contact.phone")
    story.run()
    assert "phone" in story.contacts()[0]

    story.connect()
    story.run()

    assert story.contacts() == [{"name": "Aysel Məmmədova", "email": "aysel@mail.example"}]


def test_who_withdraws_and_comes_back_unnoticed_is_a_new_contact_con_g5(story):
    first = story.connect()
    story.run()
    (old,) = story.crm.contacts.values()

    first.withdraw()
    story.connect()
    story.run()
    story.run()

    (new,) = story.crm.contacts.values()
    assert new.key != old.key
    assert len(story.obligations("confirmed")) == 1


def test_an_expired_consent_is_erased_before_the_server_says_so_con_31(story):
    story.connect()
    story.run()

    story.clock.move(days=31)
    story.run()

    assert story.contacts() == []
