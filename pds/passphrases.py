"""Which passphrases are good enough (P-17), and ones that are offered.

A generated passphrase of six words comes first. A chosen one has at least 15 characters and needs
at least 10^12 guesses by zxcvbn, which also knows Azerbaijani names and places and the person's
own words.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from zxcvbn import zxcvbn

from pds.errors import Issue

LEAST_CHARACTERS = 15
LEAST_GUESSES = 10**12
MOST_CHARACTERS = 256
GENERATED_WORDS = 6
# zxcvbn's matching grows with the square of the length; what lies beyond adds no doubt.
_JUDGED_CHARACTERS = 72


def generate() -> str:
    """Return six random words: about 66 bits from a list of some two thousand."""
    words = _words("passphrase-words.txt")
    return " ".join(secrets.choice(words) for _ in range(GENERATED_WORDS))


def judge(passphrase: str, *, context: Iterable[str] = ()) -> Issue | None:
    """Return what is wrong with a chosen passphrase, or None.

    Args:
        passphrase: as typed; never kept.
        context: words that an attacker tries first: login name, names in the vault.
    """
    if len(passphrase) < LEAST_CHARACTERS:
        return Issue(
            "passphrase",
            "passphrase_too_short",
            f"Use at least {LEAST_CHARACTERS} characters; six unrelated words are easy to keep.",
            {"least": LEAST_CHARACTERS},
        )
    if len(passphrase) > MOST_CHARACTERS:
        return Issue(
            "passphrase",
            "passphrase_too_long",
            f"Use at most {MOST_CHARACTERS} characters.",
            {"most": MOST_CHARACTERS},
        )
    known = [*_words("azerbaijani-words.txt"), *context]
    if zxcvbn(passphrase[:_JUDGED_CHARACTERS], user_inputs=known)["guesses"] < LEAST_GUESSES:
        return Issue(
            "passphrase",
            "passphrase_guessable",
            "This one could be guessed. Add words that have nothing to do with each other.",
        )
    return None


@cache
def _words(name: str) -> tuple[str, ...]:
    text = files("pds").joinpath("wordlists", name).read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
