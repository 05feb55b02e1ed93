"""Access mode `once`: one fetch, repeated for 24 hours if need be, then fulfilled (P-10)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from consent.models import Agreement, ConsentEvent, Event, Grant, Obligation, Receipt

EMAIL = "contact.email"
DAY = timedelta(hours=24)


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], access={"mode": "once", "fetches_per_day": 5})


@pytest.fixture
def connected(world, aysel, shop, template):
    return world.connect(aysel, shop, template)


def one(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).one()


def latest(world, model, order):
    with world.services.uow.read() as session:
        return session.scalars(select(model).order_by(order.desc())).first()


def work(world):
    services = world.services
    services.uow.write(lambda session: services.endings.end_due(session, now=services.clock.now()))


def fresh(shop, connected):
    return shop.client.refresh(connected.refresh_token).json()["access_token"]


def problem(answer):
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_the_first_fetch_that_brings_something_begins_the_time(world, clock, aysel, connected):
    assert connected.get("/v1/records").json()["records"] == []
    assert one(world, Grant).fetched_at is None
    clock.move(days=3)
    aysel.sign_in()
    aysel.save("contact", email="a@example.com")
    token = fresh(connected.organisation, connected)

    answer = connected.organisation.get("/v1/records", token)

    assert len(answer.json()["records"]) == 1
    agreement, grant = one(world, Agreement), one(world, Grant)
    assert grant.expires_at == agreement.expires_at == grant.fetched_at + DAY


def test_a_lost_answer_is_fetched_again_for_a_day_and_then_it_is_fulfilled(
    world, clock, aysel, shop, connected
):
    """By the check at the read at once, by the worker for the record: end, receipt, obligation."""
    aysel.save("contact", email="a@example.com")
    assert connected.get("/v1/records").status_code == 200
    ends_at = one(world, Grant).expires_at
    clock.move(hours=23)
    token = fresh(shop, connected)
    assert len(shop.get("/v1/records", token).json()["records"]) == 1
    assert one(world, Grant).expires_at == ends_at
    clock.instant = ends_at - timedelta(seconds=30)
    token = fresh(shop, connected)
    clock.instant = ends_at

    answer = shop.get("/v1/records", token)
    assert problem(answer) == (403, "consent-fulfilled")
    work(world)

    assert problem(shop.get("/v1/records", token)) == (403, "consent-fulfilled")
    agreement, grant = one(world, Agreement), one(world, Grant)
    assert (agreement.state, agreement.ended_by, grant.state) == ("fulfilled", "clock", "consumed")
    event = latest(world, ConsentEvent, ConsentEvent.seq)
    assert (event.act, event.status) == ("fulfil", "dpv:ConsentExpired")
    receipt = latest(world, Receipt, Receipt.created_at)
    record = json.loads(receipt.document)["dpv:hasRecordOfActivity"][0]
    assert receipt.kind == "fulfilled"
    assert record["agreement"]["contract_status"] == "dpv:ContractFulfilled"
    assert record["dpv:hasProcess"][0]["access"]["fetch"] == "onetime"
    assert latest(world, Obligation, Obligation.due_at).kind == "delete"
    with world.services.uow.read() as session:
        assert "consent.fulfilled" in set(session.scalars(select(Event.name)))
    assert shop.client.refresh(connected.refresh_token).status_code == 400


def test_the_fetch_has_follow_up_pages_and_no_changes_after_it(world, clock, aysel, shop, template):
    for number in range(3):
        aysel.save("contact", email=f"{number}@example.com")
    connected = world.connect(aysel, shop, template)
    first = connected.get("/v1/records?limit=2").json()
    assert first["has_more"]

    second = connected.get(f"/v1/records?limit=2&cursor={first['next_cursor']}").json()
    after = connected.get(f"/v1/records?cursor={second['next_cursor']}")

    assert (len(first["records"]), len(second["records"])) == (2, 1)
    assert problem(after) == (410, "cursor-expired")
    clock.move(minutes=1)
    assert len(connected.get("/v1/records").json()["records"]) == 3


@pytest.mark.usefixtures("connected")
def test_an_agreement_that_nobody_fetched_under_expires(world, clock):
    clock.instant = one(world, Agreement).expires_at

    work(world)

    assert one(world, Agreement).state == "expired"


def test_a_fetch_shortly_before_the_end_prolongs_nothing(world, clock, aysel, shop, template):
    aysel.save("contact", email="a@example.com")
    connected = world.connect(aysel, shop, template, duration="P1D")
    ends_at = one(world, Agreement).expires_at
    clock.move(hours=20)
    assert shop.get("/v1/records", fresh(shop, connected)).status_code == 200
    clock.instant = ends_at

    work(world)

    agreement = one(world, Agreement)
    assert (agreement.state, agreement.expires_at) == ("fulfilled", ends_at)


def test_other_modes_know_no_one_fetch(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    before = one(world, Agreement).expires_at

    assert connected.get("/v1/records").status_code == 200

    assert one(world, Grant).fetched_at is None
    assert one(world, Agreement).expires_at == before


def test_a_paused_fetch_is_fulfilled_all_the_same(world, clock, aysel, connected):
    aysel.save("contact", email="a@example.com")
    assert connected.get("/v1/records").status_code == 200
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)
    clock.move(hours=24)

    work(world)

    assert one(world, Agreement).state == "fulfilled"
