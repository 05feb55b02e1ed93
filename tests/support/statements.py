"""The statements that a request sends to the store, by what they are for."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import event
from sqlalchemy.engine import Engine

from pds.store import connection_of

_TRANSACTION = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT", "PRAGMA")


_VALUE = re.compile(r"x?'(?:[^']|'')*'|\b\d+\b|\bNULL\b")


@dataclass
class Statements:
    """What one request sent: reads one by one, and the statements of each write job."""

    reads: list[str] = field(default_factory=list)
    jobs: list[list[str]] = field(default_factory=list)


@contextmanager
def _traced(connection, on_statement):
    # SQLite tells of statements that go past SQLAlchemy, too, with their values written out.
    is_sqlite = connection.dialect.name == "sqlite"
    trace = connection.connection.set_trace_callback if is_sqlite else lambda _callback: None
    trace(lambda statement: on_statement(_VALUE.sub("?", statement)))
    try:
        yield
    finally:
        trace(None)


@contextmanager
def recorded(world):
    """Record the statements of this process on every engine, by what each is for."""
    found, uow = Statements(), type(world.services.uow)
    originals = {name: getattr(uow, name) for name in ("write", "write_rows")}
    in_job = []

    def writing(name):
        def write(self, job):
            def recording(sender):
                found.jobs.append([])
                in_job.append(True)
                try:
                    with _traced(connection_of(sender), on_statement):
                        return job(sender)
                finally:
                    in_job.pop()

            return originals[name](self, recording)

        return write

    def on_statement(statement):
        if not statement.lstrip().upper().startswith(_TRANSACTION):
            (found.jobs[-1] if in_job else found.reads).append(statement)

    def on_execute(connection, _cursor, statement, *_rest):
        if not in_job or connection.dialect.name != "sqlite":
            on_statement(statement)

    for name in originals:
        setattr(uow, name, writing(name))
    event.listen(Engine, "before_cursor_execute", on_execute)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        for name, original in originals.items():
            setattr(uow, name, original)
