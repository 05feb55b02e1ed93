"""Argon2 is dear on purpose; worlds of tests need not pay twice for the same passphrase."""

from __future__ import annotations

from functools import lru_cache

import pytest

from pds.crypto import passphrase

_REMEMBERED = 64


def stretch_each_passphrase_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember the results of `from_passphrase`, which depend on nothing but its arguments.

    Every result is the real one; whoever signs up and then signs in waits for it once. Tests of
    the stretching itself import the function and get it as it is.
    """
    remembering = lru_cache(_REMEMBERED)(passphrase.from_passphrase)
    monkeypatch.setattr(passphrase, "from_passphrase", remembering)
