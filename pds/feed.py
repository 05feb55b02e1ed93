"""Reading a vault on behalf of a grant: changes after a position, filtered to what is agreed.

The hot path (design section 4, steps 4 and 5). Plain rows, no ORM. A row is passed over unless an
agreed attribute of it changed after `base`; where the last agreed attribute went, the record is
told as deleted; deletions and edits outside the agreement stay unseen (P-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select

from pds.models import Record
from pds.record_boxes import Author, Changes, Data, RecordContext, open_record
from pds.store import Sender

# How far one answer may look past rows that hold nothing for its reader. It must not tell how many
# such rows there are, so it goes on rather than return an empty page, within this bound.
_MOST_ROWS = 5_000

_COLUMNS = (
    Record.id,
    Record.collection,
    Record.version,
    Record.seq,
    Record.author_kind,
    Record.author_id,
    Record.deleted,
    Record.key_version,
    Record.box,
)
_ROWS = (
    select(*_COLUMNS)
    .where(
        Record.bucket == bindparam("bucket"),
        Record.vault_id == bindparam("vault_id"),
        Record.collection.in_(bindparam("collections", expanding=True)),
        Record.seq > bindparam("position"),
    )
    .order_by(Record.seq)
    .limit(bindparam("row_limit"))
)
_ONE = select(*_COLUMNS).where(
    Record.bucket == bindparam("bucket"),
    Record.vault_id == bindparam("vault_id"),
    Record.id == bindparam("record_id"),
)


@dataclass(frozen=True, slots=True)
class CollectionView:
    """What a grant sees of one collection.

    `agreed` are the agreed attributes, `names` those and the companions that go with them; `keep`
    filters and coarsens a record's data; `from_value` is the fixed start of the agreed data range.
    `records` are the records that were chosen, None for all; `only_primary` leaves all but the main
    one out (P-26).
    """

    agreed: frozenset[str]
    names: frozenset[str]
    keep: Callable[[Mapping[str, object]], Data]
    range_field: str | None = None
    from_value: str | None = None
    records: frozenset[UUID] | None = None
    only_primary: bool = False


@dataclass(frozen=True, slots=True)
class GrantView:
    """What a grant sees of a vault, with the keys it holds for that.

    `record_keys` maps (collection, key version) to the record key; a version that is missing is
    one the grant does not hold, and its rows are not for it.
    """

    deployment: bytes
    bucket: int
    vault_id: UUID
    collections: Mapping[str, CollectionView]
    record_keys: Mapping[tuple[str, int], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One record as the grant sees it; `times_changed` counts changes of what it may see.

    `version` and `box_sha256`, in hex, say which row it was read from: for the owner's part of the
    log, never for the reader (P-22).
    """

    id: UUID
    collection: str
    version: int
    box_sha256: str
    seq: int
    deleted: bool
    times_changed: int
    changed_second: int  # seconds since the epoch
    author: Author
    data: Data = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in the order of the vault's sequence, and where the next page begins."""

    changes: list[Change]
    position: int
    has_more: bool


def read_page(
    sender: Sender,
    view: GrantView,
    *,
    base: int,
    position: int,
    began: int,
    upto: int,
    limit: int,
) -> Page:
    """Return up to `limit` changes after `position`.

    Args:
        sender: of a read.
        view: what the grant sees.
        base: the sequence number at which the reader was up to date; only what changed since is
            news. It stays the same over the pages of one fetch, while `position` moves.
        position: the sequence number that the last page ended with.
        began: the vault's sequence number when this fetch began: what went since may have been on
            an earlier page of it.
        upto: the vault's sequence number, read before; where the last page ends.
        limit: at most so many changes.
    """
    found: list[Change] = []
    looked_at = 0
    while looked_at < _MOST_ROWS:
        rows = sender.execute(
            _ROWS,
            {
                "bucket": view.bucket,
                "vault_id": view.vault_id,
                "collections": list(view.collections),
                "position": position,
                "row_limit": limit + 1,
            },
        ).all()
        looked_at += len(rows)
        for row in rows:
            if len(found) == limit:
                return Page(found, position, has_more=True)
            change = _change(row, view, base, began)
            if change is not None:
                found.append(change)
            position = row.seq
        if len(rows) <= limit:
            return Page(found, max(position, upto), has_more=False)
    return Page(found, position, has_more=True)


def read_one(sender: Sender, view: GrantView, record_id: UUID) -> Change | None:
    """Return one record as the grant sees it; None if it sees nothing of it."""
    row = sender.execute(
        _ONE, {"bucket": view.bucket, "vault_id": view.vault_id, "record_id": record_id}
    ).one_or_none()
    if row is None or row.deleted or row.collection not in view.collections:
        return None
    return _change(row, view, 0, row.seq)


def _change(row: Row[*tuple[Any, ...]], view: GrantView, base: int, began: int) -> Change | None:
    key = view.record_keys.get((row.collection, row.key_version))
    if key is None:
        return None
    collection = view.collections[row.collection]
    if collection.records is not None and row.id not in collection.records:
        return None
    author = Author(row.author_kind, row.author_id)
    context = RecordContext(
        view.deployment, view.vault_id, row.collection, row.id, row.version, author, row.deleted
    )
    data, changes = open_record(key, row.box, context)
    visible = {name: changes[name] for name in collection.names if name in changes}
    # A record that never held an agreed attribute is none of this reader's business, whatever
    # happens to its companions.
    if not any(change[0] > base for change in visible.values()) or not (
        collection.agreed & visible.keys()
    ):
        return None
    is_shared = _is_shared(collection, data)
    # Edits and deletions outside the agreement stay unseen (P-22).
    if not is_shared and not _may_have_been_shared(collection, changes, base):
        return None
    kept = collection.keep(data) if is_shared else {}
    # Whoever starts from nothing is not told of what was gone by then.
    if not kept and base == 0 and row.seq <= began:
        return None
    return _told(row, author, kept, visible)


def _told(row: Row[*tuple[Any, ...]], author: Author, kept: Data, visible: Changes) -> Change:
    return Change(
        id=row.id,
        collection=row.collection,
        version=row.version,
        box_sha256=hashlib.sha256(row.box).hexdigest(),
        seq=row.seq,
        deleted=not kept,
        times_changed=sum(change[1] for change in visible.values()),
        changed_second=max(change[2] for change in visible.values()),
        author=author,
        data=kept,
    )


def _is_shared(collection: CollectionView, data: Data) -> bool:
    if collection.only_primary and data.get("primary") is not True:
        return False
    if collection.range_field is None or collection.from_value is None:
        return True
    value = data.get(collection.range_field)
    return isinstance(value, str) and value >= collection.from_value


def _may_have_been_shared(collection: CollectionView, changes: Changes, base: int) -> bool:
    """Tell whether what decides on sharing a record changed, not for the first time, after `base`.

    If it did not, the record was as little shared at `base` as now, and its reader knows nothing
    of it.
    """
    decisive = ("primary",) if collection.only_primary else ()
    if collection.from_value is not None and collection.range_field is not None:
        decisive = (*decisive, collection.range_field)
    found = [changes[name] for name in decisive if name in changes]
    return any(change[0] > base and change[1] > 1 for change in found)
