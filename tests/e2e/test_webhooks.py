"""Webhooks over the API, and from a decision to a receiver (ORG-10, ORG-17, ORG-18, ORG-19)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from api.webhooks.courier import Courier
from api.worker import Worker
from consent.idempotency import IdempotencyKey
from consent.log import feed
from consent.vocabulary import FeedEvent
from consent.webhooks.models import WebhookEndpoint
from tests.support.receiver import receiving
from tests.support.worlds import TickingClock, world_on

URL = "https://receiver.example/hook"
PATH = "/v1/webhooks"


class Scene:
    """A shop and a bank, each with a token; nothing here keeps anything of another test's."""

    def __init__(self, world):
        self.world = world
        self.shop, self.bank = world.organisation("Shop"), world.organisation("Bank")

    def call(self, method, path="", *, body=None, who=None, headers=None, **query):
        who = who or self.shop
        return who.client.request(
            method,
            self.world.url(PATH + path),
            who.organisation_token(),
            json=body,
            params=query or None,
            headers=headers or {},
        )

    def add(self, url=URL, **members):
        answer = self.call("POST", body={"url": url, **members})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def remove_all(self):
        for who in (self.shop, self.bank):
            for found in self.call("GET", who=who).json()["endpoints"]:
                self.call("DELETE", f"/{found['id']}", who=who)


@pytest.fixture(scope="module")
def whole(stores):
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        clock = TickingClock(datetime.now(UTC))
        yield Scene(stack.enter_context(world_on(store, clock=clock)))


@pytest.fixture
def scene(whole):
    yield whole
    whole.remove_all()


def test_a_new_endpoint_shows_its_secret_once(scene):
    made = scene.add(events=["consent.withdrawn"])

    read = scene.call("GET", f"/{made['id']}").json()

    assert made["secret"].startswith("whsec_")
    assert read == {name: value for name, value in made.items() if name != "secret"}
    assert read["public_keys"][0].startswith("whpk_")
    assert (read["enabled"], read["disabled_reason"], read["failing_since"]) == (True, None, None)


def test_a_secret_stands_nowhere_in_the_store_as_it_is(scene):
    """P-19."""
    made = scene.add()

    with scene.world.services.uow.read() as session:
        (row,) = session.scalars(select(WebhookEndpoint))

    assert made["secret"] not in str(vars(row))
    assert made["secret"].removeprefix("whsec_").encode() not in row.secret_box


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://receiver.example/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "https://receiver.example:25/"}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": URL, "events": ["everything"]}, "/events/0"),
        ({"url": URL, "events": "data.updated"}, "/events"),
        ({"url": URL, "more": 1}, "/more"),
        ({}, "/url"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_pointer(scene, body, pointer):
    answer = scene.call("POST", body=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("path", ["", "/test", "/secret", "/deliveries", "/redelivery"])
def test_another_organisations_endpoint_looks_like_none(scene, path):
    """SEC-S23."""
    own = scene.add()["id"]
    method = "GET" if path in ("", "/deliveries") else "POST"
    body = {"first": 1, "last": 2} if path == "/redelivery" else None

    foreign, absent = (
        scene.call(method, f"/{which}{path}", body=body, who=scene.bank) for which in (own, uuid4())
    )

    assert foreign.status_code == absent.status_code == 404
    assert foreign.json() == absent.json()


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_nobody_changes_or_deletes_anothers_endpoint(scene, method):
    own = scene.add()["id"]
    body = {"url": "https://mallory.example/"} if method == "PATCH" else None

    answer = scene.call(method, f"/{own}", body=body, who=scene.bank)

    assert answer.status_code == 404
    assert scene.call("GET", f"/{own}").json()["url"] == URL
    assert scene.call("GET", who=scene.bank).json()["endpoints"] == []


def test_an_endpoint_is_changed_disabled_and_enabled(scene):
    made = scene.add()

    changed = scene.call("PATCH", f"/{made['id']}", body={"events": ["data.updated"]}).json()
    disabled = scene.call("PATCH", f"/{made['id']}", body={"enabled": False}).json()
    enabled = scene.call("PATCH", f"/{made['id']}", body={"enabled": True}).json()
    refused = scene.call("PATCH", f"/{made['id']}", body={"url": "https://10.0.0.1/"})

    assert (changed["events"], changed["url"]) == (["data.updated"], URL)
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "organisation")
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    assert refused.status_code == 422


def test_endpoints_come_in_pages(scene):
    made = [scene.add()["id"] for _ in range(3)]

    first = scene.call("GET", limit=2).json()
    second = scene.call("GET", limit=2, cursor=first["next_cursor"]).json()

    assert [one["id"] for one in [*first["endpoints"], *second["endpoints"]]] == made
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert scene.call("GET", cursor="x").status_code == 422


def test_more_than_ten_endpoints_are_too_many(scene):
    for _ in range(10):
        scene.add()

    assert scene.call("POST", body={"url": URL}).status_code == 429


def test_a_repeated_request_makes_one_endpoint_org_10(scene):
    key = {"Idempotency-Key": str(uuid4())}

    first, second = (scene.call("POST", body={"url": URL}, headers=key) for _ in range(2))
    other = scene.call("POST", body={"url": URL + "2"}, headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["secret"] is not None
    assert second.json()["secret"] is None  # shown once; whoever lost it rotates
    assert (other.status_code, other.json()["errors"][0]["rule"]) == (422, "reused")
    assert len(scene.call("GET").json()["endpoints"]) == 1


def test_one_key_of_two_organisations_is_two_keys(scene):
    key = {"Idempotency-Key": "the-same"}

    first = scene.call("POST", body={"url": URL}, headers=key).json()
    second = scene.call("POST", body={"url": URL}, headers=key, who=scene.bank).json()

    assert first["id"] != second["id"]
    assert second["secret"] is not None


@pytest.mark.parametrize("key", ["", "a" * 256, "a\x7fb"])
def test_a_malformed_key_is_refused(scene, key):
    answer = scene.call("POST", body={"url": URL}, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert scene.call("GET").json()["endpoints"] == []


def test_what_failed_used_no_key_up(scene):
    key = {"Idempotency-Key": str(uuid4())}
    made = scene.add()["id"]
    scene.call("PATCH", f"/{made}", body={"enabled": False})
    refused = scene.call("POST", f"/{made}/test", headers=key)
    scene.call("PATCH", f"/{made}", body={"enabled": True})

    again = scene.call("POST", f"/{made}/test", headers=key)

    assert (refused.status_code, again.status_code) == (409, 202)


def test_keys_are_kept_for_a_day_and_hold_no_body(scene):
    """P-20."""
    world, key = scene.world, f"key-{uuid4()}"
    scene.call("POST", body={"url": URL + "?canary"}, headers={"Idempotency-Key": key})

    with world.services.uow.read() as session:
        rows = list(session.scalars(select(IdempotencyKey)))

    assert key.encode() not in b"".join(row.key_sha256 for row in rows)
    assert "canary" not in str([vars(row) for row in rows])


def test_a_rotation_is_repeated_without_a_third_secret(scene):
    made = scene.add()
    key = {"Idempotency-Key": str(uuid4())}

    first, second = (scene.call("POST", f"/{made['id']}/secret", headers=key) for _ in range(2))

    assert first.json()["secret"] not in (None, made["secret"])
    assert second.json()["secret"] is None
    assert first.json()["public_keys"] == second.json()["public_keys"]
    assert first.json()["public_keys"][1:] == made["public_keys"]
    assert first.json()["previous_secret_until"] is not None


def test_a_test_message_reaches_the_receiver_and_the_log(scene):
    with receiving() as receiver:
        made = scene.add(receiver.url)
        queued = scene.call("POST", f"/{made['id']}/test").json()
        receiver.answer(500)
        deliver(scene.world)
        failed = scene.call("GET", f"/{made['id']}").json()
        (logged,) = scene.call("GET", f"/{made['id']}/deliveries").json()["deliveries"]
        scene.call("POST", f"/{made['id']}/deliveries/{queued['id']}/redelivery")
        scene.world.services.clock.move(seconds=7)
        deliver(scene.world)
        (after,) = scene.call("GET", f"/{made['id']}/deliveries").json()["deliveries"]

    assert json.loads(receiver.received[0].body) | {"timestamp": ""} == {
        "type": "test",
        "timestamp": "",
        "data": {},
    }
    assert failed["failing_since"] is not None
    assert (queued["state"], logged["state"], after["state"]) == ("pending", "pending", "delivered")
    assert [(one["outcome"], one["status"]) for one in after["attempts"]] == [
        ("status", 500),
        ("delivered", 204),
    ]
    assert logged["next_attempt_at"] is not None
    assert [one.headers["webhook-id"] for one in receiver.received] == [queued["webhook_id"]] * 2


def test_the_log_comes_in_pages_and_by_state(scene):
    made = scene.add()["id"]
    queued = [scene.call("POST", f"/{made}/test").json()["id"] for _ in range(3)]

    first = scene.call("GET", f"/{made}/deliveries", limit=2).json()
    second = scene.call("GET", f"/{made}/deliveries", limit=2, cursor=first["next_cursor"]).json()
    none = scene.call("GET", f"/{made}/deliveries", state="failed").json()

    found = [one["id"] for one in [*first["deliveries"], *second["deliveries"]]]
    assert found == queued[::-1]
    assert none["deliveries"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"first": 1, "last": 1_000}, 202),
        ({"first": 1, "last": 1_001}, 422),
        ({"first": 2, "last": 1}, 422),
        ({"first": 0, "last": 1}, 422),
        ({"first": 1}, 422),
    ],
)
def test_a_range_is_bounded(scene, body, status):
    made = scene.add()["id"]

    assert scene.call("POST", f"/{made}/redelivery", body=body).status_code == status


def test_a_withdrawal_reaches_the_receiver_through_the_worker(world, clock):
    """ORG-24: and names what the connector would look up."""
    clock.instant = datetime.now(UTC)
    shop = world.organisation()
    with receiving() as receiver:
        scene = type("One", (), {"shop": shop, "world": world, "call": Scene.call})()
        made = Scene.add(scene, receiver.url, events=["consent.withdrawn", "obligation.opened"])
        connected = world.connect(world.person(), shop, shop.publish(required=["contact.email"]))
        connected.withdraw()
        worker = Worker(world.services)
        worker.turn()
        worker._courier.wait()
        worker.stop()

    (connection,) = shop.get("/v1/connections", shop.organisation_token()).json()["connections"]
    owed = shop.get("/v1/obligations", shop.organisation_token()).json()["obligations"]
    bodies = [Webhook(made["secret"]).verify(one.body, one.headers) for one in receiver.received]
    assert [body["type"] for body in bodies] == [
        "consent.withdrawn",
        *["obligation.opened"] * 2,
    ]
    assert [body["data"]["feed"] for body in bodies] == [2, 3, 4]
    assert {body["data"]["connection"] for body in bodies} == {connection["id"]}
    assert {body["data"]["obligation"] for body in bodies[1:]} == {each["id"] for each in owed}
    assert UUID(bodies[0]["data"]["connection"]) != connected.agreement_id


def test_every_type_of_message_is_described_with_a_schema(scene):
    """ORG-17."""
    described = scene.world.http.get("/openapi.json").json()

    assert set(described["webhooks"]) == {*FeedEvent, "test"}
    assert described["paths"]["/v1/webhooks"]["post"]["summary"] == "Add an endpoint"


def deliver(world):
    world.services.uow.write(feed.number_feed)
    courier = Courier(world.services)
    courier.take(world.services.uow.write)
    courier.wait()
    courier.stop()
