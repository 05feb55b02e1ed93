"""An organisation's webhooks: endpoints, their secrets, and the delivery log (ORG-17 to ORG-19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy.orm import Session

from api.outgoing import addresses
from api.outgoing.addresses import UrlRefusedError
from api.resources.authentication import organisation_token
from api.resources.parsing import StrictBlueprint, cursor_id
from api.resources.repeating import REPEATABLE, Asked
from api.schemas.organisations import PageQuerySchema
from api.schemas.webhooks import (
    DeliveriesQuerySchema,
    DeliveriesSchema,
    DeliverySchema,
    EndpointChangeSchema,
    EndpointSchema,
    EndpointsSchema,
    EndpointWithSecretSchema,
    NewEndpointSchema,
    QueuedSchema,
    RangeSchema,
)
from api.wiring import Wiring, wiring
from consent.webhooks import deliveries, endpoints, keys
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.clock import rfc3339
from pds.errors import Issue, NotFoundError, ValidationFailedError

blueprint = StrictBlueprint(
    "webhooks",
    __name__,
    url_prefix="/v1/webhooks",
    description="The organisation's feed, sent to it: an organisation token",
)
_SECURITY: list[dict[str, list[str]]] = [{"organisationToken": []}]


@blueprint.route("")
class Endpoints(MethodView):
    """All endpoints."""

    @blueprint.doc(security=_SECURITY, summary="List endpoints")
    @blueprint.arguments(PageQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, EndpointsSchema)
    def get(self, limit: int, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of endpoints."""
        client, services = organisation_token(), wiring()
        after = cursor_id(cursor) if cursor else None
        with services.uow.read() as session:
            rows = endpoints.page(session, client.organisation_id, after=after, limit=limit + 1)
        found = [_endpoint(services, row) for row in rows[:limit]]
        return {"endpoints": found, **_more(rows, limit)}

    @blueprint.doc(security=_SECURITY, summary="Add an endpoint", parameters=REPEATABLE)
    @blueprint.arguments(NewEndpointSchema, as_kwargs=True)
    @blueprint.response(201, EndpointWithSecretSchema)
    def post(self, url: str, events: list[str]) -> dict[str, Any]:
        """Add an endpoint; its secret is in this answer and in no other."""
        client, services = organisation_token(), wiring()
        _check_url(services, url)
        secret, now = keys.new_secret(), services.clock.now()
        asked = Asked.by(client, now)

        def make(session: Session) -> UUID:
            return endpoints.create(
                session,
                services.keys,
                client.organisation_id,
                url=url,
                events=events,
                secret=secret,
                now=now,
            )

        def job(session: Session) -> tuple[WebhookEndpoint, bool]:
            made, is_new = asked.once(session, lambda: make(session))
            return endpoints.get(session, client.organisation_id, made), is_new

        endpoint, is_new = services.uow.write(job)
        return _endpoint(services, endpoint) | {
            "secret": keys.secret_text(secret) if is_new else None
        }


@blueprint.route("/<uuid:endpoint_id>")
class Endpoint(MethodView):
    """One endpoint."""

    @blueprint.doc(security=_SECURITY, summary="Read an endpoint")
    @blueprint.response(200, EndpointSchema)
    def get(self, endpoint_id: UUID) -> dict[str, Any]:
        """Return an endpoint."""
        client, services = organisation_token(), wiring()
        with services.uow.read() as session:
            return _endpoint(services, endpoints.get(session, client.organisation_id, endpoint_id))

    @blueprint.doc(security=_SECURITY, summary="Change an endpoint")
    @blueprint.arguments(EndpointChangeSchema, as_kwargs=True)
    @blueprint.response(200, EndpointSchema)
    def patch(self, endpoint_id: UUID, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - the schema's members
        """Change URL or events, disable, or enable again after whatever disabled it."""
        services = wiring()
        if "url" in changes:
            _check_url(services, changes["url"])

        def change(session: Session, endpoint: WebhookEndpoint) -> WebhookEndpoint:
            endpoints.change(session, endpoint, **changes)
            return endpoint

        return _endpoint(services, _with_endpoint(endpoint_id, change))

    @blueprint.doc(security=_SECURITY, summary="Delete an endpoint")
    @blueprint.response(204)
    def delete(self, endpoint_id: UUID) -> None:
        """Delete an endpoint with its delivery log; the feed stays."""
        _with_endpoint(endpoint_id, endpoints.remove)


@blueprint.route("/<uuid:endpoint_id>/secret")
class Secret(MethodView):
    """The secret of an endpoint."""

    @blueprint.doc(security=_SECURITY, summary="Rotate secret and key", parameters=REPEATABLE)
    @blueprint.response(200, EndpointWithSecretSchema)
    def post(self, endpoint_id: UUID) -> dict[str, Any]:
        """Make a new secret and key pair; for a day the ones before sign as well."""
        client, services = organisation_token(), wiring()
        secret, now = keys.new_secret(), services.clock.now()
        asked = Asked.by(client, now)

        def job(session: Session) -> tuple[WebhookEndpoint, bool]:
            endpoint = endpoints.get(session, client.organisation_id, endpoint_id, lock=True)

            def make() -> UUID:
                endpoints.rotate(services.keys, endpoint, secret=secret, now=now)
                return endpoint.id

            return endpoint, asked.once(session, make)[1]

        endpoint, is_new = services.uow.write(job)
        return _endpoint(services, endpoint) | {
            "secret": keys.secret_text(secret) if is_new else None
        }


@blueprint.route("/<uuid:endpoint_id>/test")
class Test(MethodView):
    """A message that says nothing."""

    @blueprint.doc(security=_SECURITY, summary="Send a test message", parameters=REPEATABLE)
    @blueprint.response(202, DeliverySchema)
    def post(self, endpoint_id: UUID) -> dict[str, Any]:
        """Queue a message of type `test`."""
        client, services = organisation_token(), wiring()
        now = services.clock.now()
        asked = Asked.by(client, now)

        def job(session: Session) -> dict[str, Any]:
            endpoint = endpoints.get(session, client.organisation_id, endpoint_id, lock=True)
            made, _ = asked.once(session, lambda: deliveries.queue_test(session, endpoint, now=now))
            return _one_delivery(session, endpoint, made)

        return services.uow.write(job)


@blueprint.route("/<uuid:endpoint_id>/deliveries")
class Deliveries(MethodView):
    """What was sent to an endpoint."""

    @blueprint.doc(security=_SECURITY, summary="Read the delivery log")
    @blueprint.arguments(DeliveriesQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, DeliveriesSchema)
    def get(
        self, endpoint_id: UUID, limit: int, state: str | None, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return messages of the last 30 days with their attempts, the newest first."""
        client, services = organisation_token(), wiring()
        before = cursor_id(cursor) if cursor else None
        with services.uow.read() as session:
            endpoint = endpoints.get(session, client.organisation_id, endpoint_id)
            rows = deliveries.log(session, endpoint.id, state=state, before=before, limit=limit + 1)
            attempts = deliveries.attempts(session, [row.id for row in rows])
        found = [_delivery(row, attempts[row.id]) for row in rows[:limit]]
        return {"deliveries": found, **_more(rows, limit)}


@blueprint.route("/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redelivery")
class Redelivery(MethodView):
    """One message, again."""

    @blueprint.doc(security=_SECURITY, summary="Send a message again", parameters=REPEATABLE)
    @blueprint.response(202, DeliverySchema)
    def post(self, endpoint_id: UUID, delivery_id: UUID) -> dict[str, Any]:
        """Queue a message again, under the same id; one that still waits goes on waiting."""
        client, services = organisation_token(), wiring()
        now = services.clock.now()
        asked = Asked.by(client, now)

        def job(session: Session) -> dict[str, Any]:
            endpoint = endpoints.get(session, client.organisation_id, endpoint_id, lock=True)

            def make() -> UUID:
                deliveries.redeliver(session, endpoint, delivery_id, now=now)
                return delivery_id

            asked.once(session, make)
            return _one_delivery(session, endpoint, delivery_id)

        return services.uow.write(job)


@blueprint.route("/<uuid:endpoint_id>/redelivery")
class RangeRedelivery(MethodView):
    """A range of the feed, again."""

    @blueprint.doc(security=_SECURITY, summary="Send a range of the feed again")
    @blueprint.arguments(RangeSchema, as_kwargs=True)
    @blueprint.response(202, QueuedSchema)
    def post(self, endpoint_id: UUID, first: int, last: int) -> dict[str, Any]:
        """Queue what the endpoint wants of these numbers, also what it never got."""
        if not 0 <= last - first < deliveries.MOST_AT_ONCE:
            issue = Issue("last", "range", f"1 to {deliveries.MOST_AT_ONCE} numbers at once")
            raise ValidationFailedError([issue])
        now = wiring().clock.now()

        def again(session: Session, endpoint: WebhookEndpoint) -> int:
            return deliveries.redeliver_range(session, endpoint, first=first, last=last, now=now)

        return {"queued": _with_endpoint(endpoint_id, again)}


def _with_endpoint(endpoint_id: UUID, act: Callable[[Session, WebhookEndpoint], Any]) -> Any:  # noqa: ANN401 - what `act` returns
    client = organisation_token()

    def job(session: Session) -> Any:  # noqa: ANN401 - as above
        endpoint = endpoints.get(session, client.organisation_id, endpoint_id, lock=True)
        return act(session, endpoint)

    return wiring().uow.write(job)


def _check_url(services: Wiring, url: str) -> None:
    try:
        addresses.parse(url, insecure_loopback=services.settings.server.insecure_loopback)
    except UrlRefusedError as exc:
        raise ValidationFailedError([Issue("url", "refused", str(exc))]) from exc


def _endpoint(services: Wiring, endpoint: WebhookEndpoint) -> dict[str, Any]:
    now = services.clock.now()
    overlaps = endpoint.previous_until is not None and now < endpoint.previous_until
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "enabled": endpoint.state == "enabled",
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since and rfc3339(endpoint.failing_since),
        "public_keys": keys.public_keys(services.keys, endpoint, now),
        "previous_secret_until": rfc3339(endpoint.previous_until)
        if overlaps and endpoint.previous_until
        else None,
        "created_at": rfc3339(endpoint.created_at),
    }


def _one_delivery(session: Session, endpoint: WebhookEndpoint, delivery_id: UUID) -> dict[str, Any]:
    session.flush()
    found = session.get(WebhookDelivery, delivery_id, populate_existing=True)
    if found is None or found.endpoint_id != endpoint.id:
        raise NotFoundError
    return _delivery(found, deliveries.attempts(session, [delivery_id])[delivery_id])


def _delivery(found: WebhookDelivery, attempts: Sequence[WebhookAttempt]) -> dict[str, Any]:
    return {
        "id": found.id,
        "webhook_id": deliveries.message_id(found),
        "event": found.event,
        "feed": found.feed_number,
        "connection": found.connection_id,
        "obligation": found.obligation_id,
        "at": rfc3339(found.created_at),
        "state": found.state,
        "next_attempt_at": rfc3339(found.due_at) if found.state == "pending" else None,
        "attempts": [
            {
                "at": rfc3339(one.at),
                "milliseconds": one.milliseconds,
                "outcome": one.outcome,
                "status": one.status,
            }
            for one in attempts
        ],
    }


def _more(
    rows: Sequence[WebhookEndpoint] | Sequence[WebhookDelivery], limit: int
) -> dict[str, Any]:
    has_more = len(rows) > limit
    return {"next_cursor": str(rows[limit - 1].id) if has_more else None, "has_more": has_more}
