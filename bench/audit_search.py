"""Searching a million events as an auditor, on SQLite (AUD-16: each filter within a second).

    python -m bench.audit_search [EVENTS]

Makes a store with synthetic rows in a temporary folder: 20 organisations, 20,000 agreements of
10,000 people, and EVENTS events of them. No payloads and no tree: a search reads neither. Each
filter is measured as the desk asks it: one page and the count, in CPU time, so that what else the
machine does is not in it; SQLite works in this process.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from api import schema
from consent.auditing import search
from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.auditing.pseudonyms import Pseudonyms
from consent.auditing.search import Query
from consent.models import Agreement, Event, Grant, LogEntry
from pds.db import Base

ORGANISATIONS, PEOPLE, AGREEMENTS, BATCH, RUNS = 20, 10_000, 20_000, 10_000, 5
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("data.read",) * 8 + ("token.refreshed", "data.read_denied")
KINDS = (",contact,", ",contact,profile,", ",transactions,", ",addresses,")
BUCKETS = 1024


def main() -> None:
    """Make the rows, ask, print a table."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chance = random.Random(5)  # noqa: S311 - the same rows on each run, no secret
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        schema.upgrade(engine)
        ids = [UUID(int=chance.getrandbits(128)) for _ in range(ORGANISATIONS)]
        with Session(engine) as session:
            grants = _agreements(session, chance, ids)
            for rows in _events(chance, grants, size):
                for model, some in rows:
                    session.execute(insert(model), some)
                session.commit()
        with Session(engine) as session:
            _measure(session, ids, grants, size)
        engine.dispose()


def _agreements(
    session: Session, chance: random.Random, organisations: list[UUID]
) -> list[tuple[int, UUID, UUID, UUID]]:
    people = [(chance.randrange(BUCKETS), UUID(int=chance.getrandbits(128))) for _ in range(PEOPLE)]
    grants, rows = [], []
    for number in range(AGREEMENTS):
        bucket, vault = people[number % PEOPLE]
        grant, agreement = (UUID(int=chance.getrandbits(128)) for _ in range(2))
        organisation = organisations[number % ORGANISATIONS]
        grants.append((bucket, vault, grant, organisation))
        same = {
            "bucket": bucket,
            "vault_id": vault,
            "organisation_id": organisation,
            "client_id": organisation,
            "expires_at": START + timedelta(days=365),
            "created_at": START,
        }
        contract = same | {
            "id": agreement,
            "connection_id": agreement,
            "request_id": agreement,
            "template_id": organisation,
            "version": 1,
            "expiry_told": 0,
            "state": "withdrawn" if number % 50 == 0 else "active",
        }
        permission = same | {
            "id": grant,
            "agreement_id": agreement,
            "agreement_version": 1,
            "state": "active",
            "epoch": 1,
            "seq": 1,
            "fetch_day": 0,
            "fetches_today": 0,
            "reads": 0,
            "terms_box": b"",
            "terms_sha256": "",
        }
        rows.append((contract, permission))
    session.execute(insert(Agreement), [contract for contract, _ in rows])
    session.execute(insert(Grant), [permission for _, permission in rows])
    session.commit()
    return grants


def _events(
    chance: random.Random, grants: list[tuple[int, UUID, UUID, UUID]], size: int
) -> Iterator[list[tuple[type[Base], list[dict[str, object]]]]]:
    for start in range(0, size, BATCH):
        events, places, found = [], [], []
        for index in range(start, min(start + BATCH, size)):
            bucket, vault, grant, organisation = grants[chance.randrange(AGREEMENTS)]
            name, event = chance.choice(NAMES), UUID(int=index << 80 | chance.getrandbits(64))
            at = START + timedelta(seconds=20 * index)
            events.append(
                {
                    "bucket": bucket,
                    "id": event,
                    "stream": f"g.{grant.hex}",
                    "seq": index + 1,
                    "name": name,
                    "at": at,
                    "vault_id": vault,
                    "grant_id": grant,
                    "c_pub": b"",
                    "c_priv": b"",
                }
            )
            places.append({"index": index, "bucket": bucket, "event_id": event})
            found.append(
                {
                    "index": index,
                    "minute": at.replace(second=0),
                    "name": name,
                    "organisation_id": organisation,
                    "is_operators": False,
                    "grant_id": grant,
                    "purpose": "research" if index % 10_000 == 0 else "service_provision",
                    "collections": ",health," if index == size // 3 else chance.choice(KINDS),
                    "outcome": "limit-reached" if name == "data.read_denied" else "ok",
                    "channel": "api",
                    "count": 1,
                }
            )
        yield [(Event, events), (LogEntry, places), (SearchableEvent, found)]


def _measure(
    session: Session,
    organisations: list[UUID],
    grants: list[tuple[int, UUID, UUID, UUID]],
    size: int,
) -> None:
    names = Pseudonyms.of_engagement(bytes(32), organisations[0])
    end = START + timedelta(seconds=20 * size + 60)
    whole = Scope(organisations[0], None, START, end, end, names)
    one = Scope(organisations[0], frozenset(organisations[:1]), START, end, end, names)
    day = START + timedelta(days=1)
    first = Scope(organisations[0], None, START, day, end, names)
    old = {"since": START, "until": day}
    asked = {
        "everything": (whole, Query()),
        "one organisation's engagement": (one, Query()),
        "organisation": (whole, Query(organisation=organisations[3])),
        "event": (whole, Query(event="data.read_denied")),
        "outcome": (whole, Query(outcome="limit-reached")),
        "event that is not there": (whole, Query(event="consent.expired")),
        "purpose, 1 in 10,000": (whole, Query(purpose="research")),
        "collection, 1 in a million": (whole, Query(collection="health")),
        "cluster": (whole, Query(cluster="finance")),
        "state": (whole, Query(state="withdrawn")),
        "state that is not there": (whole, Query(state="expired")),
        "channel that is not there": (whole, Query(channel="clock")),
        "the first day": (whole, Query(**old)),  # type: ignore[arg-type]  # both are instants
        "an engagement of the first day": (first, Query()),
        "person": (whole, Query(person=names.of(*grants[0][:2]))),
        "person and state": (whole, Query(person=names.of(*grants[0][:2]), state="withdrawn")),
    }
    sys.stdout.write(f"{size:,} events\n\n| filter | found | CPU, ms |\n|---|---|---|\n")
    for what, (scope, query) in asked.items():
        taken = []
        for _ in range(RUNS):
            begun = time.process_time()
            search.find(session, scope, query)
            count = search.count(session, scope, query)
            taken.append(time.process_time() - begun)
        found = f"{count:,}" if count <= search.COUNT_MOST else f"over {search.COUNT_MOST:,}"
        sys.stdout.write(f"| {what} | {found} | {sorted(taken)[RUNS // 2] * 1000:.0f} |\n")


if __name__ == "__main__":
    main()
