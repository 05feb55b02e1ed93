"""One helper for every table: replace a row by its primary key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, and_, insert, update


def put(sql: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or update the one with the same primary key.

    Two statements instead of a dialect's own upsert: the lease row is locked in every writing
    transaction, so nobody inserts in between.
    """
    keys = {column.name for column in table.primary_key}
    found = and_(*(table.c[name] == values[name] for name in sorted(keys)))
    rest = {name: value for name, value in values.items() if name not in keys}
    if rest and sql.execute(update(table).where(found).values(rest)).rowcount:
        return
    sql.execute(insert(table).values(values))
