"""Who asks: the access token and the proof of its key, on every resource request (RFC 9449).

The proof's `jti` is not recorded here: that is part of the write job that answers (P-7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from authlib.oauth2 import OAuth2Error
from flask import Response, request
from sqlalchemy.orm import Session

from api import problems
from api.oauth import live, stores
from api.oauth.authorization import authorization
from api.oauth.clients import ClientRecord
from api.oauth.clients import get as get_client
from api.oauth.ext import dpop_resource, protected_resource_rfc9728
from api.oauth.ext.dpop_resource import InsufficientScopeError, InvalidTokenError
from api.oauth.ext.dpop_rfc9449 import DPoPProof, InvalidDPoPProofError, target_url
from api.oauth.ext.replay import DPOP_PROOF
from api.oauth.live import LiveGrant
from api.wiring import wiring
from consent.organisations import get as get_organisation
from consent.vocabulary import Standing
from pds.crypto.secrets import TokenKind, TokenSecret, parse
from pds.personal_apps import LiveApp
from pds.store import Sender


@dataclass(frozen=True, slots=True)
class Presented:
    """A live grant token with a proof that holds; the proof is not used up yet."""

    grant: LiveGrant
    proof: DPoPProof

    def use_proof(self, sender: Sender) -> None:
        """Record the proof, in the transaction that answers.

        Raises:
            InvalidDPoPProofError: it was used before.
        """
        use_proof(sender, self.grant.bucket, self.proof)


def use_proof(sender: Sender, bucket: int, proof: DPoPProof) -> None:
    """Record a proof once.

    Raises:
        InvalidDPoPProofError: it was used before.
    """
    until = datetime.fromtimestamp(proof.expires_at, UTC)
    if not stores.insert_replay(sender, bucket, DPOP_PROOF, proof.jkt, proof.replay_key(), until):
        raise InvalidDPoPProofError("DPoP proof: used before")


def grant_token() -> Presented:
    """Return the live grant of the request's token.

    Raises:
        OAuth2Error: there is no token, it is not alive, or its key is not proved.
    """
    secret, proof = _token_and_proof()
    services = wiring()
    with services.uow.rows() as connection:
        found = live.find(
            connection,
            secret,
            ids=services.ids,
            deployment=services.keys.deployment,
            now=services.clock.now(),
        )
    if found is None:
        raise InvalidTokenError("the token is unknown, expired or revoked")
    _require_key(found.jkt, proof)
    return Presented(found, proof)


@dataclass(frozen=True, slots=True)
class PresentedApp:
    """A personal app's token with a proof of its key that holds; the proof is not used up yet."""

    app: LiveApp
    proof: DPoPProof


def personal_app() -> PresentedApp:
    """Return the personal app of the request's token.

    Raises:
        OAuth2Error: there is no token, it is not alive, or its key is not proved.
    """
    secret, proof = _token_and_proof("pa")
    found = wiring().personal_apps.find(secret)
    if found is None:
        raise InvalidTokenError("the token is unknown, expired or revoked")
    _require_key(found.jkt, proof)
    return PresentedApp(found, proof)


def organisation_token(*, owes: bool = False) -> ClientRecord:
    """Return the client of a client-credentials token, and use up its proof.

    Args:
        owes: the request is about what the organisation owes: the scope `obligations` is enough,
            and with it also who is suspended or removed is heard.

    Raises:
        OAuth2Error: there is no token, it is not alive, its key is not proved, or it is a
            person's grant token.
    """
    return _client_token("organisation", "obligations" if owes else None)


def grant_management_token(scope: str) -> ClientRecord:
    """Return the client of a token for the Grant Management API, and use up its proof.

    Raises:
        OAuth2Error: as `organisation_token`, or the token has another scope (GM-M7).
    """
    return _client_token(scope)


def _client_token(scope: str, owing: str | None = None) -> ClientRecord:
    """Return the client of a token with a scope; with `owing`, whatever its standing."""
    secret, proof = _token_and_proof()
    services = wiring()
    finder = authorization().service.tokens.finder
    found = finder.find(secret.text(), "at")
    if found is None:
        raise InvalidTokenError("the token is unknown, expired or revoked")
    _require_key(found.row.jkt, proof)
    scopes = found.row.scope.split()
    answers = owing in scopes
    if found.grant is not None or not (answers or scope in scopes):
        raise InsufficientScopeError("a token of client credentials is needed")
    client_id: UUID = found.row.client_id

    def job(session: Session) -> ClientRecord:
        use_proof(session, found.row.bucket, proof)
        client = get_client(session, client_id)
        organisation = get_organisation(session, client.organisation_id)
        if organisation.is_frozen or (organisation.standing != Standing.GOOD and not answers):
            raise InvalidTokenError("the organisation is not in good standing")
        return ClientRecord(client.id, client.organisation_id, client.name)

    return services.uow.write(job)


def refused(error: OAuth2Error) -> Response:
    """Answer a request without a good token: a problem document and a challenge."""
    issuer = wiring().settings.server.issuer
    metadata_url = protected_resource_rfc9728.metadata_url(f"{issuer}/v1")
    status, headers = dpop_resource.refusal(error, resource_metadata=metadata_url)
    code = "invalid-token" if status == 401 else "insufficient-scope"  # noqa: PLR2004 - HTTP
    if status == 400:  # noqa: PLR2004 - HTTP
        code = "malformed"
    return problems.problem(code, detail=error.description or None, headers=dict(headers))


def _token_and_proof(kind: TokenKind = "at") -> tuple[TokenSecret, DPoPProof]:
    text = dpop_resource.presented_token(
        request.headers.getlist("Authorization"), query=request.args
    )
    secret = parse(text, kind)
    if secret is None:
        raise InvalidTokenError("the token is malformed")
    services = wiring()
    proof = authorization().service.proofs.verify(
        request.headers.getlist("DPoP"),
        method=request.method,
        url=target_url(services.settings.server.issuer, request.path),
        now=int(services.clock.now().timestamp()),
        access_token=text,
    )
    return secret, proof


def _require_key(jkt: str | None, proof: DPoPProof) -> None:
    if jkt != proof.jkt:
        raise InvalidTokenError("the token belongs to another key")
