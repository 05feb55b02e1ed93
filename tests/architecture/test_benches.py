"""Benches are no part of the suite; that each can still be started is."""

from __future__ import annotations

import importlib

import pytest

from tests.support.source import ROOT


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "bench").glob("*.py")))
def test_a_bench_can_be_started(name):
    importlib.import_module(f"bench.{name}")
