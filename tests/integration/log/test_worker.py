"""The background work of an instance (D17, LOG-2, LOG-21, P-15, P-24)."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, func, insert, select, update

from api import worker as worker_module
from api.oauth.models import Token
from api.wiring import wire
from api.worker import Worker
from consent.formats.checkpoint import open_checkpoint
from consent.log import feed, integrator, leases, reader
from consent.models import (
    FeedEntry,
    FeedPending,
    Lease,
    LogCheckpoint,
    LogPending,
    LogTile,
    Organisation,
)
from consent.vocabulary import FeedEvent
from pds.ids import random_uuid
from tests.support.events import START, SteppingClock, add_grant, add_person, log_many

PATIENCE = 20.0


@pytest.fixture
def worker(wiring):
    worker = Worker(wiring)
    yield worker
    worker.stop()


@pytest.fixture
def shared(store):
    return add_grant(store.uow, add_person(store.uow))


def count(store, model):
    with store.uow.read() as session:
        return session.scalar(select(func.count()).select_from(model))


def signed_size(store, wiring):
    with store.uow.read() as session:
        note = reader.checkpoint(session)
    return open_checkpoint(note, log_keys=[wiring.log_signer.verifier]).checkpoint.size


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def expired_token():
    return Token(
        bucket=7,
        selector=random_uuid(),
        kind="at",
        verifier=bytes(32),
        client_id=random_uuid(),
        scope="",
        created_at=START,
        expires_at=START - timedelta(seconds=1),
    )


def add_organisation(store):
    organisation = random_uuid()
    row = {
        "id": organisation,
        "name_az": "Günəş Bank",
        "name_en": "Sun Bank",
        "contact": "privacy@gunes-bank.example",
        "address": "Nizami 1, Bakı",
        "jurisdiction": "AZ",
        "standing": "good",
        "feed_number": 0,
        "created_at": START,
    }
    store.uow.write(lambda session: session.execute(insert(Organisation).values(row)))
    return organisation


def add_news(store, organisation, connections, event=FeedEvent.DATA_UPDATED, at=START):
    rows = [
        {
            "bucket": 7,
            "id": random_uuid(),
            "organisation_id": organisation,
            "connection_id": connection,
            "event": event,
            "at": at,
        }
        for connection in connections
    ]
    store.uow.write(lambda session: session.execute(insert(FeedPending), rows))


def feed_of(store, organisation):
    query = select(FeedEntry.number, FeedEntry.connection_id, FeedEntry.event)
    with store.uow.read() as session:
        mine = query.where(FeedEntry.organisation_id == organisation).order_by(FeedEntry.number)
        return [tuple(row) for row in session.execute(mine)]


def test_one_turn_does_everything_that_waits(store, wiring, worker, shared):
    organisation, connection = add_organisation(store), random_uuid()
    log_many(store.uow, shared, wiring.log, 600)
    add_news(store, organisation, [connection])
    store.uow.write(lambda session: session.add(expired_token()))

    worker.turn()

    assert signed_size(store, wiring) == 600
    assert feed_of(store, organisation) == [(1, connection, "data.updated")]
    assert count(store, Token) == count(store, LogPending) == 0


def test_what_ran_out_is_gone_before_the_first_request(store, worker):
    """P-15: `start` returns only then, whoever holds the lease."""
    store.uow.write(
        lambda session: leases.acquire(
            session,
            leases.WORKER,
            holder=random_uuid(),
            now=START,
            lasts=timedelta(days=1),
        )
    )
    store.uow.write(lambda session: session.add(expired_token()))

    worker.start()

    assert count(store, Token) == 0


def test_at_a_thousand_events_a_second_an_entry_is_signed_within_two_log_30(
    sqlite_store, monkeypatch
):
    """LOG-30 by the log's own clock, which moves with what is due: no machine is too slow for it.

    Each job is charged what was measured for a whole batch. What the schedule leaves lying, such as
    all but one batch of a turn, adds up at this rate; half of the two seconds is for the machine.
    """
    store, wiring = sqlite_store, wire(sqlite_store.settings, clock=SteppingClock())
    worker, shared = Worker(wiring), add_grant(store.uow, add_person(store.uow))
    clock, step, cost = wiring.clock, 0.05, 0.03
    monkeypatch.setattr(
        worker_module, "time", SimpleNamespace(monotonic=lambda: clock.now().timestamp())
    )

    def charged(*given, integrate=integrator.integrate, **more):
        placed = integrate(*given, **more)
        clock.move(seconds=cost)
        return placed

    monkeypatch.setattr(integrator, "integrate", charged)
    arrived, following = [], START
    while count(store, LogPending) or len(arrived) < 1_500:
        clock.instant = max(clock.instant, following)
        following += timedelta(seconds=step)
        if len(arrived) < 1_500:
            log_many(store.uow, shared, wiring.log, 50)
            arrived += [following - timedelta(seconds=step)] * 50
        worker.turn()

    with store.uow.read() as session:
        query = select(LogCheckpoint.size, LogCheckpoint.signed_at).order_by(LogCheckpoint.size)
        signed = [tuple(row) for row in session.execute(query)]
    assert signed[-1][0] == len(arrived)
    sizes = [size for size, _ in signed]
    delays = [
        signed[bisect_right(sizes, index)][1] - at + timedelta(seconds=cost)
        for index, at in enumerate(arrived)
    ]
    assert max(delays) <= timedelta(seconds=1)
    worker.stop()
    wiring.uow.close()


def test_the_thread_places_what_is_logged_while_it_runs(store, wiring, worker, shared):
    worker.start()
    log_many(store.uow, shared, wiring.log, 10)

    eventually(lambda: count(store, LogPending) == 0)
    eventually(lambda: signed_size(store, wiring) == 10)


def test_a_second_worker_waits_for_the_lease(store, wiring, worker, shared):
    second_wiring = wire(store.settings, clock=SteppingClock())
    second = Worker(second_wiring)
    worker.turn()
    log_many(store.uow, shared, wiring.log, 3)

    second.turn()
    assert count(store, LogPending) == 3

    worker.start()
    eventually(lambda: count(store, LogPending) == 0)
    second_wiring.uow.close()


def test_stopping_lets_the_next_one_in_at_once(store, wiring, worker, shared):
    worker.start()
    eventually(lambda: count(store, LogCheckpoint) == 1)
    worker.stop()
    log_many(store.uow, shared, wiring.log, 3)

    Worker(wiring).turn()

    assert count(store, LogPending) == 0
    assert not [one for one in threading.enumerate() if one.name == "pds-worker"]


def test_a_worker_that_lost_the_lease_stops_working_and_says_nothing(
    store, wiring, worker, shared, caplog
):
    worker.turn()
    store.uow.write(
        lambda session: session.execute(
            update(Lease).values(
                epoch=Lease.epoch + 1, holder=random_uuid(), expires_at=START + timedelta(days=1)
            )
        )
    )
    log_many(store.uow, shared, wiring.log, 3)
    time.sleep(wiring.settings.log.interval_ms / 1000)

    worker.turn()

    assert count(store, LogPending) == 3
    assert caplog.records == []


def test_a_failing_task_is_reported_once_and_does_not_stop_the_others(
    store, wiring, worker, shared, caplog
):
    caplog.set_level(logging.ERROR)
    log_many(store.uow, shared, wiring.log, 3)
    worker.turn()
    store.uow.write(lambda session: session.execute(delete(LogTile)))
    log_many(store.uow, shared, wiring.log, 1)
    organisation, connection = add_organisation(store), random_uuid()
    add_news(store, organisation, [connection])

    for _ in range(3):
        time.sleep(wiring.settings.log.interval_ms / 1000)
        worker.turn()

    assert feed_of(store, organisation) == [(1, connection, "data.updated")]
    assert [record.getMessage().split(" at ")[0] for record in caplog.records] == [
        "worker, log: LogInconsistentError"
    ]


def test_a_report_quotes_no_data(store, wiring, worker, caplog):
    """SEC-S65: type and place only, never a message."""
    organisation = random_uuid()
    add_news(store, organisation, [random_uuid()])
    store.uow.write(lambda session: session.execute(delete(Organisation)))

    worker.turn()

    (record,) = caplog.records
    assert str(organisation) not in caplog.text
    assert "worker, feed: NoResultFound at " in record.getMessage()
    assert wiring.settings.log_origin not in caplog.text


def test_a_feed_is_numbered_without_gaps_for_each_organisation(store):
    one, other = add_organisation(store), add_organisation(store)
    connections = [random_uuid() for _ in range(5)]
    add_news(store, one, connections)
    add_news(store, other, connections[:2])

    assert store.uow.write(lambda session: feed.number_feed(session, limit=4)) == 4
    assert store.uow.write(feed.number_feed) == 3

    assert [number for number, _, _ in feed_of(store, one)] == [1, 2, 3, 4, 5]
    assert [number for number, _, _ in feed_of(store, other)] == [1, 2]
    assert {connection for _, connection, _ in feed_of(store, one)} == set(connections)


def test_a_connection_whose_data_changed_often_is_listed_once(store):
    organisation, connection = add_organisation(store), random_uuid()
    add_news(store, organisation, [connection] * 4)

    store.uow.write(feed.number_feed)

    assert feed_of(store, organisation) == [(1, connection, "data.updated")]


def test_every_turn_of_a_consent_is_listed_in_order_of_time(store):
    """P-24: whoever hears of each one ends with the last."""
    organisation, connection = add_organisation(store), random_uuid()
    turns = ["consent.paused", "consent.resumed", "consent.paused"]
    for minute, event in reversed(list(enumerate(turns))):
        at = START + timedelta(minutes=minute)
        add_news(store, organisation, [connection], event=event, at=at)

    store.uow.write(feed.number_feed)

    assert feed_of(store, organisation) == [
        (number, connection, event) for number, event in enumerate(turns, start=1)
    ]


def test_two_that_number_at_once_give_no_number_twice(store):
    organisations = [add_organisation(store) for _ in range(3)]
    for organisation in organisations:
        add_news(store, organisation, [random_uuid() for _ in range(60)])
    other = store.another_process()
    started = threading.Barrier(2)

    def run(uow):
        started.wait(10)
        return sum(
            uow.write(lambda session: feed.number_feed(session, limit=10)) for _ in range(20)
        )

    with ThreadPoolExecutor(2) as threads:
        taken = list(threads.map(run, [store.uow, other]))
    other.close()
    store.uow.write(feed.number_feed)

    assert sum(taken) <= 180
    for organisation in organisations:
        assert [number for number, _, _ in feed_of(store, organisation)] == list(range(1, 61))
