"""What every bank format shares: amounts, currencies, and references that name a transaction."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

_ENCODER = json.JSONEncoder(sort_keys=True)
_WHOLE = re.compile(r"[+-]?(?:[0-9]{0,18}|[0-9]{1,3}([., ])[0-9]{3}(?:\1[0-9]{3}){0,4})\Z")
_FRACTION = re.compile(r"[0-9]{0,6}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


@dataclass(slots=True)
class References:
    """References that are unique within their account, for the transactions of one file."""

    _uses: Counter[tuple[str, str]] = field(default_factory=Counter)
    _known: set[tuple[str, str, str]] = field(default_factory=set)

    def take(self, given: str, account: str, data: Mapping[str, object]) -> str | None:
        """Return the reference of a transaction, or None if the very same was taken before.

        A bank's reference should be unique in its account (OFX 2.3 section 3.2.1). Some banks use
        one twice and some leave it out: two different purchases must not merge into one, and
        reading the file again must give the same references. Without a reference, two equal
        transactions are two: someone may buy the same coffee twice in a day.
        """
        content = _ENCODER.encode(data)
        if given:
            if (account, given, content) in self._known:
                return None
            self._known.add((account, given, content))
        # Without a reference the content names itself, whatever else stands in the file.
        stem = given or f"{data['date']}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        self._uses[account, stem] += 1
        uses = self._uses[account, stem]
        return stem if uses == 1 else f"{stem}/{uses}"


def read_currency(text: str) -> str:
    """Return an ISO 4217 code in capitals, or an empty text for what is none."""
    code = text.strip().upper()  # ascii
    return code if _CURRENCY.match(code) else ""


def read_amount(text: str, *, decimal_sign: str | None = None) -> str | None:
    """Return a decimal string, or None for what is no amount or could be two different ones.

    Comma and period are both decimal signs (OFX 2.3 section 3.2.9.1). Some banks also group by
    thousands with the other one. `1,234` could be either, and money is never guessed: only a
    `decimal_sign` decides it.
    """
    cut = max(text.rfind("."), text.rfind(","))
    if decimal_sign is not None:
        cut = text.rfind(decimal_sign)
    whole, mark, fraction = (text[:cut], text[cut], text[cut + 1 :]) if cut >= 0 else (text, "", "")
    match = _WHOLE.match(whole)
    if match is None or not _FRACTION.match(fraction) or not re.search("[0-9]", text):
        return None
    grouping = match[1]
    ambiguous = mark == "," and not grouping and len(fraction) == 3  # noqa: PLR2004 - a thousand's three digits
    if (grouping and grouping == mark) or (ambiguous and decimal_sign is None):
        return None
    digits = re.sub("[ .,]", "", whole)
    return f"{Decimal(f'{digits}.{fraction}'):f}"
