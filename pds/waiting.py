"""What waits in a vault for its owner, told from plain rows: a locked vault can say it, too."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pds.models import Account, Deposit, ImportJob

UNFINISHED = ("mapping", "staged", "running", "undoing")  # states of an import that goes on
_MOST_IMPORTS = 5


@dataclass(frozen=True, slots=True)
class UnfinishedImport:
    """An import that its owner has begun; of a table without known columns `total` is 0."""

    id: UUID
    state: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one vault."""

    deposits: int  # documents that organisations left, to be taken in at the next unlock
    imports: tuple[UnfinishedImport, ...]  # the latest first
    has_address: bool  # one for letters is given
    is_address_confirmed: bool
    is_code_kept: bool  # they showed that they have the recovery code that holds now


def of_vault(session: Session, bucket: int, vault_id: UUID) -> Waiting:
    """Return what waits in a vault: three statements, however much it holds."""
    deposits = session.execute(
        select(func.count()).where(
            Deposit.bucket == bucket, Deposit.vault_id == vault_id, Deposit.state == "pending"
        )
    ).scalar_one()
    imports = session.execute(
        select(ImportJob.id, ImportJob.state, ImportJob.done, ImportJob.total)
        .where(
            ImportJob.bucket == bucket,
            ImportJob.vault_id == vault_id,
            ImportJob.state.in_(UNFINISHED),
        )
        .order_by(ImportJob.created_at.desc())
        .limit(_MOST_IMPORTS)
    ).all()
    account = session.get(Account, (bucket, vault_id))
    return Waiting(
        deposits,
        tuple(UnfinishedImport(*each) for each in imports),
        account is not None and account.notice_box is not None,
        account is not None and account.notice_verified_at is not None,
        account is not None and account.recovery_kept_at is not None,
    )
