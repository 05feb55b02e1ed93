"""Searching the log within an engagement (AUD-2, AUD-16)."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.orm import Session

from consent.auditing import indexing, search, searches
from consent.auditing.engagements import Scope
from consent.auditing.pseudonyms import Pseudonyms
from consent.auditing.search import Query
from consent.models import LogState
from pds.clock import rfc3339
from pds.ids import random_uuid
from tests.support.auditing import engaged


def found(auditor, **query):
    answer = auditor.get("events", limit=500, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(auditor, **query):
    return [each["event"] for each in found(auditor, **query)["events"]]


@pytest.fixture
def whole(world):
    return engaged(world)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"event": "data.read"}, 3),
        ({"event": "data.read", "outcome": "ok", "collection": "contact"}, 3),
        ({"event": "data.read", "collection": "health"}, 0),
        ({"event": "data.read", "cluster": "identity_contact"}, None),
        ({"event": "data.read", "purpose": "service_provision"}, 3),
        ({"event": "data.read", "purpose": "research"}, 0),
        ({"event": "data.read", "state": "withdrawn"}, 1),
        ({"event": "data.read", "state": "active"}, 2),
        ({"outcome": "consent-withdrawn"}, 1),
        ({"event": "consent.given", "channel": "page"}, 3),
        ({"event": "consent.given", "channel": "clock"}, 0),
        ({"event": "consent.refused"}, 1),
        ({"event": "vault.unlocked"}, 0),
        ({"event": "data.read", "proof": "proved"}, 3),
        ({"event": "data.read", "proof": "waiting"}, 0),
        ({"proof": "erased"}, 0),
    ],
    ids=str,
)
def test_each_filter_finds_what_it_names(whole, filters, expected):
    if expected is None:
        filters = filters | {"cluster": search.CATALOGUE.collections["contact"].cluster.name}
        expected = 3

    answer = found(whole, **filters)

    assert (len(answer["events"]), answer["count"], answer["count_is_exact"]) == (
        expected,
        expected,
        True,
    )
    assert answer["query"] == filters


def test_filters_by_person_organisation_agreement_and_time(story, whole):
    everything = found(whole, event="data.read")["events"]
    first = everything[-1]
    end = rfc3339(story.clock.instant - timedelta(minutes=11))

    assert len({each["person"] for each in everything}) == 2
    assert {each["person"] for each in found(whole, person=first["person"])["events"]} == {
        first["person"]
    }
    assert names(whole, organisation=str(story.bank.id)).count("data.read") == 1
    by_agreement = names(whole, agreement=str(story.stopped.agreement_id))
    assert {"consent.given", "data.read", "consent.withdrawn"} <= set(by_agreement)
    assert "consent.withdrawn" not in names(whole, until=end)
    assert "consent.withdrawn" in names(whole, since=end)


def test_pages_follow_each_other_without_gap_or_repetition(whole):
    everything = [each["index"] for each in found(whole, event="data.read")["events"]]
    pages, before = [], {}
    while True:
        answer = whole.get("events", limit=1, event="data.read", **before).json()
        pages += [each["index"] for each in answer["events"]]
        if answer["before"] is None:
            break
        before = {"before": answer["before"]}

    assert pages == everything == sorted(everything, reverse=True)


def test_what_is_outside_of_an_engagement_is_not_found(story, world):
    """AUD-1: others' organisations and people, other times, the operator's acts."""
    of_bank, whole = engaged(world, story.bank), engaged(world)
    person = found(whole, event="data.read")["events"][0]["person"]
    earlier = engaged(world, story.bank, days_before=9, days_after=-3)

    assert {each["organisation"] for each in found(of_bank)["events"]} == {str(story.bank.id)}
    assert found(of_bank, organisation=str(story.shop.id))["count"] == 0
    assert found(of_bank, agreement=str(story.stopped.agreement_id))["count"] == 0
    assert found(of_bank, person=person)["count"] == 0  # a pseudonym of another engagement
    assert found(of_bank, event="organisation.created")["count"] == 0
    assert found(earlier)["count"] == 0
    assert found(of_bank, since="2020-01-01T00:00:00Z")["count"] == found(of_bank)["count"]


def test_no_result_names_a_vault(story, whole):
    vault = story.stopped.person.vault_id
    text = whole.get("events", limit=500).text

    assert '"consent.refused"' in text
    for secret in (str(vault), vault.hex, story.of_leyla.person.vault_id.hex, "aysel"):
        assert secret not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("organisation", "x"),
        ("since", "yesterday"),
        ("state", "odd"),
        ("channel", "x"),
        ("outcome", "x" * 41),
        ("before", "x"),
        ("limit", "0"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(whole, name, value):
    answer = whole.get("events", **{name: value})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


def test_a_search_is_logged_once_and_not_for_each_page(world, whole):
    def logged():
        with world.services.uow.read() as session:
            return search.waiting(session)

    before = logged()
    answer = whole.get("events", limit=1).json()
    whole.get("events", limit=1, before=answer["before"])

    assert logged() == before + 1


def test_the_index_takes_each_entry_once(world):
    assert world.services.uow.write(indexing.follow) == 0


def test_a_search_by_time_goes_by_the_index_and_never_sorts_the_log(world):
    """AUD-16: by the plans of each store, for a short period and for all of the time."""
    now = world.services.clock.now()
    names, year = Pseudonyms.of_engagement(bytes(32), random_uuid()), timedelta(365)
    scope = Scope(random_uuid(), None, now - year, now + year, now + year, names)
    for since, looked_up in ((now - timedelta(minutes=15), 1), (now - year, 0)):
        with world.services.uow.read() as session, planned(session) as plans:
            assert search.find(session, scope, Query(since=since), limit=2).events
        ends = [plan for asked, plan in plans if "min(" in asked]
        (page,) = (plan for asked, plan in plans if "LIMIT" in asked)
        assert len(ends) == looked_up
        assert all("ix_searchable_events_minute_index" in each for each in ends)
        assert "searchable_events" in page
        assert "TEMP B-TREE" not in page
        assert "Sort" not in page


@contextmanager
def planned(session):
    """Give what each statement is and how the store goes about it."""
    connection, found = session.connection(), []
    is_sqlite = connection.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    if not is_sqlite:
        session.execute(text("SET LOCAL enable_seqscan = off"))  # the tables are small
        session.execute(text("SET LOCAL enable_bitmapscan = off"))

    def note(_connection, _cursor, statement, parameters, _context, _many):
        cursor = connection.connection.cursor()
        cursor.execute(explain + statement, parameters)
        found.append((statement, "\n".join(str(row[-1]) for row in cursor.fetchall())))

    event.listen(connection, "before_cursor_execute", note)
    yield found
    event.remove(connection, "before_cursor_execute", note)


def test_what_waits_for_witnesses_is_told_from_what_is_proved(world):
    """AUD-2: an entry is proved once a published checkpoint reaches it."""
    now, year = world.services.clock.now(), timedelta(365)
    names = Pseudonyms.of_engagement(bytes(32), random_uuid())
    scope = Scope(random_uuid(), None, now - year, now + year, now + year, names)
    with Session(world.services.uow.engine) as session:
        everything = search.find(session, scope, Query(), limit=500).events
        size = everything[2].index
        session.execute(update(LogState).values(published_size=size))
        waits = search.find(session, scope, Query(proof="waiting")).events
        proved = search.count(session, scope, Query(proof="proved"))
        session.rollback()

    assert [each.index for each in waits] == [each.index for each in everything[:3]]
    assert proved == len(everything) - 3


def test_counting_stops(world, monkeypatch):
    monkeypatch.setattr(search, "COUNT_MOST", 5)
    with world.services.uow.read() as session:
        now = world.services.clock.now()
        year = timedelta(365)
        names = Pseudonyms.of_engagement(bytes(32), random_uuid())
        scope = Scope(random_uuid(), None, now - year, now + year, now + year, names)
        assert search.count(session, scope, Query()) == 6


def test_no_more_searches_are_kept_than_may(world, monkeypatch):
    monkeypatch.setattr(searches, "KEPT_MOST", 1)
    mine, wanted = engaged(world), {"event": "data.read"}
    first, second = (
        mine.post("searches", {"name": name, "filter": wanted}) for name in ("One", "Two")
    )

    assert first.status_code == 201
    assert second.json()["errors"][0]["rule"] == "too_many"


def test_searches_are_kept_for_their_auditor_alone(story, world):
    """AUD-2: the same filters, understood again at each use."""
    mine, other = engaged(world), engaged(world)
    wanted = {"event": "data.read", "organisation": str(story.bank.id)}
    made = mine.post("searches", {"name": "Bank", "filter": wanted}).json()["id"]
    mine.post("searches", {"name": "Bank", "filter": wanted | {"outcome": "ok"}})

    (kept,) = mine.get("searches").json()["searches"]
    refused = [
        mine.post("searches", {"name": name, "filter": asked})
        for name, asked in (("", wanted), ("x" * 61, wanted), ("a", {}), ("a", {"state": "?"}))
    ]

    assert (kept["name"], kept["filter"]) == ("Bank", wanted | {"outcome": "ok"})
    assert kept["id"] != made
    assert found(mine, **kept["filter"])["count"] == 1
    assert {each.status_code for each in refused} == {422}
    assert other.get("searches").json() == {"searches": []}
    headers = {"Authorization": f"Bearer {other.access}"}
    path = f"/v1/audit/searches/{kept['id']}"
    assert world.http.delete(path, headers=headers).status_code == 404
    headers = {"Authorization": f"Bearer {mine.access}"}
    assert world.http.delete(path, headers=headers).status_code == 204
    assert mine.get("searches").json() == {"searches": []}
