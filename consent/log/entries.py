"""Log entries: an event, blinded, in the transaction of what it tells of (LOG-23, P-31, P-32).

    events          what the tree commits to: name, stream and number, both commitments
    event_payloads  what an auditor reads (public part, r_pub), and the owner's box; may be erased
    log_pending     the leaf, until the integrator has placed it

The private part is `r_priv || canonical JSON`, padded, in a box that only the owner opens: under a
key from the grant key, or to the vault's audit key when no grant key is at hand. The box is bound
to the commitment of its content, so it opens nowhere but in its own event.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from sqlalchemy import text
from sqlalchemy.orm import Session

from consent.formats.canonical import canonical_bytes, parse
from consent.formats.errors import MalformedError
from consent.formats.leaf import (
    BLINDING_BYTES,
    commitment_to,
    entry_bytes,
    public_members,
    to_minute,
)
from consent.log.rows import insert_event
from pds.clock import Clock
from pds.crypto.labels import lp
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import DecryptionError
from pds.ids import time_ordered_uuid
from pds.store import Sender

PrivateKeyKind = Literal["grant", "audit", "none"]

DEPLOYMENT_STREAM = "d"
DEPLOYMENT_BUCKET = 0
_KEY_VERSION = 1
_AUDIT_HEADER = bytes([0x53, 0x01, 0x11, Kind.AUDIT])
_AUDIT_INFO = b"pds/1/audit"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_REF = re.compile(r"(d|[gv]\.[0-9a-f]{32})/([1-9][0-9]{0,18})", re.ASCII)
_NEXT_DEPLOYMENT_SEQ = text(
    "INSERT INTO deployment_stream (id, seq) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET seq = deployment_stream.seq + 1 RETURNING seq"
)


@dataclass(frozen=True, slots=True)
class EntryRef:
    """Which entry of which stream: what answers carry as `PDS-Log-Entry` (P-33)."""

    stream: str
    seq: int

    def text(self) -> str:
        """Return `stream/seq`."""
        return f"{self.stream}/{self.seq}"

    @classmethod
    def parse(cls, reference: str) -> EntryRef:
        """Invert `text`.

        Raises:
            MalformedError: it is not the one spelling of a reference.
        """
        match = _REF.fullmatch(reference)
        if match is None:
            raise MalformedError("not the reference of a log entry")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class SealedPrivate:
    """A private part, committed to and sealed; `box` is None when there is nothing to open."""

    c_priv: bytes
    box: bytes | None = field(repr=False)
    key_kind: PrivateKeyKind


def grant_stream(grant_id: UUID) -> str:
    """Return the name of a grant's event stream (P-31)."""
    return f"g.{grant_id.hex}"


def seal_private(
    private: Mapping[str, object],
    *,
    audit_public_key: bytes | None = None,
    grant_key: bytes | None = None,
) -> SealedPrivate:
    """Commit to a private part and seal it for the owner; call it outside the write job.

    Args:
        private: a JSON object without floats; an empty one is committed to, but not sealed.
        audit_public_key: the vault's audit key (X25519, 32 bytes), for HPKE (RFC 9180).
        grant_key: 32 bytes, derived from the grant key under `GRANT_AUDIT`; preferred, since it
            costs a tenth.

    Raises:
        MalformedError: `private` has no canonical form.
        ValueError: it is not empty and neither key is given.
    """
    r_priv, content = os.urandom(BLINDING_BYTES), canonical_bytes(dict(private))
    c_priv = commitment_to(content, r_priv)
    if not private:
        return SealedPrivate(c_priv, None, "none")
    # Padded: the length would tell how many records were read, and which kind of address it was.
    plaintext = pad(r_priv + content)
    if grant_key is not None:
        box = seal(grant_key, plaintext, kind=Kind.AUDIT, key_version=_KEY_VERSION, fields=[c_priv])
        return SealedPrivate(c_priv, box, "grant")
    if audit_public_key is None:
        raise ValueError("a private part needs a key to be sealed to")
    recipient = X25519PublicKey.from_public_bytes(audit_public_key)
    sealed = _SUITE.encrypt(plaintext, recipient, info=_info(c_priv))
    return SealedPrivate(c_priv, _AUDIT_HEADER + sealed, "audit")


def open_private(sealed: SealedPrivate, key: bytes) -> tuple[dict[str, object], bytes]:
    """Return the private part and its blinding `r_priv`, which opens the leaf.

    Args:
        sealed: as stored with the event.
        key: the grant's audit key or the private half of the vault's, as `key_kind` says.

    Raises:
        DecryptionError: the key or the box is wrong, or the box is of another event.
    """
    plaintext = unpad(_open(sealed, key))
    r_priv, content = plaintext[:BLINDING_BYTES], plaintext[BLINDING_BYTES:]
    try:
        genuine = hmac.compare_digest(commitment_to(content, r_priv), sealed.c_priv)
        # Another spelling of the same value opens no leaf for anybody else.
        private = parse(content, canonical=True)
    except MalformedError as exc:
        raise DecryptionError from exc
    if not genuine or not isinstance(private, dict):
        raise DecryptionError
    return dict(private), r_priv


def _open(sealed: SealedPrivate, key: bytes) -> bytes:
    box = sealed.box or b""
    if sealed.key_kind == "grant":
        return open_box(key, box, kind=Kind.AUDIT, fields=[sealed.c_priv])
    header, body = box[: len(_AUDIT_HEADER)], box[len(_AUDIT_HEADER) :]
    if header != _AUDIT_HEADER:
        raise DecryptionError
    try:
        return _SUITE.decrypt(
            body, X25519PrivateKey.from_private_bytes(key), info=_info(sealed.c_priv)
        )
    except (InvalidTag, ValueError) as exc:
        raise DecryptionError from exc


def _info(c_priv: bytes) -> bytes:
    return _AUDIT_INFO + b"\x00" + lp([_AUDIT_HEADER, c_priv])


@dataclass(frozen=True, slots=True)
class EventLog:
    """Writes events, each in the write job of what it tells of."""

    clock: Clock

    def append(
        self,
        sender: Sender,
        *,
        bucket: int,
        stream: str,
        seq: int,
        name: str,
        at: datetime,
        private: SealedPrivate | None = None,
        vault_id: UUID | None = None,
        grant_id: UUID | None = None,
        client: UUID | None = None,
        collections: Sequence[str] = (),
        purpose: str | None = None,
        agreement_sha256: str | None = None,
        outcome: str = "ok",
        count: int = 0,
    ) -> EntryRef:
        """Write one event; whoever calls holds the lock under which `seq` was taken (P-31).

        Args:
            sender: of the write job.
            bucket: of the vault, or `DEPLOYMENT_BUCKET`.
            stream: `grant_stream`, `pds.events.vault_stream` or `DEPLOYMENT_STREAM`.
            seq: the next number of that stream.
            name: dotted event name.
            at: when it happened; the public part has it to the minute.
            private: from `seal_private`; None: there is no private part.
            vault_id: whose event it is; kept beside the leaf, never in it.
            grant_id: the grant it concerns.
            client: the OAuth client that acted.
            collections: names of the collections concerned, each once.
            purpose: the agreement's purpose code.
            agreement_sha256: of the terms in force, in hex.
            outcome: "ok", or a reason code.
            count: records concerned.

        Raises:
            MalformedError: a member breaks the form of the public part.
        """
        private = private or seal_private({})
        members = {
            "event": name,
            "time": to_minute(at),
            "stream": stream,
            "seq": seq,
            "client": None if client is None else str(client),
            "grant": None if grant_id is None else str(grant_id),
            "collections": [*collections],
            "purpose": purpose,
            "agreement_sha256": agreement_sha256,
            "outcome": outcome,
            "count": count,
        }
        pub, r_pub = canonical_bytes(public_members(members)), os.urandom(BLINDING_BYTES)
        c_pub = commitment_to(pub, r_pub)
        leaf = entry_bytes(c_pub, private.c_priv)
        row = {
            "bucket": bucket,
            "event_id": time_ordered_uuid(self.clock.now()),
            "stream": stream,
            "seq": seq,
            "name": name,
            "at": at,
            "vault_id": vault_id,
            "grant_id": grant_id,
            "c_pub": c_pub,
            "c_priv": private.c_priv,
            "pub": pub,
            "r_pub": r_pub,
            "priv_box": private.box,
            "priv_key": private.key_kind,
            "commitment": leaf[1:],
        }
        insert_event(sender, row)
        return EntryRef(stream, seq)

    def append_deployment(
        self,
        session: Session,
        name: str,
        *,
        at: datetime,
        outcome: str = "ok",
        count: int = 0,
        private: SealedPrivate | None = None,
    ) -> EntryRef:
        """Write an event of the deployment itself, such as `log.key_changed`.

        Its one counter is a lock that every such event takes: nothing that a stranger can repeat
        at will may come here one by one (P-35). `private` is committed to; whoever logs it keeps
        what opens it, since the deployment has no owner to seal it for.
        """
        seq = session.execute(_NEXT_DEPLOYMENT_SEQ).scalar_one()
        return self.append(
            session,
            bucket=DEPLOYMENT_BUCKET,
            stream=DEPLOYMENT_STREAM,
            seq=seq,
            name=name,
            at=at,
            outcome=outcome,
            count=count,
            private=private,
        )
