"""Takes what is due from the outbox and sends it, beside the worker's other tasks (D17).

One thread for each endpoint at a time, at most `MOST_AT_ONCE` in all and `MOST_OF_ONE` for one
organisation: whoever answers slowly waits for itself. A thread sends the messages of its endpoint
one after another in the order of the feed, and stops at the first that fails.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from api.outgoing import addresses
from api.outgoing.addresses import UrlRefusedError
from api.webhooks.sending import Sender
from api.wiring import Wiring
from consent.webhooks import deliveries, endpoints, keys
from consent.webhooks.deliveries import Answer, Outcome
from consent.webhooks.models import WebhookDelivery, WebhookEndpoint
from pds.clock import rfc3339

MOST_AT_ONCE = 8
MOST_OF_ONE = 2

_logger = logging.getLogger(__name__)

UnderLease = Callable[[Callable[[Session], Any]], Any]


class Courier:
    """Sends what is due; `take` is called by whoever holds the worker's lease."""

    def __init__(self, wiring: Wiring, *, sender: Sender | None = None) -> None:
        self._wiring = wiring
        self._sender = sender or Sender()
        self._chance = random.SystemRandom().random
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="pds-webhook")
        self._lock = threading.Lock()
        self._busy: dict[UUID, UUID] = {}  # endpoint: its organisation
        self._running: set[Future[None]] = set()
        self._stopping = threading.Event()

    def take(self, under_lease: UnderLease) -> int:
        """Start sending what is due to endpoints that are not being sent to; return to how many.

        Claims are written under the lease, so that two workers never hold the same message.
        """
        with self._lock:
            busy, of_each = dict(self._busy), Counter(self._busy.values())
        now = self._wiring.clock.now()
        with self._wiring.uow.read() as session:
            due = deliveries.endpoints_due(session, now=now, busy=list(busy), limit=100)
        taken = 0
        for endpoint_id, organisation_id in due:
            if len(busy) + taken >= MOST_AT_ONCE:
                break
            if of_each[organisation_id] >= MOST_OF_ONE:
                continue
            of_each[organisation_id] += 1
            claimed = under_lease(partial(deliveries.claim, endpoint_id=endpoint_id, now=now))
            if claimed:
                self._start(endpoint_id, organisation_id, claimed)
                taken += 1
        return taken

    def wait(self) -> None:
        """Return when everything that was started has ended."""
        with self._lock:
            running = list(self._running)
        wait(running)

    def stop(self) -> None:
        """End after the message at hand of each endpoint."""
        self._stopping.set()
        self._pool.shutdown(wait=True)

    def _start(
        self, endpoint_id: UUID, organisation_id: UUID, claimed: Sequence[WebhookDelivery]
    ) -> None:
        with self._lock:
            self._busy[endpoint_id] = organisation_id
            running = self._pool.submit(self._send_all, endpoint_id, claimed)
            self._running.add(running)
        running.add_done_callback(lambda done: self._ended(endpoint_id, done))

    def _ended(self, endpoint_id: UUID, done: Future[None]) -> None:
        with self._lock:
            self._busy.pop(endpoint_id, None)
            self._running.discard(done)
        failure = done.exception()
        if failure is not None:
            # What was claimed comes round again when the claim is over. No message: it may quote.
            _logger.error("webhooks: %s", type(failure).__name__)

    def _send_all(self, endpoint_id: UUID, claimed: Sequence[WebhookDelivery]) -> None:
        waiting = deque(claimed)
        while waiting and not self._stopping.is_set():
            if not self._send(endpoint_id, waiting.popleft()):
                break
        left, now = [one.id for one in waiting], self._wiring.clock.now()
        if left:
            self._wiring.uow.write(lambda session: deliveries.release(session, left, now=now))

    def _send(self, endpoint_id: UUID, delivery: WebhookDelivery) -> bool:
        now = self._wiring.clock.now()
        with self._wiring.uow.read() as session:
            endpoint = session.get(WebhookEndpoint, endpoint_id)
        if endpoint is None or endpoint.state != "enabled":
            return False
        answer = self._answer(endpoint, delivery)
        self._wiring.uow.write(
            lambda session: deliveries.record(
                session, delivery.id, answer, chance=self._chance(), now=now
            )
        )
        return answer.outcome is Outcome.DELIVERED

    def _answer(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> Answer:
        now = self._wiring.clock.now()
        loopback = self._wiring.settings.server.insecure_loopback
        try:
            target = addresses.parse(endpoint.url, insecure_loopback=loopback)
        except UrlRefusedError:
            # It was allowed when it was given: the rules, or the instance, have changed since.
            return Answer(Outcome.ADDRESS_REFUSED, 0)
        body, message_id = payload(delivery), deliveries.message_id(delivery)
        timestamp = int(now.timestamp())
        signers = keys.signers(self._wiring.keys, endpoint, now)
        return self._sender.post(
            target,
            body,
            {
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signers.signature(message_id, timestamp, body),
            },
            now=now,
        )


def payload(delivery: WebhookDelivery) -> bytes:
    """Return the body of a message: its type, when it happened, ids; never a value."""
    data: dict[str, object] = {}
    if delivery.event != endpoints.TEST_EVENT:
        data = {"feed": delivery.feed_number, "connection": str(delivery.connection_id)}
        if delivery.obligation_id is not None:
            data["obligation"] = str(delivery.obligation_id)
    return orjson.dumps(
        {"type": delivery.event, "timestamp": rfc3339(delivery.created_at), "data": data}
    )
