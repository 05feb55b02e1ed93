"""Address books as CSV: Google's layouts (2008, with types, with labels) and Outlook's.

The columns are known by their names; a row that is short lacks its last values. Every row becomes
one `address_book` record. A column such as Outlook's `Action` never deletes anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pds.catalogue.kinds import RefusedError, normalise
from pds.importing.charsets import decode, without_bom
from pds.importing.csv_tables import Table, folded, read_table
from pds.importing.dates import propose_order, read_date
from pds.importing.people import entry, stand_in_name
from pds.importing.results import Findings, ImportResult, Position, unusable_file

FORMAT = "contacts CSV"

_TEXTS = {
    "name": ("name", "full name", "display name", "file as"),
    "given_name": ("given name", "first name"),
    "additional_name": ("additional name", "middle name"),
    "family_name": ("family name", "last name", "surname"),
    "nickname": ("nickname",),
    "organization": ("company", "organization name", "organization"),
    "job_title": ("job title", "organization title"),
    "note": ("notes", "note"),
}
_EMAILS = re.compile(r"(?:(home|work|business|other) )?e-?mail(?: address)?(?: \d)?(?: address)?\Z")
_PHONES = re.compile(
    r"(?:(home|business|mobile|car|other|company main|assistant's|primary) )?"
    r"(phone|fax|pager|mobile)(?: number)?(?: \d)?\Z"
)
_ADDRESS_PART = re.compile(
    r"(home|business|other) (street|street 2|street 3|city|state|postal code|country"
    r"|country/region|address)\Z"
)
_NUMBERED = re.compile(
    r"(e-mail|phone|address|website|organization|event|section) (\d{1,3}) - (.{1,40})\Z"
)
_DATES = {"birth_date": ("birthday",), "anniversary": ("anniversary",)}
_URLS = ("web page", "website", "personal web page")
_GROUPS = ("group membership", "labels", "categories")
_LABELS = {
    "mobile": "mobile", "cell": "mobile", "car": "mobile", "home": "home", "work": "work",
    "business": "work", "company main": "work", "other": "other", "pager": "other",
}  # fmt: skip
_SECTION_PHONES = {"phone": "", "mobile": "mobile", "pager": "other", "fax": "fax"}
_SEVERAL = " ::: "
_SYSTEM_GROUP = re.compile(r"\*\s*")
_NAMES = frozenset(name for names in _TEXTS.values() for name in names) - {"notes", "note"}
_NO_DATES = ("0/0/00", "00/00/00", "")
_HEAD_BYTES = 4_096


def recognise(head: bytes) -> bool:
    """Tell whether a file begins with the header of an address book."""
    line = next(iter(decode(without_bom(head[:_HEAD_BYTES]))[0].splitlines()), "")
    for delimiter in (",", ";", "\t"):
        names = {folded(cell.strip(' "')) for cell in line.split(delimiter)}
        reached = any(_EMAILS.match(n) or _PHONES.match(n) or _NUMBERED.match(n) for n in names)
        if reached and names & _NAMES:
            return True
    return False


def read_contacts_csv(data: bytes) -> ImportResult:
    """Read an address book.

    Raises:
        ValidationFailedError: it is no table, or its columns are not those of an address book.
        LimitExceededError: it holds too much.
    """
    table = read_table(data, FORMAT)
    rows = table.rows()
    header = next(rows, None)
    if header is None or header.cells is None:
        raise unusable_file("not_this_format", FORMAT)
    names = [folded(cell) for cell in header.cells]
    if not set(names) & _NAMES:
        raise unusable_file("not_this_format", FORMAT)
    findings = Findings()
    if table.guessed:
        findings.skip(Position("line", header.line), "charset_guessed", FORMAT)
    order = _date_order(table, names)
    for row in rows:
        position = Position("line", row.line)
        if row.cells is None:
            findings.refuse(position, "line_unreadable")
            continue
        cells = [cell.strip() for cell in row.cells]
        by_name = _Row({n: c for n, c in zip(names, cells, strict=False) if c}, position)
        _read_row(by_name, order, findings)
        if len(cells) > len(names):
            findings.skip(position, "cells_left_over", str(len(cells) - len(names)))
    return findings.result()


@dataclass(slots=True)
class _Row:
    """The cells of a row that are not empty, by column; those nobody takes are noted."""

    cells: Mapping[str, str]
    position: Position
    taken: set[str] = field(default_factory=set)

    def text(self, *names: str) -> str:
        """Return the first of these cells."""
        self.taken.update(names)
        return next((self.cells[name] for name in names if name in self.cells), "")

    def matching(self, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
        """Yield the cells whose column matches."""
        for name, cell in self.cells.items():
            match = pattern.match(name)
            if match is not None:
                self.taken.add(name)
                yield match, cell


def _date_order(table: Table, names: Sequence[str]) -> str:
    columns = [n for n, name in enumerate(names) if name in ("birthday", "anniversary")]
    samples = [
        row.cells[column]
        for row in table.rows()
        if row.cells is not None
        for column in columns
        if column < len(row.cells)
    ]
    # The programs that write these files are American: only the data says otherwise.
    american = sum(read_date(text, "mdy") is not None for text in samples)
    best = propose_order(samples)
    return best if sum(read_date(text, best) is not None for text in samples) > american else "mdy"


def _read_row(row: _Row, order: str, findings: Findings) -> None:
    action = row.text("action").lower()  # ascii
    if action == "delete":
        findings.refuse(row.position, "row_marked_delete")
        return
    row.taken.add("id")
    texts = {name: row.text(*columns) for name, columns in _TEXTS.items()}
    numbered = _numbered(row)
    for each in numbered.get("organization", ()):
        texts["organization"] = texts["organization"] or each.get("name", "")
        texts["job_title"] = texts["job_title"] or each.get("title", "")
    for each in numbered.get("section", ()):
        texts["organization"] = texts["organization"] or each.get("company", "")
        texts["job_title"] = texts["job_title"] or each.get("title", "")
    data: dict[str, object] = {
        name: value for name, value in texts.items() if name != "additional_name"
    }
    parts = (texts["given_name"], texts["additional_name"], texts["family_name"])
    data["name"] = texts["name"] or " ".join(part for part in parts if part)
    data["emails"] = _labelled(_emails(row, numbered), "email", "emails", row, findings)
    data["phones"] = _labelled(_phones(row, numbered), "tel", "phones", row, findings)
    data["postal_addresses"] = _labelled(
        _addresses(row, numbered), "text", "postal_addresses", row, findings
    )
    data["urls"] = _urls(row, numbered, findings)
    data["categories"] = _groups(row)
    data |= _dates(row, numbered, order, findings)
    if not data["name"]:
        source, data["name"] = stand_in_name(data)
        if source is None:
            findings.refuse(row.position, "card_without_name")
            return
        findings.skip(row.position, "name_taken_from", source)
    if findings.offer("address_book", data, row.position):
        left = [name for name in row.cells if name not in row.taken]
        if left:
            findings.skip(row.position, "properties_dropped", ", ".join(left[:10])[:200])


def _numbered(row: _Row) -> dict[str, list[dict[str, str]]]:
    """Return the groups of columns such as `E-mail 1 - Value`, by kind, in the file's order."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for match, cell in row.matching(_NUMBERED):
        groups.setdefault((match[1], match[2]), {})[match[3]] = cell
    found: dict[str, list[dict[str, str]]] = {}
    for (kind, _), parts in groups.items():
        found.setdefault(kind, []).append(parts)
    return found


def _emails(row: _Row, numbered: Mapping[str, list[dict[str, str]]]) -> Iterator[dict[str, str]]:
    for match, cell in row.matching(_EMAILS):
        yield entry(cell, _label(match[1] or ""))
    for each in numbered.get("e-mail", ()):
        yield from _several(each.get("value", ""), _label_of(each))
    for each in numbered.get("section", ()):
        yield from _several(each.get("email", ""), _label(each.get("description", "")))


def _phones(row: _Row, numbered: Mapping[str, list[dict[str, str]]]) -> Iterator[dict[str, str]]:
    for match, cell in row.matching(_PHONES):
        what = match[2] if match[2] != "phone" else match[1] or ""
        yield entry(cell, "fax" if what == "fax" else _label(what))
    for each in numbered.get("phone", ()):
        yield from _several(each.get("value", ""), _label_of(each))
    for each in numbered.get("section", ()):
        for column, label in _SECTION_PHONES.items():
            known = label or _label(each.get("description", ""))
            yield from _several(each.get(column, ""), known)


def _addresses(row: _Row, numbered: Mapping[str, list[dict[str, str]]]) -> Iterator[dict[str, str]]:
    parts: dict[str, list[str]] = {}
    for match, cell in row.matching(_ADDRESS_PART):
        parts.setdefault(match[1], []).append(_one_line(cell))
    for kind, lines in parts.items():
        yield entry(", ".join(lines), _label(kind))
    for each in numbered.get("address", ()):
        columns = ("street", "po box", "extended address", "city", "region", "postal code")
        pieces = [each[name] for name in (*columns, "country") if each.get(name)]
        written = each.get("formatted") or ", ".join(pieces)
        yield from _several(_one_line(written), _label_of(each))
    for each in numbered.get("section", ()):
        yield from _several(_one_line(each.get("address", "")), _label(each.get("description", "")))


def _several(cell: str, label: str | None) -> Iterator[dict[str, str]]:
    for value in cell.split(_SEVERAL):
        if value.strip():
            yield entry(value.strip(), label)


def _labelled(
    entries: Iterator[dict[str, str]], kind: str, attribute: str, row: _Row, findings: Findings
) -> list[dict[str, str]]:
    kept: list[dict[str, str]] = []
    for each in entries:
        try:
            normalise("labelled", [each], of=kind)
        except RefusedError:
            findings.skip(row.position, "value_unusable", f"address_book.{attribute}")
        else:
            kept.append(each)
    return kept


def _urls(row: _Row, numbered: Mapping[str, list[dict[str, str]]], findings: Findings) -> list[str]:
    written = [row.text(name) for name in _URLS]
    written += [each.get("value", "") for each in numbered.get("website", ())]
    kept: list[str] = []
    for url in (part.strip() for cell in written for part in cell.split(_SEVERAL)):
        scheme, colon, _ = url.partition(":")
        # A `javascript:` address would run in the owner's own session when followed.
        if colon and scheme.lower() not in ("http", "https"):  # ascii
            findings.skip(row.position, "value_unusable", "address_book.urls")
        elif url:
            kept.append(url)
    return list(dict.fromkeys(kept))


def _groups(row: _Row) -> list[str]:
    cells = [row.text(name) for name in _GROUPS]
    names = (part.strip() for cell in cells for part in re.split(r" ::: |;", cell))
    # Google marks its own groups with a star: "* myContacts" says nothing of anybody.
    return list(dict.fromkeys(name for name in names if name and not name.startswith("*")))


def _dates(
    row: _Row, numbered: Mapping[str, list[dict[str, str]]], order: str, findings: Findings
) -> dict[str, object]:
    written = {name: row.text(*columns) for name, columns in _DATES.items()}
    for each in numbered.get("event", ()):
        if _label_text(each) == "anniversary":
            written["anniversary"] = written["anniversary"] or each.get("value", "")
    found: dict[str, object] = {}
    for name, text in written.items():
        if text in _NO_DATES:
            continue
        found[name] = read_date(text, order)
        if found[name] is None:
            code = "date_without_year" if text.startswith("--") else "value_unusable"
            findings.skip(row.position, code, f"address_book.{name}")
    return found


def _label_of(parts: Mapping[str, str]) -> str | None:
    return _label(_label_text(parts))


def _label_text(parts: Mapping[str, str]) -> str:
    written = parts.get("label") or parts.get("type") or ""
    return _SYSTEM_GROUP.sub("", written).strip().lower()  # ascii


def _label(text: str) -> str | None:
    words = text.lower()  # ascii
    if "fax" in words:
        return "fax"
    return _LABELS.get(words.strip())


def _one_line(text: str) -> str:
    return ", ".join(line.strip(" ,") for line in text.splitlines() if line.strip(" ,"))
