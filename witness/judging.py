"""Whether a checkpoint is cosigned: the rules of tlog-witness, in its order, without effects.

400 the request has no such form, or the old size exceeds the new       404 the origin is unknown
403 no trusted key of the origin has signed, or its signature is wrong
409 the old size is not that of the tree cosigned last: the answer says which is
422 the empty tree has another root; the proof does not lead from the old tree to the new one
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consent.formats.checkpoint import Checkpoint, OpenedCheckpoint, open_checkpoint
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.merkle import EMPTY_ROOT, verify_consistency
from consent.formats.note import Verifier
from consent.formats.witnessing import SIZE_TYPE, AddCheckpoint, size_body

TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: an HTTP status and a text."""

    status: int
    body: str
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class Tree:
    """The size and root that were cosigned last; at first the empty tree."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a checkpoint that its log has signed is not cosigned.

    Attributes:
        answer: for whoever asked.
        evidence: `fork`, when the log has signed two roots for one size; `unproved`, when the tree
            was not shown to extend the last one, which a wrong proof by anybody brings about; None
            when it shows nothing about the log.
    """

    answer: Answer
    evidence: str | None = None


def read_request(body: bytes) -> AddCheckpoint | Answer:
    """Read the body of a request, and enough of its checkpoint to know the log."""
    try:
        request = AddCheckpoint.from_text(body.decode("utf-8"))
        origin_of(request)
    except (UnicodeDecodeError, MalformedError):
        return Answer(400, "not a request of tlog-witness\n")
    return request


def origin_of(request: AddCheckpoint) -> str:
    """Return the origin that a checkpoint names; nothing is verified yet.

    Raises:
        MalformedError: it is no checkpoint.
    """
    return Checkpoint.from_text(request.checkpoint.rpartition("\n\n")[0] + "\n").origin


def open_signed(request: AddCheckpoint, keys: Sequence[Verifier]) -> OpenedCheckpoint | Answer:
    """Verify that the log has signed; `keys` are those trusted for the origin."""
    if not keys:
        return Answer(404, "unknown origin\n")
    try:
        opened = open_checkpoint(request.checkpoint, log_keys=keys)
    except VerificationError:
        return Answer(403, "no valid signature by a trusted key of this origin\n")
    except MalformedError:
        return Answer(400, "not a checkpoint\n")
    if request.old_size > opened.checkpoint.size:
        return Answer(400, "the old size exceeds that of the checkpoint\n")
    return opened


def judge(request: AddCheckpoint, new: Checkpoint, last: Tree) -> Refusal | None:
    """Say why a checkpoint that the log has signed must not be cosigned; None if it may be."""
    forked = new.size == last.size and new.root != last.root
    evidence = "fork" if forked else None
    if request.old_size != last.size:
        return Refusal(Answer(409, size_body(last.size), SIZE_TYPE), evidence)
    if new.size == 0 and new.root != EMPTY_ROOT:
        return Refusal(Answer(422, "the root of an empty tree is another\n"), "fork")
    try:
        verify_consistency(
            old_size=last.size,
            old_root=last.root,
            new_size=new.size,
            new_root=new.root,
            proof=request.proof,
        )
    except FormatError:
        answer = Answer(422, "the tree is not proved to extend the one cosigned last\n")
        return Refusal(answer, evidence or "unproved")
    return None
