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
    found, uow = Statements(), type(world.services.uow)
    originals = {name: getattr(uow, name) for name in ("write", "write_rows")}
    in_job = []

    def writing(name):
        def write(self, job):
            def recording(sender):
                found.jobs.append([])
                in_job.append(True)
                try:
                    return job(sender)
                finally:
                    in_job.pop()

            return originals[name](self, recording)

        return write

    def on_execute(_connection, _cursor, statement, *_rest):
        if statement.lstrip().upper().startswith(_TRANSACTION):
            return
        if in_job:
            found.jobs[-1].append(statement)
        else:
            found.reads.append(statement)

    for name in originals:
        setattr(uow, name, writing(name))
    event.listen(Engine, "before_cursor_execute", on_execute)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", on_execute)
        for name, original in originals.items():
            setattr(uow, name, original)
