"""Files of every format that the product takes, each of a number of different records.

Plain writers: they write what the readers' own tests show in small, with nothing in it to refuse.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from tests.support import archives, histories

FIRST_DAY = date(2016, 1, 1)
_DAYS = 3_650
_START = 1_700_000_000  # seconds since 1970


def ofx(records: int) -> bytes:
    """Return an OFX file of different transactions."""
    rows = "".join(
        f"<STMTTRN><TRNTYPE>POS<DTPOSTED>{_day(n):%Y%m%d}"
        f"<TRNAMT>{_amount(n)}<FITID>F{n}<NAME>Shop {n % 500}</STMTTRN>"
        for n in range(records)
    )
    account = "<CURDEF>AZN<BANKACCTFROM><ACCTID>42</BANKACCTFROM>"
    return f"<OFX><STMTRS>{account}{rows}</STMTRS></OFX>".encode()


def mt940(records: int) -> bytes:
    """Return an MT940 statement."""
    rows = "".join(
        f":61:{_day(n):%y%m%d}{_day(n):%m%d}D{n % 900 + 1},50NMSCNONREF//{n}\r\n"
        f":86:Shop {n % 500}\r\n"
        for n in range(records)
    )
    head = ":20:S\r\n:25:AZ21NABZ00000000137010001944\r\n:28C:1/1\r\n:60F:C160101AZN1000,00\r\n"
    return f"{head}{rows}:62F:C260101AZN1000,00\r\n-".encode()


def camt053(records: int) -> bytes:
    """Return a CAMT.053 statement."""
    rows = "".join(
        f'<Ntry><Amt Ccy="AZN">{n % 900 + 1}.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{_day(n)}</Dt></BookgDt><AcctSvcrRef>R{n}</AcctSvcrRef><NtryDtls><TxDtls>"
        f"<RltdPties><Cdtr><Nm>Shop {n % 500}</Nm></Cdtr></RltdPties></TxDtls></NtryDtls></Ntry>"
        for n in range(records)
    )
    account = "<Acct><Id><IBAN>AZ21NABZ00000000137010001944</IBAN></Id><Ccy>AZN</Ccy></Acct>"
    space = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{space}"><BkToCstmrStmt>'
        f"<Stmt>{account}{rows}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def bank_csv(records: int) -> bytes:
    """Return a bank's table, whose columns are proposed by the product."""
    rows = "".join(
        f"{_day(n):%d.%m.%Y};Shop {n % 500};Payment {n};{_amount(n).replace('.', ',')};AZN\r\n"
        for n in range(records)
    )
    return f"Date;Payee;Purpose;Amount;Currency\r\n{rows}".encode()


def vcard(records: int) -> bytes:
    """Return an address book as phones write it."""
    return "".join(
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Person {n}\r\nTEL:+99450{n:07}\r\n"
        f"EMAIL:person{n}@poct.example\r\nORG:Firm {n % 100}\r\nEND:VCARD\r\n"
        for n in range(records)
    ).encode()


def google_csv(records: int) -> bytes:
    """Return contacts as Google writes them."""
    head = (
        "First Name,Last Name,Organization Name,E-mail 1 - Label,E-mail 1 - Value,"
        "Phone 1 - Label,Phone 1 - Value\r\n"
    )
    rows = "".join(
        f"Person,Number {n},Firm {n % 100},Work,person{n}@poct.example,Mobile,+99450{n:07}\r\n"
        for n in range(records)
    )
    return f"{head}{rows}".encode()


def outlook_csv(records: int) -> bytes:
    """Return contacts as Outlook writes them."""
    head = "First Name,Last Name,Company,Mobile Phone,E-mail Address,Birthday\r\n"
    rows = "".join(
        f"Person,Number {n},Firm {n % 100},+99450{n:07},person{n}@poct.example,9/25/1992\r\n"
        for n in range(records)
    )
    return f"{head}{rows}".encode()


def bookmarks(records: int) -> bytes:
    """Return bookmarks as browsers write them."""
    rows = "".join(
        f'<DT><A HREF="https://site{n}.example/" ADD_DATE="{_START + n}">Site {n}</A>\n'
        for n in range(records)
    )
    return f"<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n{rows}</DL><p>\n".encode()


def takeout_history(records: int) -> bytes:
    """Return the history of Chrome as Takeout writes it."""
    visits = [
        {"page_transition": "LINK", "title": title, "url": url, "time_usec": seconds * 1_000_000}
        for url, title, seconds in _visits(records)
    ]
    return json.dumps({"Browser History": visits}).encode()


def icalendar(records: int) -> bytes:
    """Return a calendar."""
    rows = "".join(
        f"BEGIN:VEVENT\r\nUID:{n}@poct.example\r\nDTSTART;VALUE=DATE:{_day(n):%Y%m%d}\r\n"
        f"SUMMARY:Event {n}\r\nEND:VEVENT\r\n"
        for n in range(records)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{rows}END:VCALENDAR\r\n".encode()


def takeout_zip(records: int) -> bytes:
    """Return a Takeout archive: half of it contacts, half bookmarks."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Takeout/Contacts/All.vcf", vcard(records // 2))
        archive.writestr("Takeout/Chrome/Bookmarks.html", bookmarks(records - records // 2))
    return out.getvalue()


def export(records: int) -> bytes:
    """Return an archive of a store like this one."""
    lines = b"".join(
        archives.record(
            {
                "date": _day(n).isoformat(),
                "amount": {"value": _amount(n), "currency": "AZN"},
                "payee": f"Shop {n % 500}",
                "bank_reference": f"F{n}",
                "account_number": "42",
            },
            f"6f1ab2c3-0000-4000-8000-{n:012x}",
        )
        for n in range(records)
    )
    return archives.archive({"records/transactions.jsonl": lines})


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number % _DAYS)


def _amount(number: int) -> str:
    return f"-{number % 900 + 1}.50"


def _visits(records: int) -> list[histories.Visit]:
    return [(f"https://site.example/{n}", f"Page {n}", _START + n) for n in range(records)]


FILES: Mapping[str, tuple[str, Callable[[int], bytes]]] = {
    "ofx": ("ofx", ofx),
    "mt940": ("mt940", mt940),
    "camt053": ("camt053", camt053),
    "bank_csv": ("bank_csv", bank_csv),
    "vcard": ("vcard", vcard),
    "contacts_google": ("contacts_csv", google_csv),
    "contacts_outlook": ("contacts_csv", outlook_csv),
    "bookmarks": ("bookmarks", bookmarks),
    "history_chrome": ("history", lambda records: histories.chrome(_visits(records))),
    "history_firefox": ("history", lambda records: histories.firefox(_visits(records))),
    "history_safari": ("history", lambda records: histories.safari(_visits(records))),
    "history_takeout": ("history", takeout_history),
    "icalendar": ("icalendar", icalendar),
    "takeout_zip": ("archive", takeout_zip),
    "export": ("export", export),
}
"""Files by what they are called on the command line: the product's format, and what writes one."""
