"""A Tryton for tests: one server for the run, a fresh copy of the database for each test."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from pathlib import Path

from api.demo import tryton

CACHE = tryton.default_cache(Path(__file__).parents[2])
_numbers = itertools.count(1)


@contextmanager
def tryton_server():
    """Run Tryton; the first use on a machine installs it, which needs a package index."""
    with tryton.running(CACHE) as server:
        yield server


def fresh_database(server):
    """Open a database that no other test uses."""
    return server.another(f"t{next(_numbers)}")
