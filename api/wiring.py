"""The composition root: every service of one process, made once from the settings.

Flask keeps it in `app.extensions["pds"]`; `wiring()` returns it inside a request.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import current_app

from api.oauth.authorization import Authorization
from api.oauth.finding import TokenFinder
from api.oauth.freezing import FreezingService
from api.oauth.server import build as build_oauth
from api.oauth.tokens import TokenService
from api.outgoing.addresses import UrlRefusedError
from api.uow import UnitOfWork
from api.witnesses.asking import Witness
from consent.acts import ActService
from consent.agreements import AgreementService
from consent.amendments import AmendmentService
from consent.auditing.unmasking import UnmaskingService
from consent.complaints import ComplaintService
from consent.conclusions import ConclusionService
from consent.custody import CustodyService
from consent.deletions import DeletionService
from consent.endings import EndingService
from consent.extending import ExtendingService
from consent.formats.canonical import sha256_hex
from consent.formats.errors import FormatError
from consent.formats.note import Signer
from consent.formats.witness_policy import Policy
from consent.invitations.holding import InvitationService
from consent.log.entries import EventLog
from consent.log.refusals import Refusals
from consent.log.vaults import VaultLog
from consent.narrowing import NarrowingService
from consent.obligations import ObligationService
from consent.pauses import PauseService
from consent.receipts import ReceiptIssuer
from consent.rights import RightsService
from pds import instance
from pds.accounts import AccountService
from pds.app_codes import AppCodeService
from pds.attachments import AttachmentService
from pds.attempts import Attempts
from pds.clock import Clock, SystemClock
from pds.deleted_records import DeletedService
from pds.errors import ConfigurationError, VaultLockedError
from pds.ids import IdFactory
from pds.imports import ImportService
from pds.instance import InstanceKeys
from pds.limited_sign_ins import LimitedSignInService
from pds.notice_addresses import NoticeAddressService
from pds.passkey_entrance import PasskeyEntrance
from pds.passkeys import PasskeyService
from pds.personal_apps import PersonalAppService
from pds.record_lists import ListService
from pds.records import RecordService
from pds.sealed_files import SealedFiles
from pds.second_factors import SecondFactors
from pds.sessions import SessionService, Visitor
from pds.settings import Settings
from pds.store import Store
from pds.webauthn import Ceremonies, RelyingParty

EXTENSION = "pds"


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """What views and workers use; nothing else makes services."""

    settings: Settings
    keys: InstanceKeys = field(repr=False)
    clock: Clock
    uow: UnitOfWork
    ids: IdFactory
    log: EventLog
    sink: VaultLog
    accounts: AccountService
    personal_apps: PersonalAppService
    passkey_entrance: PasskeyEntrance
    second_factors: SecondFactors
    sessions: SessionService
    limited_sign_ins: LimitedSignInService
    notice_addresses: NoticeAddressService
    invitations: InvitationService
    agreements: AgreementService
    narrowing: NarrowingService
    extending: ExtendingService
    endings: EndingService
    deletions: DeletionService
    unmasking: UnmaskingService
    pauses: PauseService
    rights: RightsService
    complaints: ComplaintService
    custody: CustodyService
    obligations: ObligationService
    refusals: Refusals
    log_signer: Signer
    receipts: ReceiptIssuer
    authorization: Authorization
    freezing: FreezingService
    witness_policy: Policy | None
    witnesses: tuple[Witness, ...]

    def today(self) -> date:
        """Return the present day in UTC."""
        return self.clock.now().date()

    def facts(self) -> dict[str, str]:
        """Return digests of what the log tells changes of: settings by section, keys (LOG-12).

        Where the store is, and with what password, is not among them.
        """
        found: dict[str, object] = {
            f"settings.{section}": asdict(getattr(self.settings, section))
            for section in ("server", "vault", "oauth", "log", "mail")
        }
        found["key.log"] = {"vkey": self.log_signer.verifier.to_text()}
        found["key.receipts"] = {"kid": self.receipts.kid}
        found["key.pepper"] = {"version": self.keys.pepper_version}
        return {name: sha256_hex(value) for name, value in found.items()}

    def records(self, visitor: Visitor) -> RecordService:
        """Return the records of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        if visitor.open_vault is None:
            raise VaultLockedError
        return RecordService(self.uow, visitor.vault, visitor.open_vault, self.clock, self.sink)

    def files(self, visitor: Visitor) -> SealedFiles:
        """Return the files of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        if visitor.open_vault is None:
            raise VaultLockedError
        return SealedFiles(
            self.uow,
            self.clock,
            visitor.vault,
            visitor.open_vault,
            self.settings.vault.max_files_bytes,
        )

    def attachments(self, visitor: Visitor) -> AttachmentService:
        """Return the files of the records of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        return AttachmentService(
            self.clock,
            self.records(visitor),
            self.files(visitor),
            self.settings.vault.max_attachment_bytes,
        )

    def lists(self, visitor: Visitor) -> ListService:
        """Return the lists of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        return ListService(self.uow, visitor.vault, self.records(visitor))

    def deleted(self, visitor: Visitor) -> DeletedService:
        """Return the deleted records of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        return DeletedService(self.uow, visitor.vault, self.records(visitor))

    def imports(self, visitor: Visitor) -> ImportService:
        """Return the imports of an unlocked visitor.

        Raises:
            VaultLockedError: they are signed in, not unlocked.
        """
        if visitor.open_vault is None:
            raise VaultLockedError
        most = self.settings.vault.max_files_bytes
        return ImportService(
            self.uow,
            self.clock,
            visitor.vault,
            visitor.open_vault,
            self.records(visitor),
            # An archive waits beside what comes out of it.
            replace(
                self.attachments(visitor),
                files=replace(self.files(visitor), most_bytes=2 * most),
            ),
        )


def wire(settings: Settings, *, clock: Clock | None = None) -> Wiring:
    """Make every service; reads the instance's keys, does not touch the store.

    Raises:
        ConfigurationError: a key is missing or unreadable.
    """
    keys = instance.load(settings.instance)
    clock = clock or SystemClock()
    uow = UnitOfWork(settings)
    ids = IdFactory(keys.route)
    log = EventLog(clock)
    sink = VaultLog(log)
    receipts = ReceiptIssuer(
        ids,
        settings.server.issuer,
        settings.log_origin,
        Ed25519PrivateKey.from_private_bytes(keys.receipt_seed),
    )
    slots = threading.Semaphore(settings.vault.argon2_slots)
    store: Store = uow
    acts = ActService(keys, log, receipts)
    endings = EndingService(store, ids, clock, acts, sink)
    tokens = TokenService(
        store,
        settings,
        keys,
        ids,
        clock,
        log,
        TokenFinder(store, ids, clock, resource=f"{settings.server.issuer}/v1"),
    )
    amendments = AmendmentService(store, clock, acts, tokens.follow_terms)
    conclusions = ConclusionService(ids, log, receipts, endings)
    agreements = AgreementService(
        store,
        keys,
        ids,
        clock,
        log,
        sink,
        receipts,
        conclusions,
        amendments,
        timedelta(seconds=settings.log.refuse_seconds),
    )
    invitations = InvitationService(store, keys, clock)
    passkeys = PasskeyService(
        store,
        keys,
        ids,
        clock,
        sink,
        Ceremonies(store, clock, RelyingParty.of(settings.server.issuer)),
        settings.vault.address_attempts_per_quarter_hour,
    )
    second_factors = SecondFactors(AppCodeService(store, keys, ids, clock, sink), passkeys)
    attempts = Attempts(store, keys, clock, settings.vault, sink)
    personal_apps = PersonalAppService(store, keys, ids, clock, sink)
    log_key = Ed25519PrivateKey.from_private_bytes(keys.log_seed)
    log_signer = Signer(settings.log_origin, log_key)
    witness_policy = _witness_policy(settings, log_signer)
    oauth = build_oauth(store, settings, ids, clock, log=log, tokens=tokens)
    return Wiring(
        settings=settings,
        keys=keys,
        clock=clock,
        uow=uow,
        ids=ids,
        log=log,
        sink=sink,
        accounts=AccountService(
            store,
            keys,
            ids,
            clock,
            settings.vault,
            sink,
            slots,
            second_factors,
            attempts,
            personal_apps,
        ),
        personal_apps=personal_apps,
        passkey_entrance=PasskeyEntrance(store, keys, ids, passkeys, attempts),
        second_factors=second_factors,
        sessions=SessionService(store, keys, ids, clock, settings.vault, sink),
        limited_sign_ins=LimitedSignInService(store, keys, ids, clock, sink),
        notice_addresses=NoticeAddressService(store, keys, ids, clock, sink),
        invitations=invitations,
        agreements=agreements,
        narrowing=NarrowingService(store, clock, amendments),
        extending=ExtendingService(store, clock, amendments, agreements.log_may_wait),
        endings=endings,
        unmasking=UnmaskingService(store, ids, clock, log, sink),
        deletions=DeletionService(
            store, clock, sink, endings, timedelta(days=settings.vault.deletion_cooling_days)
        ),
        pauses=PauseService(store, clock, acts),
        rights=RightsService(store, ids, clock, log),
        complaints=ComplaintService(store, clock, log),
        custody=CustodyService(store, clock, sink, personal_apps),
        obligations=ObligationService(store, ids, clock, log),
        refusals=Refusals(store, log, clock, keys.source),
        log_signer=log_signer,
        receipts=receipts,
        authorization=Authorization(oauth, agreements, invitations),
        freezing=oauth.freezing,
        witness_policy=witness_policy,
        witnesses=_witnesses(settings, log_signer, witness_policy),
    )


def _witness_policy(settings: Settings, signer: Signer) -> Policy | None:
    if not settings.log.witnesses:
        return None
    path = settings.instance / settings.log.witnesses
    try:
        policy = Policy.from_bytes(path.read_bytes())
    except OSError as exc:
        raise ConfigurationError(f"log.witnesses: {path} cannot be read: {exc.strerror}") from exc
    except FormatError as exc:
        raise ConfigurationError(f"{path}: {exc} (C2SP tlog-policy)") from exc
    own = signer.verifier.to_text()
    if policy.logs and own not in {log.key.to_text() for log in policy.logs}:
        raise ConfigurationError(f"{path}: its logs are others; this one is {own}")
    if not policy.witnesses:
        raise ConfigurationError(f"{path} names no witness; leave log.witnesses empty instead")
    return policy


def _witnesses(settings: Settings, signer: Signer, policy: Policy | None) -> tuple[Witness, ...]:
    loopback = settings.server.insecure_loopback or settings.log.witness_loopback
    found = []
    for known in policy.witnesses if policy else ():
        try:
            found.append(Witness(known, signer.verifier, loopback))
        except UrlRefusedError as exc:
            where = f"{settings.log.witnesses}: the URL of witness {known.name}"
            raise ConfigurationError(f"{where}: {exc}") from exc
    return tuple(found)


def wiring() -> Wiring:
    """Return the services of the current application."""
    found: Wiring = current_app.extensions[EXTENSION]
    return found
