"""Days and instants as files write them. What is no date stays none: never 1970, never today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

from babel import Locale

from pds.text import ascii_fold

ORDERS = ("dmy", "ymd", "mdy")
"""Orders of day, month and year; of two that fit equally well the first is proposed."""

EPOCH_1601 = datetime(1601, 1, 1, tzinfo=UTC)
EPOCH_1970 = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_2001 = datetime(2001, 1, 1, tzinfo=UTC)

_FIRST_YEAR, _LAST_YEAR = 1990, 2200
_TWO_DIGIT_PIVOT = 70
_COMPACT = re.compile(r"[0-9]{8}\Z")
_NUMBERS = re.compile(r"([0-9]{1,4})[-./ ]([0-9]{1,2})[-./ ]([0-9]{1,4})(?:[T ,].*)?\Z", re.DOTALL)
_NAMED = re.compile(r"([0-9]{1,2})[-. ]{1,3}([^\W\d_]{3,15})[-., ]{1,3}([0-9]{2,4})(?:[ ,].*)?\Z")
_SECONDS_DIGITS, _MILLISECONDS_DIGITS, _MICROSECONDS_DIGITS = 10, 13, 16


def read_date(text: str, order: str) -> str | None:
    """Return a day as ISO 8601, or None; a time behind it is left out."""
    text = text.strip()[:60]
    if _COMPACT.match(text):
        cuts = {"ymd": (4, 6), "dmy": (2, 4), "mdy": (2, 4)}[order]
        return _day((text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :]), order)
    if match := _NUMBERS.match(text):
        return _day((match[1], match[2], match[3]), order)
    if match := _NAMED.match(text):
        month = _months().get(ascii_fold(match[2]))
        return _day((match[1], str(month), match[3]), "dmy") if month else None
    return None


def propose_order(samples: Iterable[str]) -> str:
    """Return the order that reads most of the samples."""
    written = [text for text in samples if text.strip()]
    return max(
        ORDERS, key=lambda order: sum(read_date(text, order) is not None for text in written)
    )


def instant(seconds: float, *, since: datetime = EPOCH_1970) -> str | None:
    """Return a time as the catalogue writes it, or None for one that no program can have meant."""
    try:
        found = since + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    if not _FIRST_YEAR <= found.year < _LAST_YEAR:
        return None
    return f"{found.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def instant_of_digits(text: str) -> str | None:
    """Return the time that a count of seconds, milli- or microseconds since 1970 means, or None."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit():
        return None
    scales = (
        (_SECONDS_DIGITS, 1),
        (_MILLISECONDS_DIGITS, 1_000),
        (_MICROSECONDS_DIGITS, 1_000_000),
    )
    scale = next((scale for length, scale in scales if len(digits) <= length), None)
    return None if scale is None else instant(int(digits) / scale)


def _day(parts: tuple[str, str, str], order: str) -> str | None:
    by_name = dict(zip(order, parts, strict=True))
    year = by_name["y"]
    if len(year) not in (2, 4) or max(len(by_name["d"]), len(by_name["m"])) > 2:  # noqa: PLR2004 - digits
        return None
    number = int(year)
    if len(year) == 2:  # noqa: PLR2004 - digits
        number += 1900 if number >= _TWO_DIGIT_PIVOT else 2000
    try:
        return date(number, int(by_name["m"]), int(by_name["d"])).isoformat()
    except ValueError:
        return None


@cache
def _months() -> Mapping[str, int]:
    """Return the numbers of months by their folded names in the languages of likely banks."""
    return {
        ascii_fold(name).rstrip("."): number
        for locale in ("en", "az", "ru", "de", "tr")
        for by_context in Locale(locale).months.values()
        for width in ("wide", "abbreviated")
        for number, name in by_context[width].items()
    }


def by_groups(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the ISO 8601 day that a pattern's groups 1 to 3 name: year, month, day; None: none."""
    match = pattern.match(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None
