"""Field kinds: for each, the base JSON Schema fragment and the normal form of a value.

A normaliser returns the value in normal form, or None for an empty one, or raises `RefusedError`
with the rule that it breaks. A value of the wrong type is handed back for the schema to refuse.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

import phonenumbers
from email_validator import EmailNotValidError, validate_email

HOME_REGION = "AZ"
"""ISO 3166-1 code of the country whose phone numbers are understood without a prefix."""

MAX_EMAIL_CHARACTERS = 254
"""RFC 5321 section 4.5.3.1.3, less the angle brackets of a path."""

RULES_OF_PATTERN = {
    "tel": "phone",
    "instant": "instant",
    "url": "url",
    "money": "money",
    "country": "country",
    "language": "language",
}
"""The rule that a failed pattern breaks, for kinds that have a message of their own."""

MONEY_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "value": {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["value", "currency"],
    "additionalProperties": False,
}

SCHEMAS: Mapping[str, Mapping[str, object]] = {
    "text": {"type": "string", "minLength": 1, "maxLength": 200},
    "textarea": {"type": "string", "minLength": 1, "maxLength": 4000},
    "email": {"type": "string", "format": "email", "maxLength": MAX_EMAIL_CHARACTERS},
    "tel": {"type": "string", "pattern": r"^\+[1-9][0-9]{3,14}$"},
    "date": {"type": "string", "format": "date"},
    "instant": {
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    },
    "select": {"type": "string"},
    "url": {"type": "string", "maxLength": 2048, "pattern": r"^https?://[^\s]+$"},
    "money": MONEY_SCHEMA,
    "boolean": {"type": "boolean"},
    "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "language": {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Z]{2})?$"},
    "tags": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "maxItems": 100,
        "uniqueItems": True,
    },
    "labelled": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "value": {"type": "string", "minLength": 1, "maxLength": 400},
            },
            "required": ["value"],
            "additionalProperties": False,
        },
        "maxItems": 100,
    },
}

# Control characters, and marks that reorder the text around them: a name must not be able to turn
# the sentence of a consent page around. Lone surrogates cannot be encoded at all.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LOOSE_PHONE = re.compile(r"[0-9+*#(][0-9 ()./*#+,;-]{0,39}")


class RefusedError(Exception):
    """A value that has no normal form; `rule` is a key of `messages.yaml`."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def clean_text(value: str) -> str:
    """Return `value` in NFC on one line, without unsafe characters and outer spaces."""
    if value.isascii() and value.isprintable():
        return " ".join(value.split())  # the same, and nearly all there is of a bank's file
    return " ".join(clean_lines(value).split())


def clean_lines(value: str) -> str:
    """Return `value` in NFC with LF line ends, without unsafe characters and outer spaces."""
    unified = value.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _UNSAFE.sub("", unified)).strip()


def _email(value: str) -> str:
    # Ruled out by length first: the library takes apart whatever it gets.
    if len(value) > MAX_EMAIL_CHARACTERS:
        raise RefusedError("email")
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise RefusedError("email") from None


def _e164(value: str) -> str | None:
    try:
        number = phonenumbers.parse(value, HOME_REGION)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number)
    # A number that works only within its own city would reach a stranger from anywhere else, and
    # E.164 has no room for an extension: neither may be shortened without a word.
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE or number.extension:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _phone(value: str) -> str:
    number = _e164(value)
    if number is None:
        raise RefusedError("phone")
    return number


def _loose_phone(value: str) -> str:
    """Return E.164 where the number has a prefix, else the digits as somebody wrote them.

    Nine digits without a prefix may belong to any country: an address book is not to be guessed at.
    """
    if value.lstrip("( ").startswith(("+", "0")):
        number = _e164(value)
        if number is not None:
            return number
    if _LOOSE_PHONE.fullmatch(value) is None or not any(map(str.isdigit, value)):
        raise RefusedError("phone")
    return value


def _date(value: str) -> str:
    try:
        parsed = date.fromisoformat(value)
    except ValueError:
        raise RefusedError("date") from None
    return parsed.isoformat()


def _instant(value: str) -> str:
    try:
        parsed = datetime.fromisoformat(value)
        utc = parsed.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    except (ValueError, OverflowError):
        raise RefusedError("instant") from None
    if parsed.tzinfo is None:
        raise RefusedError("instant")
    return f"{utc.isoformat()}Z"


def _country(value: str) -> str:
    return value.upper()  # ascii


_SCALARS: Mapping[str, Callable[[str], str]] = {
    "email": _email,
    "tel": _phone,
    "date": _date,
    "instant": _instant,
    "country": _country,
}


def normalise(kind: str, value: object, *, of: str | None = None) -> object | None:
    """Return `value` in its kind's normal form, or None if it is empty.

    Raises:
        RefusedError: the value has no normal form.
    """
    match value:
        case str():
            text = clean_lines(value) if kind == "textarea" else clean_text(value)
            return _SCALARS.get(kind, str)(text) if text else None
        case list():
            return _list(value, of=of) or None
        case Mapping() if kind == "money":
            return {key: clean_text(v) if isinstance(v, str) else v for key, v in value.items()}
        case _:
            return value


def _list(values: list[object], *, of: str | None) -> list[object]:
    kept: list[object] = []
    for value in values:
        normal = _entry(value, of=of) if isinstance(value, Mapping) else normalise("text", value)
        if normal is not None and normal not in kept:
            kept.append(normal)
    return kept


def _entry(entry: Mapping[object, object], *, of: str | None) -> dict[object, object] | None:
    """Return a `{label, value}` entry in normal form, or None without a value."""
    value = entry.get("value")
    if isinstance(value, str):
        text = clean_text(value)
        value = (
            None
            if not text
            else _loose_phone(text)
            if of == "tel"
            else normalise(of or "text", text)
        )
    if value is None:
        return None
    return {
        key: value if key == "value" else other for key, other in entry.items() if other is not None
    }
