"""What the server says, read strictly: an answer that breaks the interface is refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from connector.clock import from_rfc3339
from connector.errors import AnswerRejectedError
from consent.formats.errors import FormatError
from consent.formats.reconciliation import Terms

T = TypeVar("T")
JSON = Mapping[str, Any]


class ConnectionState(StrEnum):
    """States of a connection that the connector acts upon; any other allows nothing."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    FULFILLED = "fulfilled"
    INVALIDATED = "invalidated"


# What the person shared must go. A paused consent stops use, not keeping.
ENDED_STATES = frozenset(
    {
        ConnectionState.WITHDRAWN,
        ConnectionState.TERMINATED,
        ConnectionState.EXPIRED,
        ConnectionState.FULFILLED,
        ConnectionState.INVALIDATED,
    }
)
# `consent-fulfilled` is not among them: after the one delivery that was agreed, reads are refused
# with it for a while before the agreement ends.
ENDED_PROBLEMS: Mapping[str, ConnectionState] = {
    "consent-withdrawn": ConnectionState.WITHDRAWN,
    "consent-expired": ConnectionState.EXPIRED,
    "consent-terminated": ConnectionState.TERMINATED,
    "consent-invalidated": ConnectionState.INVALIDATED,
    "vault-deleted": ConnectionState.TERMINATED,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement that a connection rests on; `sha256` is hex."""

    id: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One lineage of agreements with one person (P-29), as `/v1/connections` lists it.

    `grant_id` is empty where there is no grant.
    """

    id: str
    agreement: Agreement
    state: str
    grant_id: str
    expires_at: datetime
    feed: int


@dataclass(frozen=True, slots=True)
class Change:
    """One line of `/v1/changes`: whose data or consent moved."""

    feed: int
    connection: str
    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of the feed; `last` is the cursor to go on from, inclusive."""

    changes: Sequence[Change]
    last: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """What a grant's token may do, as `/v1/grant` says."""

    grant_id: str
    connection: str
    agreement: Agreement
    terms: Terms
    state: str
    usable: bool
    reason: str | None
    expires_at: datetime
    # The organisation's own number for the person, if it invited them by one (CON-26).
    reference: str | None = field(default=None, repr=False)

    @property
    def attributes(self) -> frozenset[str]:
        """Names of the agreed attributes."""
        return self.terms.attributes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The `PDS-Log-Entry` of an answer of `count` records: where the log must hold it (P-33)."""

    stream: str
    seq: int
    count: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as consented; `data` holds agreed attributes only."""

    collection: str
    id: str
    version: int
    changed_at: str
    data: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a grant opens at present, and the log entries that prove each read."""

    grant_id: str
    agreement: Agreement
    agreed: frozenset[str]
    records: Sequence[Record]
    log_entries: Sequence[LogEntry]


@dataclass(frozen=True, slots=True)
class Obligation:
    """What the organisation owes after a consent ended."""

    id: str
    connection: str
    agreement_id: str
    kind: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer of the token endpoint; `expires_in` is in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str | None = field(repr=False)
    grant_id: str | None


def connection_from(body: JSON) -> Connection:
    """Read one connection."""
    return Connection(
        id=_text(body, "id"),
        agreement=agreement_from(_object(body, "agreement")),
        state=_text(body, "state"),
        grant_id=optional_text(body, "grant_id") or "",
        expires_at=_instant(body, "expires_at"),
        feed=_count(body, "feed"),
    )


def change_page_from(body: JSON, *, after: int) -> ChangePage:
    """Read a page of changes, which must lead on from `after` (CON-G1)."""
    changes = [
        Change(
            feed=_count(item, "feed"),
            connection=_text(item, "connection"),
            kind=_text(item, "kind"),
            state=_text(item, "state"),
        )
        for item in objects(body, "changes")
    ]
    last = _count(body, "last")
    highest = max((change.feed for change in changes), default=after)
    if last < highest or any(change.feed <= after for change in changes):
        raise AnswerRejectedError("the feed goes backwards")
    has_more = flag(body, "has_more")
    if has_more and last == after:
        raise AnswerRejectedError("the feed does not move on")
    return ChangePage(changes=changes, last=last, has_more=has_more)


def grant_from(body: JSON) -> Grant:
    """Read what a grant may do."""
    reason, usable = body.get("reason"), flag(body, "usable")
    try:
        # What cannot be used need not say what it would open.
        terms = Terms.from_document(body if usable else {"attributes": []})
    except FormatError as error:
        raise AnswerRejectedError(f"the terms cannot be read: {error}") from error
    return Grant(
        grant_id=_text(body, "grant_id"),
        connection=_text(body, "connection"),
        agreement=agreement_from(_object(body, "agreement")),
        terms=terms,
        state=_text(body, "state"),
        usable=usable,
        reason=reason if isinstance(reason, str) else None,
        expires_at=_instant(body, "expires_at"),
        reference=optional_text(body, "reference"),
    )


def record_from(body: JSON) -> Record | None:
    """Read one record of the feed, or None for one that is no longer there."""
    if flag(body, "deleted"):
        return None
    return Record(
        collection=_text(body, "collection"),
        id=_text(body, "id"),
        version=_count(body, "version"),
        changed_at=_text(body, "changed_at"),
        data=_object(body, "data"),
    )


def obligation_from(body: JSON) -> Obligation:
    """Read one obligation."""
    return Obligation(
        id=_text(body, "id"),
        connection=_text(body, "connection"),
        agreement_id=_text(_object(body, "agreement"), "id"),
        kind=_text(body, "kind"),
        due_at=_instant(body, "due_at"),
    )


def token_from(body: JSON) -> TokenAnswer:
    """Read a token response (RFC 6749 section 5.1, RFC 9449 section 5)."""
    if _text(body, "token_type").casefold() != "dpop":
        raise AnswerRejectedError("the token is not bound to our key")
    refresh_token, grant_id = body.get("refresh_token"), body.get("grant_id")
    return TokenAnswer(
        access_token=_text(body, "access_token"),
        expires_in=_count(body, "expires_in"),
        refresh_token=refresh_token if isinstance(refresh_token, str) else None,
        grant_id=grant_id if isinstance(grant_id, str) else None,
    )


def log_entry_from(header: str | None, *, count: int) -> LogEntry:
    """Read `PDS-Log-Entry: stream/seq`; without it the answer is not proven (P-33)."""
    stream, slash, number = (header or "").rpartition("/")
    if not slash or not stream or not (number.isascii() and number.isdigit()) or int(number) < 1:
        raise AnswerRejectedError("an answer without its log entry")
    return LogEntry(stream, int(number), count)


def agreement_from(body: JSON) -> Agreement:
    """Read an agreement's id, version and hash; `/v1/records` leaves the hash out."""
    sha256 = body.get("sha256", "")
    return Agreement(
        id=_text(body, "id"),
        version=_count(body, "version"),
        sha256=sha256 if isinstance(sha256, str) else "",
    )


def objects(body: JSON, name: str) -> Sequence[JSON]:
    """Return a member that is an array of objects."""
    return [_mapping(item, name) for item in _member(body, name, list)]


def texts(body: JSON, name: str) -> Sequence[str]:
    """Return a member that is an array of strings."""
    return [_checked(item, str, name) for item in _member(body, name, list)]


def flag(body: JSON, name: str) -> bool:
    """Return a member that is true or false."""
    return _member(body, name, bool)


def optional_text(body: JSON, name: str) -> str | None:
    """Return a member that is a string, or None where it is null or absent."""
    return None if body.get(name) is None else _text(body, name)


def compact(value: object) -> str:
    """Write JSON without spaces, for a form field."""
    return json.dumps(value, separators=(",", ":"))


def each(body: JSON, name: str, read: Callable[[JSON], T]) -> list[T]:
    """Read every object of an array."""
    return [read(item) for item in objects(body, name)]


def _text(body: JSON, name: str) -> str:
    return _member(body, name, str)


def _count(body: JSON, name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise AnswerRejectedError(f"{name} is no count")
    return value


def _instant(body: JSON, name: str) -> datetime:
    try:
        return from_rfc3339(_text(body, name))
    except ValueError as error:
        raise AnswerRejectedError(f"{name} is no instant") from error


def _object(body: JSON, name: str) -> JSON:
    return _mapping(body.get(name), name)


def _mapping(value: object, name: str) -> JSON:
    if not isinstance(value, dict):
        raise AnswerRejectedError(f"{name} is no object")
    return value


def _member(body: JSON, name: str, kind: type[T]) -> T:
    return _checked(body.get(name), kind, name)


def _checked(value: object, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise AnswerRejectedError(f"{name} is no {kind.__name__}")
    return value
