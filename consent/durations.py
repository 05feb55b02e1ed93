"""Durations in whole days, in the ISO 8601 form `P30D`: the only form that agreements use."""

from __future__ import annotations

import re
from datetime import timedelta

_DAYS = re.compile(r"P([1-9][0-9]{0,3})D", re.ASCII)
OFFERED = ("P1D", "P7D", "P30D", "P90D", "P365D")


def parse(text: object) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: it is not of the form `P<days>D` with 1 to 9999 days.
    """
    match = _DAYS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a duration is written P<days>D, such as P30D")
    return timedelta(days=int(match[1]))


def choices(ceiling: str) -> list[str]:
    """Return the durations a person may choose from: up to the asked one, which comes last."""
    most = parse(ceiling)
    return [text for text in OFFERED if parse(text) < most] + [ceiling]
