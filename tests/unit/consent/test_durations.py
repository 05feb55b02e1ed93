"""Durations in whole days: the one form that agreements use."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consent import durations


@pytest.mark.parametrize(("text", "days"), [("P1D", 1), ("P30D", 30), ("P9999D", 9_999)])
def test_a_duration_is_a_number_of_days(text, days):
    assert durations.parse(text) == timedelta(days=days)


@pytest.mark.parametrize(
    "text",
    [
        "", "P", "PD", "P0D", "P01D", "P10000D", "P-1D", "P1.5D", "P1M", "P1Y", "P1W", "PT1H",
        "P1DT1H", "p1d", " P1D", "P1D\n", "P\u0661D", "30", 30, None, ["P1D"],
    ],
    ids=repr,
)  # fmt: skip
def test_any_other_form_is_refused(text):
    with pytest.raises(ValueError, match="P30D"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("ceiling", "offered"),
    [
        ("P1D", ["P1D"]),
        ("P2D", ["P1D", "P2D"]),
        ("P30D", ["P1D", "P7D", "P30D"]),
        ("P45D", ["P1D", "P7D", "P30D", "P45D"]),
        ("P730D", ["P1D", "P7D", "P30D", "P90D", "P365D", "P730D"]),
    ],
)
def test_people_choose_among_shorter_ones_and_the_asked_one(ceiling, offered):
    """P-27: never a longer one than was asked for."""
    assert durations.choices(ceiling) == offered
