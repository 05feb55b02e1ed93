"""Opens the state store, gives out transactions, and lets one run at a time write.

A run holds the lease; its number is the fencing token. Every transaction of a run checks, under the
lock of the lease row, that the number is still its own: a run that slept through its lease writes
nothing any more (CON-31).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from connector.clock import Clock
from connector.errors import LeaseHeldError, LeaseLostError, StateError
from connector.keys import ConnectorKeys
from connector.state import schema
from connector.state.audit import AuditTrail
from connector.state.connections import Connections
from connector.state.erasures import Erasures
from connector.state.links import Links
from connector.state.logbook import Logbook
from connector.state.queue import Queue
from connector.state.rows import put

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

RUN_LEASE = "run"
LEASE_FOR = timedelta(minutes=2)
BUSY_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run: `token` rises with every lease given out."""

    holder: str
    token: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StateTransaction:
    """All of the state within one transaction."""

    sql: Connection
    connections: Connections
    queue: Queue
    links: Links
    erasures: Erasures
    audit: AuditTrail
    logbook: Logbook


class StateStore:
    """The state of one connector instance."""

    def __init__(self, url: str, *, keys: ConnectorKeys, clock: Clock) -> None:
        """Connect lazily; `create` makes the tables, `require` checks them."""
        self.keys = keys
        self.clock = clock
        self.engine = _engine(url)

    def create(self) -> None:
        """Make the tables where there are none; repeating it changes nothing.

        Raises:
            StateError: the tables are of another version, or the database is out of reach.
        """
        try:
            schema.metadata.create_all(self.engine)
            with self.engine.begin() as sql:
                query = select(schema.meta.c.value).where(schema.meta.c.name == "version")
                if sql.execute(query).scalar_one_or_none() is None:
                    values = {"name": "version", "value": str(schema.VERSION)}
                    sql.execute(insert(schema.meta).values(values))
        except SQLAlchemyError as error:
            raise StateError(f"[state] url: {type(error).__name__}") from error
        self.require()

    def require(self) -> None:
        """Refuse a store that is absent or of another version.

        Raises:
            StateError: it is; the message says what to do.
        """
        try:
            if not inspect(self.engine).has_table("connector_meta"):
                raise StateError("the state store is empty: run `pds-connector init`")
            with self.engine.connect() as sql:
                query = select(schema.meta.c.value).where(schema.meta.c.name == "version")
                version = sql.execute(query).scalar_one_or_none()
        except SQLAlchemyError as error:
            raise StateError(f"[state] url: {type(error).__name__}") from error
        if version != str(schema.VERSION):
            raise StateError(f"the state store is of version {version}, not {schema.VERSION}")

    @contextmanager
    def read(self) -> Iterator[StateTransaction]:
        """Open a transaction that only reads."""
        with self.engine.connect() as sql:
            yield self._transaction(sql)

    @contextmanager
    def write(self, lease: Lease | None = None) -> Iterator[StateTransaction]:
        """Open one transaction; commit at the end of the block, else roll back.

        Args:
            lease: the run's; None for what people do beside a run, such as connecting someone.

        Raises:
            LeaseLostError: another run has taken over.
        """
        with self.engine.execution_options(is_writing=True).begin() as sql:
            row = sql.execute(_lease_row().with_for_update()).one_or_none()
            if lease is not None and (row is None or row.token != lease.token):
                raise LeaseLostError("another run has taken over")
            yield self._transaction(sql)

    def acquire(self) -> Lease:
        """Take the lease for a run.

        Raises:
            LeaseHeldError: another run is under way.
        """
        holder, now = secrets.token_hex(8), self.clock.now()
        try:
            with self.engine.execution_options(is_writing=True).begin() as sql:
                row = sql.execute(_lease_row().with_for_update()).one_or_none()
                if row is not None and row.expires_at > now:
                    raise LeaseHeldError("another run is under way")
                lease = Lease(holder, 1 if row is None else row.token + 1, now + LEASE_FOR)
                _write_lease(sql, lease)
                sql.execute(insert(schema.run).values(id=lease.token, started_at=now))
                return lease
        except IntegrityError as error:
            # Two first runs at the same instant: the other one inserted the row.
            raise LeaseHeldError("another run is under way") from error

    def renew(self, lease: Lease) -> Lease:
        """Extend the lease when half of it is over.

        Raises:
            LeaseLostError: another run has taken over.
        """
        now = self.clock.now()
        if lease.expires_at - now > LEASE_FOR / 2:
            return lease
        renewed = Lease(lease.holder, lease.token, now + LEASE_FOR)
        with self.write(lease) as state:
            _write_lease(state.sql, renewed)
        return renewed

    def release(self, lease: Lease, *, outcome: str, counts: dict[str, int]) -> None:
        """Give the lease back and note how the run went."""
        now = self.clock.now()
        with self.write(lease) as state:
            _write_lease(state.sql, Lease(lease.holder, lease.token, now))
            done = update(schema.run).where(schema.run.c.id == lease.token)
            state.sql.execute(done.values(ended_at=now, outcome=outcome, counts=counts))

    def last_run(self) -> dict[str, object] | None:
        """Return the latest run's times, outcome and counts, or None."""
        with self.read() as state:
            query = select(schema.run).order_by(schema.run.c.id.desc()).limit(1)
            row = state.sql.execute(query).one_or_none()
            return None if row is None else dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name

    def _transaction(self, sql: Connection) -> StateTransaction:
        return StateTransaction(
            sql=sql,
            connections=Connections(sql, self.keys),
            queue=Queue(sql, self.clock),
            links=Links(sql),
            erasures=Erasures(sql, self.clock),
            audit=AuditTrail(sql, self.keys.audit, self.clock),
            logbook=Logbook(sql),
        )


def _lease_row() -> Select[*tuple[Any, ...]]:
    return select(schema.lease).where(schema.lease.c.name == RUN_LEASE)


def _write_lease(sql: Connection, lease: Lease) -> None:
    values = {"name": RUN_LEASE, "holder": lease.holder, "token": lease.token}
    put(sql, schema.lease, values | {"expires_at": lease.expires_at})


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"))
    if parsed.get_backend_name() != "sqlite":
        raise StateError("[state] url must be sqlite: or postgresql:")
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, and deferred; see _begin_sqlite.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(sql: Connection) -> None:
    # A writer takes the lock at once: a reader that turns writer cannot wait for another's lock.
    is_writing = sql.get_execution_options().get("is_writing", False)
    sql.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
