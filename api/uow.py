"""One transaction is one unit of work (P-4). The only module that commits.

`read()` opens a read transaction; `write(job)` runs a short callable in a write transaction and
returns after COMMIT. On PostgreSQL every job has a transaction of its own. SQLite has one writer,
so a writer thread of this process runs the jobs that wait in SAVEPOINTs of one `BEGIN IMMEDIATE`
and commits them together (group commit, at most 256 jobs): one fsync serves many callers.
A job's exception rolls back its own savepoint only. The writers of several processes take turns at
a lock file beside the database, since SQLite's own wait for its lock is a sleep of up to 100 ms.

`rows()` and `write_rows(job)` are the same for the hot path: a bare connection, since a session
that maps no objects still costs as much as the statements of a read (design D20).

After a failed COMMIT the writer refuses all further work: what the disk holds is not known then.
"""

from __future__ import annotations

import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from consent.errors import LogHaltedError
from pds.errors import ConfigurationError
from pds.settings import Settings

T = TypeVar("T")
Job = Callable[[Session], T]
RowsJob = Callable[[Connection], T]
# Runs one job inside a group's transaction: its result, or the error that took back only it.
_Attempt = Callable[[Connection], tuple[T | None, BaseException | None]]

GROUP_JOBS = 256
# A connection to PostgreSQL that was idle for longer is asked whether it still lives.
_IDLE_SECONDS = 1.0
_STOP = object()
_SERIALIZATION_FAILURES = ("40001", "40P01")  # serialization failure, deadlock detected
_ATTEMPTS = 5


@dataclass(slots=True)
class _Waiting:
    attempt: _Attempt[Any]
    future: Future[Any] = field(default_factory=Future)


class UnitOfWork:
    """The transactions of one process on one store."""

    def __init__(self, settings: Settings) -> None:
        """Connect lazily: nothing touches the store before the first transaction."""
        self._url = settings.database_url
        self.is_sqlite = self._url.startswith("sqlite")
        if self.is_sqlite:
            self._reader = _sqlite_engine(self._url, settings.server.threads + 4)
            # The same connections without a BEGIN: each statement is a transaction of its own.
            self._rows = create_engine(self._url, pool=self._reader.pool)
            _begin_with(self._reader, "BEGIN")
            self._writer: _GroupCommit | None = None
        else:
            self._reader = _postgresql_engine(self._url, settings.database.pool_size)
            self._rows = self._reader.execution_options(isolation_level="AUTOCOMMIT")
        self._lock = threading.Lock()
        self._halted: str | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open one read transaction; what it sees may be old by the time it is used."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def rows(self) -> Iterator[Connection]:
        """Open a connection to read with; each statement sees the store as it is by then."""
        with self._rows.connect() as connection:
            yield connection

    def write(self, job: Job[T]) -> T:
        """Run `job` in a write transaction and return its result after COMMIT.

        The job may run again when the store could not serialise it, so it must be free of effects
        outside the session: no key derivation, no network, no unbounded work. What was decided
        from an earlier read is checked again inside.

        Raises:
            LogHaltedError: the log is halted; the job did not run.
        """
        self._require_going()
        if self.is_sqlite:
            return self._submit(lambda connection: _attempt(connection, job))

        def in_transaction() -> T:
            with Session(self._reader, expire_on_commit=False) as session, session.begin():
                return job(session)

        return _retrying(in_transaction)

    def write_rows(self, job: RowsJob[T]) -> T:
        """As `write`, with the transaction's bare connection."""
        self._require_going()
        if self.is_sqlite:
            return self._submit(lambda connection: _attempt_rows(connection, job))

        def in_transaction() -> T:
            with self._reader.begin() as connection:
                return job(connection)

        return _retrying(in_transaction)

    def close(self) -> None:
        """Finish what waits and close every connection."""
        if self.is_sqlite:
            with self._lock:
                if self._writer is not None:
                    self._writer.close()
                    self._writer = None
        self._reader.dispose()

    def halt(self, reason: str | None) -> None:
        """Refuse further writes of this process; with None, take them again (LOG-22)."""
        self._halted = reason

    def _require_going(self) -> None:
        if self._halted is not None:
            raise LogHaltedError(self._halted)

    @property
    def engine(self) -> Engine:
        """The engine that reads; for migrations and checks, not for requests."""
        return self._reader

    @property
    def has_failed(self) -> bool:
        """Tell whether a commit failed in a way after which nothing more is written."""
        return self.is_sqlite and self._writer is not None and self._writer.has_failed

    def _submit(self, attempt: _Attempt[T]) -> T:
        if self._writer is None:
            with self._lock:
                if self._writer is None:
                    engine = _sqlite_engine(self._url, 1)
                    _begin_with(engine, "BEGIN IMMEDIATE")
                    self._writer = _GroupCommit(engine, f"{make_url(self._url).database}-turn")
        return self._writer.submit(attempt).result()


class _GroupCommit:
    """The SQLite writer thread of this process."""

    def __init__(self, engine: Engine, turn_file: str) -> None:
        self._engine = engine
        # The kernel hands the lock on at once, and takes it back from a process that died.
        self._turn = os.open(turn_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._queue: queue.SimpleQueue[_Waiting | object] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._is_closed = False
        self._submitting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="pds-writer", daemon=True)
        self._thread.start()

    def submit(self, attempt: _Attempt[T]) -> Future[T]:
        waiting = _Waiting(attempt)
        # Under the lock, so that nothing is queued behind a writer that has just stopped.
        with self._submitting:
            if self._failure is not None:
                raise RuntimeError("the writer stopped after a failed commit") from self._failure
            if self._is_closed:
                raise RuntimeError("the store is closed")
            self._queue.put(waiting)
        return waiting.future

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def close(self) -> None:
        with self._submitting:
            self._is_closed = True
            self._queue.put(_STOP)
        self._thread.join()
        self._engine.dispose()
        os.close(self._turn)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            first = self._queue.get()
            if first is _STOP:
                return
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                group = [cast("_Waiting", first)]
                stopping = self._collect(group)
                self._commit(group)
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _collect(self, group: list[_Waiting]) -> bool:
        """Add what waits to the group; tell whether the writer is to stop after it.

        Whatever queued while the last group was being synced to disk, or while another process had
        its turn, forms this one: the group grows with the load and a lone writer never waits.
        """
        while len(group) < GROUP_JOBS:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return False
            if waiting is _STOP:
                return True
            group.append(cast("_Waiting", waiting))
        return False

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            connection = self._engine.connect()
            transaction = connection.begin()
        except DBAPIError as exc:
            # The store is busy or gone, and nothing was written: these callers may try again.
            for waiting in group:
                waiting.future.set_exception(exc)
            return
        try:
            with connection:
                results = [(waiting, *waiting.attempt(connection)) for waiting in group]
                transaction.commit()
        except BaseException as exc:  # noqa: BLE001 - every caller must learn of it, whatever it is
            for waiting in group:
                waiting.future.set_exception(exc)
            self._refuse_the_rest(exc)
            return
        for waiting, result, error in results:
            if error is None:
                waiting.future.set_result(result)
            else:
                waiting.future.set_exception(error)

    def _refuse_the_rest(self, exc: BaseException) -> None:
        with self._submitting, suppress(queue.Empty):
            self._failure = exc
            while True:
                waiting = self._queue.get_nowait()
                if isinstance(waiting, _Waiting):
                    waiting.future.set_exception(exc)


def _attempt(connection: Connection, job: Job[T]) -> tuple[T | None, BaseException | None]:
    savepoint = connection.begin_nested()
    session = Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
    try:
        result = job(session)
        session.flush()
    except Exception as exc:  # noqa: BLE001 - it is handed to the caller, and only that caller
        session.close()
        if savepoint.is_active:  # a statement that failed has rolled it back already
            savepoint.rollback()
        return None, exc
    session.close()
    savepoint.commit()
    return result, None


def _attempt_rows(connection: Connection, job: RowsJob[T]) -> tuple[T | None, BaseException | None]:
    # No session, so nothing but this function ends the savepoint: the driver's own will do.
    execute = connection.connection.cursor().execute
    execute("SAVEPOINT job")
    try:
        result = job(connection)
    except Exception as exc:  # noqa: BLE001 - as in `_attempt`
        execute("ROLLBACK TO job")
        execute("RELEASE job")
        return None, exc
    execute("RELEASE job")
    return result, None


def _retrying(transaction: Callable[[], T]) -> T:
    for attempt in range(_ATTEMPTS):
        try:
            return transaction()
        except DBAPIError as exc:
            state = getattr(exc.orig, "sqlstate", None)
            if state not in _SERIALIZATION_FAILURES or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _sqlite_engine(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": 30, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: Any) -> None:  # noqa: ANN401 - DBAPI types
        cursor = dbapi_connection.cursor()
        # FULL: a commit that was acknowledged survives a power loss (LOG-16). secure_delete:
        # deleted wraps are overwritten, not left in free pages (TAK-54).
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "busy_timeout=30000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def _postgresql_engine(url: str, pool_size: int) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            # Long prepared statements pay on the hot path; psycopg prepares by itself.
            connect_args={"prepare_threshold": 2},
        )
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            "PostgreSQL needs its driver: pip install 'personal-data-store[postgresql]'"
        ) from exc
    _ask_the_idle(engine)
    return engine


def _ask_the_idle(engine: Engine) -> None:
    """Replace connections that died while nobody used them, as after a restart of the server.

    SQLAlchemy's own `pool_pre_ping` asks at every checkout: three round trips more for each read.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - DBAPI type
        entry.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401 - DBAPI type
        if time.monotonic() - entry.info.get("idle_since", time.monotonic()) < _IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as exc:
            raise DisconnectionError from exc
