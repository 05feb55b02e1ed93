"""What the vault asks of whoever runs its transactions (P-4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

T = TypeVar("T")
# What statements are sent through: a session, or on the hot path its bare connection.
Sender = Session | Connection


def connection_of(sender: Sender) -> Connection:
    """Return the bare connection that statements without mapped objects go through."""
    return sender.connection() if isinstance(sender, Session) else sender


class Store(Protocol):
    """Read transactions, and short jobs that run in a write transaction."""

    def read(self) -> AbstractContextManager[Session]:
        """Open a read transaction."""
        ...

    def rows(self) -> AbstractContextManager[Connection]:
        """Open a bare connection to read with; for the hot paths."""
        ...

    def write(self, job: Callable[[Session], T]) -> T:
        """Run `job` in a write transaction; return its result after COMMIT.

        The job may run more than once, and only its last run counts.
        """
        ...

    def write_rows(self, job: Callable[[Connection], T]) -> T:
        """As `write`, with the transaction's bare connection; for the hot paths."""
        ...
