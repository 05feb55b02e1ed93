"""Amounts by month: what came in, what went out, one currency at a time (P-42)."""

from __future__ import annotations

from decimal import Decimal

from pds.spending import currencies, months_of, years

DAYS = ["2026-10-03", "2026-10-05", "2026-09-30", "2025-10-03", "", "2026-10-09"]
AMOUNTS = ["-2.25 AZN", "100 AZN", "-10.50 AZN", "-1 AZN", "-7 AZN", "-3 EUR"]


def test_a_year_has_twelve_months_and_sums_are_exact():
    """P-42: money is never a float."""
    months = months_of("2026", DAYS, AMOUNTS, currency="AZN")

    october = months[9]
    assert [each.name for each in months][::11] == ["2026-01", "2026-12"]
    assert (october.received, october.spent, october.count) == (Decimal(100), Decimal("2.25"), 2)
    assert months[8].spent == Decimal("10.50")
    assert months[0].count == 0


def test_what_there_is_to_choose_from():
    assert years(DAYS) == ["2026", "2025"]
    assert currencies([*AMOUNTS, ""]) == ["AZN", "EUR"]
