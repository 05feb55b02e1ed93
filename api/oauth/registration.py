"""Clients that organisations register themselves, with a token from the operator (RFC 7591).

The operator answers for who an organisation is; the token says whose client it will be, and is
shown once. A name must not look like that of anybody else (THR-2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from api.oauth import clients, names
from api.oauth.ext.registration_rfc7591 import (
    ClientMetadata,
    InvalidClientMetadataError,
    InvalidInitialAccessTokenError,
)
from api.oauth.models import RegistrationToken
from api.oauth.remote_keys import RemoteKeys
from api.outgoing.fetching import FetchError
from consent import organisations
from consent.log.entries import EventLog
from consent.vocabulary import EventName
from pds.clock import Clock
from pds.crypto.secrets import TokenSecret, mint, parse
from pds.errors import ConflictError, ValidationFailedError
from pds.ids import random_uuid
from pds.store import Store


def allow(
    session: Session,
    organisation_id: UUID,
    log: EventLog,
    *,
    uses: int,
    now: datetime,
    expires_at: datetime,
) -> TokenSecret:
    """Make an initial access token for an organisation; its text is never to be had again.

    Raises:
        NotFoundError: there is no such organisation.
        ConflictError: it is not in good standing.
    """
    if not organisations.is_served(organisations.get(session, organisation_id)):
        raise ConflictError("the organisation is not in good standing")
    secret = mint("ir", random_uuid())
    session.execute(
        insert(RegistrationToken).values(
            id=secret.selector,
            verifier=secret.verifier(),
            organisation_id=organisation_id,
            uses_left=uses,
            created_at=now,
            expires_at=expires_at,
        )
    )
    log.append_deployment(session, EventName.REGISTRATION_ALLOWED, at=now)
    return secret


@dataclass(frozen=True, slots=True)
class RegistrationService:
    """Registers clients; the `RegistrationStore` of the endpoint."""

    store: Store
    clock: Clock
    log: EventLog
    remote: RemoteKeys
    loopback: bool

    def find_token(self, token: str) -> RegistrationToken | None:
        """Return a token that can still be used, of an organisation in good standing."""
        secret = parse(token, "ir")
        if secret is None:
            return None
        with self.store.read() as session:
            row = session.get(RegistrationToken, secret.selector)
            if row is None or not secret.matches(row.verifier):
                return None
            is_served = organisations.is_served(organisations.get(session, row.organisation_id))
        usable = row.uses_left > 0 and row.expires_at > self.clock.now()
        return row if usable and is_served else None

    def register(self, token: RegistrationToken, metadata: ClientMetadata) -> tuple[str, int]:
        """Spend a use of the token and store the client.

        Raises:
            InvalidInitialAccessTokenError: another registration had the last use.
            InvalidClientMetadataError: a name is not acceptable, or `jwks_uri` has no keys.
        """
        self._check_names(token.organisation_id, {metadata.name, *metadata.names.values()})
        jwks, now = self._jwks(metadata), self.clock.now()

        def job(session: Session) -> UUID:
            self._spend(session, token, now)
            client_id = clients.create(
                session,
                organisation_id=token.organisation_id,
                name=metadata.name,
                redirect_uris=metadata.redirect_uris,
                jwks=jwks,
                jwks_uri=metadata.jwks_uri,
                loopback=self.loopback,
                now=now,
                initiate_login_uri=metadata.initiate_login_uri,
                names=metadata.names,
                about=metadata.about,
                grant_types=metadata.grant_types,
                scopes=metadata.scopes,
            )
            self.log.append_deployment(session, EventName.CLIENT_REGISTERED, at=now)
            return client_id

        try:
            return str(self.store.write(job)), int(now.timestamp())
        except ValidationFailedError as error:
            raise InvalidClientMetadataError(f"jwks: {error.issues[0].detail}") from error

    def _jwks(self, metadata: ClientMetadata) -> Mapping[str, Any]:
        if metadata.jwks_uri is None:
            return metadata.jwks or {}
        try:
            return self.remote.read(metadata.jwks_uri)
        except FetchError as error:
            # One text for all that can be wrong: it is not for finding out what stands where.
            raise InvalidClientMetadataError("jwks_uri has no JWK Set that can be used") from error

    def _spend(self, session: Session, token: RegistrationToken, now: datetime) -> None:
        # Its organisation stays as it is: one that is suspended meanwhile registers nothing.
        held = organisations.hold(session, token.organisation_id)
        spent = session.execute(
            update(RegistrationToken)
            .where(
                RegistrationToken.id == token.id,
                RegistrationToken.uses_left > 0,
                RegistrationToken.expires_at > now,
            )
            .values(uses_left=RegistrationToken.uses_left - 1)
            .returning(RegistrationToken.id)
        ).one_or_none()
        if spent is None or not organisations.is_served(held):
            raise InvalidInitialAccessTokenError

    def _check_names(self, organisation_id: UUID, given: set[str]) -> None:
        with self.store.read() as session:
            fault = names.fault(session, given, of=organisation_id)
        if fault is not None:
            raise InvalidClientMetadataError(f"client_name {fault}")
