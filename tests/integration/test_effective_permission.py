"""`GET /v1/grant` says what the server then does, in every state (CM-2, CM-8, CM-14, P-9)."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from consent import organisations
from consent.models import Agreement, ConsentEvent, Grant
from consent.vocabulary import Actor, InvalidationReason, Standing, TerminationReason

EMAIL = "contact.email"


@pytest.fixture
def connected(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    template = shop.publish(required=[EMAIL], access={"mode": "periodic", "fetches_per_day": 1})
    return world.connect(aysel, shop, template)


def withdraw(_world, connected):
    connected.withdraw()


def pause(world, connected):
    world.services.pauses.pause(connected.person.visitor.vault, connected.agreement_id)


def pause_and_resume(world, connected):
    pause(world, connected)
    world.services.pauses.resume(connected.person.visitor.vault, connected.agreement_id)


def terminate(world, connected):
    world.services.endings.terminate(
        connected.agreement_id,
        organisation_id=connected.organisation.id,
        reason=TerminationReason.OTHER,
    )


def invalidate(world, connected):
    world.services.endings.invalidate(
        connected.agreement_id, actor=Actor.OPERATOR, reason=InvalidationReason.DECEPTION
    )


def suspend(world, connected):
    world.services.uow.write(
        lambda session: organisations.set_standing(
            session, connected.organisation.id, Standing.SUSPENDED
        )
    )


def approve_again(world, connected):
    world.connect(connected.person, connected.organisation, connected.template)


def use_up(_world, connected):
    assert connected.get("/v1/records").status_code == 200


def set_rows(world, model, **values):
    world.services.uow.write(lambda session: session.execute(update(model).values(**values)))


def pass_the_end(world, _connected):
    now = world.services.clock.now()
    set_rows(world, Grant, expires_at=now)
    set_rows(world, Agreement, expires_at=now)


def expire(world, connected):
    pass_the_end(world, connected)
    services = world.services
    services.uow.write(lambda session: services.endings.end_due(session, now=services.clock.now()))


def go_back_before_the_beginning(world, _connected):
    world.services.clock.move(minutes=-5)


def nothing(_world, _connected):
    """Leave it as it is."""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (nothing, None),
        (pause, "consent-paused"),
        (pause_and_resume, None),
        (withdraw, "consent-withdrawn"),
        (terminate, "consent-terminated"),
        (approve_again, None),
        (invalidate, "consent-invalidated"),
        (suspend, "organisation-suspended"),
        (pass_the_end, "consent-expired"),
        (expire, "consent-expired"),
        (go_back_before_the_beginning, "consent-pending"),
        (use_up, "limit-reached"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_grant_says_what_the_read_does(world, connected, change, reason):
    """CM-8: one permission, asked for in two ways."""
    change(world, connected)

    said = connected.get("/v1/grant")
    done = connected.get("/v1/records")

    assert said.status_code == 200
    assert (said.json()["usable"], said.json()["reason"]) == (reason is None, reason)
    if reason is None:
        assert done.status_code == 200
    else:
        assert done.status_code in {403, 429}
        assert done.json()["type"].endswith(f"/{reason}")


def test_a_grant_that_may_only_write_is_told_of_writing(world, aysel, shop):
    template = shop.publish(required=[EMAIL], actions=["write"])
    connected = world.connect(aysel, shop, template, ask={"actions": ["write"]})

    assert connected.get("/v1/grant").json()["usable"] is True
    assert connected.get("/v1/records").json()["type"].endswith("/not-agreed")


@pytest.mark.tampers
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("dpv:ConsentStatusInvalidForProcessing", "consent-paused"),
        ("dpv:ConsentWithdrawn", "consent-withdrawn"),
        ("dpv:ConsentRevoked", "consent-terminated"),
    ],
)
def test_rows_that_say_active_do_not_outweigh_the_consent_events(world, connected, status, reason):
    """CM-8, CM-14, P-9: whoever can write rows of agreement and grant lifts no pause."""
    set_rows(world, ConsentEvent, status=status)

    assert connected.get("/v1/records").json()["type"].endswith(f"/{reason}")
    assert connected.get("/v1/grant").json()["reason"] == reason
