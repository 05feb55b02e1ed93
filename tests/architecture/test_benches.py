"""Benches are no part of the suite; that each can still be started is."""

from __future__ import annotations

import importlib
import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tests.support.source import ROOT

_LOOKS = [(at, 0.1 if at == 9 else 0.01) for at in range(10)]
"""When looks began and how long they took, in seconds."""


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "bench").glob("*.py")))
def test_a_bench_can_be_started(name):
    importlib.import_module(f"bench.{name}")


@pytest.mark.parametrize("name", ["pages", "vault_pages"])
def test_a_percentile_is_no_more_than_the_most_that_was_seen(name, monkeypatch, capsys):
    bench = importlib.import_module(f"bench.{name}")
    looks = itertools.chain.from_iterable((float(at), at + took) for at, took in _LOOKS)
    answer = SimpleNamespace(status=200, text="")
    browser = SimpleNamespace(world=None, get=lambda _: answer, follow=lambda found: found)
    nothing_sent = nullcontext(SimpleNamespace(reads=[], jobs=[]))
    monkeypatch.setattr(bench, "recorded", lambda _: nothing_sent)
    clock = SimpleNamespace(perf_counter=lambda: next(looks), process_time=lambda: 0)
    monkeypatch.setattr(bench, "time", clock)

    bench._measured(browser, "/", 1, times=len(_LOOKS))

    median, p95 = capsys.readouterr().out.replace("ms", "").split()[:2]
    assert 10 <= float(median) < float(p95) <= 100
