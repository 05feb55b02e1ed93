"""What the vault asks of whoever runs its transactions (P-4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")


class Store(Protocol):
    """Read transactions, and short jobs that run in a write transaction."""

    def read(self) -> AbstractContextManager[Session]:
        """Open a read transaction."""
        ...

    def write(self, job: Callable[[Session], T]) -> T:
        """Run `job` in a write transaction; return its result after COMMIT.

        The job may run more than once, and only its last run counts.
        """
        ...
