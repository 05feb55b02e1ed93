"""Letters: folding, searching and sorting text the Azerbaijani way (UI-12, UI-14).

Python's own case functions are wrong for Azerbaijani: `"I".lower()` is `i` where `ı` is meant, and
`"İ".lower()` is two code points. This module is the only place that changes the case of text; code
that lowers protocol text (header names, hex, domain names) marks the line with `# ascii`.
"""

from __future__ import annotations

import unicodedata

ALPHABET = "abcçdeəfgğhxıijkqlmnoöprsştuüvwyz"
"""The Azerbaijani order; `w` is no letter of it and is put where foreign names expect it."""

_CAPITAL_I = str.maketrans({"I": "ı", "İ": "i"})
_PLAIN = str.maketrans("əıöüçşğ", "eioucsg")
_RANK = {letter: rank for rank, letter in enumerate(ALPHABET)}

_OTHER, _LETTER, _FOREIGN = range(3)
_SIGN = {_OTHER: "!", _FOREIGN: "~"}
_FIRST_LETTER = ord("@")


def az_fold(text: str) -> str:
    """Fold case so that texts which differ in capitals alone are equal.

    The text is composed (NFC) before I and İ are mapped, so that an İ written as I and a combining
    dot folds to `i` and not to `ı` with a stray dot.
    """
    if text.isascii():
        return text.replace("I", "ı").lower()
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", composed.translate(_CAPITAL_I).casefold())


def ascii_fold(text: str) -> str:
    """Fold as `az_fold`, then ə ı ö ü ç ş ğ and other accented letters to their plain ones."""
    plain = az_fold(text).translate(_PLAIN)
    if plain.isascii():
        return plain
    plain = unicodedata.normalize("NFKD", plain)
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def search_keys(text: str) -> tuple[str, str]:
    """Return the two keys a text is found by: with its own letters, and with plain ones."""
    return az_fold(text), ascii_fold(text)


def matches(query: str, text: str) -> bool:
    """Tell whether each word of `query` occurs in `text`, whatever keyboard either was typed on.

    `quliyev` finds `QULİYEV` and `agdam` finds `Ağdam`; an empty query matches everything.
    """
    exact, plain = search_keys(text)
    return all(
        az_fold(word) in exact or ascii_fold(word) in plain
        for word in unicodedata.normalize("NFC", query).split()
    )


def az_sort_key(text: str) -> tuple[tuple[tuple[int, int], ...], str]:
    """Return a key that sorts by the Azerbaijani alphabet, capitals beside small letters.

    Signs and digits come first, then letters, then other scripts. The text itself decides between
    texts that differ in capitals alone, so that the order is total.
    """
    return tuple(_rank(letter) for letter in az_fold(text)), text


def az_collation(text: str) -> str:
    """Return a text that sorts, letter by letter, as `az_sort_key` does: for keeping and comparing.

    One character for a letter of the alphabet, two for any other sign; the order of the first
    characters is that of signs, letters, other scripts.
    """
    return "".join(
        _SIGN[kind] + letter if kind != _LETTER else chr(_FIRST_LETTER + rank)
        for letter in az_fold(text)
        for kind, rank in (_rank(letter),)
    )


def first_letter(collation: str) -> str:
    """Return the letter that a text of `az_collation` begins with; empty if it is no letter."""
    rank = ord(collation[0]) - _FIRST_LETTER if collation else -1
    return ALPHABET[rank] if 0 <= rank < len(ALPHABET) else ""


def az_upper(letter: str) -> str:
    """Return a letter's capital: `i` has a dot on it, and `ı` has none."""
    return {"i": "İ", "ı": "I"}.get(letter, letter.upper())


def _rank(letter: str) -> tuple[int, int]:
    known = _RANK.get(letter)
    if known is None:
        # An é stands with e; what has no Latin base letter keeps its code point's order.
        base = unicodedata.normalize("NFKD", letter)[0]
        known = _RANK.get(base)
    if known is not None:
        return _LETTER, known
    return (_FOREIGN if letter.isalpha() else _OTHER), ord(letter)
