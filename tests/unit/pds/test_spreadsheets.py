"""No cell of a table becomes a formula (AUD-12)."""

from __future__ import annotations

import csv
import io

import pytest

from pds import spreadsheets


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "|calc", "%x"])
def test_what_a_spreadsheet_would_compute_is_marked_as_text(text):
    """AUD-12, SEC-S51"""
    assert spreadsheets.safe(text) == f"'{text}"


def test_numbers_and_plain_texts_stay_and_nothing_is_empty():
    assert [spreadsheets.safe(each) for each in (-5, "a=b", None)] == ["-5", "a=b", ""]


def test_lines_are_read_back_as_they_were():
    rows = [["a,b", 'c"d', "e\nf"], ["ə", 1, None]]
    text = b"".join(spreadsheets.lines(["x", "y", "z"], rows, bom=True))

    assert text.startswith(spreadsheets.BOM)
    read = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert read == [["x", "y", "z"], ["a,b", 'c"d', "e\nf"], ["ə", "1", ""]]
