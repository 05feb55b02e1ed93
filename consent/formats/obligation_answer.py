"""The obligation answer: an organisation states what became of a duty other than deletion.

    {"type": "pds-obligation-answer/1", "obligation", "agreement",
     "kind": "stop" | "notify" | "correct" | "erase",
     "outcome": "done" | "retained", "reason", "answered_at", "proof": {"jws"}}

Signed with the organisation's key in the manner of `jws`. It proves what was stated and by whom,
not that it is true. Deletion has a form of its own: `deletion_receipt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import fields, jws
from consent.formats.canonical import JSONValue
from consent.formats.errors import MalformedError
from consent.formats.shapes import matching, nullable, one_of, shape

TYPE = "pds-obligation-answer"
VERSION = f"{TYPE}/1"


class Kind(StrEnum):
    """What was owed."""

    STOP = "stop"  # no longer use what was received
    NOTIFY = "notify"  # tell those to whom it was passed on (GDPR Art. 19)
    CORRECT = "correct"  # take over what the vault says now (GDPR Art. 16)
    ERASE = "erase"  # delete what is held while the agreement goes on (GDPR Art. 17)


class Outcome(StrEnum):
    """It was done, or there is a legal ground not to do it."""

    DONE = "done"
    RETAINED = "retained"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What an answer states.

    Attributes:
        obligation: its id.
        agreement: id of the agreement that ended, or under which it was asked.
        kind: what was owed.
        outcome: done, or retained.
        reason: code of the legal ground, such as `legal_hold`; None when done.
        answered_at: RFC 3339 in UTC with Z, whole seconds.
    """

    obligation: str
    agreement: str
    kind: Kind
    outcome: Outcome
    reason: str | None
    answered_at: str


_ANSWER = shape(
    {
        "type": one_of(VERSION),
        "obligation": fields.text,
        "agreement": fields.text,
        "kind": one_of(*(kind.value for kind in Kind)),
        "outcome": one_of(*(outcome.value for outcome in Outcome)),
        "reason": nullable(matching(r"[a-z][a-z0-9_]{0,63}", "a reason code")),
        "answered_at": fields.instant,
    }
)


def build(facts: AnswerFacts) -> dict[str, JSONValue]:
    """Return the unsigned answer.

    Raises:
        MalformedError: a field breaks the form, or they contradict each other.
    """
    answer: dict[str, JSONValue] = {
        "type": VERSION,
        "obligation": facts.obligation,
        "agreement": facts.agreement,
        "kind": facts.kind.value,
        "outcome": facts.outcome.value,
        "reason": facts.reason,
        "answered_at": facts.answered_at,
    }
    check(answer)
    return answer


def sign(answer: Mapping[str, JSONValue], key: Ed25519PrivateKey, kid: str) -> dict[str, JSONValue]:
    """Return the answer with its proof; `kid` names the organisation's key.

    Raises:
        MalformedError: it is no obligation answer, or is signed already.
    """
    signed = jws.sign(answer, key, kid=kid, typ=TYPE)
    check(answer)
    return signed


def verify(answer: object, keys: Mapping[str, bytes]) -> None:
    """Check a signed answer: signature and form.

    Args:
        answer: what `sign` returned.
        keys: the organisation's 32-byte Ed25519 public keys by key id.

    Raises:
        MalformedError: it is no signed obligation answer.
        VerificationError: its key is not among `keys`, or the signature is wrong.
    """
    check(jws.verify(answer, keys, typ=TYPE))


def check(answer: object) -> None:
    """Check the form of an unsigned answer, and that it does not contradict itself.

    Raises:
        MalformedError: the form is broken; the message says where.
    """
    _ANSWER(answer, "answer")
    found = fields.mapping(answer, "answer")
    if (found["outcome"] == Outcome.RETAINED) != (found["reason"] is not None):
        raise MalformedError("answer: retained comes with a reason, done without one")
