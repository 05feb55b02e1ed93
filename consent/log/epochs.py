"""A restore epoch: how a log goes on after an older state of it was restored (LOG-22).

The tree of the epoch before is given up, because others hold a later one. A new tree begins, under
a new origin. Its first leaf commits to the last checkpoint that anybody holds
(`consent.formats.epochs`); then every entry that the restored state had is placed anew, in a new
place, with its commitment unchanged. So every proof can be had again, and what is missing between
the two is what the restored state did not have: streams and receipts name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from consent.auditing import alerts
from consent.auditing.models import SearchableEvent
from consent.errors import LogInconsistentError
from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.epochs import first_entry
from consent.formats.errors import FormatError
from consent.formats.leaf import LEAF_VERSION
from consent.formats.note import Signer, Verifier
from consent.formats.proof import Proof
from consent.formats.tiles import TILE_WIDTH, BundleId, TileId, decode_bundle, grow
from consent.log import reader
from consent.log.tiles import Tiles, write_growth
from consent.models import LogCheckpoint, LogEntry, LogPending, LogState, LogTile
from pds.errors import NotFoundError


def begin(
    session: Session, last: str, *, before: Verifier, signer: Signer, publish: bool, now: datetime
) -> int:
    """Begin an epoch that continues the log from the last checkpoint that anybody holds.

    Args:
        session: of a write job, while no server of the instance runs.
        last: that checkpoint, a note.
        before: the key of the epoch before.
        signer: the key of the new one; its name is the new origin.
        publish: give the new tree out at once; False where witnesses are to cosign it first.
        now: kept beside the first checkpoint.

    Returns:
        How many entries the restored state had; they wait to be placed anew.

    Raises:
        MalformedError: the checkpoint is none.
        VerificationError: the key of the epoch before has not signed it.
        LogInconsistentError: the tree of the restored state is damaged.
        NotFoundError: the database holds no log of the epoch before.
    """
    open_checkpoint(last, log_keys=[before])
    query = select(LogState).where(LogState.origin == before.name).with_for_update()
    state = session.scalars(query).one_or_none()
    if state is None:
        raise NotFoundError
    count = 0
    for bundle in _bundles(session, state.size):
        session.execute(insert(LogPending), bundle)
        count += len(bundle)
    alerts.set_aside_reviews(session, size=state.size)
    # What auditors search follows the places, so it is made anew as well.
    for table in (SearchableEvent, LogTile, LogEntry, LogCheckpoint, LogState):
        session.execute(delete(table))
    growth = grow(_no_tile, _no_tile, 0, [first_entry(last)])
    write_growth(session, growth)
    origin, size = signer.name, growth.new_size
    session.execute(
        insert(LogState).values(
            origin=origin,
            size=size,
            root=growth.root,
            published_size=size if publish else -1,
            continues=last,
        )
    )
    note = sign_checkpoint(Checkpoint(origin, size, growth.root), [signer])
    signed = {"size": size, "note": note, "signed_at": now, "cosignatures": ""}
    session.execute(insert(LogCheckpoint).values(signed))
    return count


def continuation(session: Session) -> Proof:
    """Return the proof of an epoch's first entry, with the checkpoint that it continues as `extra`.

    Raises:
        NotFoundError: it is the first epoch, or nothing is published yet.
    """
    continues = session.scalar(select(LogState.continues))
    if continues is None:
        raise NotFoundError
    tree = reader.signed_tree(session)
    return Proof(0, tuple(tree.inclusion(0)), tree.note, continues.encode("utf-8"))


def _bundles(session: Session, size: int) -> Iterator[list[dict[str, object]]]:
    tiles = Tiles(session)
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        try:
            entries = decode_bundle(tiles.read_bundle(BundleId(first // TILE_WIDTH, width)))
        except FormatError as exc:
            raise LogInconsistentError(f"the entries after {first} are damaged: {exc}") from exc
        query = (
            select(LogEntry.index, LogEntry.bucket, LogEntry.event_id)
            .where(LogEntry.index >= first, LogEntry.index < first + width)
            .order_by(LogEntry.index)
        )
        # The first entry of a later epoch has no event, and is of no use in the next one.
        rows = [
            {"bucket": bucket, "event_id": event_id, "commitment": entries[index - first][1:]}
            for index, bucket, event_id in session.execute(query)
        ]
        if len(rows) != sum(entry[0] == LEAF_VERSION for entry in entries):
            raise LogInconsistentError(f"the entries after {first} have lost their events")
        if rows:
            yield rows


def _no_tile(_place: TileId | BundleId) -> bytes:
    raise AssertionError("a new tree reads nothing")
