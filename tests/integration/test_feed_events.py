"""What an organisation's feed says of each turn of an agreement (P-24, ORG-17)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from consent import obligations
from consent.log import feed
from consent.models import Agreement, FeedEntry, Obligation
from consent.vocabulary import AgreementState, FeedEvent

DELETION = {"required": ["contact.email"]}


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def connected(world, shop):
    return world.connect(world.person(), shop, shop.publish(**DELETION))


def told(world):
    """Number what waits, and return the feed."""
    world.services.uow.write(feed.number_feed)
    with world.services.uow.read() as session:
        return list(session.scalars(select(FeedEntry).order_by(FeedEntry.number)))


def events(world):
    return [entry.event for entry in told(world)]


@pytest.mark.parametrize("state", [state for state in AgreementState if state.is_terminal])
def test_every_final_state_has_an_event(state):
    assert FeedEvent(f"consent.{state}").kind == "consent"


def test_a_consent_that_is_granted_and_withdrawn_is_told_as_that(world, connected):
    connected.withdraw()

    entries = told(world)

    assert [entry.event for entry in entries] == [
        "consent.granted",
        "consent.withdrawn",
        "obligation.opened",
        "obligation.opened",
    ]
    assert [entry.obligation_id is not None for entry in entries] == [False, False, True, True]
    assert len({entry.connection_id for entry in entries}) == 1


def test_a_second_approval_is_a_change_and_no_end(world, shop, connected):
    """P-29: whoever listens for ends must not delete what is still agreed."""
    world.connect(connected.person, shop, connected.template)

    assert events(world) == ["consent.granted", "consent.changed"]


def test_sharing_again_after_an_end_is_a_grant(world, shop, connected):
    connected.withdraw()
    world.connect(connected.person, shop, connected.template)

    assert events(world)[-1] == "consent.granted"


def test_expiry_is_told_as_that(world, connected, clock):
    clock.move(days=31)
    services = world.services
    services.uow.write(lambda session: services.endings.end_due(session, now=clock.now()))

    assert events(world)[1:] == ["consent.expired", *["obligation.opened"] * 2]
    assert connected.agreement_id


def test_changed_data_is_told_as_that(world, connected):
    connected.person.save("contact", email="a@example.com", label="home")

    assert events(world)[1:] == ["data.updated"]


def test_what_is_overdue_is_told_once(world, connected, clock):
    """CM-7."""
    connected.withdraw()
    assert announce_overdue(world) == 0
    clock.move(days=31)

    assert [announce_overdue(world), announce_overdue(world)] == [2, 0]

    assert events(world)[-2:] == ["obligation.overdue"] * 2


@pytest.mark.tampers
def test_what_was_answered_is_not_overdue(world, connected, clock):
    connected.withdraw()
    world.services.uow.write(
        lambda session: [
            setattr(owed, "state", "confirmed") for owed in session.scalars(select(Obligation))
        ]
    )
    clock.move(days=31)

    assert announce_overdue(world) == 0


def test_an_organisation_that_never_listens_reads_it_all_in_its_feed(world, shop, connected):
    connected.withdraw()
    told(world)

    changes = shop.get("/v1/changes", shop.organisation_token()).json()["changes"]

    assert [(one["feed"], one["kind"], one["event"], one["state"]) for one in changes] == [
        (1, "consent", "consent.granted", "withdrawn"),
        (2, "consent", "consent.withdrawn", "withdrawn"),
        (3, "obligation", "obligation.opened", "withdrawn"),
        (4, "obligation", "obligation.opened", "withdrawn"),
    ]
    owed = shop.get("/v1/obligations", shop.organisation_token()).json()["obligations"]
    assert [one["kind"] for one in owed] == ["stop", "delete"]
    assert [one["obligation"] for one in changes[:2]] == [None, None]
    assert {one["obligation"] for one in changes[2:]} == {one["id"] for one in owed}
    with world.services.uow.read() as session:
        assert session.scalar(select(Agreement.state)) == "withdrawn"


def announce_overdue(world):
    services = world.services
    return services.uow.write(
        lambda session: obligations.announce_overdue(session, now=services.clock.now())
    )
