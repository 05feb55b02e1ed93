"""Evidence: a bundle of events, proofs, receipts and terms that anyone checks offline (LOG-25).

A bundle holds whole streams from their first event, because only then can a stranger see that a
read came after a consent. It ends where the signed tree ends. An event whose leaf is neither in the
tree nor waiting for it is missing from the bundle, and its number with it: the verifier names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.orm import Session

from consent.errors import LogInconsistentError
from consent.formats.bundle import (
    Bundle,
    BundleEntry,
    ConsistencyProof,
    ErasedEntry,
    Hints,
    PrivateOpening,
    assemble,
)
from consent.formats.canonical import JSONValue, parse
from consent.formats.merkle import consistency_proof
from consent.formats.stream_page import StreamPage
from consent.log.entries import DEPLOYMENT_BUCKET, DEPLOYMENT_STREAM, EntryRef, grant_stream
from consent.log.reader import LoggedEvent, SignedTree, signed_tree, stream_events
from consent.models import AgreementVersion, Event, Grant, LogPending, Receipt
from pds.errors import NotFoundError
from pds.events import vault_stream
from pds.ids import IdFactory

_CHUNK = 500  # parameters of one statement
_GRANT_STREAM = re.compile(r"g\.([0-9a-f]{32})", re.ASCII)

OpenPrivate = Callable[[LoggedEvent], PrivateOpening | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, the bucket it is kept in, and what of it is meant: all, unless told otherwise."""

    bucket: int
    name: str
    first: int = 1
    last: int | None = None


DEPLOYMENT = Stream(DEPLOYMENT_BUCKET, DEPLOYMENT_STREAM)


def streams_of_grant(bucket: int, grant_id: UUID) -> list[Stream]:
    """Return the one stream of a grant."""
    return [Stream(bucket, grant_stream(grant_id))]


def streams_of_vault(session: Session, bucket: int, vault_id: UUID) -> list[Stream]:
    """Return the vault's own stream and those of all its grants, ended ones included."""
    query = select(Grant.id).where(Grant.bucket == bucket, Grant.vault_id == vault_id)
    grants = [Stream(bucket, grant_stream(found)) for found in session.scalars(query)]
    return [Stream(bucket, vault_stream(vault_id)), *grants]


def stream_up_to(bucket: int, reference: EntryRef) -> Stream:
    """Return what proves one entry: of a grant all that led to it, else the entry alone.

    A read shows that it was allowed only after the consent that came before it.
    """
    is_grants = _GRANT_STREAM.fullmatch(reference.stream) is not None
    first = 1 if is_grants else reference.seq
    return Stream(bucket, reference.stream, first, reference.seq)


def streams_of_organisation(session: Session, organisation_id: UUID) -> list[Stream]:
    """Return the streams of all grants that an organisation ever had."""
    query = select(Grant.bucket, Grant.id).where(Grant.organisation_id == organisation_id)
    return [Stream(bucket, grant_stream(found)) for bucket, found in session.execute(query)]


def stream_of_organisation(
    session: Session, organisation_id: UUID, name: str, *, ids: IdFactory
) -> Stream:
    """Return the stream `name`, of a grant that this organisation has or had.

    Raises:
        NotFoundError: it is no grant's stream, or another organisation's.
    """
    match = _GRANT_STREAM.fullmatch(name)
    if match is None:
        raise NotFoundError
    grant_id = UUID(match[1])
    bucket = ids.bucket_of(grant_id)
    query = select(Grant.id).where(
        Grant.bucket == bucket, Grant.id == grant_id, Grant.organisation_id == organisation_id
    )
    if session.scalar(query) is None:
        raise NotFoundError
    return Stream(bucket, name)


def streams_of_period(session: Session, since: datetime, until: datetime) -> list[Stream]:
    """Return the streams in which something happened from `since` to before `until`."""
    query = select(Event.bucket, Event.stream).where(Event.at >= since, Event.at < until)
    return [Stream(bucket, name) for bucket, name in session.execute(query.distinct())]


def build_bundle(
    session: Session,
    streams: Iterable[Stream],
    *,
    until: datetime | None = None,
    hints: Hints | None = None,
    pinned_sizes: Sequence[int] = (),
    open_private: OpenPrivate | None = None,
) -> Bundle:
    """Return the evidence of whole streams, with the receipts and terms that they cite.

    Args:
        session: of a read transaction.
        streams: from the functions above.
        until: each stream ends before this instant; None: with the tree.
        hints: keys that travel along; a verifier trusts its own (P-34).
        pinned_sizes: sizes of trees that readers may have seen, each to be proved consistent.
        open_private: given by an owner who holds the keys; an auditor's bundle has none.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    tree = signed_tree(session)
    size = tree.checkpoint.size
    events = [event for stream in _ordered(streams) for event in _of(session, stream, size, until)]
    return _bundle(
        session,
        tree,
        events,
        hints=hints,
        pinned_sizes=pinned_sizes,
        open_private=open_private,
    )


def build_bundles(
    session: Session,
    streams: Iterable[Stream],
    *,
    most: int,
    until: datetime | None = None,
    hints: Hints | None = None,
) -> Iterator[Bundle]:
    """Yield the evidence of whole streams in parts that lead to one checkpoint; at least one.

    A grant's stream is in one part, since a read shows that it was allowed only after its consent;
    the deployment's goes on from part to part.

    Args:
        session: of a read transaction.
        streams: from the functions above.
        most: events in a part, unless one grant has more.
        until: as for `build_bundle`.
        hints: as for `build_bundle`.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    tree = signed_tree(session)
    held: list[LoggedEvent] = []
    for stream in _ordered(streams):
        for events in _runs(session, stream, tree.checkpoint.size, until, most):
            if held and len(held) + len(events) > most:
                yield _bundle(session, tree, held, hints=hints)
                held = []
            held += events
    yield _bundle(session, tree, held, hints=hints)


def _ordered(streams: Iterable[Stream]) -> list[Stream]:
    return sorted(set(streams), key=lambda stream: (stream.name, stream.bucket))


def _runs(
    session: Session, stream: Stream, size: int, until: datetime | None, most: int
) -> Iterator[list[LoggedEvent]]:
    if stream.name != DEPLOYMENT_STREAM:
        yield list(_of(session, stream, size, until))
        return
    newest = select(func.max(Event.seq)).where(
        Event.bucket == stream.bucket, Event.stream == stream.name
    )
    for first in range(stream.first, (session.scalar(newest) or 0) + 1, most):
        events = list(
            stream_events(session, stream.bucket, stream.name, first=first, last=first + most - 1)
        )
        settled = list(_settled(session, stream, events, size, until))
        yield settled
        if len(settled) < len(events):
            return


def _bundle(
    session: Session,
    tree: SignedTree,
    events: Sequence[LoggedEvent],
    *,
    hints: Hints | None,
    pinned_sizes: Sequence[int] = (),
    open_private: OpenPrivate | None = None,
) -> Bundle:
    size = tree.checkpoint.size
    cited = {(event.ref.stream, event.ref.seq) for event in events if event.opening is not None}
    return assemble(
        origin=tree.checkpoint.origin,
        checkpoint=tree.note,
        entries=sorted(_entries(events, tree, open_private), key=lambda entry: entry.index),
        receipts=list(_receipts(session, events, cited)),
        agreements=list(_agreements(session, events)),
        consistency=[
            ConsistencyProof(old, size, tuple(consistency_proof(tree.read, old, size)))
            for old in sorted(set(pinned_sizes))
            if old <= size
        ],
        hints=hints,
        erased=list(_erased(events, tree)),
    )


def page_of_stream(
    session: Session, stream: Stream, *, after: int, limit: int, known_size: int = 0
) -> StreamPage:
    """Return the public parts of a stream after a number, proved to be in the signed tree (P-33).

    Args:
        session: of a read transaction.
        stream: from the functions above.
        after: the number after which; 0 for the beginning.
        limit: at most so many entries, 1 or more.
        known_size: the tree that the reader verified last, to be proved extended; one that never
            was gets no proof, and the reader finds the checkpoint behind its own.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    tree = signed_tree(session)
    size = tree.checkpoint.size
    last = after + limit
    events = list(_signed(session, stream, size, first=after + 1, last=last + 1))
    page = [event for event in events if event.ref.seq <= last]
    proof = consistency_proof(tree.read, known_size, size) if known_size <= size else []
    return StreamPage(
        stream=stream.name,
        checkpoint=tree.note,
        consistency=tuple(proof),
        entries=tuple(_entries(page, tree, None)),
        has_more=len(events) > len(page),
        erased=tuple(_erased(page, tree)),
    )


def _of(
    session: Session, stream: Stream, size: int, until: datetime | None
) -> Iterator[LoggedEvent]:
    return _signed(session, stream, size, first=stream.first, last=stream.last, until=until)


def _signed(
    session: Session,
    stream: Stream,
    size: int,
    *,
    first: int = 1,
    last: int | None = None,
    until: datetime | None = None,
) -> Iterator[LoggedEvent]:
    events = list(stream_events(session, stream.bucket, stream.name, first=first, last=last))
    return _settled(session, stream, events, size, until)


def _settled(
    session: Session,
    stream: Stream,
    events: Sequence[LoggedEvent],
    size: int,
    until: datetime | None,
) -> Iterator[LoggedEvent]:
    # Up to the first event that still waits. One that is missing for any other reason does not end
    # the stream: what comes after it stays in, so that the gap shows.
    unplaced = [event.id for event in events if event.index is None]
    query = select(LogPending.event_id).where(
        LogPending.bucket == stream.bucket, LogPending.event_id.in_(unplaced)
    )
    waiting = set(session.scalars(query)) if unplaced else set()

    def settled(event: LoggedEvent) -> bool:
        if until is not None and event.at >= until:
            return False
        return event.id not in waiting and (event.index is None or event.index < size)

    return takewhile(settled, events)


def _entries(
    events: Iterable[LoggedEvent], tree: SignedTree, open_private: OpenPrivate | None
) -> Iterator[BundleEntry]:
    for event in events:
        if event.index is not None and event.opening is not None:
            private = open_private(event) if open_private is not None else None
            proof = tuple(tree.inclusion(event.index))
            yield BundleEntry(event.index, proof, event.opening, private)


def _erased(events: Iterable[LoggedEvent], tree: SignedTree) -> Iterator[ErasedEntry]:
    # Without a rule it was not erased: then its number is missing, and the verifier names it.
    for event in events:
        if event.index is not None and event.opening is None and event.erased_by is not None:
            yield ErasedEntry(
                index=event.index,
                leaf_hash=event.leaf_hash,
                leaf_proof=tuple(tree.inclusion(event.index)),
                stream=event.ref.stream,
                seq=event.ref.seq,
                rule=event.erased_by,
            )


def _receipts(
    session: Session, events: Sequence[LoggedEvent], cited: set[tuple[str, int]]
) -> Iterator[dict[str, JSONValue]]:
    owners = sorted({(event.bucket, event.vault_id) for event in events if event.vault_id})
    for start in range(0, len(owners), _CHUNK):
        query = (
            select(Receipt.document, Receipt.stream, Receipt.stream_seq)
            .where(tuple_(Receipt.bucket, Receipt.vault_id).in_(owners[start : start + _CHUNK]))
            .order_by(Receipt.bucket, Receipt.id)
        )
        for document, stream, seq in session.execute(query):
            if (stream, seq) in cited:
                yield _object(document)


def _agreements(session: Session, events: Sequence[LoggedEvent]) -> Iterator[dict[str, JSONValue]]:
    cited = {event.opening.pub.agreement_sha256 for event in events if event.opening is not None}
    grants = sorted({(event.bucket, event.grant_id) for event in events if event.grant_id})
    found: dict[str, bytes] = {}
    for start in range(0, len(grants), _CHUNK):
        same_agreement = and_(
            AgreementVersion.bucket == Grant.bucket,
            AgreementVersion.agreement_id == Grant.agreement_id,
        )
        query = (
            select(AgreementVersion.sha256, AgreementVersion.document)
            .join(Grant, same_agreement)
            .where(tuple_(Grant.bucket, Grant.id).in_(grants[start : start + _CHUNK]))
        )
        found |= {row.sha256: row.document for row in session.execute(query)}
    for sha256 in sorted(found.keys() & cited):
        yield _object(found[sha256])


def _object(document: bytes) -> dict[str, JSONValue]:
    value = parse(document)
    if not isinstance(value, dict):
        raise LogInconsistentError("a document is no JSON object")
    return value
