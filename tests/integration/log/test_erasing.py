"""What entries say is erased once its time is over, and every proof holds (LOG-9, AUD-13)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, func, select, update

from api import cli, schema
from consent.auditing import indexing, search
from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.auditing.pseudonyms import Pseudonyms
from consent.auditing.search import Query
from consent.formats.verify import verify_bundle
from consent.log import erasing, evidence, holds
from consent.models import Event, EventErasure, EventPayload, Grant
from consent.retention import CLASSES, class_of
from consent.vocabulary import EventName
from pds.errors import NotFoundError
from pds.ids import random_uuid
from pds.settings import SETTINGS_FILE
from tests.support.events import START
from tests.support.logged_story import tell

YEARS = timedelta(days=3654)
CONSENT = next(each for each in CLASSES if each.name == "consent")


@pytest.fixture
def told(store):
    told = tell(store)
    ended = told.grants[0].grant_id
    told.store.uow.write(
        lambda session: session.execute(
            update(Grant).where(Grant.id == ended).values(state="revoked")
        )
    )
    return told


def whole_pass(told, now, *, limit=3):
    """Erase all that is over, in steps; returns how many steps."""
    position, steps = erasing.START, 0
    while position is not None:
        steps += 1
        position = told.store.uow.write(
            lambda session, at=position: erasing.step(
                session, told.events, at, now=now, limit=limit
            )
        )
    return steps


def bundle(told):
    with told.store.uow.read() as session:
        streams = evidence.streams_of_period(session, START - YEARS, START + 2 * YEARS)
        return evidence.build_bundle(session, streams)


def count(told, model, *where):
    with told.store.uow.read() as session:
        return session.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def erased_as_logged(told):
    with told.store.uow.read() as session:
        query = select(EventPayload.pub, Event.bucket, Event.stream).join(
            Event, (Event.bucket == EventPayload.bucket) & (Event.id == EventPayload.event_id)
        )
        rows = session.execute(query.where(Event.name == EventName.LOG_ERASED)).all()
    found = Counter()
    for row in rows:
        pub = evidence.parse(row.pub)
        found[pub["outcome"]] += pub["count"]
    return found


def whole_stream(told, shared):
    with told.store.uow.read() as session:
        return evidence.build_bundle(
            session, evidence.streams_of_grant(shared.bucket, shared.grant_id)
        )


def test_what_is_over_is_erased_by_rule_and_count_and_the_evidence_still_verifies(told):
    """The owner's part first, a whole ended grant later; a living one and the records stay."""
    ended = whole_stream(told, told.grants[0])
    events = len(ended.entries)
    whole_pass(told, START + timedelta(days=364))
    assert erased_as_logged(told) == {}

    whole_pass(told, START + CONSENT.private + timedelta(days=9))
    private = erased_as_logged(told)
    assert private["access.public"] == private["access.private"] + private["access.public"]
    assert count(told, EventPayload, EventPayload.priv_box.is_not(None)) == 0
    assert count(told, EventErasure) == private["access.public"] == 3

    assert whole_pass(told, START + YEARS + timedelta(days=9)) > 4
    told.sequencer.run()
    found = bundle(told)
    report = verify_bundle(found.to_bytes(), told.trust())

    assert report.failures == ()
    assert report.verdict == "VERIFIED"
    assert len(found.erased) == events + 3
    assert {each.rule for each in found.erased} == {"consent.public", "access.public"}
    assert sum(each.rule == "entry-erased" for each in report.notices) == 3
    assert erased_as_logged(told)["consent.public"] == events
    living = {f"g.{each.grant_id.hex}" for each in told.grants[1:]}
    assert living <= {entry.event.pub.stream for entry in found.entries}
    before = count(told, EventErasure)
    whole_pass(told, START + YEARS + timedelta(days=10))
    assert count(told, EventErasure) == before


def whole_scope():
    names = Pseudonyms.of_engagement(bytes(32), random_uuid())
    return Scope(random_uuid(), None, START - YEARS, START + 2 * YEARS, START + 2 * YEARS, names)


def searchable(told):
    query = select(*SearchableEvent.__table__.columns).order_by(SearchableEvent.index)
    with told.store.uow.read() as session:
        return [tuple(row) for row in session.execute(query)]


def test_searches_say_what_they_pass_over_and_why(told):
    """AUD-9, AUD-2: place, stream and rule are told, and the counts add up; so after a restore."""
    told.store.uow.write(indexing.follow)
    scope, everything = whole_scope(), Query()
    with told.store.uow.read() as session:
        before = search.count(session, scope, everything)
    whole_pass(told, START + YEARS + timedelta(days=9), limit=100)
    with told.store.uow.read() as session:
        left = search.count(session, scope, everything)
        passed_over = search.erased(session, scope, everything)
        narrowed = search.erased(session, scope, Query(event="data.read", since=START))
        elsewhere = search.erased(session, scope, Query(organisation=random_uuid()))
        found = search.find(session, scope, Query(proof="erased")).events

    number = sum(passed_over.values())
    assert passed_over == narrowed == {"consent.public": number}
    assert (left + number, elsewhere) == (before, {})
    stream = f"g.{told.grants[0].grant_id.hex}"
    assert [each.reference for each in found] == [f"{stream}/{at}" for at in range(number, 0, -1)]
    said = {"event", "time", "purpose", "collections", "outcome", "count", "channel"}
    assert not said & {name for each in found for name in each.to_dict()}
    assert {each.erased_by for each in found} == {"consent.public"}

    told.sequencer.run()
    told.store.uow.write(indexing.follow)
    rows, engine = searchable(told), told.store.uow.engine
    schema.downgrade(engine, "0037")
    assert len(searchable(told)) < len(rows)
    schema.upgrade(engine)
    assert searchable(told) == rows
    told.store.uow.write(lambda session: session.execute(delete(SearchableEvent)))
    told.store.uow.write(indexing.follow)
    assert searchable(told) == rows


def test_a_hold_stops_it_until_it_is_lifted(told):
    """Of an organisation, a grant or a vault; both acts are in the log."""
    now, shared = START + YEARS + timedelta(days=9), told.grants[0]
    name = f"g.{shared.grant_id.hex}"
    targets = {
        "organisation": shared.organisation_id,
        "grant": shared.grant_id,
        "vault": shared.vault_id,
    }
    for scope, target in targets.items():
        placed = told.store.uow.write(
            lambda session, scope=scope, target=target: holds.place(
                session, told.events, scope, target, "case 7", now=now
            )
        )
        whole_pass(told, now, limit=100)
        gone = {each.stream for each in bundle(told).erased}
        assert name not in gone, scope
        told.store.uow.write(
            lambda session, placed=placed: holds.lift(session, told.events, placed, now=now)
        )

    whole_pass(told, now, limit=100)
    assert name in {each.stream for each in bundle(told).erased}
    assert count(told, Event, Event.name == EventName.HOLD_PLACED) == 3
    assert count(told, Event, Event.name == EventName.HOLD_LIFTED) == 3
    with pytest.raises(NotFoundError):
        told.store.uow.write(
            lambda session: holds.lift(session, told.events, random_uuid(), now=now)
        )


@pytest.mark.tampers
def test_what_is_gone_without_a_rule_is_a_gap(told):
    """Else whoever deletes a row would call it erased."""
    shared = told.grants[0]
    with told.store.uow.read() as session:
        query = select(Event.id).where(Event.grant_id == shared.grant_id, Event.seq == 2)
        event_id = session.scalars(query).one()
    told.store.uow.write(
        lambda session: session.execute(
            delete(EventPayload).where(EventPayload.event_id == event_id)
        )
    )

    report = verify_bundle(bundle(told).to_bytes(), told.trust())

    where = f"g.{shared.grant_id.hex}/2"
    assert (where, "stream-gap") in {(each.where, each.rule) for each in report.failures}


def test_every_event_has_its_class_and_records_are_kept_with_the_vault():
    """LOG-9: `pds verify --vault` needs them."""
    assert class_of("record.written").private is None
    assert class_of("records.imported").public is None
    assert class_of("vault.created").public is None
    assert class_of("data.read").public == CONSENT.public
    assert class_of("vault.unlocked").name == "access"
    assert class_of(EventName.ORGANISATION_CREATED).public is None


def test_the_operators_commands_hold_list_and_release(sqlite_store):
    (sqlite_store.settings.instance / SETTINGS_FILE).write_text(
        "[server]\ninsecure_loopback = true\n", "utf-8"
    )

    def run(*words):
        folder = str(sqlite_store.settings.instance)
        return CliRunner().invoke(
            cli.main, ["retention", words[0], "--instance", folder, *words[1:]]
        )

    target = str(random_uuid())
    placed = run("hold", "grant", target, "--reason", "case 7/2026")
    made = json.loads(placed.output)["hold"]
    (listed,) = json.loads(run("list").output)["holds"]
    assert (listed["hold"], listed["target"], listed["lifted_at"]) == (made, target, None)
    assert json.loads(run("list").output)["periods"][0]["class"] == "records"

    assert run("release", made).exit_code == 0
    assert run("release", made).exit_code == 2  # it stands no more
    assert json.loads(run("list").output)["holds"][0]["lifted_at"] is not None
