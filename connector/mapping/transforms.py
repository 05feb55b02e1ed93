"""Named transforms of one value. A CRM accepts nearly anything (CON-12), so we validate."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

import phonenumbers
from email_validator import EmailNotValidError, validate_email

DEFAULT_REGION = "AZ"  # of telephone numbers without a country code


class TransformError(ValueError):
    """The value is not of this kind; the text names the kind, never the value."""


def trim(text: str) -> str:
    """Compose (NFC) and reduce white space to single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def email(text: str) -> str:
    """Validate and normalise an address; dots and +tags stay (CON-25)."""
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise TransformError("not an e-mail address") from error


def phone(text: str) -> str:
    """Validate a number and write it as E.164."""
    try:
        number = phonenumbers.parse(text, DEFAULT_REGION)
    except phonenumbers.NumberParseException as error:
        raise TransformError("not a telephone number") from error
    if not phonenumbers.is_possible_number(number):
        raise TransformError("not a telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


TRANSFORMS: Mapping[str, Callable[[str], str]] = {"trim": trim, "email": email, "phone": phone}
