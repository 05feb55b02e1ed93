"""A world on each kind of store."""

from __future__ import annotations

import pytest

from tests.support.worlds import TickingClock, world_on


@pytest.fixture
def clock():
    """Give the clock of `world`."""
    return TickingClock()


@pytest.fixture
def world(store, clock):
    """Give a fresh world; the test runs on every kind of store."""
    with world_on(store, clock=clock) as world:
        yield world


@pytest.fixture
def aysel(world):
    """Give a person with a vault."""
    return world.person()


@pytest.fixture
def shop(world):
    """Give an organisation with a client."""
    return world.organisation()
