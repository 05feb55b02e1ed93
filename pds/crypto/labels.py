"""The key inventory: every derivation label of the system (TAK-14, SEC-S55).

A label is used in one place for one purpose. `info` of each HKDF is the label, a zero byte, then
length-prefixed context (`lp`). Adding a label is a change of the key hierarchy: a test freezes the
list.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEAL = b"pds/1/seal"
PASSPHRASE_AUTH = b"pds/1/pw/auth"
PASSPHRASE_KEK = b"pds/1/pw/kek"
RECOVERY_AUTH = b"pds/1/rc/auth"
RECOVERY_KEK = b"pds/1/rc/kek"
PASSKEY_KEK = b"pds/1/prf/kek"
TOKEN_LOOKUP = b"pds/1/tok/lookup"
TOKEN_KEK = b"pds/1/tok/kek"
SESSION_LOOKUP = b"pds/1/ses/id"
SESSION_KEK = b"pds/1/ses/kek"
COLLECTION_RECORDS = b"pds/1/ck/rec"
COLLECTION_HPKE = b"pds/1/ck/hpke"
COLLECTION_INDEX = b"pds/1/ck/index"
GRANT_RECORD_IDS = b"pds/1/gk/rid"
GRANT_DEPOSITS = b"pds/1/gk/deposit"
GRANT_AUDIT = b"pds/1/gk/audit"
GRANT_ETAG = b"pds/1/gk/etag"
GRANT_TERMS = b"pds/1/gk/terms"
DEPOSIT = b"pds/1/deposit"
INSTANCE_ID = b"pds/1/instance/id"
INSTANCE_CURSOR = b"pds/1/instance/cursor"
INSTANCE_CSRF = b"pds/1/instance/csrf"
INSTANCE_ROUTE = b"pds/1/instance/route"
INSTANCE_PAIRWISE = b"pds/1/instance/pairwise"
INSTANCE_PSEUDONYM = b"pds/1/instance/pseudonym"
INSTANCE_AT_REST = b"pds/1/instance/at-rest"
INSTANCE_LOGIN_TAG = b"pds/1/instance/login-tag"
INSTANCE_SOURCE = b"pds/1/instance/source"
VAULT_STAGING = b"pds/1/vault/staging"
VAULT_FILES = b"pds/1/vault/files"
FILE_STREAM = b"pds/1/file/stream"
VAULT_LISTS = b"pds/1/vault/lists"
VAULT_INVITATIONS = b"pds/1/vault/invitation"
NOTICE_CODE = b"pds/1/notice/code"
DEVICE_MARK = b"pds/1/device/mark"
WEBHOOK_SIGNING = b"pds/1/webhook/ed25519"
ENGAGEMENT_PSEUDONYM = b"pds/1/engagement/pseudonym"


def lp(fields: Iterable[bytes]) -> bytes:
    """Join fields with a u32 big-endian length before each, so that no join is ambiguous."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def derive(key: bytes, label: bytes, *context: bytes, length: int = 32) -> bytes:
    """Derive `length` bytes from a 32-byte key: HKDF-SHA-256, extract and expand (RFC 5869).

    The extract step is never skipped: an HMAC keyed with token text longer than its block would
    equal one keyed with the text's hash, which every DPoP proof carries (TAK-29).
    """
    info = label + b"\x00" + lp(context)
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)
