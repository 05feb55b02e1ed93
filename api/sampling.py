"""Samples of an engagement: drawing, marking, and the report as CSV (AUD-15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import Response

from api import searching
from api.wiring import Wiring
from consent.auditing import samples
from consent.auditing.engagements import Seat
from consent.auditing.models import Sample
from consent.auditing.samples import Item
from consent.auditing.search import Query
from pds import spreadsheets
from pds.clock import rfc3339

_COLUMNS = ("number", "index", "time", "event", "organisation", "person", "outcome", "entry")


@dataclass(frozen=True, slots=True)
class Report:
    """A sample with its events, and how many were passed, failed and not looked at."""

    sample: Sample
    items: Sequence[Item]

    def count(self, mark: str | None) -> int:
        """Return how many have a mark; None: how many have none."""
        return sum(each.mark == mark for each in self.items)


def draw(services: Wiring, seat: Seat, query: Query, *, size: int) -> UUID:
    """Draw a sample, logged as a search; returns its id.

    Raises:
        ValidationFailedError: the size is out of range, or the filter finds nothing.
    """
    now = services.clock.now()
    asked = {name: str(value) for name, value in searching.echo(query).items()}
    sample_id = services.uow.write(
        lambda session: samples.draw(session, seat, query, asked=asked, size=size, now=now)
    )
    searching.log(services, count=size)
    return sample_id


def of_engagement(services: Wiring, seat: Seat) -> Sequence[Sample]:
    """Return the samples of the engagement, newest first."""
    with services.uow.read() as session:
        return samples.of_engagement(session, seat.scope.engagement_id)


def get(services: Wiring, seat: Seat, sample_id: UUID) -> Report:
    """Return a sample.

    Raises:
        NotFoundError: the engagement has none of that id.
    """
    with services.uow.read() as session:
        return Report(*samples.get(session, seat.scope, sample_id))


def mark(
    services: Wiring, seat: Seat, sample_id: UUID, number: int, *, as_: str, note: str
) -> None:
    """Mark an event of a sample.

    Raises:
        NotFoundError: there is no such event.
        ValidationFailedError: the mark is unknown, the note too long or missing.
    """
    now = services.clock.now()
    services.uow.write(
        lambda session: samples.mark(session, seat, sample_id, number, as_=as_, note=note, now=now)
    )


def as_table(report: Report) -> Response:
    """Answer with a sample as CSV: seed, filter and population in front, then events and marks."""
    sample = report.sample
    asked = " ".join(f"{name}={value}" for name, value in sorted(sample.asked.items()))
    head: list[list[object]] = [
        ["seed", sample.seed],
        ["filter", asked],
        ["population", sample.population],
        ["last index", sample.last_index],
        ["log", sample.origin],
        ["drawn at", rfc3339(sample.drawn_at)],
        [],
        [*_COLUMNS, "mark", "note"],
    ]
    rows = [_row(each) for each in report.items]
    response = Response(
        spreadsheets.lines(["sample", str(sample.id)], [*head, *rows]), mimetype="text/csv"
    )
    name = f"sample-{sample.seed[:12]}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _row(item: Item) -> list[object]:
    event = item.event
    known: list[object] = [None] * 6
    if event is not None:
        written = event.to_dict()
        known = [written[name] for name in _COLUMNS[2:]]
    return [item.number, item.index, *known, item.mark, item.note]
