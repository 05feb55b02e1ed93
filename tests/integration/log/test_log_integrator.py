"""From waiting leaves to a signed tree (LOG-2, LOG-3, LOG-14, LOG-18, P-36)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from consent.errors import LogInconsistentError
from consent.formats import merkle
from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.note import Signer
from consent.formats.tiles import decode_bundle
from consent.log import leases
from consent.log.entries import EventLog
from consent.log.integrator import integrate
from consent.log.tiles import BUNDLE_LEVEL
from consent.models import (
    Event,
    LogCheckpoint,
    LogEntry,
    LogPending,
    LogState,
    LogTile,
)
from pds.clock import SystemClock
from pds.ids import random_uuid
from tests.support.events import START, add_grant, add_person, log_event, log_many
from tests.support.trees import LASTS, ORIGIN, Sequencer


@pytest.fixture
def events():
    return EventLog(SystemClock())


@pytest.fixture
def shared(store):
    return add_grant(store.uow, add_person(store.uow))


@pytest.fixture
def sequencer(store):
    return Sequencer(store.uow)


def checkpoints(store, sequencer):
    with store.uow.read() as session:
        notes = session.scalars(select(LogCheckpoint.note).order_by(LogCheckpoint.size)).all()
    keys = [sequencer.signer.verifier]
    return [open_checkpoint(note, log_keys=keys).checkpoint for note in notes]


def bundled_entries(store):
    with store.uow.read() as session:
        query = select(LogTile.data).where(LogTile.level == BUNDLE_LEVEL).order_by(LogTile.index)
        return [entry for data in session.scalars(query) for entry in decode_bundle(data)]


def count(store, model):
    with store.uow.read() as session:
        return session.scalar(select(func.count()).select_from(model))


def assert_whole(store, sequencer, size):
    """Everything logged is in the tree, once, and every checkpoint extends the one before."""
    entries = bundled_entries(store)
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    signed = checkpoints(store, sequencer)
    assert (len(set(entries)), len(entries), count(store, LogPending)) == (size, size, 0)
    assert [one.root for one in signed] == [merkle.root(hashes[: one.size]) for one in signed]
    assert signed[-1].size == count(store, LogEntry) == count(store, Event) == size


def test_the_first_run_signs_the_empty_tree(store, sequencer):
    assert sequencer.run() == 0

    (signed,) = checkpoints(store, sequencer)
    assert (signed.origin, signed.size, signed.root) == (ORIGIN, 0, merkle.EMPTY_ROOT)


def test_nothing_new_signs_nothing_new(store, sequencer):
    sequencer.run()
    sequencer.run()

    assert count(store, LogCheckpoint) == 1


@pytest.mark.parametrize("steps", [[1], [1, 1, 1], [255, 1, 1], [300, 213]])
def test_the_tree_holds_every_event_once(store, sequencer, events, shared, steps):
    for step in steps:
        log_many(store.uow, shared, events, step)
        assert sequencer.run(limit=200) == step

    assert_whole(store, sequencer, sum(steps))


def test_what_has_waited_longest_is_placed_first(store, sequencer, events, shared):
    log_many(store.uow, shared, events, 5)

    store.uow.write(sequencer.job(sequencer.epoch(), 2))

    with store.uow.read() as session:
        placed = session.scalars(select(LogEntry.event_id).order_by(LogEntry.index)).all()
        assert placed == session.scalars(select(Event.id).order_by(Event.seq).limit(2)).all()


def test_a_level_two_tile_comes_with_the_65536th_leaf(sqlite_store):
    """Tiles of three levels, as tlog-tiles numbers them."""
    sequencer = Sequencer(sqlite_store.uow)

    def job(session):
        rows = [
            {"bucket": 0, "event_id": random_uuid(), "commitment": number.to_bytes(32, "big")}
            for number in range(65_600)
        ]
        session.execute(LogPending.__table__.insert(), rows)

    sqlite_store.uow.write(job)
    assert sequencer.run(limit=10_000) == 65_600

    with sqlite_store.uow.read() as session:
        query = select(LogTile.level, func.count(), func.max(LogTile.width))
        found = session.execute(query.group_by(LogTile.level).order_by(LogTile.level)).all()
    assert [tuple(row) for row in found] == [
        (-1, 257, 256),
        (0, 257, 256),
        (1, 1, 256),
        (2, 1, 1),
    ]
    hashes = [merkle.leaf_hash(entry) for entry in bundled_entries(sqlite_store)]
    assert checkpoints(sqlite_store, sequencer)[-1].root == merkle.root(hashes)


@pytest.mark.postgresql
def test_an_event_that_began_early_and_committed_late_is_not_skipped(postgresql_store, events):
    """LOG-14: the unsequenced set, never a cursor."""
    store, sequencer = postgresql_store, Sequencer(postgresql_store.uow)
    early = add_grant(store.uow, add_person(store.uow))
    late = add_grant(store.uow, add_person(store.uow))
    with Session(store.uow.engine) as slow:
        log_event(slow, early, events, "data.read")
        log_many(store.uow, late, events, 5)
        assert sequencer.run() == 5
        slow.commit()

    assert sequencer.run() == 1
    assert_whole(store, sequencer, 6)


def test_two_integrators_at_once_place_each_event_once(store, sequencer, events, shared):
    """Even two that both believe to hold the lease."""
    log_many(store.uow, shared, events, 300)
    other = store.another_process()
    epoch = sequencer.epoch()
    started = threading.Barrier(2)

    def run(uow):
        started.wait(10)
        placed = 0
        for _ in range(40):
            with suppress(LogInconsistentError):
                placed += uow.write(sequencer.job(epoch, 20))
        return placed

    with ThreadPoolExecutor(2) as threads:
        placed = list(threads.map(run, [store.uow, other]))
    other.close()

    assert sum(placed) == 300
    assert_whole(store, sequencer, 300)


def test_events_that_keep_coming_are_all_placed(store, sequencer, events):
    grants = [add_grant(store.uow, add_person(store.uow)) for _ in range(3)]
    with ThreadPoolExecutor(4) as threads:
        writing = [
            threads.submit(
                lambda shared=shared: [
                    store.uow.write(lambda session: log_event(session, shared, events, "data.read"))
                    for _ in range(40)
                ]
            )
            for shared in grants
        ]
        while not all(one.done() for one in writing):
            sequencer.run(limit=7)
        for one in writing:
            one.result()
    sequencer.run()

    assert_whole(store, sequencer, 120)


def test_a_holder_that_lost_its_lease_places_nothing(store, sequencer, events, shared):
    """Fencing: the sleeper wakes up with an old epoch."""
    log_many(store.uow, shared, events, 3)
    old_epoch = sequencer.epoch()
    taker = Sequencer(store.uow, signer=sequencer.signer, now=START + 2 * LASTS)
    assert taker.epoch() == old_epoch + 1

    with pytest.raises(leases.LeaseLostError):
        store.uow.write(sequencer.job(old_epoch))

    assert (count(store, LogPending), count(store, LogCheckpoint)) == (3, 0)
    assert taker.run() == 3


class CrashError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 12))
def test_a_crash_at_any_statement_leaves_the_log_as_it_was(store, sequencer, events, shared, step):
    """REL-R11, LOG-3: and the next run does it all."""
    log_many(store.uow, shared, events, 60)
    epoch = sequencer.epoch()
    store.uow.write(sequencer.job(epoch, 20))
    before = checkpoints(store, sequencer)

    def crashing(session):
        left = [step]

        def crash(*_statement):
            left[0] -= 1
            if left[0] == 0:
                raise CrashError

        sqlalchemy_event.listen(session.connection(), "before_cursor_execute", crash)
        sequencer.job(epoch, 20)(session)
        raise CrashError  # after the last statement, before the commit

    with pytest.raises(CrashError):
        store.uow.write(crashing)

    assert checkpoints(store, sequencer) == before
    assert count(store, LogPending) == 40
    sequencer.run()
    assert_whole(store, sequencer, 60)


def test_a_tree_that_moved_under_the_job_is_not_written_over(store, sequencer, events, shared):
    """LOG-14: compare-and-set, should lease and row lock both fail."""
    log_many(store.uow, shared, events, 40)
    epoch = sequencer.epoch()
    store.uow.write(sequencer.job(epoch, 20))
    before = checkpoints(store, sequencer)

    def overtaken(session):
        connection, moved = session.connection(), update(LogState).values(root=bytes(32))

        def overtake(_connection, _cursor, statement, *_rest):
            if statement.startswith("UPDATE log_state SET size"):
                connection.execute(moved)

        sqlalchemy_event.listen(connection, "before_cursor_execute", overtake)
        sequencer.job(epoch, 20)(session)

    with pytest.raises(LogInconsistentError, match="under our hands"):
        store.uow.write(overtaken)

    assert checkpoints(store, sequencer) == before
    assert sequencer.run() == 20


def tamper(store, statement):
    store.uow.write(lambda session: session.execute(statement))


@pytest.mark.parametrize(
    "tampering",
    [
        update(LogState).values(root=bytes(32)),
        update(LogState).values(size=LogState.size - 1),
        update(LogTile).where(LogTile.level == 0).values(data=bytes(32 * 44)),
        text("DELETE FROM log_tiles"),
        text("DELETE FROM log_checkpoints"),
        text("DELETE FROM log_state"),
        update(LogCheckpoint).values(note="nothing\n"),
    ],
    ids=["root", "size", "tile", "no tiles", "no checkpoint", "no state", "note"],
)
def test_a_log_that_was_tampered_with_signs_nothing_more(
    store, sequencer, events, shared, tampering
):
    """LOG-3: whoever writes to the store cannot make the log sign a second history."""
    log_many(store.uow, shared, events, 40)
    sequencer.run()
    signed = count(store, LogCheckpoint)
    tamper(store, tampering)
    log_many(store.uow, shared, events, 1)

    with pytest.raises(LogInconsistentError):
        sequencer.run()

    assert count(store, LogCheckpoint) <= signed
    assert count(store, LogPending) == 1


@pytest.mark.parametrize("origin", [ORIGIN, "other.example/log"])
def test_a_checkpoint_of_another_key_or_log_stops_the_log(store, sequencer, events, shared, origin):
    log_many(store.uow, shared, events, 1)
    sequencer.run()
    checkpoint = Checkpoint(origin, 1, checkpoints(store, sequencer)[-1].root)
    note = sign_checkpoint(checkpoint, [Signer.generate(origin)])
    tamper(store, update(LogCheckpoint).where(LogCheckpoint.size == 1).values(note=note))
    log_many(store.uow, shared, events, 1)

    with pytest.raises(LogInconsistentError):
        sequencer.run()


def test_a_log_does_not_go_on_under_another_name(store, sequencer, events, shared):
    log_many(store.uow, shared, events, 1)
    sequencer.run()
    job = partial(
        integrate,
        origin="other.example/log",
        signer=sequencer.signer,
        now=START,
        holder_epoch=sequencer.epoch(),
    )

    with pytest.raises(LogInconsistentError):
        store.uow.write(job)


def test_a_free_lease_is_taken_and_renewed_under_one_epoch(store):
    holder = random_uuid()

    def take(now):
        return store.uow.write(
            lambda session: leases.acquire(
                session, leases.WORKER, holder=holder, now=now, lasts=LASTS
            )
        )

    assert take(START) == take(START + LASTS / 2) == 1


def test_a_held_lease_is_refused_until_it_runs_out(store):
    def take(holder, now):
        return store.uow.write(
            lambda session: leases.acquire(
                session, leases.WORKER, holder=holder, now=now, lasts=LASTS
            )
        )

    first, second = random_uuid(), random_uuid()
    assert take(first, START) == 1
    assert take(second, START + LASTS - timedelta(seconds=1)) is None
    assert take(second, START + LASTS) == 2
    assert take(first, START + LASTS) is None


def test_a_holder_that_overslept_gets_a_new_epoch(store):
    holder = random_uuid()

    def take(now):
        return store.uow.write(
            lambda session: leases.acquire(
                session, leases.WORKER, holder=holder, now=now, lasts=LASTS
            )
        )

    assert (take(START), take(START + LASTS)) == (1, 2)


def test_a_released_lease_is_free_at_once(store, sequencer):
    epoch = sequencer.epoch()
    store.uow.write(lambda session: leases.release(session, leases.WORKER, epoch=epoch, now=START))

    assert Sequencer(store.uow).epoch() == epoch + 1


def test_two_that_start_together_do_not_both_get_the_lease(store):
    started = threading.Barrier(4)

    def take(_):
        sequencer = Sequencer(store.uow)
        started.wait(10)
        return sequencer.epoch()

    with ThreadPoolExecutor(4) as threads:
        epochs = list(threads.map(take, range(4)))

    assert sorted(epoch for epoch in epochs if epoch) == [1]
