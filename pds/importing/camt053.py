"""CAMT.053 and 052 (ISO 20022): account statements and reports in XML, of any version.

The standard library's expat reads them, with document types refused, so that there are no entities
to expand or fetch. pycamt 1.1.1 leaves out the bank's own reference, which is what finds a
transaction again in the next statement.
"""

from __future__ import annotations

from xml.parsers import expat

from pds.errors import LimitExceededError
from pds.importing.bookings import References, read_amount, read_currency
from pds.importing.dates import read_date
from pds.importing.results import MAX_DEPTH, Findings, ImportResult, Position, unusable_file
from pds.importing.tags import MAX_TAGS, Element

FORMAT = "CAMT.053"

_STATEMENTS = ("STMT", "RPT")
_BOOKED = ("BOOK", "")
_FAMILIES = {
    "CCRD": "card", "MCRD": "card", "RCDT": "transfer", "ICDT": "transfer", "IRCT": "transfer",
    "RRCT": "transfer", "RDDT": "transfer", "IDDT": "transfer", "CNTR": "cash", "ICHQ": "check",
    "RCHQ": "check",
}  # fmt: skip
_SUBFAMILIES = {"CHRG": "fee", "COMM": "fee", "FEES": "fee", "INTR": "interest", "STDO": "standing"}


def read_camt053(data: bytes) -> ImportResult:
    """Read the statements of a document.

    Raises:
        ValidationFailedError: it is no such document, is damaged, or holds no statement.
        LimitExceededError: it is nested too deep or holds too much.
    """
    root = _tree(data)
    if root.name != "DOCUMENT":
        raise unusable_file("not_this_format", FORMAT)
    reader = _Reader()
    for element in root.walk():
        if element.name in _STATEMENTS:
            reader.statement(element)
    if not reader.accounts:
        raise unusable_file("no_statement", FORMAT)
    return reader.findings.result()


class _Reader:
    """Counts accounts and transactions through the document."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.accounts = 0
        self._transactions = 0
        self._references = References()

    def statement(self, statement: Element) -> None:
        self.accounts += 1
        position = Position("account", self.accounts)
        account = statement.find("ACCT") or Element("")
        number = account.value("ID", "IBAN") or account.value("ID", "OTHR", "ID")
        currency = read_currency(account.value("CCY"))
        if number:
            self.findings.offer("products", _product(statement, account, number), position)
        else:
            self.findings.refuse(position, "account_missing")
        for entry in statement.children:
            if entry.name == "NTRY":
                self._entry(entry, number, currency)

    def _entry(self, entry: Element, number: str, account_currency: str) -> None:
        self._transactions += 1
        position = Position("transaction", self._transactions)
        status = entry.value("STS", "CD") or entry.value("STS")
        written = _written_day(entry, "BOOKGDT") or _written_day(entry, "VALDT")
        booked = read_date(written[:10], "ymd")
        value = read_amount(entry.value("AMT"), decimal_sign=".")
        currency = read_currency(entry.value("AMT", "@CCY")) or account_currency
        direction = entry.value("CDTDBTIND")
        if status not in _BOOKED:
            self.findings.refuse(position, "not_booked", status[:20])
        elif booked is None:
            code = "date_invalid" if written else "date_missing"
            self.findings.refuse(position, code, written[:40])
        elif value is None or direction not in ("CRDT", "DBIT"):
            self.findings.refuse(position, "amount_invalid")
        elif not currency:
            self.findings.refuse(position, "currency_missing")
        else:
            spent = direction == "DBIT"
            data: dict[str, object] = {
                "date": booked,
                "amount": {"value": _signed(value, spent=spent), "currency": currency},
                "payee": _other_party(entry, spent=spent),
                "memo": _memo(entry),
                "transaction_type": _kind(entry, spent=spent),
                "account_number": number,
            }
            reference = self._references.take(entry.value("ACCTSVCRREF"), number, data)
            if reference is None:
                self.findings.refuse(position, "duplicate")
            else:
                self.findings.offer("transactions", data | {"bank_reference": reference}, position)


def _product(statement: Element, account: Element, number: str) -> dict[str, object]:
    product: dict[str, object] = {
        "product_type": "current_account",
        "account_number": number,
        "name": account.value("NM"),
        "provider": account.value("SVCR", "FININSTNID", "NM"),
    }
    for balance in statement.children:
        if balance.name == "BAL" and balance.value("TP", "CDORPRTRY", "CD") == "CLBD":
            value = read_amount(balance.value("AMT"), decimal_sign=".")
            currency = read_currency(balance.value("AMT", "@CCY"))
            if value is not None and currency:
                spent = balance.value("CDTDBTIND") == "DBIT"
                product["balance"] = {"value": _signed(value, spent=spent), "currency": currency}
                product["balance_on"] = read_date(_written_day(balance, "DT")[:10], "ymd")
    return product


def _other_party(entry: Element, *, spent: bool) -> str:
    role = "CDTR" if spent else "DBTR"
    names = [
        each.value(role, "NM") or each.value(role, "PTY", "NM")
        for each in entry.walk()
        if each.name == "RLTDPTIES"
    ]
    return next((name for name in names if name), "")


def _memo(entry: Element) -> str:
    written = [each.value() for each in entry.walk() if each.name == "USTRD"]
    written += [each.value("REF") for each in entry.walk() if each.name == "CDTRREFINF"]
    written.append(entry.value("ADDTLNTRYINF"))
    return " ".join(dict.fromkeys(text for text in written if text))[:1000]


def _kind(entry: Element, *, spent: bool) -> str:
    family = entry.find("BKTXCD", "DOMN", "FMLY") or Element("")
    return (
        _SUBFAMILIES.get(family.value("SUBFMLYCD"))
        or _FAMILIES.get(family.value("CD"))
        or ("debit" if spent else "credit")
    )


def _written_day(element: Element, name: str) -> str:
    return element.value(name, "DT") or element.value(name, "DTTM")


def _signed(value: str, *, spent: bool) -> str:
    return f"-{value}" if spent and value.strip("0.") else value


def _tree(data: bytes) -> Element:
    """Return the root of a document; an attribute `Ccy` is a child named `@CCY`."""
    document = Element("")
    stack, tags = [document], 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal tags
        tags += 1
        if tags > MAX_TAGS or len(stack) > MAX_DEPTH:
            raise LimitExceededError("a document that is nested too deep or holds too many tags")
        element = Element(name.rpartition(":")[2].upper())  # ascii
        if "Ccy" in attributes:
            element.children.append(Element("@CCY", [attributes["Ccy"]]))
        stack[-1].children.append(element)
        stack.append(element)

    def text(content: str) -> None:
        stack[-1].pieces.append(content)

    def refuse(*_declared: object) -> None:
        raise unusable_file("forbidden_declaration")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)  # noqa: FBT003 - takes no keywords
    except expat.ExpatError as error:
        if not document.children:
            raise unusable_file("not_this_format", FORMAT) from error
        raise unusable_file("damaged") from error
    except (LookupError, ValueError) as error:
        # An encoding that Python does not know, or one that expat cannot use.
        raise unusable_file("damaged") from error
    return document.children[0]
