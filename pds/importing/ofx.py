"""OFX 1.x and 2.x: bank and card statements (OFX 2.3 sections 11.3 and 11.4).

Each account becomes a `products` record, each STMTTRN a `transactions` record. A booking date is
the bank's own day, as written: moving it into another time zone would move it over midnight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pds.importing import dates
from pds.importing.bookings import References, read_amount, read_currency
from pds.importing.charsets import decode, without_bom
from pds.importing.results import Findings, ImportResult, Position, unusable_file
from pds.importing.tags import Element, read_tags

FORMAT = "OFX"

_DECLARED = re.compile(rb"(?:CHARSET:|encoding=[\"'])\s*([A-Za-z0-9_-]+)")
_HEADER_BYTES = 1000
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\d{2,6}(?:\.\d+)?)?(?:\s*\[.*\])?\Z")

_ACCOUNTS = {
    "CHECKING": "current_account",
    "SAVINGS": "savings_account",
    "MONEYMRKT": "savings_account",
    "CD": "savings_account",
    "CREDITLINE": "credit_line",
}
_TYPES = {
    "POS": "card",
    "XFER": "transfer",
    "DIRECTDEBIT": "transfer",
    "PAYMENT": "transfer",
    "ATM": "cash",
    "CASH": "cash",
    "CHECK": "check",
    "FEE": "fee",
    "SRVCHG": "fee",
    "INT": "interest",
    "DIV": "interest",
    "DIRECTDEP": "direct_deposit",
    "REPEATPMT": "standing",
    "CREDIT": "credit",
    "DEP": "credit",
    "DEBIT": "debit",
    "OTHER": "other",
}
_UNSUPPORTED = ("INVSTMTRS", "LOANSTMTRS", "TAX1099RS")
_CARD_STATEMENT = "CCSTMTRS"


@dataclass(frozen=True, slots=True)
class _Statement:
    """What the transactions of a statement share."""

    account_number: str
    currency: str


def read_ofx(data: bytes) -> ImportResult:
    """Read an OFX file.

    Raises:
        ValidationFailedError: it is no OFX file, is cut short, or holds no statement.
        LimitExceededError: it is nested too deep or holds too much.
    """
    raw = without_bom(data)
    declared = _DECLARED.search(raw[:_HEADER_BYTES])
    text, _ = decode(raw, declared[1].decode("ascii") if declared else None)
    start = re.search("<OFX>", text, re.IGNORECASE)
    if start is None:
        raise unusable_file("not_this_format", FORMAT)
    if "<!DOCTYPE" in text[: start.start()].upper():  # ascii
        raise unusable_file("forbidden_declaration")
    return _Reader(read_tags(text[start.start() :])).read()


class _Reader:
    """Reads the statements of one file; accounts and transactions are counted through it."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._findings = Findings()
        self._accounts = 0
        self._transactions = 0
        self._references = References()

    def read(self) -> ImportResult:
        statements = 0
        for element in self._root.walk():
            if element.name in ("STMTRS", _CARD_STATEMENT):
                statements += 1
                self._statement(element)
            elif element.name in _UNSUPPORTED:
                statements += 1
                self._findings.refuse(self._next_account(), "statement_unsupported", element.name)
        if not statements:
            raise unusable_file("no_statement", FORMAT)
        return self._findings.result()

    def _next_account(self) -> Position:
        self._accounts += 1
        return Position("account", self._accounts)

    def _statement(self, element: Element) -> None:
        is_card = element.name == _CARD_STATEMENT
        account = element.find("CCACCTFROM" if is_card else "BANKACCTFROM") or Element("")
        currency = read_currency(element.value("CURDEF"))
        statement = _Statement(account.value("ACCTID"), currency)
        self._account(element, account, statement, is_card=is_card)
        for each in element.walk():
            if each.name == "STMTTRN":
                self._transaction(each, statement)

    def _account(
        self, element: Element, account: Element, statement: _Statement, *, is_card: bool
    ) -> None:
        position = self._next_account()
        if not statement.account_number:
            self._findings.refuse(position, "account_missing")
            return
        kind = account.value("ACCTTYPE").upper()  # ascii
        product: dict[str, object] = {
            "product_type": "credit_card" if is_card else _ACCOUNTS.get(kind, "current_account"),
            "provider": self._root.value("SIGNONMSGSRSV1", "SONRS", "FI", "ORG"),
            "account_number": statement.account_number,
        }
        balance = read_amount(element.value("LEDGERBAL", "BALAMT"))
        if balance is not None and statement.currency:
            product["balance"] = {"value": balance, "currency": statement.currency}
            as_of = dates.by_groups(_DATE, element.value("LEDGERBAL", "DTASOF"))
            if as_of is not None:
                product["balance_on"] = as_of
        elif element.find("LEDGERBAL") is not None:
            self._findings.skip(position, "value_unusable", "LEDGERBAL")
        self._findings.offer("products", product, position)

    def _transaction(self, element: Element, statement: _Statement) -> None:
        self._transactions += 1
        position = Position("transaction", self._transactions)
        posted = element.value("DTPOSTED")
        booked = dates.by_groups(_DATE, posted)
        amount = read_amount(element.value("TRNAMT"))
        # ORIGCURRENCY only tells what the amount was converted from (OFX 2.3 section 5.2).
        currency = read_currency(element.value("CURRENCY", "CURSYM")) or statement.currency
        if not posted:
            self._findings.refuse(position, "date_missing")
        elif booked is None:
            self._findings.refuse(position, "date_invalid", posted[:40])
        elif amount is None:
            self._findings.refuse(position, "amount_invalid")
        elif not currency:
            self._findings.refuse(position, "currency_missing")
        else:
            self._offer(
                element,
                {"date": booked, "amount": {"value": amount, "currency": currency}},
                statement,
                position,
            )

    def _offer(
        self,
        element: Element,
        data: dict[str, object],
        statement: _Statement,
        position: Position,
    ) -> None:
        payee = element.value("NAME") or element.value("PAYEE", "NAME")
        memo = element.value("MEMO")
        check = element.value("CHECKNUM").strip("0 ")
        data |= {
            "payee": payee,
            "memo": memo if memo != payee else "",
            "transaction_type": _TYPES.get(element.value("TRNTYPE").upper(), "other"),  # ascii
            "account_number": statement.account_number,
        }
        if check:
            data["memo"] = f"{data['memo']} (№ {element.value('CHECKNUM')})".strip()
        reference = self._references.take(element.value("FITID"), statement.account_number, data)
        if reference is None:
            self._findings.refuse(position, "duplicate")
            return
        self._findings.offer("transactions", data | {"bank_reference": reference}, position)
