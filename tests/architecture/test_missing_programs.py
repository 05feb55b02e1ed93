"""A run without PostgreSQL says so, and where all is required it fails (P-41)."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.needs import REQUIRE_ALL
from tests.support.source import ROOT


def run(**environment):
    plugin = ["-p", "tests.support.without_postgresql", "-p", "no:cacheprovider"]
    tests = ["-k", "sqlite or postgresql", "tests/integration/test_migrations.py"]
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "pytest", *plugin, "--collect-only", *tests],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != REQUIRE_ALL}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_postgresql_its_tests_are_left_out_and_counted():
    done = run()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[sqlite]" in done.stdout
    assert "[postgresql]" not in done.stdout
    assert "tests, for lack of a PostgreSQL server" in done.stdout


def test_where_all_is_required_a_missing_program_fails_the_run():
    done = run(**{REQUIRE_ALL: "1"})

    assert done.returncode == 4
    assert "this machine lacks a PostgreSQL server" in done.stdout + done.stderr
