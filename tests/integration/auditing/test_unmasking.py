"""A pseudonym is opened by its person, or by two others, for a reason (AUD-1, AUD-14, LOG-11)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consent.auditing import alerts, unmasking
from consent.auditing.models import Engagement, Unmasking
from consent.log import reader
from consent.log.opening import Opener
from pds import vaults
from pds.errors import ConflictError, NotFoundError
from pds.ids import random_uuid
from tests.support.auditing import Engaged, asked_by, engaged, integrate, new_auditor, pseudonym_of
from tests.support.stores import STORES
from tests.support.worlds import TickingClock, world_on

REASON = "A complaint names this person."
EMAIL = "contact.email"


@dataclass(frozen=True)
class Desk:
    """Two auditors of one engagement, and Aysel and Leyla under their pseudonyms."""

    world: object
    clock: TickingClock
    aysel: object
    leyla: object
    first: Engaged
    second: Engaged

    def person(self, somebody):
        return pseudonym_of(self.first, somebody)

    def vault(self, somebody):
        bucket = self.world.services.ids.bucket_of(somebody.vault_id)
        with self.world.services.uow.read() as session:
            return vaults.vault_ref(session, bucket, somebody.vault_id)

    def ask(self, somebody, way="two-persons", reason=REASON):
        body = {"person": self.person(somebody), "way": way, "reason": reason}
        return self.first.post("unmaskings", body)


@pytest.fixture(scope="module", params=STORES)
def played(request, stores):
    """Give a world in which two people share with a shop."""
    clock = TickingClock()
    with stores.migrated(request.param) as store, world_on(store, clock=clock) as world:
        aysel, leyla = world.person(), world.person("leyla")
        shop = world.organisation()
        template = shop.publish(required=[EMAIL])
        for person in (aysel, leyla):
            world.connect(person, shop, template)
        yield world, clock, shop, aysel, leyla


@pytest.fixture
def desk(played):
    """Give an engagement of its own to each test."""
    world, clock, shop, aysel, leyla = played
    other = new_auditor(world, "Rauf")
    first = engaged(world, shop, beside=[other[0]])
    second = replace(first, auditor_id=other[0], access=other[1])
    return Desk(world, clock, aysel, leyla, first, second)


def decide(auditor, unmasking, decision="allow"):
    return auditor.post(f"unmaskings/{unmasking}/decision", {"decision": decision})


def look(auditor, unmasking):
    return auditor.post(f"unmaskings/{unmasking}/look", {})


def told(desk, somebody):
    """Return what the person's own stream tells of unmasking, newest first, opened for them."""
    somebody.sign_in()
    visitor = somebody.visitor
    with desk.world.services.uow.read() as session:
        found = reader.vault_events(session, visitor.vault.bucket, visitor.vault.id, limit=100)
    opened = Opener(visitor.open_vault)
    return [
        (each.name, each.opening.pub.outcome, opened(each).priv)
        for each in found
        if "unmask" in each.name
    ]


def test_a_second_auditor_opens_a_pseudonym_for_the_first_alone(desk):
    asked = desk.ask(desk.aysel).json()["id"]
    closed = look(desk.first, asked)
    (row,) = decide(desk.second, asked).json()["unmaskings"]
    shown, for_second = look(desk.first, asked), look(desk.second, asked)

    assert (closed.status_code, row["state"]) == (409, "open")
    assert (shown.json()["name"], shown.json()["looks"]) == ("aysel", 1)
    assert (for_second.status_code, "aysel" in row.values()) == (404, False)
    name, outcome, private = told(desk, desk.aysel)[0]
    assert (name, outcome, private["reason"]) == ("vault.unmasked", "by-second-auditor", REASON)
    assert private["second_auditor"] == str(desk.second.auditor_id)


def test_nobody_is_the_second_person_of_their_own_question(desk):
    """AUD-1: not by the service, and not by a row either."""
    asked = desk.ask(desk.aysel).json()["id"]

    assert decide(desk.first, asked).status_code == 409
    assert look(desk.first, asked).status_code == 409
    changed = update(Unmasking).values(
        state="open",
        decider="auditor",
        decided_by=desk.first.auditor_id,
        decided_at=desk.clock.instant,
    )
    with Session(desk.world.services.uow.engine) as session, pytest.raises(IntegrityError):
        session.execute(changed.where(Unmasking.id == UUID(asked)))


def test_the_operator_is_a_second_person_for_what_asks_for_one(desk):
    service = desk.world.services.unmasking
    asked = desk.ask(desk.aysel).json()["id"]
    of_person = desk.ask(desk.leyla, way="consent").json()["id"]
    (waiting,) = [each for each in service.all_that_wait() if str(each.id) == asked]

    service.decide_as_operator(waiting.id, allow=False)

    assert [each["state"] for each in desk.first.get("unmaskings").json()["unmaskings"]] == [
        "waiting",
        "refused",
    ]
    with pytest.raises(NotFoundError):
        service.decide_as_operator(UUID(of_person), allow=True)
    assert decide(desk.second, of_person).status_code == 404


def test_a_person_says_yes_and_takes_it_back(desk):
    service = desk.world.services.unmasking
    asked = desk.ask(desk.leyla, way="consent").json()["id"]
    vault = desk.vault(desk.leyla)
    (question,) = [each for each in service.of_vault(vault) if str(each.id) == asked]

    service.decide_as_person(vault, question.id, allow=True)
    shown = look(desk.first, asked)
    service.take_back(vault, question.id)
    afterwards = look(desk.first, asked)

    assert (shown.json()["name"], afterwards.status_code) == ("leyla", 409)
    events = [name for name, _, _ in told(desk, desk.leyla)[:3]]
    assert events == ["vault.unmasking_taken_back", "vault.unmasked", "vault.unmasking_asked"]
    with pytest.raises(ConflictError):
        service.take_back(vault, question.id)
    again = desk.ask(desk.leyla, way="consent").json()["errors"]
    assert again[0]["rule"] == "asked_before"


def test_a_no_stays_a_no_and_another_persons_question_is_not_there(desk):
    service = desk.world.services.unmasking
    asked = asked_by(desk.first, desk.aysel, way="consent")
    vault, others = desk.vault(desk.aysel), desk.vault(desk.leyla)

    for wrong, act in (
        (NotFoundError, lambda: service.decide_as_person(others, asked, allow=True)),
        (NotFoundError, lambda: service.take_back(others, asked)),
        (NotFoundError, lambda: service.decide_as_person(vault, random_uuid(), allow=True)),
    ):
        with pytest.raises(wrong):
            act()
    service.decide_as_person(vault, asked, allow=False)

    with pytest.raises(ConflictError):
        service.decide_as_person(vault, asked, allow=True)
    assert look(desk.first, asked).status_code == 409
    assert told(desk, desk.aysel)[0][0] == "vault.unmasking_refused"


def test_time_and_the_end_of_the_engagement_close_what_was_open(desk):
    opened, waiting = desk.ask(desk.aysel).json()["id"], desk.ask(desk.leyla).json()["id"]
    decide(desk.second, opened)
    desk.clock.move(days=7, seconds=1)
    late = look(desk.first, opened)
    desk.clock.move(days=7)
    states = [each["state"] for each in desk.first.get("unmaskings").json()["unmaskings"]]

    assert (late.status_code, states) == (409, ["lapsed", "over"])
    assert decide(desk.second, waiting).status_code == 409
    reopened = desk.ask(desk.aysel).json()["id"]
    decide(desk.second, reopened)
    desk.first.end()
    service = desk.world.services.unmasking
    (mine,) = [e for e in service.of_vault(desk.vault(desk.aysel)) if str(e.id) == reopened]
    assert mine.state == "over"
    assert look(desk.first, reopened).status_code == 403


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("person", {"person": "p." + "0" * 28}),
        ("person", {"person": "aysel"}),
        ("way", {"way": "alone"}),
        ("reason", {"reason": "because"}),
        ("reason", {"reason": "x" * 501}),
    ],
    ids=["nobody", "a-name", "alone", "short", "long"],
)
def test_a_question_needs_a_person_a_way_and_a_reason(desk, field, given):
    body = {"person": desk.person(desk.aysel), "way": "two-persons", "reason": REASON}

    refused = desk.first.post("unmaskings", body | given)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"/{field}"


def test_somebody_outside_of_the_engagement_is_nobody(desk):
    """A pseudonym of another engagement, and one of a person who shares with others only."""
    bank = desk.world.organisation(f"Bank {random_uuid().hex[:8]}")
    of_bank = engaged(desk.world, bank)
    body = {"person": desk.person(desk.aysel), "way": "two-persons", "reason": REASON}
    asked = desk.ask(desk.aysel).json()["id"]

    assert of_bank.post("unmaskings", body).status_code == 422
    assert of_bank.get("unmaskings").json() == {"unmaskings": []}
    missing = decide(of_bank, random_uuid())
    foreign = decide(of_bank, asked)
    assert (foreign.status_code, foreign.text) == (404, missing.text)
    assert desk.ask(desk.aysel).json()["errors"][0]["rule"] == "asked_already"


def test_the_log_tells_that_a_name_was_opened_and_not_whose(desk):
    decide(desk.second, asked := desk.ask(desk.aysel).json()["id"])
    look(desk.first, asked)
    integrate(desk.world)

    found = engaged(desk.world).get("events", limit=4).json()["events"]

    names = {each["event"] for each in found if each["event"].startswith("pseudonym.")}
    assert names == {"pseudonym.asked", "pseudonym.opened", "pseudonym.looked_up"}
    assert {each["person"] for each in found} == {None}


def test_many_opened_names_are_an_alert_that_somebody_looks_after(desk, monkeypatch):
    """AUD-14."""
    monkeypatch.setattr(alerts, "UNMASKED_LEAST", 2)
    for person in (desk.aysel, desk.leyla):
        decide(desk.second, desk.ask(person).json()["id"])

    (found,) = desk.first.get("alerts").json()["alerts"]
    answer = {"key": found["key"], "state": "open", "owner": str(desk.second.auditor_id)}
    (taken,) = desk.first.post("alerts", answer).json()["alerts"]
    explained = {"key": found["key"], "state": "explained", "note": "A case of the court."}
    (kept,) = desk.second.post("alerts", explained).json()["alerts"]
    stranger = desk.first.post("alerts", answer | {"owner": str(random_uuid())})
    (nobody,) = desk.first.post("alerts", answer | {"owner": None}).json()["alerts"]

    assert (found["kind"], found["detail"], found["owner"]) == (
        "bulk-unmasking",
        {"opened": 2},
        None,
    )
    assert taken["owner"] == kept["owner"] == str(desk.second.auditor_id)
    assert (kept["state"], nobody["owner"]) == ("explained", None)
    assert stranger.json()["errors"][0]["pointer"] == "/owner"


def test_opened_names_are_an_alert_though_the_period_that_is_looked_at_is_past(desk, monkeypatch):
    """AUD-14: pseudonyms are opened while an engagement is worked in."""
    monkeypatch.setattr(alerts, "UNMASKED_LEAST", 2)
    for person in (desk.aysel, desk.leyla):
        decide(desk.second, desk.ask(person).json()["id"])
    earlier = desk.clock.now() - timedelta(days=1)
    of_this = Engagement.id == desk.first.engagement_id
    desk.world.services.uow.write(
        lambda session: session.execute(update(Engagement).where(of_this).values(until=earlier))
    )

    found = desk.first.get("alerts").json()["alerts"]

    assert [each["kind"] for each in found] == ["bulk-unmasking"]


def test_no_more_questions_wait_than_may(desk, monkeypatch):
    monkeypatch.setattr(unmasking, "WAITING_MOST", 1)
    desk.ask(desk.aysel)

    assert desk.ask(desk.leyla).json()["errors"][0]["rule"] == "too_many"
