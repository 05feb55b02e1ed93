"""The page that an invitation's link or QR code opens: who invites, and going on.

Nothing is shared by going on: the person is sent to the organisation's start page, whose client
then asks as it always does (OpenID Connect Core 1.0 section 4, third-party initiated login).
The address holds a secret: `Referrer-Policy: same-origin` keeps it from other sites, and no request
line is logged.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import security
from api.oauth import clients
from api.oauth.ext.redirects import with_parameters
from api.web import guards, pages, visitors
from api.web.clusters import clusters_of
from api.wiring import wiring
from consent import connections
from consent.invitations.holding import Invited
from pds.crypto.secrets import parse
from pds.errors import NotFoundError
from pds.sessions import Visitor

blueprint = Blueprint("invitations", __name__)

_PATH = "/invitation/<token>"


@blueprint.get(_PATH)
def show(token: str) -> ResponseReturnValue:
    """Say who invites, for what, and that nothing is shared by going on."""
    secret, visitor = parse(token, "iv"), visitors.current()
    if secret is None:
        return _unusable()
    vault, opened = (visitor.vault, visitor.open_vault) if visitor else (None, None)
    try:
        invited = wiring().invitations.look(secret, vault, opened)
    except NotFoundError:
        return _unusable()
    return _invitation(invited, visitor)


@blueprint.post(_PATH)
def go_on(token: str) -> ResponseReturnValue:
    """Take the invitation into the vault, and lead on to the organisation's start page."""
    secret, visitor = parse(token, "iv"), visitors.current()
    if visitor is None:
        return guards.elsewhere("/sign-in", back=request.path)
    if visitor.open_vault is None:
        return guards.elsewhere("/unlock", back=request.path)
    if secret is None:
        return _unusable()
    try:
        invited = wiring().invitations.go_on(secret, visitor.vault, visitor.open_vault)
    except NotFoundError:
        return _unusable()
    issuer = wiring().settings.server.issuer
    parameters = {"iss": issuer, "invitation": str(invited.id)}
    return guards.see_other(with_parameters(_start_page(invited), parameters))


def _invitation(invited: Invited, visitor: Visitor | None) -> Response:
    start_page = _start_page(invited)
    # Chromium holds the redirect that answers this form against the page's policy (UI-6).
    security.allow_form_redirect(start_page)
    with wiring().uow.read() as session:
        organisation = connections.organisation(session, invited.organisation_id)
    return pages.page(
        "sharing/invitation.html",
        organisation=organisation,
        template=invited.template,
        required=clusters_of(invited.template.required),
        optional=clusters_of(invited.template.optional),
        reference=invited.reference,
        until=invited.expires_at,
        start_host=urlsplit(start_page).netloc,
        first="" if visitor and visitor.open_vault else "/unlock" if visitor else "/sign-in",
    )


def _start_page(invited: Invited) -> str:
    with wiring().uow.read() as session:
        start_page = clients.get(session, invited.client_id).initiate_login_uri
    if start_page is None:
        raise NotFoundError
    return start_page


def _unusable() -> Response:
    # One page for all: whether there ever was such a link is nobody's business.
    return pages.page("sharing/invitation_unusable.html", 404)
