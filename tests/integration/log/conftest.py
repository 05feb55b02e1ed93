"""Services wired on a test's store, with a clock that the test moves."""

from __future__ import annotations

import pytest

from api.wiring import wire
from tests.support.events import SteppingClock


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture
def wiring(store, clock):
    """Every service of one process on the test's store."""
    services = wire(store.settings, clock=clock)
    yield services
    services.uow.close()
