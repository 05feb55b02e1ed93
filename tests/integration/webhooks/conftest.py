"""The outbox of one process, a receiver beside it, and a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from api.webhooks.courier import Courier
from api.wiring import wire
from consent.log import feed
from consent.models import FeedPending, Organisation
from consent.webhooks import endpoints, keys
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.ids import random_uuid, time_ordered_uuid
from tests.support.events import SteppingClock
from tests.support.receiver import receiving


@dataclass
class Post:
    """The outbox of one process."""

    wiring: Any
    clock: SteppingClock

    @property
    def uow(self):
        return self.wiring.uow

    def organisation(self, standing="good"):
        made = random_uuid()
        row = {
            "id": made,
            "name_az": "Günəş Bank",
            "name_en": "Sun Bank",
            "contact": "privacy@gunes-bank.example",
            "address": "Nizami 1, Bakı",
            "jurisdiction": "AZ",
            "standing": standing,
            "feed_number": 0,
            "created_at": self.clock.now(),
        }
        self.uow.write(lambda session: session.execute(insert(Organisation).values(row)))
        return made

    def endpoint(self, organisation, url, *, events=(), secret=b"s" * 32):
        return self.uow.write(
            lambda session: endpoints.create(
                session,
                self.wiring.keys,
                organisation,
                url=url,
                events=events,
                secret=secret,
                now=self.clock.now(),
            )
        )

    def happen(self, organisation, *events, connection=None) -> list[UUID]:
        """Leave news, and number it as the worker does; a second apart."""
        rows = []
        for event in events:
            at = self.clock.move(seconds=1)
            rows.append(
                {
                    "bucket": 7,
                    "id": time_ordered_uuid(at),
                    "organisation_id": organisation,
                    "connection_id": connection or random_uuid(),
                    "event": event,
                    "at": at,
                }
            )
        self.uow.write(lambda session: session.execute(insert(FeedPending), rows))
        self.uow.write(feed.number_feed)
        return [row["connection_id"] for row in rows]

    def send(self, courier=None) -> int:
        """Send what is due, and wait for it; return to how many endpoints."""
        one = courier or Courier(self.wiring)
        taken = one.take(self.uow.write)
        one.wait()
        if courier is None:
            one.stop()
        return taken

    def with_endpoint(self, endpoint_id, act):
        return self.uow.write(
            lambda session: act(session, session.get(WebhookEndpoint, endpoint_id))
        )

    def read_endpoint(self, endpoint_id):
        with self.uow.read() as session:
            return session.get(WebhookEndpoint, endpoint_id)

    def messages(self):
        with self.uow.read() as session:
            query = select(WebhookDelivery).order_by(WebhookDelivery.feed_number)
            return list(session.scalars(query))

    def attempts(self):
        with self.uow.read() as session:
            query = select(WebhookAttempt).order_by(WebhookAttempt.at, WebhookAttempt.number)
            return list(session.scalars(query))

    def secret(self, endpoint_id):
        endpoint = self.read_endpoint(endpoint_id)
        return [
            keys.secret_text(one)
            for one in keys.signers(self.wiring.keys, endpoint, self.clock.now()).secrets
        ]


@pytest.fixture
def clock():
    # The library that verifies looks at the machine's own clock.
    return SteppingClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def post(store, clock):
    wiring = wire(store.settings, clock=clock)
    yield Post(wiring, clock)
    wiring.uow.close()


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def bank(post):
    return post.organisation()


@pytest.fixture
def endpoint(post, bank, receiver):
    return post.endpoint(bank, receiver.url)
