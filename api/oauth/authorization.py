"""The authorization request between its push and its redirect (RFC 6749 section 4.1, DEC-5).

    begin     the pushed request that the browser names, checked afresh
    bind      it belongs to the sign-in session that first opened it (THR-7)
    allow     decision, code and spending in one transaction; the URL to send the browser to
    refuse    likewise, with `error=access_denied`
    defer     put aside: not spent, and open to be shown again

The pages are `api.web.sharing.authorize`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from authlib.oauth2 import OAuth2Error
from flask import current_app
from sqlalchemy.orm import Session

from api.oauth.ext.grant_management import InvalidGrantIDError
from api.oauth.ext.grants import AuthorizationCodeGrant
from api.oauth.server import AuthorizationService
from consent.agreements import AgreementService
from consent.asks import Ask
from consent.choices import Choice
from consent.errors import AskRefusedError
from consent.invitations.holding import InvitationService
from consent.models import Request
from pds.errors import VaultLockedError
from pds.sessions import Visitor


class AuthorizationPageError(Exception):
    """The request cannot be shown and nobody may be redirected: show an error page (THR-6)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class AuthorizationRedirect(Exception):  # noqa: N818 - not an error of ours: an answer
    """The request is at fault in a way its client is told of: send the browser to `location`."""

    def __init__(self, location: str) -> None:
        super().__init__("redirect")
        self.location = location


@dataclass(frozen=True, slots=True)
class Pending:
    """An authorization request that waits for its person."""

    ask: Ask
    details: Mapping[str, Any]
    pushed_id: UUID
    redirect_uri: str
    expires_at: datetime
    payload: Mapping[str, str]
    dpop_jkt: str | None
    ui_locales: str | None
    grant: AuthorizationCodeGrant = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Continues pushed requests; made per process."""

    service: AuthorizationService
    agreements: AgreementService
    invitations: InvitationService

    def begin(self, client_id: str, request_uri: str) -> Pending:
        """Return the pushed request that a browser names.

        Raises:
            AuthorizationPageError: it is unknown, spent, expired or another client's.
            AuthorizationRedirect: its client is to be told what is wrong.
        """
        server = self.service.server
        row = self.service.pushed.row(request_uri, client_id)
        if row is None:
            raise AuthorizationPageError(self._why(client_id, "invalid_request_uri"))
        try:
            reference = server.pushed_reference(client_id, request_uri)
            grant = server.get_consent_grant(reference, end_user=None)
            request = grant.request
            redirect_uri = str(request.payload.redirect_uri)
            ask, details = server.ask_of(request, redirect_uri)
        except AskRefusedError as error:
            raise AuthorizationPageError("request_changed") from error
        except OAuth2Error as error:
            if getattr(error, "redirect_uri", None):
                answer = server.handle_error_response(None, error)
                raise AuthorizationRedirect(answer.headers["Location"]) from error
            raise AuthorizationPageError(self._why(client_id, str(error.error))) from error
        return Pending(
            ask=ask,
            details=details,
            pushed_id=row.id,
            redirect_uri=redirect_uri,
            expires_at=row.expires_at,
            payload=row.payload,
            dpop_jkt=row.dpop_jkt,
            ui_locales=row.payload.get("ui_locales"),
            grant=grant,
        )

    def bind(self, pending: Pending, visitor: Visitor) -> None:
        """Bind the request to this sign-in session.

        One that names an invitation is for whoever went on with that: else a link could have its
        visitor matched to somebody else at the organisation (login CSRF).

        Raises:
            AuthorizationPageError: another session opened it first, or another vault holds the
                invitation.
        """
        invitation = pending.ask.invitation
        if invitation and not self.invitations.is_held_by(visitor.vault, invitation):
            raise AuthorizationPageError("not_your_invitation")
        if not self.service.pushed.bind(pending.pushed_id, visitor.sign_in):
            raise AuthorizationPageError("opened_elsewhere")

    def allow(self, pending: Pending, visitor: Visitor, request: Request, choice: Choice) -> str:
        """Allow, and return the URL to send the browser to.

        Raises:
            VaultLockedError: the vault must be unlocked first.
            NoticeChangedError: show the page again.
            ConflictError: it was decided already.
            ValidationFailedError: the choice is outside what was offered.
        """
        if visitor.open_vault is None:
            raise VaultLockedError
        tokens = self.service.tokens
        code = tokens.new_code(visitor.vault.bucket)
        expires_at = tokens.code_expires_at()

        def also(session: Session, grant: Any) -> None:  # noqa: ANN401 - consent's own row
            self.service.pushed.spend(session, pending.pushed_id)
            tokens.confirm(session, grant)
            tokens.store_code(
                session,
                code,
                grant,
                payload=pending.payload,
                dpop_jkt=pending.dpop_jkt,
                expires_at=expires_at,
            )

        self.agreements.allow(
            visitor.vault,
            visitor.open_vault,
            request,
            pending.ask,
            choice,
            code=code,
            dpop_jkt=pending.dpop_jkt or "",
            code_expires_at=expires_at,
            also=also,
        )
        return self._location(pending, code.text())

    def refuse(self, pending: Pending, visitor: Visitor, request: Request, choice: Choice) -> str:
        """Refuse, and return the URL to send the browser to. Needs no unlocked vault.

        Raises:
            NoticeChangedError: show the page again.
            ConflictError: it was decided already.
        """
        self.agreements.refuse(
            visitor.vault,
            request,
            pending.ask,
            choice,
            also=lambda session: self.service.pushed.spend(session, pending.pushed_id),
        )
        return self._location(pending, None)

    def refuse_grant(self, pending: Pending) -> str:
        """Return the URL that tells the client that the grant it names is not this person's."""
        error = InvalidGrantIDError(
            redirect_uri=pending.redirect_uri, state=pending.payload.get("state")
        )
        answer = self.service.server.handle_error_response(None, error)
        return str(answer.headers["Location"])

    def defer(self, pending: Pending, visitor: Visitor, request: Request, choice: Choice) -> str:
        """Put the request aside; returns the URL that leads back to the client.

        The push is not spent: the request can be opened again while it lives. Needs no unlocked
        vault.

        Raises:
            NoticeChangedError: show the page again.
            ConflictError: it was decided already.
        """
        self.agreements.defer(visitor.vault, request, pending.ask, choice)
        return self._location(pending, None)

    def _why(self, client_id: str, code: str) -> str:
        client = self.service.server.query_client(client_id)
        return "organisation_frozen" if client is not None and client.barred else code

    def _location(self, pending: Pending, code: str | None) -> str:
        server = self.service.server
        response = server.create_authorization_response(
            pending.grant.request, grant_user=code, grant=pending.grant
        )
        return str(response.headers["Location"])


def authorization() -> Authorization:
    """Return the current application's."""
    found: Authorization = current_app.extensions["pds_authorization"]
    return found
