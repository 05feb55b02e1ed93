"""Shapes of what a grant token reads and deposits."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from consent.vocabulary import AccessMode


class WithheldSchema(Schema):
    """An attribute that is not in the answer, and why."""

    attribute = fields.String(required=True)
    reason = fields.String(
        required=True,
        metadata={"enum": ["not_agreed", "coarsened", "not_filled_in", "out_of_range"]},
    )
    coarsening = fields.String(metadata={"description": "The coarser form, where `coarsened`."})


class ManifestSchema(Schema):
    """What was asked, agreed, delivered and withheld."""

    asked = fields.List(fields.String(), required=True)
    agreed = fields.List(fields.String(), required=True)
    delivered = fields.List(fields.String(), required=True)
    withheld = fields.List(fields.Nested(WithheldSchema), required=True)


class AuthorSchema(Schema):
    """Who wrote a record: its owner, an organisation, or you."""

    kind = fields.String(required=True, metadata={"enum": ["owner", "organisation", "you"]})


class RecordSchema(Schema):
    """A record as this grant sees it; its id means nothing to any other grant."""

    collection = fields.String(required=True)
    id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    changed_at = fields.String(required=True, metadata={"format": "date-time"})
    deleted = fields.Boolean(required=True)
    author = fields.Nested(AuthorSchema, required=True)
    data = fields.Dict(metadata={"description": "Absent where `deleted` is true."})


class AgreementRefSchema(Schema):
    """Which agreement version an answer rests on."""

    id = fields.UUID(required=True)
    version = fields.Integer(required=True)


class RecordsSchema(Schema):
    """A page of the snapshot or of the change feed."""

    grant_id = fields.UUID(required=True)
    agreement = fields.Nested(AgreementRefSchema, required=True)
    records = fields.List(fields.Nested(RecordSchema), required=True)
    manifest = fields.Nested(ManifestSchema, required=True)
    next_cursor = fields.String(required=True)
    has_more = fields.Boolean(required=True)


class RecordsQuerySchema(Schema):
    """What a reader may ask of the feed."""

    collection = fields.String(metadata={"description": "Only this collection."})
    cursor = fields.String(validate=validate.Length(max=1000))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))


class GrantSchema(Schema):
    """What this token may do, as the server will decide it."""

    grant_id = fields.UUID(required=True)
    connection = fields.UUID(required=True)
    agreement = fields.Dict(required=True)
    state = fields.String(required=True)
    usable = fields.Boolean(required=True)
    reason = fields.String(allow_none=True, required=True)
    purpose = fields.String()
    actions = fields.List(fields.String())
    attributes = fields.List(fields.String())
    withheld = fields.List(fields.Nested(WithheldSchema))
    access = fields.String(validate=validate.OneOf([*AccessMode]))
    coarsenings = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "The coarser form in which some attributes are shared."},
    )
    data_from = fields.Dict(keys=fields.String(), values=fields.String())
    instances = fields.Dict(
        metadata={"description": "Which records, of collections of which only some are shared."}
    )
    fetches_per_day = fields.Integer()
    fetches_today = fields.Integer()
    reference = fields.String(
        allow_none=True,
        metadata={"description": "Your own number for this person, if you invited them by one."},
    )
    expires_at = fields.String(required=True)


class DepositSchema(Schema):
    """A document for the person's vault; repeating it under the same id replaces it."""

    # Without control characters, which PostgreSQL does not store.
    document_id = fields.String(
        required=True, validate=validate.Regexp(r"[^\x00-\x1f\x7f]{1,128}\Z")
    )
    data = fields.Dict(keys=fields.String(), required=True)


class DepositedSchema(Schema):
    """A deposit that was taken in; its owner finds it after the next unlock."""

    document_id = fields.String(required=True)
    collection = fields.String(required=True)
    state = fields.String(required=True)
