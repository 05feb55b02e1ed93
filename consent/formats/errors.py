"""The errors of the formats; no codec lets any other kind out for what it is given."""

from __future__ import annotations


class FormatError(ValueError):
    """Base of both: the input cannot be taken for what it claims to be."""


class MalformedError(FormatError):
    """The input does not have the form; nothing was verified yet."""


class VerificationError(FormatError):
    """The form is right, but a signature, hash or proof is not."""
