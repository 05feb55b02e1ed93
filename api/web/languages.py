"""Azerbaijani and English: which one, and how dates and numbers are written (UI-15 to UI-17).

The English words are the message ids; `translations/az` holds the Azerbaijani ones. Instants are
kept in UTC and shown in Baku's time (UI-24).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, dates
from babel.numbers import format_decimal
from flask import Flask, g, request
from flask_babel import Babel, get_locale

from api.web import cookies, visitors
from pds.text import az_upper

AZERBAIJANI, ENGLISH = "az", "en"
LOCALES = (AZERBAIJANI, ENGLISH)
TRANSLATIONS = Path(__file__).parent / "translations"
MEGABYTE = 1_048_576
_BAKU = ZoneInfo("Asia/Baku")


def register(app: Flask) -> None:
    """Translate the templates of an application."""
    Babel(
        app,
        default_locale=ENGLISH,
        default_timezone=_BAKU.key,
        default_translation_directories=str(TRANSLATIONS),
        locale_selector=choose,
    )
    app.jinja_env.filters.update(
        day=day,
        moment=moment,
        clock=clock,
        number=number,
        size=size,
        money=money,
        capital=az_upper,
        country=country,
    )


def current() -> str:
    """Return the language of this page, `az` or `en`."""
    return str(get_locale() or Locale(ENGLISH)).split("_")[0]


def choose() -> str:
    """Return the language of a request: the first supported one that somebody asked for."""
    return next((found for found in _wishes() if found in LOCALES), ENGLISH)


def _wishes() -> Iterator[str]:
    switched, visitor = cookies.read("l"), visitors.current()
    asked = g.get("ui_locales") or request.args.get("ui_locales", "")
    if asked:
        # A client's wish comes before an account's, but not before a switch in this browser.
        yield switched
        yield from (tag.split("-")[0] for tag in str(asked).split())
    if visitor is not None:
        yield visitor.locale
    yield switched
    yield request.accept_languages.best_match(LOCALES) or ENGLISH


def day(value: date | str) -> str:
    """Write a day: `22 noyabr 2026`; a text is `yyyy-mm-dd`, as data ranges are."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value[:10])
        except ValueError:
            return str(value)
    elif isinstance(value, datetime):
        value = value.astimezone(_BAKU).date()
    return str(dates.format_date(value, "d MMMM yyyy", locale=current()))


def moment(value: datetime) -> str:
    """Write an instant in Baku's time: `22 noyabr 2026, 14:05`."""
    return f"{day(value)}, {clock(value)}"


def local_instant(text: str) -> datetime | None:
    """Read what an `<input type="datetime-local">` sends, in Baku's time; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=_BAKU) if found.tzinfo is None else None


def local_input(value: datetime) -> str:
    """Write an instant for an `<input type="datetime-local">`, in Baku's time."""
    return value.astimezone(_BAKU).strftime("%Y-%m-%dT%H:%M")


def clock(value: datetime) -> str:
    """Write an instant's time of day in Baku: `14:05`."""
    return value.astimezone(_BAKU).strftime("%H:%M")


def number(value: int) -> str:
    """Write a number: `12.345` in Azerbaijani, `12,345` in English."""
    return str(format_decimal(value, locale=current()))


def size(value: int) -> str:
    """Write a size in bytes, in megabytes from one on: `1,4 MB` in Azerbaijani, `312 KB`."""
    if value < MEGABYTE:
        return f"{number(max(1, -(-value // 1024)))} KB"
    return f"{format_decimal(value / MEGABYTE, '#,##0.#', locale=current())} MB"


def amount(value: Decimal, currency: str) -> str:
    """Write an amount of money: `1.234,50 ₼` in Azerbaijani, `1,234.50 AZN` in English."""
    sign = "₼" if currency == "AZN" and current() == AZERBAIJANI else currency
    text = format_decimal(value, format="#,##0.00", locale=current())
    return f"{text} {sign}"


def money(value: Mapping[str, str]) -> str:
    """Write an amount as records hold it; what is no number is written as it stands."""
    try:
        return amount(Decimal(value["value"]), value["currency"])
    except InvalidOperation:
        return f"{value['value']} {value['currency']}"


def country(text: str) -> str:
    """Write a country by its name, where the text is its code (ISO 3166-1): `Azərbaycan`."""
    return str(Locale(current()).territories.get(text, text))


def month(name: str) -> str:
    """Write a month, `2026-10`: `oktyabr 2026`."""
    return str(dates.format_date(date.fromisoformat(f"{name}-01"), "LLLL yyyy", locale=current()))
