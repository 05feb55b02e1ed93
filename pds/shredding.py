"""The end of a vault: its keys at once, then what they sealed.

With its wraps a vault is gone: nothing that is left of it opens for anybody. The rows follow in
batches, so that no write job is long. What stays: the vault's row, without which the numbers of its
events lead nowhere, and the public halves of its keys, by which others check what it signed.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from pds import letters
from pds.events import VaultRef
from pds.letters import LetterKind
from pds.models import (
    Account,
    CollectionKey,
    Deposit,
    ImportJob,
    KeyWrap,
    Letter,
    LimitedLink,
    LimitedSignIn,
    ListPart,
    LoginName,
    Passkey,
    PersonalApp,
    Record,
    RecordVersion,
    SealedChunk,
    SealedFile,
    SecondFactor,
    SignIn,
    StagedBatch,
    Unlock,
    Vault,
)
from pds.sweeping import BATCH, sweep_table

_WAYS_IN = (
    KeyWrap,
    CollectionKey,
    SecondFactor,
    Passkey,
    PersonalApp,
    Unlock,
    SignIn,
    LimitedLink,
    LimitedSignIn,
    LoginName,
)
# Versions name their record.
_SEALED = (
    RecordVersion,
    Record,
    ListPart,
    Deposit,
    StagedBatch,
    ImportJob,
    SealedChunk,
    SealedFile,
)


def shred_keys(session: Session, vault: VaultRef, *, now: datetime) -> None:
    """Delete every wrapped key and every way in, and tell the owner by a last letter.

    The vault's row is locked. Its login name is free again.
    """
    account = session.get(Account, (vault.bucket, vault.id))
    session.execute(
        delete(Letter).where(Letter.bucket == vault.bucket, Letter.vault_id == vault.id)
    )
    if account is not None and account.notice_verified_at is not None:
        letters.queue(
            session,
            vault.bucket,
            vault.id,
            LetterKind.DELETED,
            now=now,
            about={"locale": account.locale},
            to_box=account.notice_box,
        )
    for model in (*_WAYS_IN, Account):
        session.execute(
            delete(model).where(model.bucket == vault.bucket, model.vault_id == vault.id)
        )
    session.execute(
        update(Vault)
        .where(Vault.bucket == vault.bucket, Vault.id == vault.id)
        .values(state="deleted")
    )


def sweep_sealed(session: Session, vault: VaultRef, *, limit: int = BATCH) -> int:
    """Delete at most `limit` rows of what the keys had sealed; returns how many, 0 at the end."""
    for model in _SEALED:
        of_vault = (model.bucket == vault.bucket) & (model.vault_id == vault.id)
        if swept := sweep_table(session, model, of_vault, limit=limit):
            return swept
    return 0
