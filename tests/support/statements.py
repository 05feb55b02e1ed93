"""The statements that a request sends to the store, by what they are for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import event
from sqlalchemy.engine import Engine

_TRANSACTION = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT", "PRAGMA")


@dataclass
class Statements:
    """What one request sent: reads one by one, and the statements of each write job."""

    reads: list[str] = field(default_factory=list)
    jobs: list[list[str]] = field(default_factory=list)


@contextmanager
def recorded(world):
    """Record the statements of this process on every engine, by what each is for."""
    found, uow = Statements(), world.services.uow
    write = type(uow).write
    in_job = []

    def writing(self, job):
        def recording(session):
            found.jobs.append([])
            in_job.append(True)
            try:
                return job(session)
            finally:
                in_job.pop()

        return write(self, recording)

    def on_execute(_connection, _cursor, statement, *_rest):
        if statement.lstrip().upper().startswith(_TRANSACTION):
            return
        if in_job:
            found.jobs[-1].append(statement)
        else:
            found.reads.append(statement)

    type(uow).write = writing
    event.listen(Engine, "before_cursor_execute", on_execute)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        type(uow).write = write
