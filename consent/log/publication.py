"""Which checkpoints are given out, how long the newest has waited, and the halt of a log.

A checkpoint is signed by the integrator, cosigned by witnesses, and published once those are
enough (LOG-5). Everything that is proved to anybody is proved in the published tree. When somebody
holds a checkpoint of ours that our own tree contradicts, an older database was restored, or
someone signs with our key: then nothing may be written any more (LOG-22).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from consent.errors import LogHaltedError, LogStalledError
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.errors import FormatError
from consent.formats.merkle import root_at
from consent.formats.note import Verifier
from consent.formats.witness_policy import Policy
from consent.log import reader
from consent.models import LogCheckpoint, LogPending, LogState
from pds.errors import NotFoundError
from pds.ids import created_at


def add_cosignature(
    session: Session, size: int, line: str, *, log_key: Verifier, policy: Policy
) -> bool:
    """Keep a witness's signature line beside a checkpoint; publish it if that was the last needed.

    Args:
        session: of a write job.
        size: of the checkpoint's tree.
        line: a verified signature line, with its newline.
        log_key: the log's own.
        policy: what is enough.

    Returns:
        Whether the checkpoint is published.
    """
    query = select(LogCheckpoint).where(LogCheckpoint.size == size).with_for_update()
    found = session.scalars(query).one_or_none()
    if found is None:
        return False
    if line not in found.cosignatures:
        found.cosignatures += line
        session.flush()  # the note is read again below
    if not policy.quorum.met_by(cosigned_by(found.note + found.cosignatures, log_key, policy)):
        return False
    session.execute(
        update(LogState)
        .where(LogState.origin == log_key.name, LogState.published_size < size)
        .values(published_size=size)
    )
    return True


def cosigned_by(note: str, log_key: Verifier, policy: Policy) -> set[bytes]:
    """Return the public keys of the policy's witnesses that have cosigned a checkpoint."""
    keys = [each.key for each in policy.witnesses]
    opened = open_checkpoint(note, log_keys=[log_key], witnesses=keys)
    signed = {(each.name, each.key_id) for each in opened.note.signatures}
    return {key.public_key for key in keys if (key.name, key.key_id) in signed}


def behind_for(session: Session, *, now: datetime) -> timedelta:
    """Return how long the oldest entry has waited to be in a published tree (LOG-21).

    It counts from when the entry was written, while the integrator has not placed it, and from when
    its tree was signed, while witnesses have not cosigned that.
    """
    published = select(func.max(LogState.published_size)).scalar_subquery()
    unpublished = select(func.min(LogCheckpoint.signed_at)).where(LogCheckpoint.size > published)
    # PostgreSQL has no min() of UUIDs.
    oldest = session.scalar(select(LogPending.event_id).order_by(LogPending.event_id).limit(1))
    since = [session.scalar(unpublished), None if oldest is None else created_at(oldest)]
    return max((now - each for each in since if each is not None), default=timedelta())


def require_fresh(session: Session, *, now: datetime, within: timedelta) -> None:
    """Refuse what may not be done while the log stands still; `within` zero never refuses.

    Raises:
        LogStalledError: the oldest entry waits for longer.
    """
    if within and behind_for(session, now=now) > within:
        raise LogStalledError


def contradiction(session: Session, note: str, *, log_key: Verifier) -> str | None:
    """Say how a checkpoint that our key signed contradicts our own tree; None if it does not.

    Args:
        session: of a read transaction that began after the checkpoint was received.
        note: a checkpoint that somebody holds; what our key did not sign contradicts nothing.
        log_key: the log's own.
    """
    try:
        held = open_checkpoint(note, log_keys=[log_key]).checkpoint
    except FormatError:
        return None
    try:
        tree = reader.newest_tree(session)
    except NotFoundError:
        return _behind(held, 0) if held.size else None
    if held.size > tree.checkpoint.size:
        return _behind(held, tree.checkpoint.size)
    try:
        root = root_at(tree.read, held.size)
    except FormatError:
        return f"the tiles do not reach to the tree of size {held.size}"
    if root != held.root:
        return f"another tree of size {held.size} carries our signature: the log has forked"
    return None


def halt(session: Session, origin: str, reason: str) -> None:
    """Write down that nothing is to be written any more, until a restore epoch begins."""
    session.execute(update(LogState).where(LogState.origin == origin).values(halted=reason))


def halted(session: Session) -> str | None:
    """Return why the log is halted; None while it is not."""
    return session.scalar(select(LogState.halted).where(LogState.halted.is_not(None)).limit(1))


def require_going(session: Session) -> None:
    """Refuse to work on a log that is halted.

    Raises:
        LogHaltedError: it is; the message says why.
    """
    reason = halted(session)
    if reason is not None:
        raise LogHaltedError(reason)


def _behind(held: Checkpoint, size: int) -> str:
    return (
        f"a checkpoint of size {held.size} carries our signature, and the database ends at {size}:"
        " an older state was restored"
    )
