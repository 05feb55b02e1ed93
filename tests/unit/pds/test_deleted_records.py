"""What a page's address says was deleted is read as numbers that a store has room for."""

from __future__ import annotations

import pytest

from pds.deleted_records import named


def test_two_numbers_are_read():
    assert named("1-12") == (1, 12)
    assert named(f"0-{'9' * 18}") == (0, 10**18 - 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "-", "1-", "-1", "1-b", "1-٢", "1-2-3", f"1-{'9' * 19}"),
        pytest.param(f"{'1' * 5000}-2", id="5,000 digits"),
    ],
)
def test_anything_else_is_not(text):
    """A store refuses longer numbers, and Python reads none of more than 4,300 digits."""
    assert named(text) is None
