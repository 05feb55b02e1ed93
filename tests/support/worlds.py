"""The world as a fixture: one server on one fresh store, with a clock that tests move."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tests.support.stores import Store
from tests.support.world import World

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class TickingClock:
    """A clock that goes on by a millisecond each time it is read, and leaps when told to."""

    instant: datetime = START

    def now(self):
        self.instant += timedelta(milliseconds=1)
        return self.instant

    def move(self, **step):
        self.instant += timedelta(**step)


def with_cheap_passphrases(store):
    """Return the store with the cheapest passphrases that its settings allow."""
    vault = replace(store.settings.vault, argon2_memory_kib=47_104, argon2_passes=1, argon2_lanes=1)
    return Store(store.kind, replace(store.settings, vault=vault), store.uow)


@contextmanager
def world_on(store, *, clock=None):
    """Run a world on a store."""
    world = World(with_cheap_passphrases(store), clock=clock)
    try:
        yield world
    finally:
        world.close()
