"""Deleting a vault: asked for, kept after all, or carried out when its time has come.

    ask        with or without the passphrase (P-16); logged, told by letter, shown on every page
    cancel     until it is due: by whoever signs in, or, of one without the passphrase, likewise so
    carry out  by the worker: all sharing ends by the ordinary act, the last event is logged, every
               key is shredded, in one transaction; what they sealed is deleted in batches after it

Agreements, receipts and the log stay, as proof for both sides, without a name and with no private
part left (P-36).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, select, tuple_, update
from sqlalchemy.orm import Session

from consent.auditing import unmasking
from consent.endings import EndingService
from consent.invitations import holding
from consent.models import Event, EventPayload
from consent.vocabulary import EventName
from pds import letters, pending_deletions, shredding, vaults
from pds.clock import Clock
from pds.events import EventSink, VaultEvent, VaultRef
from pds.letters import LetterKind
from pds.pending_deletions import PendingDeletion
from pds.store import Store
from pds.sweeping import BATCH
from pds.vaults import vault_ref

WITHOUT_PASSPHRASE = "without-passphrase"  # noqa: S105 - an outcome


@dataclass(frozen=True, slots=True)
class DeletionService:
    """Takes in, cancels and carries out the deletion of vaults."""

    store: Store
    clock: Clock
    sink: EventSink
    endings: EndingService
    cooling: timedelta

    def ask(self, vault: VaultRef, *, is_limited: bool, asks_erasure: bool) -> PendingDeletion:
        """Have a vault deleted once the cooling period is over; asking again changes nothing.

        Args:
            vault: whose person was asked for the passphrase, unless `is_limited`.
            is_limited: by a limited sign-in.
            asks_erasure: have organisations asked to delete what they received.

        Raises:
            NotFoundError: the vault is gone.
        """
        now = self.clock.now()
        asked = PendingDeletion(now + self.cooling, is_limited, asks_erasure)

        def job(session: Session) -> PendingDeletion:
            vaults.lock(session, vault)
            found = pending_deletions.find(session, vault)
            if found is not None:
                return found
            pending_deletions.put(session, vault, asked, now=now)
            outcome = WITHOUT_PASSPHRASE if is_limited else "ok"
            self.sink.append(
                session, vault, VaultEvent(EventName.DELETION_ASKED, now, outcome=outcome)
            )
            about = {"day": asked.due_at.date().isoformat()}
            letters.queue(
                session, vault.bucket, vault.id, LetterKind.DELETION_ASKED, now=now, about=about
            )
            return asked

        return self.store.write(job)

    def pending(self, vault: VaultRef) -> PendingDeletion | None:
        """Return the deletion that waits for its time; None: none was asked for."""
        with self.store.read() as session:
            return pending_deletions.find(session, vault)

    def cancel(self, vault: VaultRef, *, is_limited: bool) -> bool:
        """Keep a vault; tells whether there was anything to take back.

        A limited sign-in takes back only what one asked for: whoever reads the mail of somebody who
        leaves with their passphrase does not keep them here.

        Raises:
            NotFoundError: the vault is gone.
        """
        now = self.clock.now()

        def job(session: Session) -> bool:
            vaults.lock(session, vault)
            found = pending_deletions.find(session, vault)
            if found is None or (is_limited and not found.is_limited):
                return False
            pending_deletions.drop(session, vault)
            outcome = WITHOUT_PASSPHRASE if is_limited else "ok"
            self.sink.append(
                session, vault, VaultEvent(EventName.DELETION_CANCELLED, now, outcome=outcome)
            )
            letters.queue(session, vault.bucket, vault.id, LetterKind.DELETION_OFF, now=now)
            return True

        return self.store.write(job)

    def carry_out(self, session: Session, *, now: datetime) -> bool:
        """Do a bounded part of one deletion that is due; tells whether there may be more to do.

        For the worker's write jobs.
        """
        due = pending_deletions.next_due(session, now=now)
        if due is None:
            return False
        # The vault first (P-4), then whether it is still so: it may have been kept meanwhile.
        is_active = pending_deletions.lock(session, *due)
        vault = vault_ref(session, *due)
        asked = pending_deletions.find(session, vault)
        if asked is None:
            return True
        if is_active:
            self._end(session, vault, asks_erasure=asked.asks_erasure, now=now)
        elif not (shredding.sweep_sealed(session, vault) or _erase_private(session, vault)):
            pending_deletions.drop(session, vault)
        return True

    def _end(self, session: Session, vault: VaultRef, *, asks_erasure: bool, now: datetime) -> None:
        self.endings.withdraw_all(session, vault, request_deletion=asks_erasure, now=now)
        holding.give_up_all(session, vault, now=now)
        unmasking.forget(session, vault)
        self.sink.append(session, vault, VaultEvent(EventName.VAULT_DELETED, now))
        shredding.shred_keys(session, vault, now=now)


def _erase_private(session: Session, vault: VaultRef, *, limit: int = BATCH) -> int:
    """Erase private parts of a vault's events, which nobody opens any more (LOG-9)."""
    query = (
        select(EventPayload.bucket, EventPayload.event_id)
        .join(Event, and_(Event.bucket == EventPayload.bucket, Event.id == EventPayload.event_id))
        .where(
            Event.bucket == vault.bucket,
            Event.vault_id == vault.id,
            EventPayload.priv_box.is_not(None),
        )
        .limit(limit)
    )
    found = [tuple(row) for row in session.execute(query)]
    if found:
        session.execute(
            update(EventPayload)
            .where(tuple_(EventPayload.bucket, EventPayload.event_id).in_(found))
            .values(priv_box=None)
            .execution_options(synchronize_session=False)
        )
    return len(found)
