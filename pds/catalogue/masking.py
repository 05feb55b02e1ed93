"""Masked example values for the consent page (CUX-7): enough to recognise, too little to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import phonenumbers

if TYPE_CHECKING:
    from pds.catalogue.model import Attribute

HIDDEN = "***"
_LAST_DIGITS = 2


def mask(attribute: Attribute, value: object) -> str:
    """Return a masked form of a validated value, such as `+994 50 *** ** 67`."""
    if isinstance(value, list):
        return _masked_list(attribute, value)
    if isinstance(value, Mapping):
        return f"{HIDDEN} {value['currency']}"
    if "last_four" in attribute.coarsenings:
        return _ending(str(value))
    return _MASKS.get(attribute.kind, _hidden)(str(value))


def _hidden(_value: str) -> str:
    return HIDDEN


def _beginning(value: str) -> str:
    # Of a single character the first letter would be the whole.
    return f"{value[0]}{HIDDEN}" if len(value) > 1 else HIDDEN


def _ending(value: str) -> str:
    visible = min(4, len(value) // 3)
    return HIDDEN + (value[-visible:] if visible else "")


def _email(value: str) -> str:
    mailbox, _, domain = value.rpartition("@")
    return f"{_beginning(mailbox)}@{domain}"


def _tel(value: str) -> str:
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return HIDDEN
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    country, _, rest = written.partition(" ")
    area, space, subscriber = rest.partition(" ")
    if not space:
        return f"{country} {_starred(rest)}"
    return f"{country} {area} {_starred(subscriber)}"


def _starred(digits: str) -> str:
    """Star every digit but the last two; groups stay as they are."""
    return (
        "".join("*" if c.isdigit() else c for c in digits[:-_LAST_DIGITS]) + digits[-_LAST_DIGITS:]
    )


def _date(value: str) -> str:
    return f"{value[:4]}-**-**"


def _url(value: str) -> str:
    parts = urlsplit(value)
    return f"{parts.scheme}://{_beginning(parts.hostname or '')}"


def _masked_list(attribute: Attribute, values: list[object]) -> str:
    if not values:
        return HIDDEN
    first = values[0]
    if isinstance(first, Mapping):
        shown = _MASKS.get(attribute.of or "text", _hidden)(str(first["value"]))
    else:
        shown = _beginning(str(first))
    return shown if len(values) == 1 else f"{shown} (+{len(values) - 1})"


_MASKS: Mapping[str, Callable[[str], str]] = {
    "text": _beginning,
    "textarea": _beginning,
    "email": _email,
    "tel": _tel,
    "date": _date,
    "instant": _date,
    "url": _url,
}
