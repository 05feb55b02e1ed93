"""The unit of work on both stores (P-4)."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from api.uow import UnitOfWork
from consent.models import Notice
from pds.clock import SystemClock
from pds.ids import random_uuid

JOBS = 200


def add_notice(session):
    key = random_uuid().hex * 2
    session.add(Notice(sha256=key, document=b"{}", first_shown_at=SystemClock().now()))
    return key


def add_notice_row(connection):
    key = random_uuid().hex * 2
    row = {"sha256": key, "document": b"{}", "first_shown_at": SystemClock().now()}
    connection.execute(insert(Notice), row)
    return key


def count(uow):
    with uow.read() as session:
        return session.scalar(text("SELECT count(*) FROM notices"))


def write_many(settings, number):
    """Run in a process of its own: write `number` notices, one job each."""
    uow = UnitOfWork(settings)
    for _ in range(number):
        uow.write(add_notice)
    uow.close()


def test_a_job_gives_its_result_to_its_caller(store):
    key = store.uow.write(add_notice)

    with store.uow.read() as session:
        assert session.get(Notice, key) is not None


def test_a_caller_is_released_only_after_the_commit(store):
    key = store.uow.write(add_notice)

    other = store.another_process()
    with other.read() as session:
        assert session.get(Notice, key) is not None
    other.close()


def test_a_failing_job_takes_back_only_itself(store):
    gate = threading.Event()

    def hold(session):
        gate.wait(10)
        return add_notice(session)

    def fail(session):
        add_notice(session)
        session.flush()
        raise ValueError("on purpose")

    with ThreadPoolExecutor(8) as threads:
        # On SQLite the first job holds the writer, so that the others form one group after it.
        held = threads.submit(store.uow.write, hold)
        good = [threads.submit(store.uow.write, add_notice) for _ in range(3)]
        bad = [threads.submit(store.uow.write, fail) for _ in range(3)]
        gate.set()

        for future in bad:
            with pytest.raises(ValueError, match="on purpose"):
                future.result(30)
        assert len({future.result(30) for future in [held, *good]}) == 4
    assert count(store.uow) == 4


def test_a_refused_statement_takes_back_only_its_job(store):
    key = store.uow.write(add_notice)

    def repeat(session):
        session.add(Notice(sha256=key, document=b"{}", first_shown_at=SystemClock().now()))

    with pytest.raises(IntegrityError):
        store.uow.write(repeat)

    store.uow.write(add_notice)
    assert count(store.uow) == 2


def test_a_job_on_a_bare_connection_is_seen_after_its_commit(store):
    key = store.uow.write_rows(add_notice_row)

    other = store.another_process()
    with other.rows() as connection:
        found = connection.execute(text("SELECT sha256 FROM notices")).scalars().all()
    other.close()
    assert found == [key]


def test_jobs_of_both_kinds_take_back_only_themselves(store):
    gate = threading.Event()

    def hold(connection):
        gate.wait(10)
        return add_notice_row(connection)

    def fail(connection):
        add_notice_row(connection)
        raise ValueError("on purpose")

    def refused(connection):
        row = {"sha256": "short", "document": None, "first_shown_at": None}
        connection.execute(insert(Notice), row)

    with ThreadPoolExecutor(8) as threads:
        held = threads.submit(store.uow.write_rows, hold)
        good = [threads.submit(store.uow.write, add_notice)]
        bad = [threads.submit(store.uow.write_rows, fail)]
        wrong = [threads.submit(store.uow.write_rows, refused)]
        good.append(threads.submit(store.uow.write_rows, add_notice_row))
        gate.set()

        for future in bad:
            with pytest.raises(ValueError, match="on purpose"):
                future.result(30)
        for future in wrong:
            with pytest.raises(IntegrityError):
                future.result(30)
        assert len({future.result(30) for future in [held, *good]}) == 3
    assert count(store.uow) == 3


def test_a_connection_that_died_while_idle_is_replaced(store, monkeypatch):
    """As after a restart of PostgreSQL; the next request must not pay for it."""
    monkeypatch.setattr("api.uow._IDLE_SECONDS", 0)
    store.uow.write_rows(add_notice_row)

    other = store.another_process()
    if not other.is_sqlite:
        with other.rows() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    other.close()

    assert count(store.uow) == 1


def test_many_threads_lose_no_write(store):
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda _: store.uow.write(add_notice), range(JOBS)))

    assert len(keys) == JOBS
    assert count(store.uow) == JOBS


def test_two_processes_share_one_store(store):
    spawn = multiprocessing.get_context("spawn")
    other = spawn.Process(target=write_many, args=(store.settings, JOBS))
    other.start()
    for _ in range(JOBS):
        store.uow.write(add_notice)
    other.join(60)

    assert other.exitcode == 0
    assert count(store.uow) == 2 * JOBS


def test_sqlite_is_on_the_disk_before_a_caller_is_released_and_overwrites_what_it_deletes(stores):
    """LOG-16, TAK-54"""

    def settings(session):
        asked = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        return [session.scalar(text(f"PRAGMA {each}")) for each in asked]

    with stores.migrated("sqlite") as store:
        assert store.uow.write(settings) == ["wal", 2, 1, 1]  # 2: FULL


def test_closing_finishes_what_waits(store):
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(store.uow.write, add_notice) for _ in range(20)]
        done = [future.result(30) for future in futures]
    store.uow.close()

    assert count(store.uow) == len(done)
