"""`pds doctor`: what an instance needs, what it has, and what to do about the difference."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from api import schema
from api.wiring import Wiring, wire
from api.witnesses.asking import Witness, WitnessUnavailableError
from consent.log import publication, refusals
from consent.models import Lease, LogPending
from pds import settings as settings_module
from pds.errors import ConfigurationError

_MANY_PENDING = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `wrong`, or `absent` and optional."""

    what: str
    state: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON object."""
        return asdict(self)


def examine(folder: Path) -> list[Finding]:
    """Look at an instance from the outside in; stops where the rest cannot be seen."""
    return list(_examine(folder))


def _examine(folder: Path) -> Iterator[Finding]:
    yield from _optional_programs()
    try:
        services = wire(settings_module.load(folder))
    except ConfigurationError as exc:
        yield Finding("instance", "wrong", str(exc))
        return
    yield Finding("instance", "ok", f"{folder}, keys readable by their owner only")
    yield from _store(services)
    services.uow.close()


def _store(services: Wiring) -> Iterator[Finding]:
    try:
        schema.require_head(services.uow.engine)
    except (ConfigurationError, SQLAlchemyError) as exc:
        detail = str(exc) if isinstance(exc, ConfigurationError) else "the store does not answer"
        yield Finding("database", "wrong", detail)
        return
    kind = "SQLite" if services.uow.is_sqlite else "PostgreSQL"
    yield Finding("database", "ok", f"{kind}, revision {schema.head()}")
    since = services.clock.now() - timedelta(days=1)
    with services.uow.read() as session:
        refused = refusals.summaries(session, since=since)
        pending = session.execute(select(func.count()).select_from(LogPending)).scalar_one()
        lease = session.scalars(select(Lease).limit(1)).one_or_none()
    if lease is None or lease.expires_at < services.clock.now() - timedelta(seconds=30):
        yield Finding("worker", "absent", "no background worker runs; start `pds serve`")
    else:
        yield Finding("worker", "ok", "a background worker holds the lease")
    state = "ok" if pending < _MANY_PENDING else "wrong"
    yield Finding("log", state, f"{pending} entries wait for their place in the tree")
    yield from _publication(services)
    counts = ", ".join(f"{one.kind} {one.count} from {one.sources}" for one in refused)
    yield Finding("refused", "ok", f"{counts or 'nothing'} in the last day, by kind and source")


def _publication(services: Wiring) -> Iterator[Finding]:
    log = services.settings.log
    with services.uow.read() as session:
        halted = publication.halted(session)
        waits = int(publication.behind_for(session, now=services.clock.now()).total_seconds())
    if halted is not None:
        yield Finding("log halted", "wrong", f"{halted}; see docs/operations.md, After a restore")
    detail = f"the oldest entry that is not published yet waits for {waits} s"
    if log.refuse_seconds and waits > log.refuse_seconds:
        detail += "; no new consent is taken"
    yield Finding("published log", "wrong" if waits > log.alarm_seconds else "ok", detail)
    if not services.witnesses:
        detail = "nobody outside keeps this log from showing two histories; see log.witnesses"
        yield Finding("witnesses", "absent", f"none are set: {detail}")
    for witness in services.witnesses:
        yield _witness(services, witness)


def _witness(services: Wiring, witness: Witness) -> Finding:
    what = f"witness {witness.name}"
    try:
        note = witness.latest()
    except WitnessUnavailableError as exc:
        return Finding(what, "wrong", str(exc))
    if note is None:
        return Finding(what, "wrong", "it has cosigned nothing: does it watch this log?")
    with services.uow.read() as session:
        reason = publication.contradiction(session, note, log_key=services.log_signer.verifier)
    if reason is not None:
        return Finding(what, "wrong", f"it knows that {reason}")
    size = note.split("\n")[1]
    return Finding(what, "ok", f"it cosigned the tree of size {size}")


def _optional_programs() -> Iterator[Finding]:
    for program, adds in (
        ("chromium", "browser tests"),
        ("initdb", "tests on PostgreSQL"),
        ("go", "the foreign verifier of the log in tests"),
    ):
        there = shutil.which(program) or any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        yield Finding(
            program, "ok" if there else "absent", adds if there else f"without it: no {adds}"
        )
