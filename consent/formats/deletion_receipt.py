"""The deletion receipt: an organisation states what became of what it had received.

    {"type": "pds-deletion-receipt/1", "connection", "agreement", "requested_at", "erased_at",
     "outcome": "erased" | "blocked", "reason", "items": [{"collection", "attributes": count}],
     "connector", "verified_by_reread", "proof": {"jws"}}

Signed with the organisation's key in the manner of `jws`. It proves what was stated and by whom,
not that it is true. It counts attributes and holds no value and no record id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats import fields, jws
from consent.formats.canonical import JSONValue
from consent.formats.errors import MalformedError
from consent.formats.shapes import list_of, matching, natural, nullable, one_of, shape

TYPE = "pds-deletion-receipt"
VERSION = f"{TYPE}/1"


class Outcome(StrEnum):
    """Everything is gone, or something could not go."""

    ERASED = "erased"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionFacts:
    """What a deletion receipt states.

    Attributes:
        connection: id of the connection.
        agreement: id of the agreement that ended.
        requested_at: RFC 3339 in UTC with Z, whole seconds.
        erased_at: as above; None when blocked.
        outcome: erased or blocked.
        reason: code, such as `legal_hold`; None when erased.
        items: attributes erased, counted by collection.
        connector: name and version of the program.
        verified_by_reread: whether the values were looked for again afterwards; erased needs it.
    """

    connection: str
    agreement: str
    requested_at: str
    erased_at: str | None
    outcome: Outcome
    reason: str | None
    items: Mapping[str, int]
    connector: str
    verified_by_reread: bool


_RECEIPT = shape(
    {
        "type": one_of(VERSION),
        "connection": fields.text,
        "agreement": fields.text,
        "requested_at": fields.instant,
        "erased_at": nullable(fields.instant),
        "outcome": one_of(*(outcome.value for outcome in Outcome)),
        "reason": nullable(matching(r"[a-z][a-z0-9_]{0,63}", "a reason code")),
        "items": list_of(
            shape(
                {
                    "collection": matching(r"[a-z][a-z0-9_]*", "a collection's name"),
                    "attributes": natural,
                }
            )
        ),
        "connector": fields.text,
        "verified_by_reread": fields.boolean,
    }
)


def build(facts: DeletionFacts) -> dict[str, JSONValue]:
    """Return the unsigned receipt, its items in order of collection.

    Raises:
        MalformedError: a field breaks the form, or they contradict each other.
    """
    receipt: dict[str, JSONValue] = {
        "type": VERSION,
        "connection": facts.connection,
        "agreement": facts.agreement,
        "requested_at": facts.requested_at,
        "erased_at": facts.erased_at,
        "outcome": facts.outcome.value,
        "reason": facts.reason,
        "items": [
            {"collection": name, "attributes": count} for name, count in sorted(facts.items.items())
        ],
        "connector": facts.connector,
        "verified_by_reread": facts.verified_by_reread,
    }
    check(receipt)
    return receipt


def sign(
    receipt: Mapping[str, JSONValue], key: Ed25519PrivateKey, kid: str
) -> dict[str, JSONValue]:
    """Return the receipt with its proof; `kid` names the organisation's key.

    Raises:
        MalformedError: it is no deletion receipt, or is signed already.
    """
    signed = jws.sign(receipt, key, kid=kid, typ=TYPE)
    check(receipt)
    return signed


def verify(receipt: object, keys: Mapping[str, bytes]) -> None:
    """Check a signed deletion receipt: signature and form.

    Args:
        receipt: what `sign` returned.
        keys: the organisation's 32-byte Ed25519 public keys by key id.

    Raises:
        MalformedError: it is no signed deletion receipt.
        VerificationError: its key is not among `keys`, or the signature is wrong.
    """
    check(jws.verify(receipt, keys, typ=TYPE))


def check(receipt: object) -> None:
    """Check the form of an unsigned receipt, and that it does not contradict itself.

    Raises:
        MalformedError: the form is broken; the message says where.
    """
    _RECEIPT(receipt, "receipt")
    found = fields.mapping(receipt, "receipt")
    names = [
        fields.mapping(item, "items")["collection"]
        for item in fields.items(found["items"], "items")
    ]
    if len(set(names)) != len(names):
        raise MalformedError("receipt.items: names a collection twice")
    if found["outcome"] == Outcome.BLOCKED:
        if found["reason"] is None or found["erased_at"] is not None:
            raise MalformedError("receipt: blocked needs a reason and no time of erasure")
    elif found["reason"] is not None or not found["verified_by_reread"]:
        raise MalformedError("receipt: erased needs a re-read and no reason")
    elif str(found["erased_at"]) < str(found["requested_at"]) or found["erased_at"] is None:
        raise MalformedError("receipt: erased needs a time, not before the request")
