"""From waiting leaves to a signed tree (LOG-2, LOG-3, LOG-14).

One write job takes a batch of what waits, gives it the next indices, writes tiles and entries, and
signs the checkpoint of the larger tree: all of it or nothing, so a crash at any step leaves the log
as it was. It takes what *is there*, never what comes after a remembered id: an event that began
early and committed late would be skipped for ever.

Nothing is signed that does not provably extend what was signed before. Both the last checkpoint
and the tiles are checked for that on every run, so that a row altered by whoever can write to the
store stops the log instead of making it sign a second history.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from consent.errors import LogHaltedError, LogInconsistentError
from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.errors import FormatError
from consent.formats.leaf import LEAF_VERSION
from consent.formats.merkle import EMPTY_ROOT, consistency_proof, verify_consistency
from consent.formats.note import Signer
from consent.formats.tiles import Growth, grow, tile_reader
from consent.log import leases
from consent.log.rows import Waiting, insert_if_absent, insert_places, take_waiting
from consent.log.tiles import Tiles, write_growth
from consent.models import LogCheckpoint, LogState
from pds.store import connection_of

# One tile. Larger batches cost half as much a leaf, but whoever writes to SQLite waits for one:
# measured 10 ms for 256 leaves.
BATCH = 256

# Made once, and sent without the session: its way takes longer than the store does.
_OURS = LogState.origin == bindparam("of")
_LOCK = (
    select(LogState.size, LogState.root, LogState.published_size, LogState.halted)
    .where(_OURS)
    .with_for_update()
)
_PUBLISH = update(LogState).where(_OURS).values(published_size=bindparam("published"))
_MOVE = (
    update(LogState)
    .where(_OURS, LogState.size == bindparam("old_size"), LogState.root == bindparam("old_root"))
    .values(size=bindparam("new_size"), root=bindparam("new_root"))
    .returning(LogState.size)
)
_LAST = select(LogCheckpoint.note).order_by(LogCheckpoint.size.desc()).limit(1)
_SIGN = insert(LogCheckpoint)


def integrate(
    session: Session,
    *,
    origin: str,
    signer: Signer,
    now: datetime,
    holder_epoch: int,
    limit: int = BATCH,
    publish: bool = True,
) -> int:
    """Place up to `limit` waiting leaves and sign the tree; the first run signs the empty one.

    Args:
        session: of a write job.
        origin: the log's origin, which is also the name of `signer`.
        signer: the log's key.
        now: kept beside the checkpoint; nothing rests on it.
        holder_epoch: of the lease `leases.WORKER`, under which the caller works.
        limit: at most so many leaves; it bounds how long the job holds its locks.
        publish: give the tree out at once; False where witnesses are to cosign it first.

    Returns:
        How many were placed; fewer than `limit` when nothing waits any more.

    Raises:
        LeaseLostError: another process works now.
        LogInconsistentError: tiles, state and last checkpoint contradict each other.
        LogHaltedError: somebody holds a checkpoint that contradicts this tree.
    """
    leases.check(session, leases.WORKER, epoch=holder_epoch)
    old, published = _lock_state(session, origin)
    last = _last_checkpoint(session, origin, signer)
    waiting = take_waiting(connection_of(session), limit)
    if last is not None and not waiting:
        if publish and published < old.size:
            _publish(session, origin, old.size)
        return 0
    try:
        growth = _grow(session, old, last, [commitment for _, _, commitment in waiting])
    except FormatError as exc:
        raise LogInconsistentError(f"the log of {old.size} leaves cannot grow: {exc}") from exc
    _write(session, origin, old, growth, waiting)
    note = sign_checkpoint(Checkpoint(origin, growth.new_size, growth.root), [signer])
    signed = {"size": growth.new_size, "note": note, "signed_at": now, "cosignatures": ""}
    connection_of(session).execute(_SIGN, signed)
    if publish:
        _publish(session, origin, growth.new_size)
    return len(waiting)


def _lock_state(session: Session, origin: str) -> tuple[Checkpoint, int]:
    # -1: no checkpoint is published, not even that of the empty tree.
    row = {"origin": origin, "size": 0, "root": EMPTY_ROOT, "published_size": -1}
    insert_if_absent(session, LogState, row)
    state = connection_of(session).execute(_LOCK, {"of": origin}).one()
    if state.halted is not None:
        raise LogHaltedError(state.halted)
    return Checkpoint(origin, state.size, state.root), state.published_size


def _publish(session: Session, origin: str, size: int) -> None:
    connection_of(session).execute(_PUBLISH, {"of": origin, "published": size})


def _last_checkpoint(session: Session, origin: str, signer: Signer) -> Checkpoint | None:
    note = connection_of(session).scalar(_LAST)
    if note is None:
        return None
    try:
        opened = open_checkpoint(note, log_keys=[signer.verifier]).checkpoint
    except FormatError as exc:
        raise LogInconsistentError(f"the last checkpoint is not ours: {exc}") from exc
    if opened.origin != origin:
        raise LogInconsistentError("the last checkpoint is of another log")
    return opened


def _grow(
    session: Session, old: Checkpoint, last: Checkpoint | None, commitments: Sequence[bytes]
) -> Growth:
    if (old.size, old.root) != ((last.size, last.root) if last else (0, EMPTY_ROOT)):
        raise LogInconsistentError("the tree is not the one that was signed last")
    tiles = Tiles(session)
    entries = [bytes([LEAF_VERSION]) + commitment for commitment in commitments]
    growth = grow(tiles.read_tile, tiles.read_bundle, old.size, entries)
    # The tiles are what the new root was made of, so they are what must lead back to the old one.
    tiles.add(growth)
    read = tile_reader(tiles.read_tile, growth.new_size)
    verify_consistency(
        old_size=old.size,
        old_root=old.root,
        new_size=growth.new_size,
        new_root=growth.root,
        proof=consistency_proof(read, old.size, growth.new_size),
    )
    return growth


def _write(
    session: Session, origin: str, old: Checkpoint, growth: Growth, waiting: Sequence[Waiting]
) -> None:
    connection = connection_of(session)
    write_growth(session, growth)
    if waiting:
        insert_places(connection, old.size, waiting)
    known = {"of": origin, "old_size": old.size, "old_root": old.root}
    new = {"new_size": growth.new_size, "new_root": growth.root}
    moved = connection.scalar(_MOVE, known | new)
    if moved is None:
        raise LogInconsistentError("the tree grew under our hands")
