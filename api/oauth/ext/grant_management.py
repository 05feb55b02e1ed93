"""Grant Management for OAuth 2.0 (OpenID Foundation, draft), without `replace`.

    POST /par         grant_management_action=create               a fresh grant
                      grant_management_action=merge&grant_id=...   more for a grant that stands
    400 {"error": "invalid_grant_id"}      no such grant, or not this client's and user's
    POST /token       200 {"access_token": "...", "grant_id": "...", ...}
    GET    /grants/{grant_id}    scope grant_management_query    200, what the grant covers
    DELETE /grants/{grant_id}    scope grant_management_revoke   204, and its tokens are dead

The parameters belong to the authorization request (section 5.2), so a token request with one is
refused. At the push nobody knows whose browser will come: that a grant is this client's is checked
there, that it is this user's by the application, which raises `InvalidGrantIDError` once it knows
them. A `grant_id` is no secret (section 10) and must not say whom it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request

from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.grants import Details

CREATE: Final = "create"
MERGE: Final = "merge"
QUERY_SCOPE: Final = "grant_management_query"
REVOKE_SCOPE: Final = "grant_management_revoke"
# As the metadata names them (section 7.1, GM-M11).
ACTIONS: Final = (CREATE, MERGE, "query", "revoke")
GRANT_ID_CHARS_MAX: Final = 128
_PARAMETERS: Final = ("grant_management_action", "grant_id")

OwnsGrant = Callable[[ConfidentialClient, str], bool]


class InvalidGrantIDError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The `grant_id` is unknown, ended, or not this client's and user's (section 5.3, GM-M3)."""

    error = "invalid_grant_id"
    description = "there is no such grant"


@dataclass(frozen=True, slots=True)
class GrantManagementRequest:
    """What an authorization request wants done: `create`, or `merge` with the grant's id."""

    action: str
    grant_id: str | None = None


class GrantManagement:
    """A grant extension that reads the parameters; `request.grant_management` has the result."""

    def __init__(self, owns_grant: OwnsGrant) -> None:
        """Take what tells whether a client has a live grant of an id, which may be any text."""
        self.owns_grant = owns_grant

    def __call__(self, grant: Any) -> None:  # noqa: ANN401 - Authlib ships no types
        """Hang the checks on a grant."""
        grant.register_hook("after_validate_authorization_request_payload", self.check_request)
        grant.register_hook("after_validate_token_request", self.check_token_request)

    def check_request(self, grant: Any, _result: object) -> None:  # noqa: ANN401 - as above
        """Validate the pair of parameters (section 5.2, GM-M2)."""
        request = grant.request
        asked = _asked(request)
        if (
            asked is not None
            and asked.grant_id is not None
            and not (
                len(asked.grant_id) <= GRANT_ID_CHARS_MAX
                and asked.grant_id.isascii()
                and self.owns_grant(request.client, asked.grant_id)
            )
        ):
            raise InvalidGrantIDError
        request.grant_management = asked

    def check_token_request(self, grant: Any, _result: object) -> None:  # noqa: ANN401 - as above
        """Refuse the parameters outside an authorization request (GM-M1)."""
        if any(name in grant.request.form for name in _PARAMETERS):
            raise InvalidRequestError("grants are managed by authorization requests")


@dataclass(frozen=True, slots=True)
class GrantStatus:
    """What a grant covers now (section 6.4, GM-M8); no token is part of it.

    Attributes:
        authorization_details: as granted.
        created_at: Unix seconds, as the others.
        last_updated_at: when what it covers changed last.
        expires_at: exclusive.
        updated_by: who changed it last, in the application's words.
        scopes: API scopes of the grant.
    """

    authorization_details: Details
    created_at: int
    last_updated_at: int
    expires_at: int
    updated_by: str
    scopes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the answer to a query."""
        return {
            "scopes": [{"scope": scope} for scope in self.scopes],
            "claims": [],  # those are of OpenID Connect
            "authorization_details": list(self.authorization_details),
            "created_at": self.created_at,
            "last_updated_at": self.last_updated_at,
            "expires_at": self.expires_at,
            "updated_by": self.updated_by,
        }


def _asked(request: OAuth2Request) -> GrantManagementRequest | None:
    action, grant_id = (request.payload.data.get(name) for name in _PARAMETERS)
    if action is None:
        if grant_id is not None:
            raise InvalidRequestError("grant_id needs a grant_management_action")
        return None
    if action not in {CREATE, MERGE}:
        raise InvalidRequestError("grant_management_action must be create or merge")
    if (grant_id is not None) != (action == MERGE):
        raise InvalidRequestError("merge needs a grant_id, create must not have one")
    return GrantManagementRequest(action, grant_id)
