"""What the log has to say: its tree for anyone, its events for whoever may see them.

Functions take the session of a read transaction. Where a tree is read in several statements, the
checkpoint comes first: what was signed stays, so whatever is committed later does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select
from sqlalchemy.orm import Session

from consent.formats.canonical import canonical_bytes, parse
from consent.formats.checkpoint import Checkpoint
from consent.formats.errors import MalformedError
from consent.formats.leaf import PublicOpening, PublicPart, entry_bytes
from consent.formats.merkle import ReadHash, consistency_proof, inclusion_proof, leaf_hash
from consent.formats.proof import Proof
from consent.formats.tiles import TileId, parse_path, tile_reader
from consent.log.entries import EntryRef, PrivateKeyKind, SealedPrivate
from consent.log.tiles import Tiles
from consent.models import (
    Event,
    EventErasure,
    EventPayload,
    LogCheckpoint,
    LogEntry,
    LogState,
)
from pds.errors import NotFoundError

_NOTES: Select[*tuple[Any, ...]] = select(LogCheckpoint.note, LogCheckpoint.cosignatures)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it is stored.

    Attributes:
        bucket: of its vault, or of the deployment.
        id: in order of time within the bucket; the key to page by.
        name: dotted event name.
        at: when it happened, to the microsecond: for the owner, not for an auditor.
        ref: stream and number.
        vault_id: whose event it is; None for the deployment's own.
        grant_id: the grant it concerns, if any.
        opening: the public part with what ties it to its leaf; None once it is erased.
        sealed: the private part as the owner opens it.
        index: place in the tree; None until the integrator has been there.
        erased_by: the rule by which its public part was erased.
        leaf_hash: of its leaf, from its commitments: all that is left of an erased one.
    """

    bucket: int
    id: UUID
    name: str
    at: datetime
    ref: EntryRef
    vault_id: UUID | None
    grant_id: UUID | None
    opening: PublicOpening | None
    sealed: SealedPrivate
    index: int | None
    erased_by: str | None
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events of a vault are meant; what is None or empty leaves all of them.

    Attributes:
        names: dotted names.
        grants: of these grants only.
        since: from this instant on.
        until: before this instant.
    """

    names: Collection[str] = ()
    grants: Collection[UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what it means for rows of `events`."""
        if self.names:
            yield Event.name.in_(sorted(self.names))
        if self.grants is not None:
            yield Event.grant_id.in_(sorted(self.grants))
        if self.since is not None:
            yield Event.at >= self.since
        if self.until is not None:
            yield Event.at < self.until


@dataclass(frozen=True, slots=True)
class SignedTree:
    """The last signed tree: its checkpoint as note and as values, and its hashes."""

    note: str
    checkpoint: Checkpoint
    read: ReadHash

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of the leaf at `index`, below the tree's size."""
        return inclusion_proof(self.read, index, self.checkpoint.size)


def checkpoint(session: Session) -> str:
    """Return the newest published checkpoint, a note: signed, and cosigned as the policy asks.

    Raises:
        NotFoundError: there is none yet.
    """
    published = select(func.max(LogState.published_size)).scalar_subquery()
    return _newest(session, _NOTES.where(LogCheckpoint.size <= published))


def signed_tree(session: Session) -> SignedTree:
    """Return the published tree, to make proofs from.

    Raises:
        NotFoundError: there is none yet.
    """
    return _tree(session, checkpoint(session))


def newest_tree(session: Session) -> SignedTree:
    """Return the tree that was signed last, which witnesses may not have seen yet.

    Raises:
        NotFoundError: the integrator has not run yet.
    """
    return _tree(session, _newest(session, _NOTES))


def tree_to_cosign(session: Session) -> SignedTree:
    """Return the tree that witnesses are to be asked for.

    The newest that one of them has cosigned and that is not published yet, else the newest: while
    the log grows, all of them must be asked for the same one, or no tree ever has enough.

    Raises:
        NotFoundError: the integrator has not run yet.
    """
    published = select(func.max(LogState.published_size)).scalar_subquery()
    begun = _NOTES.where(LogCheckpoint.size > published, LogCheckpoint.cosignatures != "")
    try:
        return _tree(session, _newest(session, begun))
    except NotFoundError:
        return newest_tree(session)


def _newest(session: Session, notes: Select[*tuple[Any, ...]]) -> str:
    row = session.execute(notes.order_by(LogCheckpoint.size.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFoundError
    note: str = row.note + row.cosignatures
    return note


def _tree(session: Session, note: str) -> SignedTree:
    signed = Checkpoint.from_text(note.partition("\n\n")[0] + "\n")
    return SignedTree(note, signed, tile_reader(Tiles(session).read_tile, signed.size))


def tile(session: Session, path: str) -> bytes:
    """Return the tile or entry bundle at a C2SP tlog-tiles path, such as `tile/0/x001/067`.

    Raises:
        NotFoundError: it is no such path, or the tree does not reach so far.
    """
    tiles = Tiles(session)
    try:
        found = parse_path(path)
        return tiles.read_tile(found) if isinstance(found, TileId) else tiles.read_bundle(found)
    except MalformedError as exc:
        raise NotFoundError from exc


def find(session: Session, bucket: int, reference: EntryRef) -> LoggedEvent:
    """Return one event by stream and number.

    Raises:
        NotFoundError: there is none.
    """
    query = _events().where(
        Event.bucket == bucket, Event.stream == reference.stream, Event.seq == reference.seq
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError
    return _event(row)


def of_vault(session: Session, bucket: int, vault_id: UUID, event_id: UUID) -> LoggedEvent:
    """Return one event of a vault or its grants by its id.

    Raises:
        NotFoundError: there is none, or it is another vault's.
    """
    query = _events().where(
        Event.bucket == bucket, Event.id == event_id, Event.vault_id == vault_id
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError
    return _event(row)


def prove(session: Session, bucket: int, reference: EntryRef) -> Proof | None:
    """Return the proof that an entry is in the signed tree, with its opening as `extra`.

    Returns:
        None while the entry waits for the integrator: ask again within seconds.

    Raises:
        NotFoundError: there is no such entry, or its public part was erased.
    """
    tree, event = signed_tree(session), find(session, bucket, reference)
    if event.opening is None:
        raise NotFoundError
    if event.index is None or event.index >= tree.checkpoint.size:
        return None
    extra = canonical_bytes(event.opening.to_dict())
    return Proof(event.index, tuple(tree.inclusion(event.index)), tree.note, extra)


def extension(session: Session, old_size: int, new_size: int) -> list[bytes]:
    """Return the proof that the tree of `new_size` extends the one of `old_size` (RFC 6962 2.1.2).

    Raises:
        NotFoundError: there is or was no such tree.
    """
    tree = signed_tree(session)
    if not 0 <= old_size <= new_size <= tree.checkpoint.size:
        raise NotFoundError
    return consistency_proof(tree.read, old_size, new_size)


def stream_events(
    session: Session, bucket: int, stream: str, *, first: int = 1, last: int | None = None
) -> Iterator[LoggedEvent]:
    """Yield a stream's events in order, from number `first` to `last`, both inclusive."""
    query = _events().where(Event.bucket == bucket, Event.stream == stream, Event.seq >= first)
    if last is not None:
        query = query.where(Event.seq <= last)
    for row in session.execute(query.order_by(Event.seq)):
        yield _event(row)


def vault_events(
    session: Session,
    bucket: int,
    vault_id: UUID,
    *,
    wanted: Wanted | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[LoggedEvent]:
    """Return what happened to a vault and its grants, newest first.

    Args:
        session: of a read transaction.
        bucket: of the vault.
        vault_id: whose events.
        wanted: which of them; None: all.
        before: the `id` of the last event of the page before; None for the first page.
        limit: at most so many.
    """
    query = _events().where(Event.bucket == bucket, Event.vault_id == vault_id)
    if wanted is not None:
        query = query.where(*wanted.conditions())
    if before is not None:
        query = query.where(Event.id < before)
    rows = session.execute(query.order_by(Event.id.desc()).limit(limit))
    return [_event(row) for row in rows]


def _events() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Event.bucket,
            Event.id,
            Event.name,
            Event.at,
            Event.stream,
            Event.seq,
            Event.vault_id,
            Event.grant_id,
            Event.c_pub,
            Event.c_priv,
            EventErasure.rule,
            EventPayload.pub,
            EventPayload.r_pub,
            EventPayload.priv_box,
            EventPayload.priv_key,
            LogEntry.index,
        )
        .outerjoin(
            EventPayload,
            and_(EventPayload.bucket == Event.bucket, EventPayload.event_id == Event.id),
        )
        .outerjoin(LogEntry, and_(LogEntry.bucket == Event.bucket, LogEntry.event_id == Event.id))
        .outerjoin(
            EventErasure,
            and_(EventErasure.bucket == Event.bucket, EventErasure.event_id == Event.id),
        )
    )


def _event(row: Row[*tuple[Any, ...]]) -> LoggedEvent:
    opening = None
    if row.pub is not None:
        opening = PublicOpening(PublicPart.from_dict(parse(row.pub)), row.r_pub, row.c_priv)
    kind: PrivateKeyKind = row.priv_key or "none"
    return LoggedEvent(
        bucket=row.bucket,
        id=row.id,
        name=row.name,
        at=row.at,
        ref=EntryRef(row.stream, row.seq),
        vault_id=row.vault_id,
        grant_id=row.grant_id,
        opening=opening,
        sealed=SealedPrivate(row.c_priv, row.priv_box, kind),
        # A column called index would be the row's own method.
        index=row._mapping[LogEntry.index],  # noqa: SLF001 - SQLAlchemy's public name for it
        erased_by=row.rule,
        leaf_hash=leaf_hash(entry_bytes(row.c_pub, row.c_priv)),
    )
