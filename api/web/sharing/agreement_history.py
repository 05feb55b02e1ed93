"""How an agreement came to be what it is, and what was read of it: old against new, field by field.

A read says in the log which collections it was of, and under which version; together with that
version's text it says which items went out (CUX-31).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from api.web import languages, words
from api.web.sharing.activity import Entry
from consent.versions import Version
from pds.catalogue import CATALOGUE, Attribute
from pds.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Change:
    """What a version changed: words for what it added and dropped; pairs are before and after."""

    number: int
    at: datetime
    added: list[str]
    dropped: list[str]
    expires: tuple[datetime, datetime] | None
    fetches: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Read:
    """How often an item went out, and when last."""

    item: str
    times: int
    last_at: datetime


def changes(versions: Sequence[Version]) -> list[Change]:
    """Return what each version changed of the one before, the latest first."""
    return [_change(before, after) for before, after in pairwise(versions)][::-1]


def reads(entries: Sequence[Entry]) -> list[Read]:
    """Return the items that went out by these entries, the latest read first."""
    found: dict[str, Read] = {}
    for entry in entries:  # newest first
        for attribute in entry.items:
            name = attribute.qualified_name
            before = found.get(name)
            times, last_at = (before.times, before.last_at) if before else (0, entry.at)
            found[name] = Read(words.item(attribute, languages.current()), times + 1, last_at)
    return sorted(found.values(), key=lambda each: each.last_at, reverse=True)


def _change(before: Version, after: Version) -> Change:
    old, new = dict.fromkeys(_shared(before)), dict.fromkeys(_shared(after))
    expires = (before.expires_at, after.expires_at)
    fetches = (before.fetches_per_day, after.fetches_per_day)
    return Change(
        number=after.number,
        at=after.at,
        added=[each for each in new if each not in old],
        dropped=[each for each in old if each not in new],
        expires=expires if expires[0] != expires[1] else None,
        fetches=fetches if fetches[0] != fetches[1] else None,
    )


def _shared(version: Version) -> Iterator[str]:
    """Yield the items of a version in words; one in a coarser form is another than the whole."""
    locale = languages.current()
    for name in version.attributes:
        attribute = _known(name)
        if attribute is not None:
            text = words.item(attribute, locale)
            form = attribute.coarsenings.get(version.coarsenings.get(name, ""))
            yield f"{text} ({form.label.text(locale)})" if form else text


def _known(name: str) -> Attribute | None:
    try:
        return CATALOGUE.attribute(name)
    except NotFoundError:
        return None
