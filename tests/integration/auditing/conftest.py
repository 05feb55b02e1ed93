"""One story that auditors look at, played once on each store; tests add nothing to its consents."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.auditing import integrate
from tests.support.stores import STORES
from tests.support.worlds import TickingClock, world_on

EMAIL = "contact.email"


@dataclass(frozen=True)
class Story:
    """Aysel shared with a shop and a bank, was read, stopped; Leyla shares with the shop."""

    world: object
    clock: TickingClock
    shop: object
    bank: object
    stopped: object
    of_bank: object
    of_leyla: object


@pytest.fixture(scope="package", params=STORES)
def story(request, stores):
    """Give the story."""
    clock = TickingClock()
    with stores.migrated(request.param) as store, world_on(store, clock=clock) as world:
        yield _played(world, clock)


@pytest.fixture
def world(story):
    """Give the story's world."""
    return story.world


def _played(world, clock):
    aysel, leyla = world.person(), world.person("leyla")
    shop, bank = world.organisation(), world.organisation("Günəş Bank")
    aysel.save("contact", email="canary@poct.example")
    template = shop.publish(required=[EMAIL])
    stopped = world.connect(aysel, shop, template)
    of_bank = world.connect(aysel, bank, bank.publish(required=[EMAIL]))
    of_leyla = world.connect(leyla, shop, template)
    for each in (stopped, of_bank, of_leyla):
        assert each.get("/v1/records").status_code == 200
        clock.move(minutes=3)
    stopped.withdraw()
    assert stopped.get("/v1/records").status_code == 403
    uri, _ = world.push(bank, bank.details(bank.publish(required=[EMAIL])))
    world.refuse(leyla, world.open_request(leyla, bank, uri))
    clock.move(minutes=10)
    integrate(world)
    return Story(world, clock, shop, bank, stopped, of_bank, of_leyla)
