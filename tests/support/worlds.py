"""The world as a fixture: one server on one fresh store, with a clock that tests move."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tests.support.stores import Store
from tests.support.world import World

# Applications that no world uses now, by the settings that they were made with.
_APPS = defaultdict(list)
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
    """Run a world on a store.

    The application is one that an earlier world had, if there is one: it has no state but the
    services it is given, and making it takes longer than most tests. A test that changes the
    application itself makes a `World` of its own.
    """
    apps = _APPS[store.settings.server]
    world = World(with_cheap_passphrases(store), clock=clock, app=apps.pop() if apps else None)
    try:
        yield world
    finally:
        world.close()
        apps.append(world.app)
