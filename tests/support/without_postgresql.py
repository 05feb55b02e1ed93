"""A pytest plugin: this machine has no PostgreSQL, as far as the run can tell."""

from __future__ import annotations

from tests.support import postgresql

postgresql.binaries = lambda: None
