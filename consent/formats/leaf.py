"""The leaf: what the log says of an event, blinded (LOG-6, P-32).

    entry  = 0x01 || C                                            33 bytes
    C      = SHA-256("pds/leaf/1" || C_pub || C_priv)
    C_x    = HMAC-SHA-256(r_x, canonical bytes of part x)         r_x: 32 random bytes, for one leaf

Without r_x an entry says nothing of its event, however few values that could have had; with r_x
deleted it is noise that still verifies. Either part opens alone, with the commitment of the other.
The public part is for the auditor and has exactly the members of `PublicPart`; the private part is
the owner's, any object. An absent private part is the empty object.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consent.formats import fields
from consent.formats.canonical import JSONValue, canonical_bytes
from consent.formats.encoding import b64u
from consent.formats.errors import MalformedError, VerificationError

LEAF_VERSION = 0x01
ENTRY_BYTES = 33
BLINDING_BYTES = 32
COMMITMENT_BYTES = 32

_LABEL = b"pds/leaf/1"
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_CODE = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NAMES = (
    "event",
    "time",
    "stream",
    "seq",
    "client",
    "grant",
    "collections",
    "purpose",
    "agreement_sha256",
    "outcome",
    "count",
)


@dataclass(frozen=True, slots=True)
class PublicPart:
    """What an auditor may read of an event; no value of a record, nothing two grants share.

    Attributes:
        event: dotted name, such as `data.read`.
        time: RFC 3339 in UTC with Z, cut to the minute: the seconds are 00.
        stream: the stream's opaque name.
        seq: its number in the stream, from 1, without gaps.
        client: the OAuth client's id, if one acted.
        grant: the grant's id, if it concerns one.
        collections: names of the collections concerned.
        purpose: the agreement's purpose code.
        agreement_sha256: hex digest of the agreement's terms in force.
        outcome: "ok", or a reason code.
        count: records concerned.
    """

    event: str
    time: str
    stream: str
    seq: int
    client: str | None = None
    grant: str | None = None
    collections: tuple[str, ...] = ()
    purpose: str | None = None
    agreement_sha256: str | None = None
    outcome: str = "ok"
    count: int = 0

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object that is committed to, with every member.

        Raises:
            MalformedError: a member breaks the form.
        """
        value: dict[str, JSONValue] = {name: getattr(self, name) for name in _NAMES}
        value["collections"] = list(self.collections)
        return public_members(value)

    @classmethod
    def from_dict(cls, value: object, where: str = "pub") -> PublicPart:
        """Read the JSON object strictly: these members, all of them, no others.

        Raises:
            MalformedError: a member is missing, unknown or breaks the form; `where` begins its
                path.
        """
        found = public_members(value, where)
        return cls(**found | {"collections": tuple(found["collections"])})


def public_members(value: object, where: str = "pub") -> dict[str, Any]:
    """Return the members of a public part as they stand: these, all of them, no others.

    Raises:
        MalformedError: a member is missing, unknown or breaks the form; `where` begins its path.
    """
    found = fields.members(value, where, required=_NAMES)
    _matching(_EVENT, found["event"], f"{where}.event")
    _whole_minute(found["time"], f"{where}.time")
    fields.text(found["stream"], f"{where}.stream")
    fields.integer(found["seq"], f"{where}.seq", least=1)
    for name in ("client", "grant", "purpose"):
        fields.optional(fields.text, found[name], f"{where}.{name}")
    fields.distinct_texts(found["collections"], f"{where}.collections")
    fields.optional(fields.digest, found["agreement_sha256"], f"{where}.agreement_sha256")
    _matching(_CODE, found["outcome"], f"{where}.outcome")
    fields.integer(found["count"], f"{where}.count", least=0)
    return found


@dataclass(frozen=True, slots=True)
class Leaf:
    """A committed event: the 33-byte log entry and the two 32-byte commitments in it."""

    entry: bytes
    c_pub: bytes
    c_priv: bytes


@dataclass(frozen=True, slots=True)
class PublicOpening:
    """The public part of an event with what ties it to its entry: 32 bytes each."""

    pub: PublicPart
    r_pub: bytes
    c_priv: bytes

    def entry(self) -> bytes:
        """Return the 33-byte entry that this opens, if any log holds it.

        Raises:
            MalformedError: a member breaks the form.
        """
        return entry_bytes(commitment(self.pub.to_dict(), self.r_pub), self.c_priv)

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object {"pub", "r_pub", "c_priv"}; its bytes are base64url."""
        pub: JSONValue = self.pub.to_dict()
        return {"pub": pub, "r_pub": b64u(self.r_pub), "c_priv": b64u(self.c_priv)}

    @classmethod
    def from_dict(cls, value: object, where: str = "event") -> PublicOpening:
        """Invert `to_dict`.

        Raises:
            MalformedError: it does not have the form; `where` begins the path of what is wrong.
        """
        found = fields.members(value, where, required=("pub", "r_pub", "c_priv"))
        return cls(
            pub=PublicPart.from_dict(found["pub"], f"{where}.pub"),
            r_pub=fields.base64url_bytes(found["r_pub"], f"{where}.r_pub", length=BLINDING_BYTES),
            c_priv=fields.base64url_bytes(
                found["c_priv"], f"{where}.c_priv", length=COMMITMENT_BYTES
            ),
        )


def to_minute(at: datetime) -> str:
    """Return an aware instant as `PublicPart.time` wants it, cut to the minute in UTC.

    Raises:
        MalformedError: the instant has no time zone.
    """
    if at.tzinfo is None:
        raise MalformedError("an instant without time zone")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='minutes')}:00Z"


def commit(
    pub: PublicPart, priv: Mapping[str, object] | None, *, r_pub: bytes, r_priv: bytes
) -> Leaf:
    """Commit to an event's two parts.

    Args:
        pub: the public part.
        priv: the private part, a JSON object; None is the same as an empty one.
        r_pub: 32 fresh random bytes.
        r_priv: 32 other fresh random bytes, needed for an empty private part too.

    Raises:
        MalformedError: a part is not canonical JSON, or a blinding is not 32 bytes.
    """
    c_pub = commitment(pub.to_dict(), r_pub)
    c_priv = commitment(dict(priv or {}), r_priv)
    return Leaf(entry_bytes(c_pub, c_priv), c_pub, c_priv)


def commitment(part: object, blinding: bytes) -> bytes:
    """Return HMAC-SHA-256(blinding, canonical bytes of the part), 32 bytes.

    Raises:
        MalformedError: the part is not canonical JSON, or the blinding is not 32 bytes.
    """
    return commitment_to(canonical_bytes(part), blinding)


def commitment_to(written: bytes, blinding: bytes) -> bytes:
    """Return `commitment` of a part whose canonical bytes are at hand.

    Raises:
        MalformedError: the blinding is not 32 bytes.
    """
    if len(blinding) != BLINDING_BYTES:
        raise MalformedError(f"a blinding has {BLINDING_BYTES} bytes")
    return hmac.digest(blinding, written, "sha256")


def entry_bytes(c_pub: bytes, c_priv: bytes) -> bytes:
    """Return the 33-byte log entry over two commitments of 32 bytes.

    Raises:
        MalformedError: a commitment is not 32 bytes.
    """
    if len(c_pub) != COMMITMENT_BYTES or len(c_priv) != COMMITMENT_BYTES:
        raise MalformedError(f"a commitment has {COMMITMENT_BYTES} bytes")
    return bytes([LEAF_VERSION]) + hashlib.sha256(_LABEL + c_pub + c_priv).digest()


def open_public(entry: bytes, pub: object, *, r_pub: bytes, c_priv: bytes) -> PublicPart:
    """Check that `entry` commits to this public part, and return it.

    Raises:
        MalformedError: an input does not have its form.
        VerificationError: the entry commits to something else.
    """
    part = PublicPart.from_dict(pub)
    _check_entry(entry, commitment(pub, r_pub), c_priv)
    return part


def open_private(entry: bytes, priv: Mapping[str, object], *, r_priv: bytes, c_pub: bytes) -> None:
    """Check that `entry` commits to this private part.

    Raises:
        MalformedError: an input does not have its form.
        VerificationError: the entry commits to something else.
    """
    _check_entry(entry, c_pub, commitment(dict(priv), r_priv))


def _check_entry(entry: bytes, c_pub: bytes, c_priv: bytes) -> None:
    if not hmac.compare_digest(entry, entry_bytes(c_pub, c_priv)):
        raise VerificationError("the entry commits to something else")


def _matching(pattern: re.Pattern[str], value: object, where: str) -> None:
    if pattern.fullmatch(fields.text(value, where)) is None:
        raise MalformedError(f"{where}: not a code")


def _whole_minute(value: object, where: str) -> None:
    if not fields.instant(value, where).endswith(":00Z"):
        raise MalformedError(f"{where}: not cut to the minute")
