"""MT940: account statements as SWIFT messages, and as the files that banks make of them.

mt-940 5.1.1 gives up a whole file at one line it cannot read, and logs what stands in it; here a
bad line is noted and the rest goes on. The day is the value date of field 61. Some banks write
30 February there: the last day of that month stands for it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from pds.errors import LimitExceededError
from pds.importing.bookings import References, read_amount, read_currency
from pds.importing.charsets import decode, without_bom
from pds.importing.content_lines import MAX_LINES
from pds.importing.results import Findings, ImportResult, Position, unusable_file

FORMAT = "MT940"

_FIELD = re.compile(r":([0-9]{2}[A-Z]?):")
_BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9]{1,15}(?:,[0-9]{0,6})?)")
_ENTRY = re.compile(
    r"([0-9]{6})(?:[0-9]{4})?(R?[CD])[A-Z]?\s?([0-9]{1,15}(?:,[0-9]{0,6})?)"
    r"([NFS][A-Z0-9]{3})?([^\n]*)"
)
_SUBFIELDS = re.compile(r"\s{0,3}[0-9]{3}([^\w\s])[0-9]{2}")
_NAME = re.compile(r"/NAME/([^/]{1,140})")
_PURPOSE = (*range(20, 30), *range(60, 64))
_PIVOT = 80
_SHORTEST_REFERENCE = 8
_LONGEST_FIELD = 20_000
_TYPES = {
    "CHK": "check", "CHG": "fee", "COM": "fee", "INT": "interest", "STO": "standing",
    "TRF": "transfer", "DDT": "transfer", "CLR": "cash", "DIV": "interest",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Field:
    line: int
    tag: str
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(self.lines)[:_LONGEST_FIELD]


@dataclass(slots=True)
class _Statement:
    """What is known of the statement that is being read."""

    line: int
    account: str = ""
    currency: str = ""
    closed: bool = False


def read_mt940(data: bytes) -> ImportResult:
    """Read the statements of a file.

    Raises:
        ValidationFailedError: it is no MT940 file.
        LimitExceededError: it holds too much.
    """
    text, guessed = decode(without_bom(data))
    findings = Findings()
    if guessed:
        findings.skip(Position("line", 1), "charset_guessed", FORMAT)
    reader = _Reader(findings)
    for each in _fields(text):
        reader.take(each)
    reader.end()
    if not reader.statements:
        raise unusable_file("not_this_format", FORMAT)
    return findings.result()


class _Reader:
    """Follows the statements; an entry waits for the words that may come after it."""

    def __init__(self, findings: Findings) -> None:
        self.statements = 0
        self._findings = findings
        self._references = References()
        self._statement = _Statement(0)
        self._entry: _Field | None = None

    def take(self, each: _Field) -> None:
        if each.tag == "86" and self._entry is not None:
            self._offer(self._entry, each.text())
            self._entry = None
            return
        self.end_entry()
        if each.tag == "20":
            self.end()
            self._statement = _Statement(each.line)
        elif each.tag == "25":
            self.statements += 1
            self._statement.account = "".join(each.text().split())
        elif each.tag in ("60F", "60M"):
            match = _BALANCE.match(each.text().strip())
            self._statement.currency = read_currency(match[3]) if match else ""
        elif each.tag == "61":
            self._entry = each
        elif each.tag in ("62F", "62M"):
            self._close(each)

    def end_entry(self) -> None:
        if self._entry is not None:
            self._offer(self._entry, "")
            self._entry = None

    def end(self) -> None:
        self.end_entry()
        statement = self._statement
        if (statement.account or statement.currency) and not statement.closed:
            self._findings.skip(Position("line", statement.line), "closing_missing")

    def _close(self, each: _Field) -> None:
        self._statement.closed = True
        match, position = _BALANCE.match(each.text().strip()), Position("line", each.line)
        if not self._statement.account:
            self._findings.refuse(position, "account_missing")
            return
        product: dict[str, object] = {
            "product_type": "current_account",
            "account_number": self._statement.account,
        }
        value = read_amount(match[4], decimal_sign=",") if match else None
        if match is None or value is None:
            self._findings.skip(position, "value_unusable", each.tag)
        else:
            sign = "-" if match[1] == "D" and value.strip("0.") else ""
            product["balance"] = {"value": sign + value, "currency": match[3]}
            product["balance_on"] = _day(match[2])[0]
        self._findings.offer("products", product, position)

    def _offer(self, entry: _Field, words: str) -> None:
        position, match = Position("line", entry.line), _ENTRY.match(entry.text())
        if match is None:
            self._findings.refuse(position, "booking_unreadable", entry.text()[:60])
            return
        booked, exact = _day(match[1])
        value = read_amount(match[3], decimal_sign=",")
        if booked is None:
            self._findings.refuse(position, "date_invalid", match[1])
        elif value is None:
            self._findings.refuse(position, "amount_invalid")
        elif not self._statement.currency:
            self._findings.refuse(position, "currency_missing")
        else:
            if not exact:
                self._findings.skip(position, "date_moved", match[1])
            # RC takes back a credit, RD a debit.
            spent = match[2] in ("D", "RC")
            data: dict[str, object] = {
                "date": booked,
                "amount": {
                    "value": f"-{value}" if spent and value.strip("0.") else value,
                    "currency": self._statement.currency,
                },
                "transaction_type": _TYPES.get(
                    (match[4] or "")[1:], "debit" if spent else "credit"
                ),
                "account_number": self._statement.account,
                **_words(words, entry),
            }
            self._add(data, match[5], position)

    def _add(self, data: Mapping[str, object], tail: str, position: Position) -> None:
        given = tail.partition("//")[2].strip()
        # Short ones number a day's batch, not a transaction: the next file uses them again.
        usable = given if len(given) >= _SHORTEST_REFERENCE else ""
        reference = self._references.take(usable, self._statement.account, data)
        if reference is None:
            self._findings.refuse(position, "duplicate")
        else:
            self._findings.offer("transactions", {**data, "bank_reference": reference}, position)


def _words(text: str, entry: _Field) -> dict[str, str]:
    """Return who was paid and what for: from German subfields, Dutch slashes, or the bare text."""
    structured = _SUBFIELDS.match(text)
    if structured is None:
        found = _NAME.search(text.replace("\n", ""))
        written = text if text.strip() else "\n".join(entry.lines[1:])
        return {"payee": found[1] if found else "", "memo": " ".join(written.split())[:1000]}
    # Lines are cut at a fixed width, also inside the mark of a subfield.
    joined = "".join(text.splitlines()).strip()
    pieces = re.split(re.escape(structured[1]) + r"([0-9]{2})", joined)
    parts: dict[int, str] = {}
    for number, content in zip(pieces[1::2], pieces[2::2], strict=True):
        parts[int(number)] = parts.get(int(number), "") + content
    purpose = [parts[number].strip() for number in _PURPOSE if number in parts]
    memo = " ".join(piece for piece in (parts.get(0, ""), *purpose) if piece)
    return {"payee": (parts.get(32, "") + parts.get(33, "")).strip(), "memo": memo[:1000]}


def _day(written: str) -> tuple[str | None, bool]:
    """Return a day of YYMMDD, and whether it stands in the calendar just so."""
    year, month, day = int(written[:2]), int(written[2:4]), int(written[4:])
    year += 1900 if year >= _PIVOT else 2000
    if not (1 <= month <= 12 and 1 <= day <= 31):  # noqa: PLR2004 - the calendar
        return None, False
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(day, last)).isoformat(), day <= last


def _fields(text: str) -> Iterator[_Field]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise LimitExceededError(f"more than {MAX_LINES} lines in one file")
    current: _Field | None = None
    for number, line in enumerate(lines, start=1):
        # The first field may stand behind the envelope of a SWIFT message.
        start = _FIELD.match(line) or (_FIELD.search(line) if line.startswith("{") else None)
        if start is not None:
            if current is not None:
                yield current
            current = _Field(number, start[1], [line[start.end() :]])
        elif line.strip("\x03 ") in ("-", "-}"):
            if current is not None:
                yield current
            current = None
        elif current is not None:
            current.lines.append(line)
    if current is not None:
        yield current
