"""Records in the formats that other programs read; each is what our own importers take back.

What a format has no place for stands in the JSON Lines, which hold everything.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pds import spreadsheets
from pds.catalogue import Collection
from pds.catalogue.model import FieldKind

_LINE_OCTETS = 75
Row = tuple[UUID, datetime, Mapping[str, Any]]
"""A record's id, when it changed, and its data."""


def vcards(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield an address book as vCard 4.0."""
    for record_id, changed_at, data in rows:
        name = ";".join(_text(data.get(part, "")) for part in ("family_name", "given_name"))
        lines = [
            "BEGIN:VCARD",
            "VERSION:4.0",
            f"UID:urn:uuid:{record_id}",
            f"REV:{changed_at:%Y%m%dT%H%M%SZ}",
            f"FN:{_text(data['name'])}",
            f"N:{name};;;",
        ]
        for field, property_ in (
            ("nickname", "NICKNAME"),
            ("organization", "ORG"),
            ("job_title", "TITLE"),
            ("note", "NOTE"),
        ):
            if field in data:
                lines.append(f"{property_}:{_text(data[field])}")
        for field, property_ in (("birth_date", "BDAY"), ("anniversary", "ANNIVERSARY")):
            if field in data:
                lines.append(f"{property_}:{data[field].replace('-', '')}")
        lines += [f"EMAIL{_kind(each)}:{_text(each['value'])}" for each in data.get("emails", [])]
        lines += [f"TEL{_kind(each)}:{_text(each['value'])}" for each in data.get("phones", [])]
        lines += [
            f"ADR{_kind(each)}:;;{_text(each['value'])};;;;"
            for each in data.get("postal_addresses", [])
        ]
        lines += [f"URL:{each}" for each in data.get("urls", [])]
        if categories := data.get("categories"):
            lines.append("CATEGORIES:" + ",".join(map(_text, categories)))
        yield _folded([*lines, "END:VCARD"])


def calendar(rows: Iterable[Row], kind: Collection, locale: str) -> Iterator[bytes]:
    """Yield events with a day as an iCalendar file."""
    yield _folded(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Personal data store//export//EN"])
    for record_id, changed_at, data in rows:
        if "date" not in data:
            continue
        lines = [
            "BEGIN:VEVENT",
            f"UID:{record_id}",
            f"DTSTAMP:{changed_at:%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{data['date'].replace('-', '')}",
            f"SUMMARY:{_text(kind.title({'event': data['event']}, locale))}",
        ]
        if "details" in data:
            lines.append(f"DESCRIPTION:{_text(data['details'])}")
        yield _folded([*lines, "END:VEVENT"])
    yield _folded(["END:VCALENDAR"])


def bookmarks(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield a Netscape bookmark file; a folder's name stands before its bookmarks."""
    yield (
        b"<!DOCTYPE NETSCAPE-Bookmark-file-1>\n"
        b'<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">\n'
        b"<TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n"
    )
    for _record_id, _changed_at, data in rows:
        tags = ",".join(data.get("tags", []))
        attributes = f' TAGS="{html.escape(tags)}"' if tags else ""
        if "added_at" in data:
            at = datetime.fromisoformat(data["added_at"])
            attributes += f' ADD_DATE="{int(at.timestamp())}"'
        link = (
            f'<DT><A HREF="{html.escape(data["url"])}"{attributes}>'
            f"{html.escape(data.get('title', data['url']))}</A>\n"
        )
        if "description" in data:
            link += f"<DD>{html.escape(data['description'])}\n"
        if "folder" in data:
            link = f"<DT><H3>{html.escape(data['folder'])}</H3>\n<DL><p>\n{link}</DL><p>\n"
        yield link.encode()
    yield b"</DL><p>\n"


def table(rows: Iterable[Row], kind: Collection) -> Iterator[bytes]:
    """Yield records as CSV, a column for each field; money is an amount and its currency."""
    names = list(kind.fields)
    header = ["id", "changed_at"]
    for name in names:
        header.append(name)
        if kind.fields[name].kind is FieldKind.MONEY:
            header.append(f"{name}_currency")
    cells = (
        [str(record_id), f"{changed_at:%Y-%m-%dT%H:%M:%SZ}", *_cells(kind, names, data)]
        for record_id, changed_at, data in rows
    )
    return spreadsheets.lines(header, cells, bom=True)


def _cells(kind: Collection, names: list[str], data: Mapping[str, Any]) -> Iterator[object]:
    for name in names:
        value = data.get(name)
        if kind.fields[name].kind is FieldKind.MONEY:
            yield Decimal(value["value"]) if value else None
            yield value["currency"] if value else None
        elif isinstance(value, list):
            yield "; ".join(each["value"] if isinstance(each, Mapping) else each for each in value)
        else:
            yield value


def _kind(entry: Mapping[str, str]) -> str:
    types = {"home": "home", "work": "work", "mobile": "cell", "fax": "fax"}
    found = types.get(entry.get("label", ""))
    return f";TYPE={found}" if found else ""


def _text(value: str) -> str:
    """Escape a text value (RFC 6350 section 3.4, RFC 5545 section 3.3.11)."""
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
    return escaped.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "")


def _folded(lines: Iterable[str]) -> bytes:
    """Fold content lines at 75 octets, never within a character (RFC 6350 section 3.2)."""
    out = bytearray()
    for line in lines:
        left, length = "", 0
        for letter in line:
            octets = len(letter.encode())
            if length + octets > _LINE_OCTETS:
                out += left.encode() + b"\r\n "
                left, length = "", 1
            left += letter
            length += octets
        out += left.encode() + b"\r\n"
    return bytes(out)
