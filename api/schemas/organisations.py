"""Shapes of what an organisation token reads and writes: no personal values in any."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from consent.vocabulary import FeedEvent, FreezeReason, TerminationReason

_KINDS = ["consent", "data", "obligation"]
_LARGEST = 2**63 - 1  # a feed's numbers are 64-bit


class PageQuerySchema(Schema):
    """Keyset paging."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    cursor = fields.String(validate=validate.Length(max=64))


class ConnectionSchema(Schema):
    """One person's agreement with this organisation under one template (P-29)."""

    id = fields.UUID(required=True)
    sub = fields.String(required=True)
    agreement = fields.Dict(required=True)
    template = fields.Dict(required=True)
    state = fields.String(required=True)
    frozen = fields.Boolean(
        required=True,
        metadata={"description": "Your keys were reported stolen since its person confirmed it."},
    )
    grant_id = fields.UUID(required=True, allow_none=True)
    expires_at = fields.String(required=True)
    feed = fields.Integer(required=True)


class ConnectionsSchema(Schema):
    """A page of connections."""

    connections = fields.List(fields.Nested(ConnectionSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)


class TerminationSchema(Schema):
    """Why an organisation ends an agreement."""

    reason = fields.String(required=True, validate=validate.OneOf([*TerminationReason]))


class AgreementStateSchema(Schema):
    """An agreement and the state it is in."""

    id = fields.UUID(required=True)
    state = fields.String(required=True)


class ChangesQuerySchema(Schema):
    """Where in the organisation's feed to go on."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, _LARGEST))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class ChangeSchema(Schema):
    """A connection that changed: who, never what."""

    feed = fields.Integer(required=True)
    connection = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(_KINDS))
    event = fields.String(required=True, validate=validate.OneOf([*FeedEvent]))
    obligation = fields.UUID(required=True, allow_none=True)
    at = fields.String(required=True)
    state = fields.String(required=True)


class ChangesSchema(Schema):
    """A page of the organisation's feed."""

    changes = fields.List(fields.Nested(ChangeSchema), required=True)
    last = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)


class ObligationsQuerySchema(Schema):
    """Which obligations."""

    state = fields.String(
        load_default="due", validate=validate.OneOf(["due", "confirmed", "retained_with_basis"])
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class ObligationSchema(Schema):
    """What the organisation owes after the end of an agreement."""

    id = fields.UUID(required=True)
    connection = fields.UUID(required=True)
    agreement = fields.Dict(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    requested_at = fields.String(required=True)
    due_at = fields.String(required=True)
    asked_by_person = fields.Boolean(required=True)


class ObligationsSchema(Schema):
    """Obligations, the most urgent first."""

    obligations = fields.List(fields.Nested(ObligationSchema), required=True)


class TemplateSchema(Schema):
    """A published template version."""

    id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    document = fields.Dict(required=True)


class TemplatesSchema(Schema):
    """The organisation's published templates."""

    templates = fields.List(fields.Nested(TemplateSchema), required=True)


class DifferenceSchema(Schema):
    """A member that differs from the version before; null where it is absent on that side."""

    pointer = fields.String(required=True, metadata={"description": "JSON pointer (RFC 6901)."})
    weight = fields.String(required=True, metadata={"enum": ["material", "cosmetic"]})
    before = fields.Raw(required=True, allow_none=True)
    after = fields.Raw(required=True, allow_none=True)


class TemplateVersionSchema(TemplateSchema):
    """A version with its state, and what differs from the version before it."""

    state = fields.String(required=True, metadata={"enum": ["published", "superseded"]})
    published_at = fields.String(required=True, metadata={"format": "date-time"})
    differences = fields.List(fields.Nested(DifferenceSchema), required=True)


class TemplateVersionsSchema(Schema):
    """Every version of one template, oldest first."""

    versions = fields.List(fields.Nested(TemplateVersionSchema), required=True)


class OrganisationSchema(Schema):
    """The organisation that a token speaks for."""

    id = fields.UUID(required=True)
    name = fields.Dict(required=True)
    standing = fields.String(required=True)
    client = fields.Dict(required=True)


class FreezeSchema(Schema):
    """Why an organisation reports itself."""

    reason = fields.String(required=True, validate=validate.OneOf([*FreezeReason]))


class FrozenSchema(Schema):
    """That an organisation is frozen, and since when."""

    id = fields.UUID(required=True)
    frozen = fields.Boolean(required=True)
    frozen_at = fields.String(required=True, metadata={"format": "date-time"})


class LogEntriesQuerySchema(Schema):
    """Which entries of which stream, and the tree that the reader verified last."""

    stream = fields.String(required=True, validate=validate.Length(1, 64))
    after = fields.Integer(load_default=0, validate=validate.Range(0, _LARGEST - 1_000))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))
    size = fields.Integer(load_default=0, validate=validate.Range(0, _LARGEST))


class LogEntriesSchema(Schema):
    """Events of a grant of one's own, opened and proved to be in the log (P-33)."""

    stream = fields.String(required=True)
    checkpoint = fields.String(required=True, metadata={"description": "A C2SP signed note."})
    consistency = fields.List(
        fields.String(), required=True, metadata={"description": "From the tree of `size` leaves."}
    )
    entries = fields.List(fields.Dict(), required=True)
    has_more = fields.Boolean(required=True)
    erased = fields.List(
        fields.Dict(), metadata={"description": "What was erased since, if anything was."}
    )
