"""What an invariant looks at, and what it says of whatever breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Result, Select, bindparam
from sqlalchemy.orm import InstrumentedAttribute, Session

from consent import templates
from consent.templates import Template
from pds.errors import NotFoundError

Columns = TypeVarTuple("Columns")
_KNOWN_TEMPLATES = 1_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Some buckets of a store, in one read transaction.

    Attributes:
        session: sees one state of the store throughout.
        first: the first bucket that is looked at.
        last: the last one.
        swept_until: what ran out before this is deleted by now; None: nobody says so.
    """

    session: Session
    first: int
    last: int
    swept_until: datetime | None = None
    _templates: dict[str, Template | None] = field(default_factory=dict)

    def rows(self, query: Select[*Columns]) -> Result[*Columns]:
        """Run a query that asks for rows `within` the buckets of a scope."""
        return self.session.execute(query, {"first": self.first, "last": self.last})

    def template(self, sha256: str) -> Template | None:
        """Return a template version by its hash; None: there is none."""
        if sha256 not in self._templates:
            if len(self._templates) >= _KNOWN_TEMPLATES:
                self._templates.clear()
            try:
                self._templates[sha256] = templates.find(self.session, sha256)
            except NotFoundError:
                self._templates[sha256] = None
        return self._templates[sha256]


@dataclass(frozen=True, slots=True)
class Broken:
    """One counter-example: what is wrong, and the ids of the rows to look at."""

    detail: str
    ids: Mapping[str, str]


def within(bucket: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a row is of the buckets of a scope, for `Scope.rows`."""
    return bucket.between(bindparam("first"), bindparam("last"))


Check = Callable[[Scope], Iterator[Broken]]


def broken(detail: str, **ids: UUID | str | int | None) -> Broken:
    """Return a counter-example; ids that are None are left out."""
    return Broken(detail, {name: str(each) for name, each in ids.items() if each is not None})
