"""The connector against this project's own server, over its real interfaces (P-24, P-29, P-33)."""

from __future__ import annotations

from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import delete, select, update

from api.worker import Worker
from connector.crm.memory import MemoryCrm
from connector.engine.context import Policy, ReceiptSigner, SilentProgress
from connector.engine.run import Engine
from connector.keys import ConnectorKeys
from connector.pds.client import PDSClient
from connector.pds.proofs import receipt_key
from connector.state.schema import audit
from connector.state.store import StateStore
from connector.status import read_status
from consent.formats.note import Signer
from consent.log.entries import EventLog
from consent.log.feed import number_feed
from consent.models import Event, EventPayload, Grant, LogCheckpoint, LogPending
from consent.narrowing import Reduction
from pds.records import Draft
from tests.integration.connector.identity import SECRET, rules_of
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
        self.log_keys = (world.services.log_signer.verifier,)
        self.has_worker = True

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
        if self.has_worker:
            self.settle()
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
            log_keys=self.log_keys,
        )
        report = engine.run(progress=SilentProgress())
        assert report.problem is None, report.problem
        with self.store.read() as state:
            assert state.queue.dead() == []
        return report.counts

    def settle(self):
        """Let the server's background work come to its end."""
        worker = Worker(self.world.services)
        worker.turn()
        worker.stop()

    def status(self):
        return read_status(self.store, self.clock, log_checked=bool(self.log_keys))

    def cited(self):
        """Return the one stream that answers named."""
        with self.store.read() as state:
            (found,) = state.logbook.all()
        return found

    def write(self, *statements):
        """Write into the server's database, as whoever runs it can."""
        self.world.services.uow.write(
            lambda session: [session.execute(statement) for statement in statements]
        )

    def contacts(self):
        return [contact.fields for contact in self.crm.contacts.values()]

    def obligations(self, state):
        self.organisation.token = ""  # the last one may be over by now
        token = self.organisation.organisation_token()
        answer = self.organisation.get(f"/v1/obligations?state={state}", token)
        return answer.json()["obligations"]


@contextmanager
def told_on(store, folder):
    """Tell the story on a store."""
    clock = WaitingClock()
    with world_on(store, clock=clock) as world:
        story = Story(world, clock, f"sqlite:///{folder}/connector.db")
        yield story
        story.http.close()
        story.store.engine.dispose()


@pytest.fixture
def story(store, tmp_path):
    """Tell it on each kind of store."""
    with told_on(store, tmp_path) as story:
        yield story


@pytest.fixture
def lying(sqlite_store, tmp_path):
    """Tell it on one kind: what lies here is played by the test."""
    with told_on(sqlite_store, tmp_path) as story:
        yield story


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
    confirmed = story.obligations("confirmed")
    assert sorted(each["kind"] for each in confirmed) == ["delete", "stop"]
    assert {each["agreement"]["id"] for each in confirmed} == {str(connected.agreement_id)}


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
    assert len(story.obligations("confirmed")) == 2
    assert story.contacts() == []


def test_a_narrower_second_consent_takes_the_difference_out_of_the_crm_con_g6(story):
    story.connect("contact.phone")
    story.run()
    assert "phone" in story.contacts()[0]

    story.connect()
    story.run()

    assert story.contacts() == [{"name": "Aysel Məmmədova", "email": "aysel@mail.example"}]


def test_what_a_person_takes_away_alone_leaves_the_crm_with_the_old_refresh_token_con_g6(story):
    """P-13, ADR 0021: no obligation says so; the connector compares the terms."""
    connected = story.connect("contact.phone")
    story.run()
    visitor, narrowing = story.person.visitor, story.world.services.narrowing
    seen = narrowing.offer(visitor.vault, connected.agreement_id).before.sha256

    narrowing.narrow(
        visitor.vault, visitor.open_vault, connected.agreement_id, Reduction(seen, frozenset())
    )
    story.run()

    assert story.contacts() == [{"name": "Aysel Məmmədova", "email": "aysel@mail.example"}]
    assert story.obligations("due") == []


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
    assert len(story.obligations("confirmed")) == 2


def test_an_expired_consent_is_erased_before_the_server_says_so_con_31(story):
    story.connect()
    story.run()

    story.clock.move(days=31)
    story.run()

    assert story.contacts() == []


def test_the_next_run_finds_in_the_log_what_answers_named_p_33(story):
    story.connect()
    story.run()
    assert story.status().log_waiting == 1

    story.run()

    status = story.status()
    assert (status.log_checked, status.log_waiting, status.log_problems) == (True, 0, {})
    assert story.cited().verified_seq == story.cited().seq


def test_a_read_of_an_ended_consent_is_still_looked_up_p_33(story):
    connected = story.connect()
    story.run()
    connected.withdraw()

    story.run()

    assert story.status().log_waiting == 0


def test_without_a_pinned_key_nothing_is_looked_up_and_status_says_so_p_34(lying):
    lying.log_keys = ()
    lying.connect()
    lying.run()

    lying.run()

    assert (lying.status().log_checked, lying.status().log_waiting) == (False, 1)


def leave_out(story, seq):
    """Play a server that takes an entry out before it gets into the tree."""
    stream = story.cited().stream
    (event_id,) = story.world.services.uow.write(
        lambda session: session.scalars(
            select(Event.id).where(Event.stream == stream, Event.seq == seq)
        ).all()
    )
    for model in (LogPending, EventPayload):
        story.write(delete(model).where(model.event_id == event_id))
    story.write(delete(Event).where(Event.id == event_id))


@pytest.mark.tampers
def test_a_server_that_leaves_an_entry_out_is_found_by_the_next_read_p_33(lying):
    lying.connect()
    lying.run()
    left_out = lying.cited()
    leave_out(lying, left_out.seq)
    lying.person.save("contact", email="aysel.yeni@mail.example")
    lying.run()

    lying.run()

    missing = f"{left_out.stream}/{left_out.seq} is not in the log"
    assert lying.status().log_problems == {left_out.stream: missing}


@pytest.mark.tampers
def test_a_server_that_leaves_the_last_entry_out_is_found_after_the_merge_delay_p_33(lying):
    lying.connect()
    lying.run()
    leave_out(lying, lying.cited().seq)
    lying.run()
    assert lying.status().log_problems == {}

    lying.clock.move(minutes=11)
    lying.run()

    (problem,) = lying.status().log_problems.values()
    assert problem.endswith("is not in the log after 10 minutes")


def test_a_server_that_keeps_an_entry_waiting_is_found_though_reads_go_on_p_33(lying):
    lying.connect()
    lying.run()
    lying.has_worker = False
    for number in range(3):
        lying.person.save("contact", email=f"aysel{number}@mail.example")
        lying.run()
        lying.clock.move(minutes=4)
    lying.run()

    assert list(lying.status().log_problems) == [lying.cited().stream]


def test_a_server_that_gives_a_reads_number_to_another_event_is_found_p_33(lying):
    lying.connect()
    lying.run()
    read = lying.cited()
    leave_out(lying, read.seq)
    lying.write(update(Grant).values(seq=Grant.seq - 1))
    lying.person.save("contact", email="aysel.yeni@mail.example")
    lying.run()

    lying.run()

    assert lying.cited().seq > read.seq
    wrong = f"{read.stream}/{read.seq} tells of something else than our read"
    assert lying.status().log_problems == {read.stream: wrong}


def test_an_entry_that_tells_of_fewer_records_than_were_read_is_found_p_33(lying, monkeypatch):
    append = EventLog.append

    def understate(self, session, **event):
        return append(self, session, **event | {"count": min(1, event.get("count", 0))})

    monkeypatch.setattr(EventLog, "append", understate)
    lying.connect()
    lying.run()

    lying.run()

    (problem,) = lying.status().log_problems.values()
    assert problem.endswith("tells of something else than our read")


def test_a_log_of_another_key_is_found_p_34(lying):
    lying.log_keys = (Signer.generate(lying.log_keys[0].name).verifier,)
    lying.connect()
    lying.run()

    lying.run()

    (problem,) = lying.status().log_problems.values()
    assert "has signed" in problem


def test_a_log_that_was_rolled_back_is_found_p_33(lying):
    lying.connect()
    lying.run()
    lying.run()
    verified = lying.cited()
    lying.person.save("contact", email="aysel.yeni@mail.example")
    lying.run()

    with lying.store.read() as state:
        size = state.logbook.checkpoint(lying.log_keys[0].name).size
    lying.write(delete(LogCheckpoint).where(LogCheckpoint.size >= size))
    lying.has_worker = False
    lying.run()

    (problem,) = lying.status().log_problems.values()
    assert "cannot extend" in problem
    assert lying.cited().verified_seq == verified.seq


def test_a_problem_that_goes_away_is_no_longer_shown_and_stays_in_the_trail(lying):
    keys, lying.log_keys = lying.log_keys, (Signer.generate(lying.log_keys[0].name).verifier,)
    lying.connect()
    lying.run()
    lying.run()
    assert lying.status().log_problems

    lying.log_keys = keys
    lying.run()

    assert lying.status().log_problems == {}
    with lying.store.read() as state:
        events = state.sql.execute(select(audit.c.event)).scalars().all()
    assert events.count("log.problem") == 1
