"""Worlds whose instance folder another process can load."""

from __future__ import annotations

import pytest

from tests.support.serving import write_settings
from tests.support.worlds import TickingClock, world_on


@pytest.fixture
def clock():
    """Give the clock of `world`."""
    return TickingClock()


@pytest.fixture
def world(store, clock):
    """Give a fresh world on each kind of store, with its settings on disk as well."""
    write_settings(store.settings)
    with world_on(store, clock=clock) as world:
        yield world
