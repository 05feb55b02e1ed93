"""CSV that spreadsheets may open: no cell becomes a formula (AUD-12, OWASP CSV injection).

RFC 4180 with CRLF, every cell quoted. A text that a spreadsheet would compute gets an apostrophe in
front, which spreadsheets show as text; whoever needs the bytes as they are has JSON Lines.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

BOM = b"\xef\xbb\xbf"
_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, bom: bool = False
) -> Iterator[bytes]:
    """Yield a file in UTF-8, line by line; `bom` puts the mark in front that Excel looks for."""
    if bom:
        yield BOM
    yield _line(header)
    for row in rows:
        yield _line([safe(cell) for cell in row])


def safe(cell: object) -> str:
    """Return a cell's text; numbers stay numbers, None is empty."""
    if cell is None:
        return ""
    text = str(cell)
    return (
        f"'{text}" if not isinstance(cell, int | Decimal) and text.startswith(_COMPUTED) else text
    )


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
