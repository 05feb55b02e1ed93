"""Comma-separated files: the delimiter found in the data, rows with their line numbers.

`csv.Sniffer` guesses with expressions that take quadratic time; counting columns does better.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from pds.errors import LimitExceededError
from pds.importing.charsets import decode, without_bom
from pds.importing.results import MAX_ITEMS, unusable_file

DELIMITERS = (",", ";", "\t", "|")

MAX_COLUMNS = 200
_SAMPLE_CHARACTERS = 60_000
_SAMPLE_ROWS = 60


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row and the line it begins on; `cells` is None where it could not be read."""

    line: int
    cells: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Table:
    """A decoded file and its delimiter; `guessed` marks a guessed character set."""

    text: str
    delimiter: str
    guessed: bool

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows that are not blank.

        Raises:
            LimitExceededError: there are more than a file may hold.
        """
        for number, row in enumerate(_rows(self.text, self.delimiter)):
            # Room for a header and a bank's own preamble.
            if number > MAX_ITEMS + _SAMPLE_ROWS:
                raise LimitExceededError(f"more than {MAX_ITEMS} rows in one file")
            yield row

    def beginning(self) -> list[TableRow]:
        """Return the first rows."""
        return [row for row, _ in zip(self.rows(), range(_SAMPLE_ROWS), strict=False)]


def read_table(data: bytes, format_name: str) -> Table:
    """Return a file as a table.

    Raises:
        ValidationFailedError: it is no table of two columns or more.
    """
    text, guessed = decode(without_bom(data))
    sample = text[:_SAMPLE_CHARACTERS]
    delimiter = max(DELIMITERS, key=lambda each: _score(sample, each))
    if _score(sample, delimiter) == (0, 0):
        raise unusable_file("not_this_format", format_name)
    return Table(text, delimiter, guessed)


def folded(header: str) -> str:
    """Return the name of a column so that spellings of it are equal."""
    return " ".join(header.replace("_", " ").split()).lower()  # ascii


def _score(sample: str, delimiter: str) -> tuple[int, int]:
    """Return how many rows agree on a number of columns above one, and that number."""
    widths: Counter[int] = Counter()
    for row, _ in zip(_rows(sample, delimiter), range(_SAMPLE_ROWS), strict=False):
        if row.cells is not None and 1 < len(row.cells) <= MAX_COLUMNS:
            widths[len(row.cells)] += 1
    return max(((count, width) for width, count in widths.items()), default=(0, 0))


def _rows(text: str, delimiter: str) -> Iterator[TableRow]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # A field of more than 131,072 characters: most likely a quote that is never closed.
            yield TableRow(line, None)
            continue
        if any(cell.strip() for cell in cells):
            too_wide = len(cells) > MAX_COLUMNS
            broken = too_wide or any("\0" in cell for cell in cells)
            yield TableRow(line, None if broken else cells)
