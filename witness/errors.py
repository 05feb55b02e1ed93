"""The errors of a witness."""

from __future__ import annotations


class WitnessError(Exception):
    """The witness cannot do what its operator asks; the message says what to do."""
