"""Bank statements as CSV. No two banks agree on the columns, so a mapping says what each one is.

`propose` finds a mapping from the names of the columns in several languages and from the data;
whoever owns the file confirms or changes it before anything is imported.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pds.importing.bookings import References, read_amount, read_currency
from pds.importing.csv_tables import Table, TableRow, read_table
from pds.importing.dates import ORDERS, propose_order, read_date
from pds.importing.results import Candidate, Findings, ImportResult, Position, unusable_file
from pds.text import ascii_fold

FORMAT = "CSV"

FIELDS = (
    "date", "amount", "money_out", "money_in", "currency", "payee", "memo", "reference", "account",
)  # fmt: skip
"""What a column can be; `money_out` and `money_in` are two columns in place of `amount`."""

DECIMAL_SIGNS = (".", ",")

_NAMES: Mapping[str, tuple[str, ...]] = {
    "date": (
        "booking date", "transaction date", "posting date", "posted date", "operation date",
        "date", "emeliyyat tarixi", "emeliyyatin tarixi", "tarix", "дата операции",
        "дата проводки", "дата", "buchungstag", "buchungsdatum", "datum", "islem tarihi", "tarih",
        "value date", "valuta",
    ),
    "amount": (
        "amount", "mebleg", "meblegi", "сумма операции", "сумма", "betrag", "umsatz", "tutar",
        "islem tutari", "bedrag", "montant", "importe",
    ),
    "money_out": (
        "money out", "paid out", "withdrawal", "withdrawals", "debit", "mexaric", "cixan",
        "расход", "списание", "дебет", "soll", "ausgaben", "belastung", "borc", "gider",
    ),
    "money_in": (
        "money in", "paid in", "deposit", "deposits", "credit", "medaxil", "daxil olan", "приход",
        "зачисление", "поступление", "кредит", "haben", "einnahmen", "gutschrift", "alacak",
        "gelir",
    ),
    "currency": (
        "currency", "ccy", "valyuta", "валюта", "wahrung", "waehrung", "para birimi", "doviz",
    ),
    "payee": (
        "payee", "merchant", "counterparty", "beneficiary", "recipient", "name", "qarsi teref",
        "alan", "gonderen", "kime", "tacir", "контрагент", "получатель", "отправитель",
        "zahlungsempfanger", "empfanger", "begunstigter", "auftraggeber", "alici",
    ),
    "memo": (
        "description", "details", "notes", "memo", "narrative", "purpose", "odenisin teyinati",
        "teyinat", "tesvir", "izahat", "qeyd", "назначение платежа", "назначение", "описание",
        "детали", "verwendungszweck", "buchungstext", "aciklama",
    ),
    "reference": (
        "reference number", "transaction id", "reference", "fitid", "istinad nomresi", "istinad",
        "номер операции", "номер документа", "referenz", "referans", "dekont no",
    ),
    "account": (
        "account number", "account", "iban", "hesab nomresi", "hesab", "номер счета", "счет",
        "konto", "kontonummer", "hesap no", "hesap",
    ),
}  # fmt: skip
_HEADER_AMONG_ROWS = 30
_HEADER_CELLS = 2
_SIGN_WORDS = re.compile(r"\s*(?:[A-Z]{3}|[₼€$£₽₺¥])\s*", re.IGNORECASE)
_SPACES = re.compile("[\\s'\u2019\u00a0\u202f]+")
_MINUSES = str.maketrans({"\u2212": "-", "\u2013": "-"})
_CENTS = re.compile(r"([.,])[0-9]{1,2}\Z")
_CURRENCY_IN_CELL = re.compile(r"\b([A-Z]{3})\b")
_SYMBOLS = {"₼": "AZN", "€": "EUR", "£": "GBP", "₽": "RUB", "₺": "TRY"}


@dataclass(frozen=True, slots=True)
class BankMapping:
    """What the columns of a bank's files mean; `columns` gives each field's place, from 0."""

    columns: Mapping[str, int]
    date_order: str = "dmy"
    decimal_sign: str = "."
    currency: str = "AZN"
    account: str = ""
    spending_is_positive: bool = False

    def written(self) -> dict[str, object]:
        """Return the mapping as plain JSON."""
        return {
            "columns": dict(self.columns),
            "date_order": self.date_order,
            "decimal_sign": self.decimal_sign,
            "currency": self.currency,
            "account": self.account,
            "spending_is_positive": self.spending_is_positive,
        }

    @property
    def is_complete(self) -> bool:
        """Whether a day and an amount can be found in a row."""
        return "date" in self.columns and bool(
            {"amount", "money_out", "money_in"} & set(self.columns)
        )


@dataclass(frozen=True, slots=True)
class BankTable:
    """A bank's file as a table: its column names, and the rows beneath them."""

    table: Table = field(repr=False)
    header: Sequence[str]
    header_line: int  # 0: the file has no header

    @property
    def signature(self) -> str:
        """What two files of one bank have in common: a hash of the column names."""
        names = "\n".join(ascii_fold(name).strip() for name in self.header)
        return hashlib.sha256(names.encode()).hexdigest()[:32]

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows of data."""
        return (row for row in self.table.rows() if row.line > self.header_line)

    def sample(self) -> list[Sequence[str]]:
        """Return the cells of the first rows of data."""
        rows = (row for row in self.table.beginning() if row.line > self.header_line)
        return [row.cells for row in rows if row.cells is not None]


def open_bank_csv(data: bytes) -> BankTable:
    """Return a file as a table with its header, which a bank's own words may stand above.

    Raises:
        ValidationFailedError: it is no table.
        LimitExceededError: it holds too much.
    """
    table = read_table(data, FORMAT)
    rows = [row for row in table.beginning() if row.cells is not None]
    if not rows:
        raise unusable_file("not_this_format", FORMAT)
    width = Counter(len(row.cells or ()) for row in rows).most_common(1)[0][0]
    for row in rows[:_HEADER_AMONG_ROWS]:
        if len(_recognised(row.cells or ())) >= _HEADER_CELLS:
            return BankTable(table, tuple(row.cells or ()), row.line)
    first = next((row for row in rows if len(row.cells or ()) == width), rows[0])
    cells = first.cells or ()
    if any(character.isdigit() for cell in cells for character in cell):
        return BankTable(table, tuple("" for _ in cells), 0)
    return BankTable(table, tuple(cells), first.line)


def propose(table: BankTable) -> BankMapping:
    """Return the mapping that the names of the columns and the first rows suggest."""
    columns, sample = _recognised(table.header), table.sample()
    if "date" not in columns or not set(columns) & {"amount", "money_out", "money_in"}:
        columns |= _by_content(sample, columns)
    if "amount" in columns:
        columns = {
            name: at for name, at in columns.items() if name not in ("money_out", "money_in")
        }
    money = [
        cell
        for name in ("amount", "money_out", "money_in")
        if name in columns
        for cell in _column(sample, columns[name])
    ]
    marks = Counter(
        match[1] for match in (_CENTS.search(_bare(cell)) for cell in money) if match is not None
    )
    return BankMapping(
        columns=columns,
        date_order=propose_order(_column(sample, columns.get("date"))),
        decimal_sign="," if marks[","] > marks["."] else ".",
        currency=_currency_of(money) or "AZN",
    )


def read_bank_csv(data: bytes, mapping: BankMapping | None = None) -> ImportResult:
    """Read a statement by a mapping, or by the one that is proposed.

    Raises:
        ValidationFailedError: it is no table, or the mapping finds no day or amount in it.
        LimitExceededError: it holds too much.
    """
    table = open_bank_csv(data)
    chosen = mapping or propose(table)
    if not chosen.is_complete or chosen.date_order not in ORDERS:
        raise unusable_file("columns_unknown")
    findings = Findings()
    if table.table.guessed:
        findings.skip(Position("line", 1), "charset_guessed", FORMAT)
    _read_rows(table.rows(), chosen, findings)
    return findings.result()


def preview(data: bytes, mapping: BankMapping) -> tuple[list[Candidate], ImportResult]:
    """Return the first rows as they would import, and what becomes of those that would not."""
    table = open_bank_csv(data)
    findings = Findings()
    if mapping.is_complete:
        rows = (row for row in table.table.beginning() if row.line > table.header_line)
        _read_rows(rows, mapping, findings)
    result = findings.result()
    return list(result.candidates), result


def _read_rows(rows: Iterable[TableRow], mapping: BankMapping, findings: Findings) -> None:
    references = References()
    for row in rows:
        position = Position("line", row.line)
        if row.cells is None:
            findings.refuse(position, "line_unreadable")
            continue
        cells = {
            name: row.cells[at].strip() if 0 <= at < len(row.cells) else ""
            for name, at in mapping.columns.items()
        }
        booked = read_date(cells["date"], mapping.date_order)
        value = _amount(cells, mapping)
        currency = read_currency(cells.get("currency", "")) or mapping.currency
        if not cells["date"]:
            findings.refuse(position, "date_missing")
        elif booked is None:
            findings.refuse(position, "date_invalid", cells["date"][:40])
        elif value is None:
            findings.refuse(position, "amount_invalid")
        elif not currency:
            findings.refuse(position, "currency_missing")
        else:
            data: dict[str, object] = {
                "date": booked,
                "amount": {"value": value, "currency": currency},
                "payee": cells.get("payee", ""),
                "memo": cells.get("memo", ""),
                "transaction_type": "debit" if value.startswith("-") else "credit",
                "account_number": cells.get("account", "") or mapping.account,
            }
            _offer(data, cells.get("reference", ""), references, position, findings)


def _offer(
    data: dict[str, object],
    given: str,
    references: References,
    position: Position,
    findings: Findings,
) -> None:
    reference = references.take(given, str(data["account_number"]), data)
    if reference is None:
        findings.refuse(position, "duplicate")
    else:
        findings.offer("transactions", data | {"bank_reference": reference}, position)


def _amount(cells: Mapping[str, str], mapping: BankMapping) -> str | None:
    """Return the amount with the account holder's sign, or None."""
    if "amount" in mapping.columns:
        value = _number(cells["amount"], mapping.decimal_sign)
        return _negated(value) if value and mapping.spending_is_positive else value
    spent, received = (
        _number(cells.get(name, ""), mapping.decimal_sign) for name in ("money_out", "money_in")
    )
    # Banks write 0.00 into the column that is not meant.
    if spent is not None and spent.strip("-0."):
        return spent if spent.startswith("-") else f"-{spent}"
    return received if received is not None else spent


def _number(cell: str, decimal_sign: str) -> str | None:
    text = _bare(cell)
    negative = text.startswith("(") and text.endswith(")")
    text = text.strip("()")
    if text.endswith("-"):
        text, negative = text[:-1], True
    value = read_amount(text, decimal_sign=decimal_sign)
    return _negated(value) if value and negative else value


def _bare(cell: str) -> str:
    """Return a number without currencies, spaces and typographers' minuses."""
    text = _SIGN_WORDS.sub("", cell.strip()[:60].translate(_MINUSES))
    return _SPACES.sub("", text)


def _negated(value: str) -> str:
    return (
        value.removeprefix("-") if value.startswith("-") or not value.strip("0.") else f"-{value}"
    )


def _recognised(header: Sequence[str]) -> dict[str, int]:
    """Return the columns that are known by their names; a whole name before a part of one."""
    names = [ascii_fold(cell).strip() for cell in header]
    found: dict[str, int] = {}
    for is_match in (_is_whole, _is_part):
        for field_name, known in _NAMES.items():
            if field_name in found:
                continue
            places = (
                at
                for word in known
                for at, name in enumerate(names)
                if at not in found.values() and is_match(word, name)
            )
            at = next(places, None)
            if at is not None:
                found[field_name] = at
    return found


def _is_whole(word: str, name: str) -> bool:
    return word == name


def _is_part(word: str, name: str) -> bool:
    # A name is a few words; a sentence above the table is none.
    return len(name) <= 40 and re.search(rf"\b{re.escape(word)}\b", name) is not None  # noqa: PLR2004 - characters


def _by_content(sample: Sequence[Sequence[str]], known: Mapping[str, int]) -> dict[str, int]:
    """Return the columns that look like days and amounts, where names say nothing."""
    found: dict[str, int] = {}
    width = max((len(cells) for cells in sample), default=0)
    for at in range(width):
        cells = [cell for cell in _column(sample, at) if cell.strip()]
        if not cells or at in known.values():
            continue
        order = propose_order(cells)
        if all(read_date(cell, order) for cell in cells):
            if "date" not in known:
                found.setdefault("date", at)
        elif "amount" not in known and any(
            all(_number(cell, sign) is not None for cell in cells) for sign in DECIMAL_SIGNS
        ):
            found.setdefault("amount", at)
        elif "payee" not in known:
            found.setdefault("payee", at)
    return found


def _column(sample: Sequence[Sequence[str]], at: int | None) -> list[str]:
    return [] if at is None else [cells[at] for cells in sample if at < len(cells)]


def _currency_of(cells: Iterable[str]) -> str:
    found: Counter[str] = Counter()
    for cell in cells:
        match = _CURRENCY_IN_CELL.search(cell)
        code = match[1] if match else next((c for s, c in _SYMBOLS.items() if s in cell), "")
        found[code] += bool(code)
    best = found.most_common(1)
    return best[0][0] if best and best[0][1] else ""
