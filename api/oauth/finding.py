"""Finding codes and tokens by their secrets (P-12), and what was granted with them.

One statement reads the token, its grant, the organisation's generation of keys and the agreement,
so that all of it is of one moment. No wrap is read, so nothing here can open a key (TAK-32).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import InvalidGrantError
from sqlalchemy import Row, and_, bindparam, select

from api.oauth.ext.clients import ConfidentialClient
from api.oauth.models import Token
from consent.formats import canonical
from consent.manifests import withheld_by_agreement
from consent.models import Agreement, AgreementVersion, Grant, Organisation
from consent.requests import TYPE as DETAILS_TYPE
from pds.clock import Clock
from pds.crypto.secrets import TokenKind, TokenSecret, parse
from pds.ids import IdFactory
from pds.store import Store

_OF_AGREEMENT = (
    AgreementVersion.document,
    AgreementVersion.sha256,
    Agreement.template_id,
    Agreement.connection_id,
)
_FOUND = (
    select(
        *Token.__table__.columns,
        Grant.vault_id,
        Grant.organisation_id,
        Grant.client_id.label("grant_client_id"),
        Grant.agreement_id,
        Grant.agreement_version,
        Grant.state.label("grant_state"),
        Grant.expires_at.label("grant_expires_at"),
        Grant.key_generation,
        Organisation.key_generation.label("of_organisation"),
        *_OF_AGREEMENT,
    )
    .outerjoin(Grant, and_(Grant.bucket == Token.bucket, Grant.id == Token.grant_id))
    .outerjoin(Organisation, Organisation.id == Grant.organisation_id)
    .outerjoin(
        Agreement, and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id)
    )
    .outerjoin(
        AgreementVersion,
        and_(
            AgreementVersion.bucket == Grant.bucket,
            AgreementVersion.agreement_id == Grant.agreement_id,
            AgreementVersion.version == Grant.agreement_version,
        ),
    )
    .where(Token.bucket == bindparam("b_bucket"), Token.selector == bindparam("b_selector"))
)
_AGREED = (
    select(*_OF_AGREEMENT)
    .join(
        Agreement,
        and_(
            Agreement.bucket == AgreementVersion.bucket,
            Agreement.id == AgreementVersion.agreement_id,
        ),
    )
    .where(
        AgreementVersion.bucket == bindparam("b_bucket"),
        AgreementVersion.agreement_id == bindparam("b_agreement"),
        AgreementVersion.version == bindparam("b_version"),
    )
)


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The grant of a token, as it was when the token was looked for."""

    bucket: int
    id: UUID
    vault_id: UUID
    organisation_id: UUID
    client_id: UUID
    agreement_id: UUID
    agreement_version: int
    state: str
    expires_at: datetime
    key_generation: int


@dataclass(frozen=True, slots=True)
class Found:
    """A row of `tokens` that a secret matched, with its grant and agreement."""

    secret: TokenSecret
    row: Row[*tuple[Any, ...]]
    grant: TokenGrant | None  # None: client credentials

    def check_client(self, client: ConfidentialClient) -> bool:
        """Tell whether the token is this client's."""
        return str(self.row.client_id) == client.client_id


@dataclass(frozen=True, slots=True)
class TokenFinder:
    """Finds what is alive; `resource` is the URL of the API that tokens are good for."""

    store: Store
    ids: IdFactory
    clock: Clock
    resource: str

    def find(self, text: str, *kinds: TokenKind) -> Found | None:
        """Return a token that is alive."""
        secret = parse(text, *kinds)
        if secret is None:
            return None
        place = {"b_bucket": self.ids.bucket_of(secret.selector), "b_selector": secret.selector}
        with self.store.rows() as connection:
            row = connection.execute(_FOUND, place).one_or_none()
        if row is None or row.kind != secret.kind or not secret.matches(row.verifier):
            return None
        if row.expires_at <= self.clock.now():
            return None
        if row.grant_id is None:
            return Found(secret, row, None)
        if row.key_generation != row.of_organisation:
            return None  # frozen: what was issued before is good for nothing any more
        grant = TokenGrant(
            bucket=row.bucket,
            id=row.grant_id,
            vault_id=row.vault_id,
            organisation_id=row.organisation_id,
            client_id=row.grant_client_id,
            agreement_id=row.agreement_id,
            agreement_version=row.agreement_version,
            state=row.grant_state,
            expires_at=row.grant_expires_at,
            key_generation=row.key_generation,
        )
        return Found(secret, row, grant)

    def granted_with(self, found: Found) -> list[dict[str, Any]]:
        """Return the RAR objects of a token as granted; none of client credentials.

        Raises:
            InvalidGrantError: the agreement is gone.
        """
        return [] if found.grant is None else [self._details(found.row)]

    def granted_details(self, grant: Grant) -> dict[str, Any]:
        """Return the RAR object of a grant as granted.

        Raises:
            InvalidGrantError: the agreement is gone.
        """
        place = {
            "b_bucket": grant.bucket,
            "b_agreement": grant.agreement_id,
            "b_version": grant.agreement_version,
        }
        with self.store.rows() as connection:
            return self._details(connection.execute(_AGREED, place).one_or_none())

    def _details(self, agreed: Row[*tuple[Any, ...]] | None) -> dict[str, Any]:
        """Return the RAR object of a row with `_OF_AGREEMENT` (RFC 9396 section 7)."""
        if agreed is None or agreed.document is None:
            raise InvalidGrantError
        document = _read_agreement(agreed.document)
        return {
            "type": DETAILS_TYPE,
            "template": str(agreed.template_id),
            "template_sha256": document["template_sha256"],
            "actions": document["actions"],
            "attributes": document["attributes"],
            "duration": document["duration"],
            "fetches_per_day": document["fetches_per_day"],
            "coarsenings": document["coarsenings"],
            "instances": document.get("instances", {}),
            "data_from": document["data_from"],
            "locations": [self.resource],
            "agreement": document["id"],
            "agreement_version": document["version"],
            "agreement_sha256": agreed.sha256,
            "connection": str(agreed.connection_id),
            "expires_at": document["expires_at"],
            "withheld": withheld_by_agreement(document["denied"], document["coarsenings"]),
        }


@lru_cache(maxsize=4096)
def _read_agreement(document: bytes) -> Any:  # noqa: ANN401 - of the form of an agreement
    """Parse an agreement; cached by its whole text, so a hit is what a fresh parse would give."""
    return canonical.parse(document)
