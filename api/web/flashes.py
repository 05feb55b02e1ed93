"""Notes for the next page: codes in a cookie, never data.

A code that is not in `words.NOTES` is passed over, so whatever else stands in the cookie shows
nothing.
"""

from __future__ import annotations

from flask import g

from api.web import cookies, words
from consent.custody import Housekeeping

_SEPARATOR = "."


def put(*codes: str) -> None:
    """Have notes shown on the next page, after those that this request had put already."""
    waiting: list[str] = g.setdefault("notes", [])
    waiting += codes
    if waiting:
        cookies.put("n", _SEPARATOR.join(waiting))


def of_housekeeping(done: Housekeeping) -> list[str]:
    """Return the codes for what an unlock brought about."""
    return [
        code
        for code, happened in (("absorbed", done.absorbed), ("rotated", done.rotated))
        if happened
    ]


def take() -> list[words.Note]:
    """Return the notes to show on this page; each is shown once."""
    codes = cookies.read("n").split(_SEPARATOR)
    found = [words.NOTES[code] for code in codes if code in words.NOTES]
    if found and not cookies.is_waiting("n"):
        cookies.drop("n")
    return found
