"""What may happen to a standing agreement, short of its person's withdrawal (CM-6 to CM-14)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from consent.formats import receipt as receipts
from consent.models import (
    Agreement,
    ConsentEvent,
    Event,
    EventPayload,
    FeedPending,
    Grant,
    Receipt,
)
from pds.errors import ConflictError, NotFoundError
from tests.support.reading import page, values

EMAIL = "contact.email"


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def connected(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    return world.connect(aysel, shop, shop.publish(required=[EMAIL], optional=["contact.phone"]))


def all_of(world, model, order=None):
    with world.services.uow.read() as session:
        query = select(model)
        return session.scalars(query if order is None else query.order_by(order)).all()


def states(world):
    """Return the states of the one agreement and its grant, and the course of the consent."""
    (agreement,), (grant,) = all_of(world, Agreement), all_of(world, Grant)
    events = all_of(world, ConsentEvent, ConsentEvent.seq)
    return agreement.state, grant.state, [(each.act, each.status) for each in events]


def logged(world):
    """Return the names of the grant's events, in order."""
    events = all_of(world, Event, Event.seq)
    return [each.name for each in events if each.stream.startswith("g.")]


def problem(answer):
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_a_paused_agreement_releases_nothing_and_tells_nothing(world, aysel, connected):
    """P-25, TAK-41, CM-8: 403 without a manifest, and no vault key is needed for it."""
    aysel.unlocked = None
    vault = aysel.visitor.vault

    world.services.pauses.pause(vault, connected.agreement_id)

    answer = connected.get("/v1/records")
    assert problem(answer) == (403, "consent-paused")
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert states(world) == (
        "suspended",
        "paused",
        [
            ("allow_part", "dpv:ConsentGiven"),
            ("pause", "dpv:ConsentStatusInvalidForProcessing"),
        ],
    )


def test_resuming_goes_on_with_the_same_tokens_and_terms(world, aysel, connected):
    """VOC-22: neither a vault key nor a new consent is needed."""
    aysel.unlocked = None
    vault, pauses = aysel.visitor.vault, world.services.pauses
    pauses.pause(vault, connected.agreement_id)

    pauses.resume(vault, connected.agreement_id)

    assert values(page(connected), "email") == ["a@example.com"]
    agreement, grant, course = states(world)
    assert (agreement, grant) == ("active", "active")
    assert course[-1] == ("resume", "dpv:ConsentGiven")
    assert logged(world) == [
        "consent.given",
        "token.issued",
        "consent.paused",
        "consent.resumed",
        "data.read",
    ]


def test_the_epoch_rises_with_pause_and_resume(world, aysel, connected):
    """P-8: what was decided before is void after, though the state is the same again."""
    (before,) = all_of(world, Grant)
    vault, pauses = aysel.visitor.vault, world.services.pauses

    pauses.pause(vault, connected.agreement_id)
    pauses.resume(vault, connected.agreement_id)

    (after,) = all_of(world, Grant)
    assert (after.state, after.epoch) == (before.state, before.epoch + 2)


def test_pausing_and_resuming_have_signed_receipts_with_the_whole_course(world, aysel, connected):
    """CUX-24, CM-15."""
    vault, pauses = aysel.visitor.vault, world.services.pauses
    pauses.pause(vault, connected.agreement_id)
    pauses.resume(vault, connected.agreement_id)

    found = all_of(world, Receipt, Receipt.stream_seq)
    assert [each.kind for each in found] == ["given", "paused", "resumed"]
    issuer = world.services.receipts
    keys = {issuer.kid: issuer.key.public_key().public_bytes_raw()}
    document = json.loads(found[-1].document)
    receipts.verify(document, keys)
    record = document["dpv:hasRecordOfActivity"][0]
    assert [each["@type"][0] for each in record["dpv:hasConsentStatus"]] == [
        "dpv:ConsentGiven",
        "dpv:ConsentStatusInvalidForProcessing",
        "dpv:ConsentGiven",
    ]
    assert record["agreement"]["contract_status"] == "dpv:ContractActive"
    assert record["obligations"] == []


def test_pausing_twice_is_pausing_once(world, aysel, connected):
    vault, pauses = aysel.visitor.vault, world.services.pauses

    for step in (pauses.pause, pauses.pause, pauses.resume, pauses.resume):
        step(vault, connected.agreement_id)

    assert [each.act for each in all_of(world, ConsentEvent, ConsentEvent.seq)] == [
        "allow_part",
        "pause",
        "resume",
    ]


def test_an_organisation_is_told_of_the_pause_and_of_no_change_within_it(world, aysel, connected):
    """P-24, P-25: that something changed is data too."""
    services, vault = world.services, aysel.visitor.vault
    services.uow.write(lambda session: session.execute(FeedPending.__table__.delete()))
    services.pauses.pause(vault, connected.agreement_id)
    aysel.save("contact", email="b@example.com")
    assert [each.event for each in all_of(world, FeedPending)] == ["consent.paused"]

    services.pauses.resume(vault, connected.agreement_id)
    aysel.save("contact", email="c@example.com")

    told = [each.event for each in all_of(world, FeedPending, FeedPending.id)]
    assert told == ["consent.paused", "consent.resumed", "data.updated"]
    assert sorted(values(page(connected), "email")) == [
        "a@example.com",
        "b@example.com",
        "c@example.com",
    ]


def test_a_paused_agreement_expires_all_the_same(world, clock, aysel, connected):
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)
    (agreement,) = all_of(world, Agreement)
    clock.instant = agreement.expires_at

    with pytest.raises(ConflictError):
        services.pauses.resume(vault, connected.agreement_id)
    services.uow.write(lambda s: services.endings.expire_due(s, now=services.clock.now()))

    agreement, grant, course = states(world)
    assert (agreement, grant, course[-1]) == (
        "expired",
        "expired",
        ("expire", "dpv:ConsentExpired"),
    )


def test_a_paused_agreement_is_withdrawn_as_any_other(world, aysel, connected):
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)

    connected.withdraw()

    assert problem(connected.get("/v1/records")) == (403, "consent-withdrawn")
    for step in (services.pauses.pause, services.pauses.resume):
        with pytest.raises(ConflictError):
            step(vault, connected.agreement_id)
    assert states(world)[:2] == ("withdrawn", "revoked")


def test_a_second_consent_replaces_a_paused_one(world, aysel, shop, connected):
    """P-29."""
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    again = world.connect(aysel, shop, connected.template)

    assert connected.get("/v1/records").status_code == 403
    assert again.get("/v1/records").status_code == 200


def test_nobody_pauses_anothers_agreement(world, connected):
    leyla = world.person("leyla")
    pauses, vault = world.services.pauses, leyla.visitor.vault

    for step in (pauses.pause, pauses.resume):
        with pytest.raises(NotFoundError):
            step(vault, connected.agreement_id)

    assert states(world)[0] == "active"


def test_a_paused_organisation_refreshes_and_deposits_nothing(world, aysel, shop):
    """The connection stays; neither reading nor writing does."""
    template = shop.publish(required=[EMAIL], actions=["read", "write"])
    connected = world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    refreshed = shop.client.refresh(connected.refresh_token)
    left = connected.post(
        "/v1/records/contact", {"document_id": "d1", "data": {"email": "b@example.com"}}
    )

    assert refreshed.status_code == 200
    assert problem(left) == (403, "consent-paused")


def test_a_clock_that_was_set_back_keeps_nobody_from_stopping(world, clock, aysel, connected):
    """REL-R4, CM-15: histories are in order of their numbers, and of time as written."""
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)
    clock.move(days=-1)

    connected.withdraw()

    events = all_of(world, ConsentEvent, ConsentEvent.seq)
    assert [each.act for each in events] == ["allow_part", "pause", "withdraw"]
    assert events[1].at == events[2].at
    assert clock.instant < events[2].at - timedelta(hours=23)


def test_every_act_says_who_in_what_stream(world, aysel, connected):
    """CM-12, P-31."""
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    (given, paused) = all_of(world, ConsentEvent, ConsentEvent.seq)
    (grant,) = all_of(world, Grant)
    assert (given.actor, paused.actor) == ("individual", "individual")
    assert (paused.stream, paused.stream_seq) == (f"g.{grant.id.hex}", 3)
    payload = next(
        json.loads(each.pub)
        for each in all_of(world, EventPayload)
        if json.loads(each.pub)["event"] == "consent.paused"
    )
    assert (payload["outcome"], payload["collections"]) == ("ok", ["contact"])
