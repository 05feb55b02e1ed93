"""Reading an SQLite file of somebody else's, in memory and with nothing of it trusted.

A database may carry views, triggers and virtual tables that run when a table is read, and pages
that point into each other. So: a copy in memory by `deserialize`, no trusted schema, plain tables
alone, an authorizer that allows nothing but reading their columns, and a bound on the work done.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pds.errors import LimitExceededError
from pds.importing.results import MAX_ITEMS, unusable_file

MAGIC = b"SQLite format 3\x00"

_WAL, _ROLLBACK = 2, 1
_FORMAT_BYTES = slice(18, 20)
_HEADER_BYTES = 100
_LONGEST_VALUE = 1_000_000
_STEPS = 10_000
_MOST_STEPS = 100_000_000
_COMPUTED = re.compile(r"\bGENERATED\b|\bAS\s*\(", re.IGNORECASE)

Row = Sequence[object]


@contextmanager
def opened(data: bytes) -> Iterator[Tables]:
    """Open a database for the length of a `with` block.

    Raises:
        ValidationFailedError: it is damaged.
        LimitExceededError: reading it takes far more work than a history ever needs.
    """
    if len(data) < _HEADER_BYTES or not data.startswith(MAGIC):
        raise unusable_file("damaged")
    copy = bytearray(data)
    if _WAL in copy[_FORMAT_BYTES]:
        # The journal is a file of its own that is not here; what is, was committed.
        copy[_FORMAT_BYTES] = bytes([_ROLLBACK, _ROLLBACK])
    steps = 0

    def too_many() -> int:
        nonlocal steps
        steps += _STEPS
        return steps > _MOST_STEPS

    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.deserialize(bytes(copy))
        connection.set_progress_handler(too_many, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA query_only = ON")
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.set_authorizer(_only_reading)
        yield Tables(connection)
    except sqlite3.Error as error:
        if steps > _MOST_STEPS:
            raise LimitExceededError("a database that takes too long to read") from None
        raise unusable_file("damaged") from error
    except (OverflowError, MemoryError) as error:
        raise unusable_file("damaged") from error
    finally:
        connection.close()


class Tables:
    """The plain tables of a database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT 1000")
        self._plain = {
            name: str(sql or "")
            for kind, name, sql in rows
            if kind == "table" and isinstance(name, str) and _is_plain(str(sql or ""))
        }

    def has(self, *names: str) -> bool:
        """Tell whether all of these are plain tables."""
        return all(name in self._plain for name in names)

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of a plain table; the names are the caller's own, not the file's.

        Raises:
            ValidationFailedError: the table has other columns.
            LimitExceededError: it has more than `MAX_ITEMS` rows.
        """
        if not self.has(table):
            raise unusable_file("schema_unknown")
        quoted = ", ".join(f"[{column}]" for column in columns)
        query = f"SELECT {quoted} FROM [{table}]"  # noqa: S608 - names of the program itself
        try:
            cursor = self._connection.execute(query)
        except sqlite3.OperationalError as error:
            if "no such column" in str(error):
                raise unusable_file("schema_unknown") from error
            raise
        for number, row in enumerate(cursor):
            if number >= MAX_ITEMS:
                raise LimitExceededError(f"more than {MAX_ITEMS} rows in one table")
            yield row

    def by_id(self, table: str, columns: Sequence[str]) -> Mapping[object, Row]:
        """Return the rows of a table by their first column."""
        return {row[0]: row[1:] for row in self.rows(table, columns)}


def _is_plain(sql: str) -> bool:
    """Tell a table of stored values from a virtual one and from one with computed columns."""
    return sql.upper().startswith("CREATE TABLE") and not _COMPUTED.search(sql)  # ascii


def _only_reading(
    action: int, _first: str | None, _second: str | None, _database: str | None, inner: str | None
) -> int:
    # `inner` names the view or trigger on whose behalf something is read.
    is_read = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ) and inner is None
    return sqlite3.SQLITE_OK if is_read else sqlite3.SQLITE_DENY
