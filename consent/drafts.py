"""A version of an agreement before it is written: signed, sealed, and nothing of it stored yet.

What costs is done here, before the write job that stores it under the locks (P-4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert
from sqlalchemy.orm import Session

from consent.formats import canonical, jws
from consent.grants import GrantKeys
from consent.log.entries import SealedPrivate, seal_private
from consent.models import AgreementVersion
from consent.policy import Terms
from pds.events import VaultRef
from pds.keys import OpenVault

AGREEMENT_TYPE = "pds-agreement"
AGREEMENT_VERSION = f"{AGREEMENT_TYPE}/2"


@dataclass(frozen=True, slots=True)
class Draft:
    """An agreement's text with the vault's signature, and its terms under the grant key (P-9)."""

    document: Mapping[str, Any]
    sha256: str
    signature: str
    terms: Terms
    terms_box: bytes
    terms_sha256: str
    keys: GrantKeys
    private: SealedPrivate

    def store(self, session: Session, *, now: datetime) -> None:
        """Insert the version's row; nothing changes it afterwards."""
        session.execute(
            insert(AgreementVersion).values(
                bucket=self.keys.vault.bucket,
                agreement_id=UUID(self.terms.agreement_id),
                version=self.terms.agreement_version,
                sha256=self.sha256,
                document=canonical.canonical_bytes(dict(self.document)),
                signature=self.signature,
                notice_sha256=self.document["notice_sha256"],
                created_at=now,
            )
        )


def prepare(
    vault: VaultRef,
    open_vault: OpenVault,
    keys: GrantKeys,
    document: Mapping[str, Any],
    terms: Terms,
) -> Draft:
    """Sign a text and seal its terms; `terms` get the text's hash, which they bind (P-9, P-27)."""
    sha256 = canonical.sha256_hex(dict(document))
    terms = replace(terms, agreement_sha256=sha256)
    terms_box, terms_sha256 = keys.seal_terms(terms)
    return Draft(
        document,
        sha256,
        _sign(open_vault, document),
        terms,
        terms_box,
        terms_sha256,
        keys,
        seal_private({"vault": str(vault.id)}, grant_key=keys.audit_key),
    )


def _sign(open_vault: OpenVault, document: Mapping[str, Any]) -> str:
    seed = open_vault.key("agreement", str(open_vault.keys.vault_id), 1)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    kid = f"vault-{canonical.sha256_hex(key.public_key().public_bytes_raw().hex())[:16]}"
    signed: Any = jws.sign(dict(document), key, kid=kid, typ=AGREEMENT_TYPE)
    return str(signed["proof"]["jws"])
