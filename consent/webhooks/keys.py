"""What signs an endpoint's messages: a secret that it shares, and a key pair of its own (P-14).

Standard Webhooks 1.0: the signed text is `id.timestamp.body`; a signature is `v1,` HMAC-SHA-256
or `v1a,` Ed25519, base64; several stand in one header with spaces between them. Both keys belong to
one endpoint, so that a message to one can be shown to no other.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.webhooks.models import WebhookEndpoint
from pds.crypto import labels
from pds.crypto.labels import derive
from pds.crypto.sealed_box import Kind, open_box, seal
from pds.instance import InstanceKeys

SECRET_BYTES = 32
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that the standard gives
_PUBLIC_PREFIX = "whpk_"


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys of one endpoint that sign now: the present ones, then those before a rotation."""

    secrets: Sequence[bytes] = field(repr=False)
    private_keys: Sequence[Ed25519PrivateKey] = field(repr=False)

    def signature(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return the `webhook-signature` of a message; `timestamp` in seconds since 1970."""
        signed = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
        shared = [("v1", hmac.digest(secret, signed, "sha256")) for secret in self.secrets]
        own = [("v1a", key.sign(signed)) for key in self.private_keys]
        return " ".join(f"{version},{_base64(made)}" for version, made in [*shared, *own])


def new_secret() -> bytes:
    """Return a fresh secret of 32 bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """Return a secret as receivers configure it."""
    return _SECRET_PREFIX + _base64(secret)


def seal_secret(keys: InstanceKeys, endpoint_id: UUID, generation: int, secret: bytes) -> bytes:
    """Seal a secret for its row (P-19)."""
    return seal(
        keys.at_rest,
        secret,
        kind=Kind.AT_REST,
        key_version=1,
        fields=_context(keys, endpoint_id, generation),
    )


def signers(keys: InstanceKeys, endpoint: WebhookEndpoint, now: datetime) -> Signers:
    """Return what signs a message to an endpoint at an instant.

    Raises:
        DecryptionError: a box was swapped or altered.
    """
    boxes = {endpoint.generation: endpoint.secret_box}
    if endpoint.previous_box is not None and _overlaps(endpoint, now):
        boxes[endpoint.generation - 1] = endpoint.previous_box
    return Signers(
        [
            open_box(
                keys.at_rest,
                box,
                kind=Kind.AT_REST,
                fields=_context(keys, endpoint.id, generation),
            )
            for generation, box in boxes.items()
        ],
        [_private_key(keys, endpoint.id, generation) for generation in boxes],
    )


def public_keys(keys: InstanceKeys, endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the Ed25519 keys with which to check messages now, the present one first."""
    generations = [endpoint.generation, endpoint.generation - 1]
    return [
        _PUBLIC_PREFIX
        + _base64(_private_key(keys, endpoint.id, generation).public_key().public_bytes_raw())
        for generation in (generations if _overlaps(endpoint, now) else generations[:1])
    ]


def _overlaps(endpoint: WebhookEndpoint, now: datetime) -> bool:
    return endpoint.previous_until is not None and now < endpoint.previous_until


def _private_key(keys: InstanceKeys, endpoint_id: UUID, generation: int) -> Ed25519PrivateKey:
    context = (endpoint_id.bytes, generation.to_bytes(4, "big"))
    seed = derive(keys.webhook_seed, labels.WEBHOOK_SIGNING, *context)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _context(keys: InstanceKeys, endpoint_id: UUID, generation: int) -> list[bytes]:
    return [b"webhook", keys.deployment, endpoint_id.bytes, generation.to_bytes(4, "big")]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
