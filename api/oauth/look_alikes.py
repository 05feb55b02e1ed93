"""Names that look like somebody else's (UTS 39; THR-1, THR-2).

Two names look alike if they read the same once what looks the same is one: letters of other
scripts, capitals, accents, spaces and signs. `ə ı ğ ş ç ö ü` are letters like any other; a name
that differs in them alone, as it is typed on a keyboard that lacks them, is a look-alike, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

from confusable_homoglyphs import categories, confusables

from pds.text import ascii_fold

_NO_SCRIPT = frozenset({"COMMON", "INHERITED"})


def is_of_mixed_scripts(name: str) -> bool:
    """Tell whether the letters of a name come from more than one script."""
    return len({categories.alias(letter) for letter in name} - _NO_SCRIPT) > 1


def look_alike(name: str, others: Iterable[str]) -> bool:
    """Tell whether a name looks like one of others."""
    mine = _skeletons(name)
    # A skeleton of signs alone is empty and like nothing.
    return any(a == b for other in others for a, b in zip(mine, _skeletons(other), strict=True))


def _skeletons(name: str) -> tuple[str, str]:
    """Return a name as read in any case, and with its capitals as they stand.

    `KAPİTAL` is `kapital` only when folded first; `KapitaI`, with a capital I for its last letter,
    only when what looks alike is made one first.
    """
    composed = unicodedata.normalize("NFKC", name)
    return _plain(ascii_fold(composed)), _plain(ascii_fold(_plain(composed)))


def _plain(text: str) -> str:
    prototypes = _prototypes()
    mapped = "".join(prototypes.get(letter, letter) for letter in text if letter.isalnum())
    return mapped.replace("rn", "m").replace("vv", "w")


@cache
def _prototypes() -> dict[str, str]:
    """Return, for each character that another looks like, the one that stands for all of them."""
    leaders: dict[str, str] = {}

    def leader(letter: str) -> str:
        while leaders.get(letter, letter) != letter:
            letter = leaders[letter]
        return letter

    for letter, alike in confusables.confusables_data.items():
        for each in alike:
            if len(letter) == len(each["c"]) == 1:
                first, second = sorted((leader(letter), leader(each["c"])), key=_rank)
                leaders[second] = first
                leaders.setdefault(first, first)
    return {letter: leader(letter) for letter in leaders}


def _rank(letter: str) -> tuple[bool, int]:
    return (not (letter.isascii() and letter.isalnum()), ord(letter))
