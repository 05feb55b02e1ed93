"""Worlds whose instance folder another process can load."""

from __future__ import annotations

import json

import pytest

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


def write_settings(settings):
    """Write `pds.toml`, as `pds init` does."""
    text = (
        f"[server]\nissuer = {json.dumps(settings.server.issuer)}\n"
        f"port = {settings.server.port}\ninsecure_loopback = true\n"
        f"[database]\nurl = {json.dumps(settings.database.url)}\n"
        "[vault]\nargon2_memory_kib = 47104\nargon2_passes = 1\nargon2_lanes = 1\n"
    )
    (settings.instance / "pds.toml").write_text(text, "utf-8")
