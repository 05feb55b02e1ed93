"""An invitation's reference at rest: sealed to its link, from the opening on to a vault (P-20).

    invitations.reference_box          key: of the link's secret (`TokenSecret.kek`)
    opened_invitations.reference_box   key: HKDF of the vault root key
    context: "invitation", deployment, invitation, and the organisation or the vault

The link's secret is stored nowhere, so the database opens no reference, not with the server's keys
either. Whoever has the link has it: a link is made for the person who is known by its reference.
"""

from __future__ import annotations

import re
from uuid import UUID

from pds.crypto.labels import VAULT_INVITATIONS, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.crypto.secrets import TokenSecret
from pds.keys import OpenVault

CHARACTERS = 64
# Printable ASCII with no space at either end, and no address: a number, which says nothing alone.
PATTERN = re.compile(r"(?!.*@)[!-~]([ -~]{0,62}[!-~])?", re.ASCII)
_VERSION = 1


def seal_to_link(
    secret: TokenSecret, reference: str, *, deployment: bytes, organisation_id: UUID
) -> bytes:
    """Seal a reference so that only its link opens it."""
    fields = _fields(deployment, secret.selector, organisation_id)
    return _seal(secret.kek(), reference, fields)


def open_with_link(
    secret: TokenSecret, box: bytes, *, deployment: bytes, organisation_id: UUID
) -> str:
    """Invert `seal_to_link`.

    Raises:
        DecryptionError: it is not that invitation's, or not that link.
    """
    fields = _fields(deployment, secret.selector, organisation_id)
    return _open(secret.kek(), box, fields)


def seal_to_vault(open_vault: OpenVault, invitation_id: UUID, reference: str) -> bytes:
    """Seal a reference to the vault that went on with its invitation."""
    keys = open_vault.keys
    fields = _fields(keys.deployment, invitation_id, keys.vault_id)
    return _seal(derive(open_vault.vrk, VAULT_INVITATIONS), reference, fields)


def open_in_vault(open_vault: OpenVault, invitation_id: UUID, box: bytes) -> str:
    """Invert `seal_to_vault`.

    Raises:
        DecryptionError: it is not that invitation's, or another vault's.
    """
    keys = open_vault.keys
    fields = _fields(keys.deployment, invitation_id, keys.vault_id)
    return _open(derive(open_vault.vrk, VAULT_INVITATIONS), box, fields)


def _fields(deployment: bytes, invitation_id: UUID, holder: UUID) -> tuple[bytes, ...]:
    return (b"invitation", deployment, invitation_id.bytes, holder.bytes)


def _seal(key: bytes, reference: str, fields: tuple[bytes, ...]) -> bytes:
    padded = pad(reference.encode("ascii"))
    return seal(key, padded, kind=Kind.REFERENCE, key_version=_VERSION, fields=fields)


def _open(key: bytes, box: bytes, fields: tuple[bytes, ...]) -> str:
    padded = open_box(key, box, kind=Kind.REFERENCE, key_version=_VERSION, fields=fields)
    return unpad(padded).decode("ascii")
