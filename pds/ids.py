"""Identifiers that find their shard without telling anyone which shard it is (P-1).

    bits 0..9     bucket XOR HMAC-SHA-256(route key, the other bits)[first 10 bits]
    bits 10..47   random
    bits 48..51   version 8 (RFC 9562 section 5.8)
    bits 52..63   random
    bits 64..65   variant 0b10
    bits 66..127  random

112 random bits. The text form is a canonical UUID. Every vault has a bucket (0..1023); whatever
belongs to it, its tokens and cookies included, has an id of the same bucket.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime
from typing import NewType
from uuid import UUID

BUCKETS = 1024

VaultId = NewType("VaultId", UUID)
RecordId = NewType("RecordId", UUID)
GrantId = NewType("GrantId", UUID)
AgreementId = NewType("AgreementId", UUID)
RequestId = NewType("RequestId", UUID)
ClientId = NewType("ClientId", UUID)

_ROUTING_SHIFT = 118
_VERSION = 8 << 76
_VERSION_MASK = ~(0xF << 76)
_VARIANT = 0b10 << 62
_VARIANT_MASK = ~(0b11 << 62)
_REST_MASK = (1 << _ROUTING_SHIFT) - 1


class IdFactory:
    """Makes routed ids and reads their bucket back.

    The route key (32 bytes, from `instance.key`) masks the bucket, so that no organisation learns
    from its ids which of them share a shard.
    """

    def __init__(self, route_key: bytes) -> None:
        self._route_key = route_key

    def new(self, bucket: int) -> UUID:
        """Return a fresh id of `bucket` (0..1023)."""
        rest = (secrets.randbits(128) & _VERSION_MASK | _VERSION) & _VARIANT_MASK | _VARIANT
        rest &= _REST_MASK
        return UUID(int=rest | (bucket ^ self._mask(rest)) << _ROUTING_SHIFT)

    def bucket_of(self, routed: UUID) -> int:
        """Return the bucket (0..1023) of a routed id; any other id gives a meaningless one."""
        rest = routed.int & _REST_MASK
        return (routed.int >> _ROUTING_SHIFT) ^ self._mask(rest)

    def _mask(self, rest: int) -> int:
        digest = hmac.digest(self._route_key, rest.to_bytes(16, "big"), "sha256")
        return int.from_bytes(digest[:2], "big") >> 6


def new_bucket() -> int:
    """Return a bucket for a new vault, uniformly at random."""
    return secrets.randbelow(BUCKETS)


def new_record_id() -> RecordId:
    """Return a random record id, unique in its vault, kept by export and import (P-2)."""
    return RecordId(random_uuid())


def random_uuid() -> UUID:
    """Return a random UUID of version 4 from the system's generator."""
    return UUID(int=secrets.randbits(128), version=4)


def time_ordered_uuid(at: datetime) -> UUID:
    """Return a UUID of version 7 in order of time to a quarter of a microsecond.

    RFC 9562 section 6.2, method 3: the 12 bits after the milliseconds hold the fraction of one;
    62 bits are random.
    """
    microseconds = int(at.timestamp() * 1_000_000)
    milliseconds, rest = divmod(microseconds, 1000)
    value = milliseconds << 80 | (rest * 4096 // 1000) << 64 | secrets.randbits(62)
    return UUID(int=value | 7 << 76 | _VARIANT)


def created_at(time_ordered: UUID) -> datetime:
    """Return the instant in a UUID that `time_ordered_uuid` made, to the millisecond."""
    return datetime.fromtimestamp((time_ordered.int >> 80) / 1000, UTC)
