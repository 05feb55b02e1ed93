"""Inserts for which the stores differ.

Every answer to an organisation waits for the three rows of its event. PostgreSQL takes them in one
statement, because there a statement costs a round trip under the grant's lock: measured 0.3 instead
of 0.6 ms. SQLite has no such statement, and no round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, delete, insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from consent.models import Event, EventPayload, LogPending
from pds.db import Base
from pds.store import Sender, connection_of

_EVENT = (
    "bucket",
    "event_id",
    "stream",
    "seq",
    "name",
    "at",
    "vault_id",
    "grant_id",
    "c_pub",
    "c_priv",
)
_PAYLOAD = ("bucket", "event_id", "pub", "r_pub", "priv_box", "priv_key")
_PENDING = ("bucket", "event_id", "commitment")
_COLUMNS = {"event_id": "id"}  # in `events` the id is the row's own
_PREFIX = "new_"
_POSTGRESQL = "postgresql"
_SQLITE = sqlite.dialect()

Waiting = tuple[int, Any, bytes]
"""A leaf's bucket, its event's id as the driver has it, and its commitment."""


def insert_event(sender: Sender, row: Mapping[str, Any]) -> None:
    """Insert an event, its payload and its pending leaf; `row` has all their columns.

    What SQLite refuses is raised as its driver's own error.
    """
    connection = connection_of(sender)
    if connection.dialect.name == _POSTGRESQL:
        connection.execute(_AT_ONCE, {_PREFIX + name: value for name, value in row.items()})
        return
    values = {**row, **{name: stored(row[name]) for name, stored in _STORED.items()}}
    execute = connection.connection.cursor().execute
    for statement, pick in _ONE_BY_ONE:
        execute(statement, pick(values))


def take_waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Delete up to `limit` waiting leaves, the oldest first; return them in order of their ids.

    Deleting is what claims them: a leaf that another transaction has claimed is not returned.
    """
    if connection.dialect.name == _POSTGRESQL:
        oldest = _WAITING.order_by(LogPending.event_id).limit(limit)
        taken = connection.execute(_TAKE.where(tuple_(*_WAITING.selected_columns).in_(oldest)))
    else:
        taken = connection.exec_driver_sql(_TAKE_FIRST, (limit,))
    return sorted(((*row,) for row in taken), key=itemgetter(1))


def insert_places(connection: Connection, first: int, waiting: Sequence[Waiting]) -> None:
    """Insert where in the tree leaves from `take_waiting` stand, from index `first` on."""
    mark = "%s" if connection.dialect.name == _POSTGRESQL else "?"
    places = [(at, bucket, event) for at, (bucket, event, _) in enumerate(waiting, start=first)]
    connection.exec_driver_sql(_INSERT_PLACE.replace("?", mark), places)


def insert_if_absent(session: Session, model: type[Base], row: Mapping[str, Any]) -> None:
    """Insert a row; one with its primary key that is there already stays as it is."""
    connection = connection_of(session)
    connection.execute(_if_absent(model, connection.dialect.name), row)


def replace_all(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each in place of one that has its primary key."""
    connection = connection_of(session)
    if rows:
        connection.execute(_replacing(model, connection.dialect.name), rows)


# Made once: making them costs more than running them.
@cache
def _if_absent(model: type[Base], dialect: str) -> Insert:
    return _conflicting(model, dialect).on_conflict_do_nothing()


@cache
def _replacing(model: type[Base], dialect: str) -> Insert:
    statement, table = _conflicting(model, dialect), model.__table__
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in {*table.columns.keys()} - {*keys}}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


def _conflicting(model: type[Base], dialect: str) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(model) if dialect == _POSTGRESQL else sqlite.insert(model)


def _bound(statement: Insert, values: Mapping[str, str]) -> Insert:
    # SQLAlchemy keeps the bare column names for itself.
    return statement.values({column: bindparam(_PREFIX + name) for column, name in values.items()})


def _written_out(statement: Insert) -> tuple[str, Callable[[Mapping[str, Any]], Sequence[Any]]]:
    # As SQLite's driver takes it, with what picks its values out of a row.
    compiled = statement.compile(dialect=_SQLITE)
    names = [name.removeprefix(_PREFIX) for name in compiled.positiontup or ()]
    return compiled.string, itemgetter(*names)


def _stored(name: str) -> Callable[[Any], Any] | None:
    # How SQLite's driver takes the values of a column of `events`; None: as they are.
    column = Event.__table__.columns[_COLUMNS.get(name, name)]
    return column.type.dialect_impl(_SQLITE).bind_processor(_SQLITE)


_WAITING = select(LogPending.bucket, LogPending.event_id)
_TAKE = delete(LogPending).returning(*LogPending.__table__.columns)
# Rows are numbered as they come, so nothing has to be sorted, however many wait.
_TAKE_FIRST = """
DELETE FROM log_pending WHERE rowid IN (SELECT rowid FROM log_pending ORDER BY rowid LIMIT ?)
RETURNING bucket, event_id, commitment
"""
_INSERT_PLACE = 'INSERT INTO log_entries ("index", bucket, event_id) VALUES (?, ?, ?)'
_INSERT_EVENT = _bound(insert(Event), {_COLUMNS.get(name, name): name for name in _EVENT})
_INSERT_PAYLOAD = _bound(insert(EventPayload), {name: name for name in _PAYLOAD})
_INSERT_PENDING = _bound(insert(LogPending), {name: name for name in _PENDING})
_AT_ONCE = _INSERT_PENDING.add_cte(_INSERT_EVENT.cte("event"), _INSERT_PAYLOAD.cte("payload"))
# SQLAlchemy would take longer to hand these over than SQLite to carry them out.
_ONE_BY_ONE = [_written_out(each) for each in (_INSERT_EVENT, _INSERT_PAYLOAD, _INSERT_PENDING)]
_STORED = {name: stored for name in _EVENT if (stored := _stored(name)) is not None}
