"""Shapes of what a program of a vault's own owner reads."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

PAGE_RECORDS_MOST = 500


class OwnQuerySchema(Schema):
    """Which collection, from where on."""

    collection = fields.String(required=True, validate=validate.Length(1, 64))
    after = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 2**62),
        metadata={"description": "`next` of the page before, or `seq` of the last record known."},
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, PAGE_RECORDS_MOST))


class OwnRecordSchema(Schema):
    """A record with the vault's own id, as its owner has it."""

    id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    seq = fields.Integer(required=True, metadata={"description": "Rises with every change."})
    changed_at = fields.String(required=True, metadata={"format": "date-time"})
    author = fields.String(required=True, metadata={"enum": ["owner", "organisation"]})
    deleted = fields.Boolean(required=True)
    data = fields.Dict(metadata={"description": "Absent where `deleted` is true."})


class OwnRecordsSchema(Schema):
    """A page of a collection, by the order of changes."""

    collection = fields.String(required=True)
    records = fields.List(fields.Nested(OwnRecordSchema), required=True)
    next = fields.Integer(required=True, allow_none=True)
