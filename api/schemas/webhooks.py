"""Shapes of webhooks: endpoints, messages, the delivery log; ids and times, no values."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from api.outgoing.addresses import URL_CHARACTERS
from api.schemas.organisations import PageQuerySchema
from consent.vocabulary import FeedEvent
from consent.webhooks.deliveries import Outcome
from consent.webhooks.endpoints import EVENTS, TEST_EVENT, DisabledReason

_STATES = ["pending", "delivered", "failed"]
_LARGEST = 2**63 - 1


class NewEndpointSchema(Schema):
    """A new endpoint."""

    url = fields.String(required=True, validate=validate.Length(1, URL_CHARACTERS))
    events = fields.List(
        fields.String(validate=validate.OneOf(EVENTS)),
        load_default=list,
        metadata={"description": "What to send; empty: everything."},
    )


class EndpointChangeSchema(Schema):
    """What to change of an endpoint; what is absent stays."""

    url = fields.String(validate=validate.Length(1, URL_CHARACTERS))
    events = fields.List(fields.String(validate=validate.OneOf(EVENTS)))
    enabled = fields.Boolean()


class EndpointSchema(Schema):
    """An endpoint."""

    id = fields.UUID(required=True)
    url = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    enabled = fields.Boolean(required=True)
    disabled_reason = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([*DisabledReason])
    )
    failing_since = fields.String(required=True, allow_none=True)
    public_keys = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Ed25519, `whpk_` and base64; each may have signed now."},
    )
    previous_secret_until = fields.String(required=True, allow_none=True)
    created_at = fields.String(required=True)


class EndpointWithSecretSchema(EndpointSchema):
    """An endpoint with its new secret, which is shown this once."""

    secret = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`whsec_` and base64; null in the answer to a repeated request."},
    )


class EndpointsSchema(Schema):
    """A page of endpoints."""

    endpoints = fields.List(fields.Nested(EndpointSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)


class DeliveriesQuerySchema(PageQuerySchema):
    """Which messages."""

    state = fields.String(load_default=None, validate=validate.OneOf(_STATES))


class AttemptSchema(Schema):
    """One attempt; no body of either side is kept."""

    at = fields.String(required=True)
    milliseconds = fields.Integer(required=True)
    outcome = fields.String(required=True, validate=validate.OneOf([*Outcome]))
    status = fields.Integer(required=True, allow_none=True)


class DeliverySchema(Schema):
    """One message and what became of it."""

    id = fields.UUID(required=True)
    webhook_id = fields.String(required=True)
    event = fields.String(required=True)
    feed = fields.Integer(required=True, allow_none=True)
    connection = fields.UUID(required=True, allow_none=True)
    obligation = fields.UUID(required=True, allow_none=True)
    at = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(_STATES))
    next_attempt_at = fields.String(required=True, allow_none=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class DeliveriesSchema(Schema):
    """A page of the delivery log, the newest message first."""

    deliveries = fields.List(fields.Nested(DeliverySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    has_more = fields.Boolean(required=True)


class RangeSchema(Schema):
    """Numbers of the feed, both included."""

    first = fields.Integer(required=True, validate=validate.Range(1, _LARGEST))
    last = fields.Integer(required=True, validate=validate.Range(1, _LARGEST))


class QueuedSchema(Schema):
    """How many messages wait now."""

    queued = fields.Integer(required=True)


def described_messages() -> dict[str, Any]:
    """Return the `webhooks` of the API's description: one schema for each type of message."""
    return {event: {"post": _message(event)} for event in [*EVENTS, TEST_EVENT]}


def _message(event: str) -> dict[str, Any]:
    ids: dict[str, Any] = {}
    if event != TEST_EVENT:
        uuid = {"type": "string", "format": "uuid"}
        ids = {"feed": {"type": "integer", "minimum": 1}, "connection": uuid}
        if FeedEvent(event).kind == "obligation":
            ids["obligation"] = uuid
    header = {"in": "header", "required": True, "schema": {"type": "string"}}
    return {
        "summary": f"A message: {event}",
        "description": "Signed by Standard Webhooks. Answer 2xx within 15 seconds.",
        "parameters": [
            header | {"name": name}
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["type", "timestamp", "data"],
                        "properties": {
                            "type": {"const": event},
                            "timestamp": {"type": "string", "format": "date-time"},
                            "data": {
                                "type": "object",
                                "required": [*ids],
                                "properties": ids,
                            },
                        },
                    }
                }
            },
        },
        "responses": {"2XX": {"description": "Taken."}, "410": {"description": "Send no more."}},
    }
