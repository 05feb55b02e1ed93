"""The Grant Management API: a client asks what a grant of its own covers, or ends it.

GET, DELETE /oauth/grants/{grant_id}, with a client-credentials token of the scope that each takes.
A grant that is not there, has ended, or is another client's is the same 404 (GM-M10).
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.oauth.authorization import authorization
from api.oauth.clients import ClientRecord
from api.oauth.ext.grant_management import QUERY_SCOPE, REVOKE_SCOPE, GrantStatus
from api.resources.authentication import grant_management_token
from api.wiring import wiring
from consent import client_grants
from consent.client_grants import ClientGrant
from consent.vocabulary import TerminationReason
from pds.errors import NotFoundError

blueprint = Blueprint("grant_management", __name__)
_PATH = "/oauth/grants/<string:grant_id>"


@blueprint.get(_PATH)
def query(grant_id: str) -> Response:
    """Tell what a grant covers now; no token of it, nothing about its person (GM-M8)."""
    found = _found(grant_management_token(QUERY_SCOPE), grant_id)
    details = authorization().service.tokens.finder.granted_details(found.grant)
    status = GrantStatus(
        authorization_details=[details],
        created_at=int(found.grant.created_at.timestamp()),
        last_updated_at=int(found.updated_at.timestamp()),
        expires_at=int(found.grant.expires_at.timestamp()),
        updated_by=found.updated_by.value,
    )
    response = jsonify(status.to_dict())
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.delete(_PATH)
def revoke(grant_id: str) -> Response:
    """End the agreement of a grant as its organisation, and so the grant with every token (GM-M9).

    It is a termination like any other: one transaction, a receipt, deletion owed.
    """
    client = grant_management_token(REVOKE_SCOPE)
    found = _found(client, grant_id)
    wiring().endings.terminate(
        found.grant.agreement_id,
        organisation_id=client.organisation_id,
        reason=TerminationReason.OTHER,
    )
    return Response(status=204)


def _found(client: ClientRecord, grant_id: str) -> ClientGrant:
    services = wiring()
    with services.uow.read() as session:
        found = client_grants.find(
            session, services.ids, grant_id, client_id=client.id, now=services.clock.now()
        )
    if found is None:
        raise NotFoundError
    return found
