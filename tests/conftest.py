"""What every test has at hand, and what none may do."""

from __future__ import annotations

import gc
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.support import needs
from tests.support.compiling import compile_each_statement_once
from tests.support.memory import scratch
from tests.support.postgresql import temporary_postgresql
from tests.support.sockets import forbid_other_machines
from tests.support.stores import STORES, Stores, holds_what_is_left
from tests.support.stretching import take_each_passphrase_once

# Fewer than Hypothesis takes by itself, since a run of all must stay short; `make fuzz` takes many.
settings.register_profile("examples", max_examples=int(os.environ.get("PDS_EXAMPLES", "40")))
settings.load_profile("examples")

_LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a program that is not here; with PDS_REQUIRE_ALL=1, fail."""
    missing = needs.missing()
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in missing)]
    if left_out and needs.all_required():
        raise pytest.UsageError(f"{needs.REQUIRE_ALL}=1, but this machine lacks {_named(missing)}")
    config.stash[_LEFT_OUT] = {
        what: sum(1 for item in left_out if item.get_closest_marker(name))
        for name, what in missing.items()
    }
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    # The long ones first: at the end of a run, one of them would leave the other process idle.
    items.sort(key=lambda item: item.get_closest_marker("drill") is None)


def pytest_collection_finish():
    """Have the garbage collector leave alone what lives as long as the run: tests and modules."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter, config):
    """Say what was left out, so that nobody takes a small run for a whole one."""
    for what, count in config.stash.get(_LEFT_OUT, {}).items():
        if count:
            terminalreporter.write_line(f"NOT RUN: {count} tests, for lack of {what}", yellow=True)


@pytest.fixture(autouse=True)
def _stay_on_this_machine(monkeypatch):
    forbid_other_machines(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _do_what_is_dear_once():
    with pytest.MonkeyPatch.context() as monkeypatch:
        take_each_passphrase_once(monkeypatch)
        compile_each_statement_once(monkeypatch)
        yield


@pytest.fixture(scope="session")
def stores():
    """Make stores of either kind; the PostgreSQL cluster starts when first asked for."""
    with ExitStack() as stack:
        folder = TemporaryDirectory(prefix="pds-stores-", dir=scratch())
        running = []

        def cluster():
            if not running:
                running.append(stack.enter_context(temporary_postgresql()))
            return running[0]

        yield Stores(Path(stack.enter_context(folder)), cluster)


@pytest.fixture(autouse=True)
def _hold_what_is_left_to_the_rules(request):
    """CM-13: a store that some tests leave behind must break no invariant."""
    if "stores" in request.fixturenames:
        stores = request.getfixturevalue("stores")
        stores.are_held_to_the_rules = holds_what_is_left(request.node)


@pytest.fixture(params=STORES)
def store_kind(request):
    """Name the store: each test that asks runs on every kind."""
    return request.param


@pytest.fixture
def store(stores, store_kind):
    """Give a fresh, migrated store: `.settings`, `.uow`, `.kind`."""
    with stores.migrated(store_kind) as store:
        yield store


@pytest.fixture
def sqlite_store(stores):
    """Give a fresh, migrated SQLite store."""
    with stores.migrated("sqlite") as store:
        yield store


@pytest.fixture
def postgresql_store(stores):
    """Give a fresh, migrated PostgreSQL store; mark the test `postgresql`."""
    with stores.migrated("postgresql") as store:
        yield store


def _named(missing):
    return ", ".join(missing.values())
