"""A document's form as a value: every member named, none optional, null only where allowed.

A check takes a value and its path and returns nothing, or raises MalformedError with that path. A
form without optional members leaves no place where something could be added or dropped unseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from consent.formats import fields
from consent.formats.errors import MalformedError

Check = Callable[[object, str], object]


def shape(members: Mapping[str, Check]) -> Check:
    """Return a check for an object with exactly these members."""

    def check(value: object, where: str) -> None:
        found = fields.members(value, where, required=members)
        for name, inner in members.items():
            inner(found[name], f"{where}.{name}")

    return check


def list_of(inner: Check, *, least: int = 0, most: int = 1024) -> Check:
    """Return a check for an array of `least` to `most` such values."""

    def check(value: object, where: str) -> None:
        found = fields.items(value, where)
        if not least <= len(found) <= most:
            raise MalformedError(f"{where}: {len(found)} where {least} to {most} may stand")
        for at, item in enumerate(found):
            inner(item, f"{where}[{at}]")

    return check


def array_of(*each: Check) -> Check:
    """Return a check for an array with exactly these places."""

    def check(value: object, where: str) -> None:
        found = fields.items(value, where)
        if len(found) != len(each):
            raise MalformedError(f"{where}: {len(found)} where {len(each)} must stand")
        for at, inner in enumerate(each):
            inner(found[at], f"{where}[{at}]")

    return check


def nullable(inner: Check) -> Check:
    """Return a check that allows null too."""

    def check(value: object, where: str) -> None:
        if value is not None:
            inner(value, where)

    return check


def one_of(*values: object) -> Check:
    """Return a check for one of these values, of the same type."""

    def check(value: object, where: str) -> None:
        # 1 == True in Python, not in JSON.
        if not any(type(value) is type(each) and value == each for each in values):
            raise MalformedError(f"{where}: not one of the values that may stand here")

    return check


def matching(pattern: str, what: str) -> Check:
    """Return a check for texts that match the whole pattern, described as `what`."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object, where: str) -> None:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise MalformedError(f"{where}: not {what}")

    return check


def positive(value: object, where: str) -> None:
    """Check for an integer from 1."""
    fields.integer(value, where, least=1)


def natural(value: object, where: str) -> None:
    """Check for an integer from 0."""
    fields.integer(value, where, least=0)
