"""Coarsenings: pure transforms that make a value say less.

Each takes the value as validated, the whole record (some read a neighbour) and the day it is
asked on, and returns the coarser value, or None where the record does not hold enough for it. None
is then left out of the answer. What a transform returns and reads is declared in
`coarsenings.yaml`; none of them ever returns the value itself unless it is as coarse already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit

Record = Mapping[str, object]
Transform = Callable[[object, Record, date], object | None]

LAST_VISIBLE = 4


def age(birth_date: object, today: date) -> int | None:
    """Return the age in whole years; who was born on 29 February ages on 1 March."""
    born = date.fromisoformat(str(birth_date))
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years if years >= 0 else None


def age_over_18(value: object, _record: Record, today: date) -> bool | None:
    """Tell whether the person is 18 or over on `today`."""
    return _age_over(18, value, today)


def age_over_65(value: object, _record: Record, today: date) -> bool | None:
    """Tell whether the person is 65 or over on `today`."""
    return _age_over(65, value, today)


def age_band(value: object, _record: Record, today: date) -> str | None:
    """Return the ten years that hold the age, both ends inclusive: `30-39`."""
    years = age(value, today)
    if years is None:
        return None
    first = years // 10 * 10
    return f"{first}-{first + 9}"


def year_of_birth(value: object, _record: Record, _today: date) -> int:
    """Return the year of the date."""
    return date.fromisoformat(str(value)).year


def city_only(_value: object, record: Record, _today: date) -> object | None:
    """Return the city of the same record instead of the street."""
    return record.get("locality")


def district_only(_value: object, record: Record, _today: date) -> str | None:
    """Return district and city of the same record instead of the street."""
    parts = [str(record[name]) for name in ("district", "locality") if name in record]
    return ", ".join(parts) or None


def postal_area(value: object, _record: Record, _today: date) -> str | None:
    """Return the first half of a postcode, at most four characters: `AZ10` for `AZ1000`."""
    code = str(value).replace(" ", "")
    return code[: min(LAST_VISIBLE, (len(code) + 1) // 2 + 1, len(code) - 1)] or None


def last_four(value: object, _record: Record, _today: date) -> str | None:
    """Return the last four characters, fewer of a short value: never more than half of it."""
    text = str(value)
    visible = min(LAST_VISIBLE, len(text) // 2)
    return text[-visible:] if visible else None


def domain_only(value: object, _record: Record, _today: date) -> str | None:
    """Return the host of an address, without user name, port, path and query."""
    try:
        return urlsplit(str(value)).hostname
    except ValueError:
        return None


def month_only(value: object, _record: Record, _today: date) -> str:
    """Return year and month of a date or an instant: `2026-11`."""
    return str(value)[:7]


def day_only(value: object, _record: Record, _today: date) -> str:
    """Return the UTC day of an instant: `2026-11-22`."""
    return str(value)[:10]


def amount_rounded(value: object, _record: Record, _today: date) -> dict[str, str] | None:
    """Round an amount of money to tens, half to even; the currency stays."""
    if not isinstance(value, Mapping):
        return None
    tens = (Decimal(str(value["value"])) / 10).to_integral_value() * 10
    # `+ 0` turns the negative zero of a small expense into zero.
    return {"value": f"{tens + 0:f}", "currency": str(value["currency"])}


def _age_over(years: int, value: object, today: date) -> bool | None:
    known = age(value, today)
    return None if known is None else known >= years


TRANSFORMS: Mapping[str, Transform] = {
    transform.__name__: transform
    for transform in (
        age_over_18,
        age_over_65,
        age_band,
        year_of_birth,
        city_only,
        district_only,
        postal_area,
        last_four,
        domain_only,
        month_only,
        day_only,
        amount_rounded,
    )
}
