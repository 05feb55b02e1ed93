"""Errors raised on purpose. `code` is wire-stable; the text is for logs only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with an input: which field, which rule, what to do.

    `field` is the name of a form's field, with dots between the parts of a nested one, or a JSON
    pointer. `rule` is a stable code; `params` fill the translated message for it. `detail` is the
    English message; none of them ever holds a secret.
    """

    field: str
    rule: str
    detail: str
    params: dict[str, str | int] = dataclasses.field(default_factory=dict)

    @property
    def pointer(self) -> str:
        """Where the fault is, as a JSON pointer (RFC 6901)."""
        return self.field if self.field.startswith("/") else pointer(*self.field.split("."))


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer that leads through these members and positions (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


class PDSError(Exception):
    """Base of every error raised on purpose; `code` is wire-stable."""

    code: ClassVar[str] = "internal"


class NotFoundError(PDSError):
    """Absent, or not yours: the two are never told apart."""

    code = "not-found"


class ConflictError(PDSError):
    """The state has changed, or the thing exists already."""

    code = "conflict"


class ValidationFailedError(PDSError):
    """The input breaks a rule; `issues` says which fields, which rules, what to do."""

    code = "validation-failed"

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(f"{issue.field}: {issue.detail}" for issue in issues))
        self.issues = tuple(issues)


class LimitExceededError(PDSError):
    """Too many, too large or too often; `retry_after_seconds` where waiting helps."""

    code = "limit-reached"

    def __init__(self, message: str = "", *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ConfigurationError(PDSError):
    """The instance cannot run as it is configured; the message says what to do."""

    code = "configuration"


class VaultError(PDSError):
    """Base of what can go wrong with keys and sealed data."""

    code = "vault"


class DecryptionError(VaultError):
    """Ciphertext, key or associated data is wrong; never say which."""

    code = "decryption-failed"


class KeyUnavailableError(VaultError):
    """No wrap leads from the secret at hand to the key asked for."""

    code = "key-unavailable"


class WrongSecretError(VaultError):
    """The passphrase or code does not open this vault, or there is no such person."""

    code = "wrong-secret"


class UnknownLoginError(WrongSecretError):
    """There is no such person; only whoever counts attempts may tell the two apart."""


class VaultLockedError(VaultError):
    """The person is signed in, but the vault is not unlocked."""

    code = "vault-locked"
