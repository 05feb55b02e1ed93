"""Events and their leaves, as they are written with what they tell of (LOG-4, LOG-6, LOG-23)."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from consent.formats import leaf
from consent.formats.canonical import parse
from consent.formats.errors import MalformedError
from consent.log.entries import (
    EntryRef,
    EventLog,
    SealedPrivate,
    grant_stream,
    open_private,
    seal_private,
)
from consent.log.vaults import VaultLog
from consent.models import Event, EventPayload, FeedPending, LogPending
from pds.crypto.sealed_box import Kind, pad, seal
from pds.errors import DecryptionError
from pds.events import VaultEvent, vault_stream
from pds.ids import random_uuid
from tests.support.events import (
    START,
    SteppingClock,
    add_grant,
    add_person,
    log_event,
    log_many,
)

PRIVATE = {"address": "192.0.2.7", "records": [["id", 1, "0" * 64]]}


@pytest.fixture
def events():
    return EventLog(SteppingClock())


@pytest.fixture
def person(store):
    return add_person(store.uow)


@pytest.fixture
def shared(store, person):
    return add_grant(store.uow, person)


def rows(store, model):
    with store.uow.read() as session:
        return list(session.scalars(select(model)))


def sealed_of(event, payload):
    return SealedPrivate(event.c_priv, payload.priv_box, payload.priv_key)


def test_a_reference_is_read_as_it_was_written():
    reference = EntryRef(grant_stream(random_uuid()), 17)

    assert EntryRef.parse(reference.text()) == reference
    assert EntryRef.parse("d/1") == EntryRef("d", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "d/0",
        "d/01",
        "d/-1",
        "x/1",
        "d/1 ",
        "g.abc/1",
        f"g.{'A' * 32}/1",
        "d/1\n",
        "d/\u0661",
    ],
)
def test_a_malformed_reference_is_refused(text):
    with pytest.raises(MalformedError):
        EntryRef.parse(text)


def test_the_owner_opens_a_private_part_with_the_grant_key():
    sealed = seal_private(PRIVATE, grant_key=bytes(32))

    private, r_priv = open_private(sealed, bytes(32))

    assert private == PRIVATE
    assert leaf.commitment(private, r_priv) == sealed.c_priv


def test_the_owner_opens_a_private_part_with_the_audit_key(store):
    person = add_person(store.uow)

    sealed = seal_private(PRIVATE, audit_public_key=person.ref.audit_public_key)

    assert open_private(sealed, person.audit_private_key)[0] == PRIVATE


@pytest.mark.parametrize("kind", ["grant", "audit"])
def test_another_key_opens_no_private_part(store, kind):
    person = add_person(store.uow)
    keys = {"grant_key": bytes(32)} if kind == "grant" else {}
    sealed = seal_private(PRIVATE, audit_public_key=person.ref.audit_public_key, **keys)

    with pytest.raises(DecryptionError):
        open_private(sealed, b"\x01" * 32)


@pytest.mark.parametrize("kind", ["grant", "audit"])
def test_a_box_moved_to_another_event_does_not_open(store, kind):
    person = add_person(store.uow)
    keys = {"grant_key": bytes(32)} if kind == "grant" else {}
    keys["audit_public_key"] = person.ref.audit_public_key
    key = bytes(32) if kind == "grant" else person.audit_private_key
    one, other = seal_private(PRIVATE, **keys), seal_private(PRIVATE, **keys)

    with pytest.raises(DecryptionError):
        open_private(replace(one, box=other.box), key)


def test_a_cut_or_missing_box_does_not_open():
    sealed = seal_private(PRIVATE, grant_key=bytes(32))

    for box in (None, b"", sealed.box[:-1], bytes(4)):
        for kind in ("grant", "audit"):
            with pytest.raises(DecryptionError):
                open_private(replace(sealed, box=box, key_kind=kind), bytes(32))


@pytest.mark.parametrize("content", [b'{"a":1}', b"[]", b'{"a": 1}', b"\xff"])
def test_a_box_that_holds_something_else_than_was_committed_to_does_not_open(content):
    """Whoever holds the grant's audit key still cannot change what the leaf says."""
    honest = seal_private(PRIVATE, grant_key=bytes(32))
    forged = pad(bytes(32) + content)
    box = seal(bytes(32), forged, kind=Kind.AUDIT, key_version=1, fields=[honest.c_priv])

    with pytest.raises(DecryptionError):
        open_private(replace(honest, box=box), bytes(32))


def test_another_spelling_of_what_was_committed_to_does_not_open():
    """A commitment to it opens no leaf for anybody else, who writes the canonical form."""
    spelling, blinding = b'{"a": 1}', bytes(32)
    c_priv = leaf.commitment_to(spelling, blinding)
    box = seal(bytes(32), pad(blinding + spelling), kind=Kind.AUDIT, key_version=1, fields=[c_priv])

    with pytest.raises(DecryptionError):
        open_private(SealedPrivate(c_priv, box, "grant"), bytes(32))


def test_a_private_part_is_never_left_unsealed():
    with pytest.raises(ValueError, match="key"):
        seal_private(PRIVATE)


def test_two_reads_of_the_same_size_class_have_boxes_of_one_length():
    one = seal_private({"address": "192.0.2.7"}, grant_key=bytes(32))
    other = seal_private({"address": "192.0.2.77"}, grant_key=bytes(32))

    assert len(one.box) == len(other.box)


def test_an_event_commits_to_both_its_parts(store, events, shared):
    private = seal_private(PRIVATE, grant_key=bytes(32))

    reference = store.uow.write(
        lambda session: log_event(session, shared, events, "data.read", private=private, count=2)
    )

    (event,), (payload,) = rows(store, Event), rows(store, EventPayload)
    (pending,) = rows(store, LogPending)
    entry = bytes([leaf.LEAF_VERSION]) + pending.commitment
    pub = parse(payload.pub)
    part = leaf.open_public(entry, pub, r_pub=payload.r_pub, c_priv=event.c_priv)
    opened, r_priv = open_private(sealed_of(event, payload), bytes(32))
    leaf.open_private(entry, opened, r_priv=r_priv, c_pub=event.c_pub)
    assert reference.text() == f"g.{shared.grant_id.hex}/1"
    assert (part.event, part.seq, part.count, opened) == ("data.read", 1, 2, PRIVATE)
    assert part.time == "2026-03-01T12:00:00Z"


def test_the_public_part_names_no_vault(store, events, shared):
    """P-32, LOG-7: an auditor does not learn whose grant it is."""
    store.uow.write(lambda session: log_event(session, shared, events, "data.read"))

    (payload,) = rows(store, EventPayload)
    assert str(shared.vault_id).encode() not in payload.pub
    assert shared.vault_id.hex.encode() not in payload.pub


def test_the_stored_event_shows_nothing_of_its_private_part(sqlite_store, events):
    shared = add_grant(sqlite_store.uow, add_person(sqlite_store.uow))
    sqlite_store.uow.write(lambda session: log_event(session, shared, events, "data.read"))
    sqlite_store.uow.close()

    assert b"192.0.2.7" not in (sqlite_store.settings.instance / "pds.db").read_bytes()


def test_an_event_goes_with_the_change_that_is_taken_back(store, events, shared):
    def job(session):
        log_event(session, shared, events, "data.read")
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        store.uow.write(job)

    assert [rows(store, model) for model in (Event, EventPayload, LogPending)] == [[], [], []]


def test_a_number_is_used_once_in_a_stream(store, events, shared):
    """P-31: whoever took the number without its lock fails, and the stream stays gap-free."""

    def job(session):
        events.append(session, bucket=shared.bucket, stream="d", seq=1, name="data.read", at=START)

    store.uow.write(job)

    with pytest.raises((IntegrityError, sqlite3.IntegrityError)):
        store.uow.write(job)


def test_concurrent_reads_number_their_grants_stream_without_gaps(store, events, shared):
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda _: store.uow.write(
                    lambda session: log_event(session, shared, events, "data.read")
                ),
                range(60),
            )
        )

    assert sorted(event.seq for event in rows(store, Event)) == list(range(1, 61))


def test_the_deployment_numbers_its_own_stream(store, events):
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(
                lambda _: store.uow.write(
                    lambda session: events.append_deployment(session, "log.started", at=START)
                ),
                range(12),
            )
        )

    found = rows(store, Event)
    assert sorted((event.stream, event.seq) for event in found) == [("d", n) for n in range(1, 13)]
    assert all(event.vault_id is None for event in found)


def test_a_vaults_own_events_have_a_stream_of_their_own(store, events, person):
    sink = VaultLog(events)
    entry = VaultEvent("vault.unlocked", START, private={"address": "192.0.2.7"})

    store.uow.write(lambda session: sink.append(session, person.ref, entry))
    store.uow.write(lambda session: sink.append(session, person.ref, entry))

    found = sorted(rows(store, Event), key=lambda event: event.seq)
    assert [(one.stream, one.seq) for one in found] == [
        (vault_stream(person.ref.id), 1),
        (vault_stream(person.ref.id), 2),
    ]
    payload = next(one for one in rows(store, EventPayload) if one.event_id == found[0].id)
    private, _ = open_private(sealed_of(found[0], payload), person.audit_private_key)
    assert private == {"address": "192.0.2.7"}


def changed(store, person, changes, events):
    store.uow.write(
        lambda session: VaultLog(events).records_changed(session, person.ref, changes, START)
    )
    return [(row.organisation_id, row.connection_id, row.event) for row in rows(store, FeedPending)]


def test_a_change_is_news_for_whoever_agreed_on_that_attribute(store, events, person, shared):
    news = changed(store, person, {"contact": frozenset({"email"})}, events)

    assert news == [(shared.organisation_id, shared.connection_id, "data.updated")]


@pytest.mark.parametrize(
    "changes",
    [{"contact": frozenset({"phone"})}, {"profile": frozenset({"email"})}, {}],
    ids=["another attribute", "another collection", "nothing"],
)
@pytest.mark.usefixtures("shared")
def test_a_change_outside_the_agreement_stays_unseen(store, events, person, changes):
    """P-22, P-24: not even that something changed."""
    assert changed(store, person, changes, events) == []


@pytest.mark.parametrize("state", ["paused", "revoked", "expired", "consumed"])
def test_a_grant_that_reads_nothing_gets_no_news(store, events, person, state):
    """In a pause not even that something changed; resuming is news of its own."""
    add_grant(store.uow, person, state=state)

    assert changed(store, person, {"contact": frozenset({"email"})}, events) == []


def test_another_persons_change_is_no_news(store, events, person, shared):
    other = add_person(store.uow)

    assert changed(store, other, {"contact": frozenset({"email"})}, events) == []
    assert shared.vault_id == person.ref.id


def test_a_connection_with_two_grants_gets_one_piece_of_news(store, events, person, shared):
    add_grant(
        store.uow,
        person,
        organisation_id=shared.organisation_id,
        connection_id=shared.connection_id,
    )

    assert len(changed(store, person, {"contact": frozenset({"email"})}, events)) == 1


def test_events_come_in_order_of_time_within_a_bucket(store, shared):
    clock = SteppingClock()
    log = EventLog(clock)
    for _ in range(5):
        store.uow.write(lambda session: log_event(session, shared, log, "data.read"))
        clock.move(milliseconds=2)

    found = sorted(rows(store, Event), key=lambda event: event.id.bytes)
    assert [event.seq for event in found] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("shared")
def test_a_crowd_of_threads_loses_no_event(store, events, person):
    grants = [add_grant(store.uow, person) for _ in range(4)]
    started = threading.Barrier(4)

    def run(shared):
        started.wait(10)
        log_many(store.uow, shared, events, 50)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, grants))

    assert len(rows(store, Event)) == len(rows(store, LogPending)) == 200
