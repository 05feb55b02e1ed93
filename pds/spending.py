"""Sums of dated amounts by month, in one currency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_MONTHS = 12
_MONTH_CHARACTERS = len("2026-10")
_NOTHING = Decimal()


@dataclass(slots=True)
class Month:
    """A month, `2026-10`: what came in, what went out (both positive), and how many amounts."""

    name: str
    received: Decimal = _NOTHING
    spent: Decimal = _NOTHING
    count: int = 0


def currencies(amounts: Sequence[str]) -> list[str]:
    """Return the currencies of amounts such as `12.50 AZN`, the most frequent first."""
    found = Counter(each.partition(" ")[2] for each in amounts if each)
    return [currency for currency, _ in found.most_common()]


def years(days: Sequence[str]) -> list[str]:
    """Return the years of some days, newest first."""
    return sorted({day[:4] for day in days if day}, reverse=True)


def months_of(
    year: str, days: Sequence[str], amounts: Sequence[str], *, currency: str
) -> list[Month]:
    """Return the twelve months of a year, those without an amount too; days and amounts go along.

    What was spent is negative in the amounts.
    """
    months = {
        name: Month(name) for name in (f"{year}-{number:02d}" for number in range(1, _MONTHS + 1))
    }
    for day, amount in zip(days, amounts, strict=True):
        month = months.get(day[:_MONTH_CHARACTERS])
        value, _, its_currency = amount.partition(" ")
        if month is None or its_currency != currency:
            continue
        month.count += 1
        if value.startswith("-"):
            month.spent -= Decimal(value)
        else:
            month.received += Decimal(value)
    return list(months.values())
