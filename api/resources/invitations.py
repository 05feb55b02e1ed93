"""An organisation's invitations: links with its own reference for a person (CON-26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import request
from flask.views import MethodView
from sqlalchemy.orm import Session

from api import qr
from api.oauth import clients
from api.oauth.clients import ClientRecord
from api.resources.authentication import organisation_token
from api.resources.parsing import StrictBlueprint, cursor_id
from api.resources.repeating import REPEATABLE, Asked
from api.schemas.invitations import (
    InvitationSchema,
    InvitationsSchema,
    InvitationWithLinkSchema,
    NewInvitationSchema,
)
from api.schemas.organisations import PageQuerySchema
from api.wiring import wiring
from consent import durations
from consent.invitations import links, references
from consent.invitations.models import Invitation
from pds.clock import rfc3339
from pds.crypto.secrets import mint
from pds.errors import Issue, ValidationFailedError
from pds.ids import time_ordered_uuid

blueprint = StrictBlueprint(
    "invitations",
    __name__,
    url_prefix="/v1/invitations",
    description="Asking a person by a link: an organisation token",
)
PATH = "/invitation/"  # of the page, which the link's secret follows
_SECURITY: list[dict[str, list[str]]] = [{"organisationToken": []}]
_QR_SCALE = 8  # pixels of a module


@blueprint.route("")
class Invitations(MethodView):
    """All invitations."""

    @blueprint.doc(security=_SECURITY, summary="List invitations")
    @blueprint.arguments(PageQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, InvitationsSchema)
    def get(self, limit: int, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of invitations, the oldest first."""
        client, services = organisation_token(), wiring()
        after = cursor_id(cursor) if cursor else None
        with services.uow.read() as session:
            rows = links.page(session, client.organisation_id, after=after, limit=limit + 1)
        now, has_more = services.clock.now(), len(rows) > limit
        return {
            "invitations": [_invitation(row, now) for row in rows[:limit]],
            "next_cursor": str(rows[limit - 1].id) if has_more else None,
            "has_more": has_more,
        }

    @blueprint.doc(security=_SECURITY, summary="Invite a person", parameters=REPEATABLE)
    @blueprint.arguments(NewInvitationSchema, as_kwargs=True)
    @blueprint.response(201, InvitationWithLinkSchema)
    def post(self, template: UUID, reference: str, valid_for: str) -> dict[str, Any]:
        """Make a link for one person; its secret is in this answer and in no other."""
        client, services = organisation_token(), wiring()
        now = services.clock.now()
        expires_at = now + _checked(reference, valid_for)
        secret = mint("iv", time_ordered_uuid(now))
        # Without the reference: the hash of a number that can be guessed would give it away.
        compared = f"{request.path} {template} {valid_for}".encode()
        asked = replace(Asked.by(client, now), request=compared)
        box = references.seal_to_link(
            secret,
            reference,
            deployment=services.keys.deployment,
            organisation_id=client.organisation_id,
        )

        def make(session: Session) -> UUID:
            _require_start_page(session, client)
            return links.create(
                session,
                secret,
                organisation_id=client.organisation_id,
                client_id=client.id,
                template_id=template,
                reference_box=box,
                expires_at=expires_at,
                now=now,
            )

        def job(session: Session) -> tuple[Invitation, bool]:
            made, is_new = asked.once(session, lambda: make(session))
            return links.get(session, client.organisation_id, made), is_new

        invitation, is_new = services.uow.write(job)
        url = f"{services.settings.server.issuer}{PATH}{secret.text()}"
        return _invitation(invitation, now) | {
            "url": url if is_new else None,
            "qr_svg": qr.svg(url, scale=_QR_SCALE) if is_new else None,
        }


@blueprint.route("/<uuid:invitation_id>")
class OneInvitation(MethodView):
    """One invitation."""

    @blueprint.doc(security=_SECURITY, summary="Read an invitation")
    @blueprint.response(200, InvitationSchema)
    def get(self, invitation_id: UUID) -> dict[str, Any]:
        """Return what became of an invitation."""
        client, services = organisation_token(), wiring()
        with services.uow.read() as session:
            row = links.get(session, client.organisation_id, invitation_id)
        return _invitation(row, services.clock.now())

    @blueprint.doc(security=_SECURITY, summary="Withdraw an invitation")
    @blueprint.response(204)
    def delete(self, invitation_id: UUID) -> None:
        """Have the link lead nowhere; an agreement that came of it stays."""
        client, services = organisation_token(), wiring()
        now = services.clock.now()
        services.uow.write(
            lambda session: links.withdraw(session, client.organisation_id, invitation_id, now=now)
        )


def _checked(reference: str, valid_for: str) -> timedelta:
    issues, lasts = [], timedelta()
    if not references.PATTERN.fullmatch(reference):
        detail = f"1 to {references.CHARACTERS} printable ASCII characters, no @, no outer spaces"
        issues.append(Issue("reference", "shape", detail))
    try:
        lasts = durations.parse(valid_for)
    except ValueError as exc:
        issues.append(Issue("valid_for", "duration", str(exc)))
    if lasts > links.VALID_FOR_MOST:
        issues.append(Issue("valid_for", "range", f"at most P{links.VALID_FOR_MOST.days}D"))
    if issues:
        raise ValidationFailedError(issues)
    return lasts


def _require_start_page(session: Session, client: ClientRecord) -> None:
    if clients.get(session, client.id).initiate_login_uri is None:
        detail = "this client has none, so nobody can be sent to it; the operator registers it"
        raise ValidationFailedError([Issue("initiate_login_uri", "missing", detail)])


def _invitation(row: Invitation, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "template": row.template_id,
        "state": links.shown_state(row, now).value,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at),
        "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
    }
