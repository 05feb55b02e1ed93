"""What waits for the owner's next unlock: keys, and absorbing deposits (TAK-13, TAK-43).

A vault that is older than a collection of the catalogue gets that collection's first key.

When a grant ended, whoever holds an old copy of the database and one of its tokens could still
open its collection keys. So those get a new version here: new writes are sealed under it, live
grants get it wrapped, the ended one never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from consent import grants
from consent.grants import GrantKeys
from consent.policy import Terms
from consent.vocabulary import EventName
from pds import personal_apps
from pds.catalogue import CATALOGUE
from pds.clock import Clock
from pds.crypto.deposit import collection_public_key
from pds.deposits import DepositService
from pds.errors import DecryptionError, KeyUnavailableError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.keys import OpenVault, Wrap, Wrapped, due_for_rotation, known_collections, new_key, rotate
from pds.personal_apps import PersonalAppService
from pds.records import RecordService
from pds.store import Store
from pds.vaults import take_sequence


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What an unlock brought about, for the person to see."""

    absorbed: int = 0
    rotated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustodyService:
    """Runs with an unlocked vault, right after its unlock."""

    store: Store
    clock: Clock
    sink: EventSink
    personal_apps: PersonalAppService

    def after_unlock(self, vault: VaultRef, open_vault: OpenVault) -> Housekeeping:
        """Rotate what is due, then absorb what was deposited; repeating it changes nothing."""
        self._complete(vault, open_vault)
        self.personal_apps.end_expired(vault)
        rotated = self._rotate(vault, open_vault)
        with self.store.read() as session:
            fresh = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
        records = RecordService(self.store, vault, fresh, self.clock, self.sink)
        deposits = DepositService(self.store, self.clock, self.sink, vault, fresh, records)

        def deposit_key(grant_id: UUID) -> bytes | None:
            try:
                return GrantKeys.from_owner(fresh, grant_id).deposit_key
            except KeyUnavailableError:
                return None

        return Housekeeping(deposits.absorb(deposit_key), rotated)

    def _complete(self, vault: VaultRef, open_vault: OpenVault) -> None:
        missing = {
            name: new_key()
            for name in CATALOGUE.collections
            if not open_vault.versions("collection", name)
        }
        if not missing:
            return
        now = self.clock.now()

        def job(session: Session) -> None:
            # Under the vault's lock: of two unlocks at once, one makes the key.
            take_sequence(session, vault, 1)
            wraps = []
            for name in missing.keys() - known_collections(session, vault):
                public_key = collection_public_key(missing[name])
                rotate(session, vault, name, 1, public_key=public_key, now=now)
                wrapped = Wrapped("collection", name)
                wraps.append(open_vault.wrap_under_root(missing[name], wrapped))
            open_vault.keys.store(session, wraps, now=now)

        self.store.write(job)

    def _rotate(self, vault: VaultRef, open_vault: OpenVault) -> tuple[str, ...]:
        now = self.clock.now()
        with self.store.read() as session:
            due = due_for_rotation(session, vault)
        if not due:
            return ()
        fresh = {name: new_key() for name in due}

        def job(session: Session) -> tuple[str, ...]:
            # A write that was sealed under an old version finds the sequence moved on and seals
            # again, under the new one.
            take_sequence(session, vault, 1)
            # Before any collection's key, as whoever ends a grant takes them; else two wait for
            # each other.
            holders = _holders(session, vault, open_vault)
            still_due = due_for_rotation(session, vault)
            names = [name for name in due if still_due.get(name) == due[name]]
            known = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
            renewed = {name: (due[name] + 1, fresh[name]) for name in names}
            wraps: list[Wrap] = personal_apps.follow_rotation(session, known, vault, renewed)
            for name in names:
                version = due[name] + 1
                rotate(
                    session,
                    vault,
                    name,
                    version,
                    public_key=collection_public_key(fresh[name]),
                    now=now,
                )
                wrapped = Wrapped("collection", name, version)
                wraps.append(open_vault.wrap_under_root(fresh[name], wrapped))
                for keys, terms in holders:
                    if name in terms.collections:
                        wraps += keys.wrap_collection_key(terms.actions, name, version, fresh[name])
            open_vault.keys.store(session, wraps, now=now)
            if names:
                self.sink.append(
                    session,
                    vault,
                    VaultEvent(EventName.KEYS_ROTATED, now, collections=tuple(sorted(names))),
                )
            return tuple(names)

        return self.store.write(job)


def _holders(
    session: Session, vault: VaultRef, open_vault: OpenVault
) -> list[tuple[GrantKeys, Terms]]:
    """Lock the vault's live agreements and grants; return what those hold, and by what terms."""
    # Read again under the vault's lock: a grant that was made since this unlock is there too.
    known = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
    holders = []
    for grant in grants.lock_live_of_vault(session, vault):
        try:
            keys = GrantKeys.from_owner(known, grant.id)
            # What was agreed is in the sealed terms; the agreement's row is anyone's word (P-9).
            holders.append((keys, grants.read_terms(keys.open_terms(grant.terms_box))))
        except (DecryptionError, KeyUnavailableError):
            continue  # tampered with: it gets no new key, and the others do
    return holders
