"""Passphrases are dear on purpose; worlds of tests need not pay twice for the same one."""

from __future__ import annotations

from functools import lru_cache

import pytest

from pds import passphrases
from pds.crypto import passphrase

_REMEMBERED = 64


def take_each_passphrase_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember what `from_passphrase` and `judge` return, which depends on their arguments alone.

    Every result is the real one; whoever signs up and then signs in waits for it once. Tests of
    the stretching itself import the function and get it as it is.
    """
    stretched = lru_cache(_REMEMBERED)(passphrase.from_passphrase)
    judged = lru_cache(_REMEMBERED)(passphrases.judge)
    monkeypatch.setattr(passphrase, "from_passphrase", stretched)
    monkeypatch.setattr(
        passphrases, "judge", lambda text, *, context=(): judged(text, context=tuple(context))
    )
