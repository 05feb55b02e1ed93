"""Searching the log as an auditor: reading a query, answering it, and logging that it was asked.

The same names of filters serve the API and the pages (AUD-2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from api.wiring import Wiring
from consent.auditing import search, searches
from consent.auditing.engagements import Seat
from consent.auditing.indexing import Channel
from consent.auditing.models import SavedSearch
from consent.auditing.search import Page, ProofState, Query
from consent.formats.canonical import JSONValue
from consent.vocabulary import AgreementState, EventName, Purpose
from pds.catalogue import CATALOGUE
from pds.clock import from_rfc3339, rfc3339
from pds.errors import Issue

_CODE_MOST = 40
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "purpose": tuple(Purpose),
    "collection": tuple(CATALOGUE.collections),
    "cluster": tuple(CATALOGUE.clusters),
    "state": tuple(AgreementState),
    "channel": tuple(Channel),
    "proof": tuple(ProofState),
}
FILTERS = (
    *("person", "organisation", "agreement", "event", "outcome", "since", "until"),
    *_KNOWN,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found: a page, how many in all, and how many events still wait for the log.

    `erased` counts, by rule, what was passed over because nobody can read it any more.
    """

    page: Page
    count: int
    waiting: int
    erased: Mapping[str, int]

    @property
    def is_exact(self) -> bool:
        """Tell whether `count` is all, or only where counting stopped."""
        return self.count <= search.COUNT_MOST


def read(
    given: Mapping[str, str],
    issues: list[Issue],
    *,
    instant: Callable[[str], datetime] = from_rfc3339,
) -> Query:
    """Read the filters of a query; what is wrong is put to the issues, and left out.

    Args:
        given: filters by name; an empty one is none.
        issues: gets what is wrong.
        instant: reads an instant, or raises ValueError.
    """
    texts = {name: given[name].strip() for name in FILTERS if given.get(name, "").strip()}
    found: dict[str, object] = {}
    for name, text in texts.items():
        try:
            found[name] = _value(name, text, instant)
        except ValueError as error:
            issues.append(Issue(f"/{name}", "malformed", str(error)))
    return Query(**found)  # type: ignore[arg-type]  # names and types are those of `_value`


def answer(services: Wiring, seat: Seat, query: Query, *, before: int | None, limit: int) -> Answer:
    """Answer a query within an engagement; that it was asked is logged with its first page."""
    with services.uow.read() as session:
        page = search.find(session, seat.scope, query, before=before, limit=limit)
        count = search.count(session, seat.scope, query)
        waiting = search.waiting(session)
        erased = search.erased(session, seat.scope, query)
    if before is None:
        log(services, count=count)
    return Answer(page, count, waiting, erased)


def keep(services: Wiring, seat: Seat, name: str, query: Query) -> UUID:
    """Keep a query under a name; returns its id.

    Raises:
        ValidationFailedError: the name is empty or too long, the query is, or too many are kept.
    """
    now = services.clock.now()
    asked = {filtered: str(value) for filtered, value in echo(query).items()}
    return services.uow.write(
        lambda session: searches.keep(session, seat, name, asked=asked, now=now)
    )


def kept(services: Wiring, seat: Seat) -> Sequence[SavedSearch]:
    """Return the searches that an auditor keeps in the engagement, by name."""
    with services.uow.read() as session:
        return searches.of_seat(session, seat)


def drop(services: Wiring, seat: Seat, search_id: UUID) -> None:
    """Forget a search.

    Raises:
        NotFoundError: the auditor keeps none of that id here.
    """
    services.uow.write(lambda session: searches.drop(session, seat, search_id))


def log(services: Wiring, *, count: int) -> None:
    """Log that an auditor was shown something, and how much."""
    now = services.clock.now()

    def job(session: Session) -> None:
        name = EventName.EVIDENCE_SEARCHED
        services.log.append_deployment(session, name, at=now, count=count)

    services.uow.write(job)


def echo(query: Query) -> dict[str, JSONValue]:
    """Write a query as it was understood: only what was asked for."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else str(value)
        for name, value in asdict(query).items()
        if value is not None
    }


def _value(name: str, text: str, instant: Callable[[str], datetime]) -> object:
    if name in _KNOWN:
        if text not in _KNOWN[name]:
            raise ValueError(f"one of {', '.join(_KNOWN[name])}")
        return text
    if name in {"organisation", "agreement"}:
        try:
            return UUID(text)
        except ValueError:
            raise ValueError("an id, as it is in an answer") from None
    if name in {"since", "until"}:
        try:
            return instant(text)
        except ValueError:
            raise ValueError("an instant such as 2026-03-01T12:00:00Z") from None
    if len(text) > _CODE_MOST:
        raise ValueError(f"at most {_CODE_MOST} characters")
    return text
