"""Shapes of invitations, as their organisation sees them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from consent.invitations.links import VALID_FOR, VALID_FOR_MOST
from consent.invitations.references import CHARACTERS
from consent.vocabulary import InvitationState


class NewInvitationSchema(Schema):
    """A new invitation."""

    template = fields.UUID(required=True, metadata={"description": "One in force, of your own."})
    reference = fields.String(
        required=True,
        validate=validate.Length(1, CHARACTERS),
        metadata={
            "description": "Your own number for this person, in printable ASCII without @. It must"
            " say nothing by itself: no name, no address, no number that others use."
        },
    )
    valid_for = fields.String(
        load_default=f"P{VALID_FOR.days}D",
        metadata={"description": f"Whole days, at most P{VALID_FOR_MOST.days}D."},
    )


class InvitationSchema(Schema):
    """An invitation; its reference is told to nobody but the person."""

    id = fields.UUID(required=True)
    template = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf([*InvitationState]))
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True)
    closed_at = fields.String(required=True, allow_none=True)


class InvitationWithLinkSchema(InvitationSchema):
    """An invitation with its link, which is in this answer and in no other."""

    url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null in the answer to a repeated request."},
    )
    qr_svg = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The link as a QR code (ISO/IEC 18004), an SVG document."},
    )


class InvitationsSchema(Schema):
    """A page of invitations, the oldest first."""

    invitations = fields.List(fields.Nested(InvitationSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)
