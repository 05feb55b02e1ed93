"""Alerts: computed, each with a state and a note (AUD-14)."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from consent.auditing import alerts
from consent.auditing.engagements import scope_of
from consent.auditing.models import Engagement, SearchableEvent
from consent.models import Event, Grant
from tests.support.auditing import engaged

FAR = 1_000_000


@contextmanager
def forged(world, auditor, *rows):
    """Give what alerts come of further rows, which are taken back afterwards."""
    with Session(world.services.uow.engine) as session:
        engagement = session.get(Engagement, auditor.engagement_id)
        scope = scope_of(engagement, root=world.services.keys.pseudonym)
        if rows:
            session.execute(insert(SearchableEvent), list(rows))
        yield session, scope
        session.rollback()


def row(story, number, *, minute=None, name="data.read", organisation=None, grant=None):
    at = (minute or story.clock.instant).replace(second=0, microsecond=0)
    return {
        "index": FAR + number,
        "minute": at,
        "name": name,
        "grant_id": grant,
        "organisation_id": (organisation or story.shop).id,
        "is_operators": False,
        "purpose": None,
        "collections": "",
        "outcome": "ok",
        "channel": "api",
        "count": 1,
    }


def grant_of(session, connected):
    query = select(Grant.id).where(Grant.agreement_id == connected.agreement_id)
    return session.scalars(query).one()


def kinds(session, scope):
    return [each.kind.value for each in alerts.find(session, scope).found]


def test_an_orderly_course_raises_no_alert(world):
    assert engaged(world).get("alerts").json()["alerts"] == []


def test_a_read_after_the_end_is_told(story, world):
    auditor = engaged(world)
    with forged(world, auditor) as (session, scope):
        grant = grant_of(session, story.stopped)
        session.execute(insert(SearchableEvent), [row(story, 1, grant=grant)])
        (found,) = alerts.find(session, scope).found

    assert (found.kind, found.key) == ("read-after-end", f"read-after-end:{FAR + 1}")


def test_a_spike_and_many_refusals_are_told_by_day(story, world):
    before = story.clock.instant - timedelta(days=2)
    calm = [row(story, n, minute=before, organisation=story.bank) for n in range(3)]
    many = [row(story, 10 + n, organisation=story.bank) for n in range(60)]
    refused = [row(story, 100 + n, name="data.read_denied") for n in range(30)]
    with forged(world, engaged(world), *calm, *many, *refused) as (session, scope):
        found = {each.kind.value: each for each in alerts.find(session, scope).found}

    assert found["volume-spike"].organisation_id == story.bank.id
    assert found["many-refusals"].organisation_id == story.shop.id
    assert found["many-refusals"].detail["refused"] == 31


def test_a_rested_consent_that_is_read_is_told(story, world):
    later = story.clock.instant + timedelta(days=100)
    auditor = engaged(world, days_after=200)
    with forged(world, auditor) as (session, scope):
        grant = grant_of(session, story.of_leyla)
        session.execute(insert(SearchableEvent), [row(story, 1, minute=later, grant=grant)])
        assert kinds(session, scope) == ["dormant-read"]


def test_a_clock_that_went_back_is_told(story, world):
    back = story.clock.instant - timedelta(days=1)
    with forged(world, engaged(world), row(story, 1, minute=back)) as (session, scope):
        assert kinds(session, scope) == ["clock-jump"]


def test_a_stream_with_a_gap_is_told(story, world):
    with forged(world, engaged(world)) as (session, scope):
        grant = grant_of(session, story.of_bank)
        session.execute(delete(Event).where(Event.grant_id == grant, Event.seq == 1))
        (found,) = alerts.find(session, scope).found

    assert (found.kind, found.agreement_id) == ("broken-stream", story.of_bank.agreement_id)


def test_others_alerts_are_not_there(story, world):
    auditor = engaged(world, story.bank)
    with forged(world, auditor) as (session, scope):
        grant = grant_of(session, story.stopped)
        session.execute(insert(SearchableEvent), [row(story, 1, grant=grant)])
        assert kinds(session, scope) == []


def test_what_was_made_of_an_alert_stays_beside_it(world, monkeypatch):
    monkeypatch.setattr(alerts, "REFUSALS_LEAST", 1)
    auditor = engaged(world)
    (found,) = auditor.get("alerts").json()["alerts"]
    answer = {"key": found["key"], "state": "explained", "note": "After the withdrawal."}

    refused = [
        auditor.post("alerts", answer | {"note": ""}),
        auditor.post("alerts", answer | {"state": "gone"}),
        auditor.post("alerts", answer | {"key": "other"}),
        auditor.post("alerts", answer | {"note": "x" * 501}),
    ]
    auditor.post("alerts", answer)
    (again,) = auditor.post("alerts", answer | {"state": "confirmed"}).json()["alerts"]

    assert found["state"] == "open"
    assert {each.status_code for each in refused} == {422}
    assert (again["state"], again["note"]) == ("confirmed", "After the withdrawal.")
    assert engaged(world).get("alerts").json()["alerts"][0]["state"] == "open"


def test_all_complaints_are_shown_and_reviewed_however_old(story, world, monkeypatch):
    """AUD-14: the newest of a kind come first, and lead to those before them."""
    monkeypatch.setattr(alerts, "MOST", 2)
    complaints = [row(story, number, name="complaint.lodged") for number in range(5)]
    auditor = engaged(world)
    services = world.services
    services.uow.write(lambda session: session.execute(insert(SearchableEvent), complaints))
    try:
        pages, asked = [], {}
        for _ in range(4):
            answer = auditor.get("alerts", **asked).json()
            pages.append([each["key"] for each in answer["alerts"] if each["kind"] == "complaint"])
            if not answer["earlier"]:
                break
            asked = {"kind": "complaint", "before": answer["earlier"]["complaint"]}
        oldest = {"key": pages[-1][-1], "state": "explained", "note": "Settled by letter."}
        reviewed = auditor.post("alerts", oldest)
        again = auditor.get("alerts", **asked).json()["alerts"]
    finally:
        gone = delete(SearchableEvent).where(SearchableEvent.index >= FAR)
        services.uow.write(lambda session: session.execute(gone))

    places = [int(key.partition(":")[2]) - FAR for page in pages for key in page]
    assert (places, len(pages)) == ([4, 3, 2, 1, 0], 3)
    assert reviewed.status_code == 200
    assert [(each["key"], each["state"]) for each in again] == [(oldest["key"], "explained")]
    refused = [{"kind": "volume-spike", "before": 1}, {"kind": "complaint", "before": "x"}]
    assert [auditor.get("alerts", **each).status_code for each in refused] == [422, 422]


def test_without_access_there_are_none(world):
    assert world.http.get("/v1/audit/alerts").status_code == 401
