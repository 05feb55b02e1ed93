"""Decisions: what makes an agreement (`consent.endings` undoes it).

`allow`, `refuse` and `defer` are the only way to a consent row, each one transaction: the notice is
checked again, the request spent, keys wrapped, agreement signed, event logged, receipt issued.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from consent import (
    amendments,
    choices,
    correspondence,
    durations,
    notices,
    organisations,
    requests,
    templates,
)
from consent.acts import Deed
from consent.amendments import AmendmentService, InForce
from consent.asks import Ask
from consent.choices import Agreed, Choice
from consent.conclusions import ConclusionService, Decision
from consent.drafts import AGREEMENT_VERSION, prepare
from consent.errors import NoticeChangedError
from consent.formats.receipt_facts import ReceiptKind
from consent.grants import GrantKeys, TokenBinding
from consent.invitations import holding
from consent.lifecycle import MOVES, Act
from consent.log import publication
from consent.log.entries import EventLog, seal_private
from consent.models import Grant, Request
from consent.policy import Terms
from consent.receipts import ReceiptIssuer, Subject, status
from consent.record_names import RecordNames
from consent.vocabulary import (
    AccessMode,
    Action,
    Actor,
    EventName,
    InvitationState,
)
from pds import vaults
from pds.clock import Clock, rfc3339
from pds.crypto.secrets import TokenSecret
from pds.errors import ConflictError, Issue, ValidationFailedError
from pds.events import EventSink, VaultEvent, VaultRef, vault_stream
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.keys import OpenVault, new_key
from pds.records import present
from pds.store import Store
from pds.vaults import next_event_seq

Also = Callable[[Session, Grant], None]


@dataclass(frozen=True, slots=True)
class Decided:
    """An agreement that came into force, or its next version did."""

    agreement_id: UUID
    grant_id: UUID


@dataclass(frozen=True, slots=True)
class AgreementService:
    """Shows requests and takes decisions."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    log: EventLog
    sink: EventSink
    receipts: ReceiptIssuer
    conclusions: ConclusionService
    amendments: AmendmentService
    log_may_wait: timedelta  # zero: for ever

    def show(
        self,
        vault: VaultRef,
        ask: Ask,
        details: Mapping[str, Any],
        pushed_request: UUID,
        *,
        locale: str,
    ) -> tuple[Request, dict[str, Any]]:
        """Record that a person sees a request, and return the notice to show.

        Raises:
            ConflictError: the request was decided already.
            GrantGoneError: it is to be merged into a grant that is not theirs, or has ended.
        """
        now = self.clock.now()
        request_id = self.ids.new(vault.bucket)

        def job(session: Session) -> tuple[Request, dict[str, Any]]:
            before = amendments.find(session, vault, ask, now=now)
            notice = _notice(session, ask, before, locale)
            sha256 = notices.keep(session, notice, now=now)
            request = requests.note_seen(
                session,
                ask,
                details,
                request_id=request_id,
                bucket=vault.bucket,
                vault_id=vault.id,
                pushed_request=pushed_request,
                now=now,
            )
            if request.id == request_id:
                self.sink.append(
                    session,
                    vault,
                    VaultEvent(
                        EventName.CONSENT_SHOWN,
                        now,
                        private={"request": str(request_id), "notice": sha256},
                    ),
                )
                correspondence.tell_of_request(session, request, now=now)
            return request, notice

        return self.store.write(job)

    def in_force(self, vault: VaultRef, open_vault: OpenVault, ask: Ask) -> Terms | None:
        """Return the terms that a decision on an ask would change; None: it makes new ones.

        Raises:
            DecryptionError: the agreement's rows are not those of its sealed terms (P-9).
        """
        with self.store.read() as session:
            before = amendments.standing(session, vault, ask, now=self.clock.now())
        return before.terms(open_vault) if before else None

    def cooling(self, vault: VaultRef, ask: Ask) -> datetime | None:
        """Return until when this request rests after a refusal, or None."""
        with self.store.read() as session:
            return requests.cooling(
                session, ask, bucket=vault.bucket, vault_id=vault.id, now=self.clock.now()
            )

    def allow(
        self,
        vault: VaultRef,
        open_vault: OpenVault,
        request: Request,
        ask: Ask,
        choice: Choice,
        *,
        code: TokenSecret,
        dpop_jkt: str,
        code_expires_at: datetime,
        also: Also,
    ) -> Decided:
        """Allow a request, wholly or in part: a new agreement, or the next version of one in force.

        Args:
            vault: whose.
            open_vault: unlocked: only its owner can wrap its keys (TAK-38).
            request: the row that `show` returned.
            ask: checked again from the pushed request.
            choice: what was ticked.
            code: the authorization code's secret, which will open the grant.
            dpop_jkt: the key the code is bound to, or empty.
            code_expires_at: at most 60 seconds ahead.
            also: run in the same transaction, to spend the pushed request and store the code.

        Raises:
            NoticeChangedError: what was shown no longer holds; nothing was decided.
            ConflictError: the request was decided already, or its organisation is frozen.
            GrantGoneError: what it was to be merged into has ended.
            ValidationFailedError: the choice is outside what was offered.
            LogStalledError: the log stands still; less may be shared nonetheless (LOG-21).
        """
        # Not before it was shown, even where a clock was set back meanwhile.
        now = max(self.clock.now(), request.seen_at)
        with self.store.read() as session:
            standing = amendments.find(session, vault, ask, now=now)
            # After it: another tab may have agreed since this request's keys were read.
            open_vault = OpenVault.load(
                session, open_vault.keys, open_vault.vrk, vault.audit_public_key
            )
        before = None if ask.starts_anew else standing
        decision = self._decision(vault, open_vault, ask, choice, standing, now)
        draft, keys = decision.draft, decision.draft.keys
        narrows = before is not None and amendments.narrows(before.terms(open_vault), draft.terms)
        binding = TokenBinding(
            "ac", code.selector, keys.grant_id, ask.client_id, dpop_jkt, code_expires_at
        )
        wrap = keys.wrap_for(code, binding)

        def job(session: Session) -> Decided:
            # Another unlock may have rotated keys since this one's were read; from here on, none.
            vaults.lock(session, vault)
            if not narrows:
                publication.require_fresh(session, now=now, within=self.log_may_wait)
            fresh = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
            held = organisations.hold(session, ask.template.organisation_id)
            if held.is_frozen:
                # Nobody knows who it was that asked.
                raise ConflictError("the organisation is frozen")
            requests.settle(session, request, decision.act, now=now)
            # Read again under its locks (P-6): if it ended or changed, so did the notice.
            present = amendments.find(session, vault, ask, now=now, lock=True)
            self._recheck(session, ask, choice, present)
            if present != standing:
                raise NoticeChangedError
            if before is None:
                grant = self.conclusions.conclude(session, vault, fresh, request, decision, now=now)
            else:
                deed = Deed(act=decision.act, actor=Actor.INDIVIDUAL, at=now, private=draft.private)
                grant = self.amendments.apply(
                    session, before, draft, deed, fresh, narrows=narrows, request_id=request.id
                )
            _spend(session, vault, ask, InvitationState.USED, now)
            open_vault.keys.store(session, [wrap], now=now)
            also(session, grant)
            return Decided(grant.agreement_id, grant.id)

        return self.store.write(job)

    def refuse(
        self,
        vault: VaultRef,
        request: Request,
        ask: Ask,
        choice: Choice,
        *,
        also: Callable[[Session], None],
    ) -> UUID:
        """Refuse a request: a record of its own, with a receipt (CM-5, CUX-23).

        Needs no vault key. Returns the receipt's id.

        Raises:
            NoticeChangedError: what was shown no longer holds; nothing was decided.
            ConflictError: the request was decided already.
        """
        return self._close(vault, request, ask, choice, Act.REFUSE, also)

    def defer(self, vault: VaultRef, request: Request, ask: Ask, choice: Choice) -> UUID:
        """Put a request aside without deciding (VOC-19): a record of its own, with a receipt.

        It can be opened again while its organisation's push lives, and decided then; nothing
        rests. Needs no vault key. Returns the receipt's id.

        Raises:
            NoticeChangedError: what was shown no longer holds; nothing was recorded.
            ConflictError: the request was decided already.
        """
        return self._close(vault, request, ask, choice, Act.DEFER, lambda _session: None)

    def _close(  # noqa: PLR0917 - what `refuse` and `defer` have in common, private
        self,
        vault: VaultRef,
        request: Request,
        ask: Ask,
        choice: Choice,
        act: Act,
        also: Callable[[Session], None],
    ) -> UUID:
        now = max(self.clock.now(), request.seen_at)
        asked = (*ask.required, *ask.optional)
        event = MOVES[act].event
        kind = ReceiptKind(event.removeprefix("consent."))
        private = seal_private(
            {"vault": str(vault.id), "request": str(request.id)},
            audit_public_key=vault.audit_public_key,
        )

        def job(session: Session) -> UUID:
            # As `allow` does: two decisions at once must not each wait for the other's row.
            vaults.lock(session, vault)
            organisations.hold(session, ask.template.organisation_id)
            requests.settle(session, request, act, now=now)
            before = amendments.find(session, vault, ask, now=now)
            notice = self._recheck(session, ask, choice, before)
            if act is Act.REFUSE:
                _spend(session, vault, ask, InvitationState.DECLINED, now)
            also(session)
            seq = next_event_seq(session, vault.bucket, vault.id)
            entry = self.log.append(
                session,
                bucket=vault.bucket,
                stream=vault_stream(vault.id),
                seq=seq,
                name=event,
                at=now,
                private=private,
                vault_id=vault.id,
                client=ask.client_id,
                purpose=notice["purpose"],
            )
            document = {
                "subject": self._subject_name(ask, vault),
                "attributes": list(asked),
                "denied": list(asked) if act is Act.REFUSE else [],
                "coarsenings": {},
                "fetches_per_day": notice["access"]["fetches_per_day"],
                "version": 1,
            }
            return self.receipts.issue(
                session,
                Subject(
                    document=document,
                    notice=notice,
                    notice_sha256=choice.notice_sha256,
                    shown_at=request.seen_at,
                    record_id=request.id,
                    request_id=request.id,
                    agreement_id=None,
                    agreement_sha256=None,
                ),
                [
                    status(
                        1,
                        kind,
                        at=now,
                        by="individual",
                        duration=None,
                    )
                ],
                entry,
                bucket=vault.bucket,
                vault_id=vault.id,
                now=now,
            )

        return self.store.write(job)

    def _decision(  # noqa: PLR0917 - one step of `allow`, private
        self,
        vault: VaultRef,
        open_vault: OpenVault,
        ask: Ask,
        choice: Choice,
        standing: InForce | None,
        now: datetime,
    ) -> Decision:
        agreed = choices.agree(ask, choice)
        with self.store.read() as session:
            notice = _notice(session, ask, standing, choice.locale)
            _refuse_strangers(session, vault, agreed)
            invitation, reference = _reference(session, vault, open_vault, ask, standing)
        before = None if ask.starts_anew else standing
        # Whole seconds: that is what documents say, and rows must not say more.
        starts_at = now.replace(microsecond=0)
        expires_at = starts_at + durations.parse(agreed.duration)
        if before is None:
            agreement_id, version = self.ids.new(vault.bucket), 1
            keys = GrantKeys(open_vault.keys, self.ids.new(vault.bucket), new_key())
        else:
            agreement_id, version = before.agreement_id, before.version + 1
            keys = GrantKeys.from_owner(open_vault, before.grant_id)
        document = {
            "type": AGREEMENT_VERSION,
            "id": str(agreement_id),
            "version": version,
            "template_sha256": ask.template.sha256,
            "notice_sha256": choice.notice_sha256,
            "organisation": str(ask.template.organisation_id),
            "client": str(ask.client_id),
            "subject": self._subject_name(ask, vault),
            "purpose": notice["purpose"],
            "actions": list(ask.actions),
            "attributes": list(agreed.attributes),
            "denied": list(agreed.denied),
            "coarsenings": dict(agreed.coarsenings),
            "instances": RecordNames(keys.key).instances(agreed.primary, agreed.chosen),
            "data_from": notice["data_from"],
            "access": notice["access"]["mode"],
            "fetches_per_day": agreed.fetches_per_day,
            "duration": agreed.duration,
            "starts_at": rfc3339(starts_at),
            "expires_at": rfc3339(expires_at),
            "invitation": invitation,
        }
        terms = Terms(
            agreement_id=str(agreement_id),
            agreement_version=version,
            agreement_sha256="",  # `prepare` puts in the text's
            purpose=notice["purpose"],
            actions=frozenset(Action(action) for action in ask.actions),
            attributes=frozenset(agreed.attributes),
            denied=frozenset(agreed.denied),
            starts_at=starts_at,
            expires_at=expires_at,
            access=AccessMode(notice["access"]["mode"]),
            fetches_per_day=agreed.fetches_per_day,
            coarsenings=agreed.coarsenings,
            data_from=notice["data_from"],
            primary=frozenset(agreed.primary),
            chosen=agreed.chosen,
            retention=notice["retention"]["after_end"],
            reference=reference,
        )
        draft = prepare(vault, open_vault, keys, document, terms)
        if before is None:
            act = Act.ALLOW_PART if agreed.is_narrowed else Act.ALLOW
        else:
            act = amendments.act_of(
                before.terms(open_vault),
                draft.terms,
                is_same_contract=not notice["amends"]["changed"],
                is_narrowed=agreed.is_narrowed,
            )
        return Decision(ask, notice, act, draft)

    def _recheck(
        self, session: Session, ask: Ask, choice: Choice, before: InForce | None
    ) -> dict[str, Any]:
        notice = _notice(session, ask, before, choice.locale)
        if notices.notice_sha256(notice) != choice.notice_sha256:
            raise NoticeChangedError
        # The notice names its template version, not whether that is still the one offered.
        if not templates.is_published(session, ask.template.sha256):
            raise NoticeChangedError
        return notice

    def _subject_name(self, ask: Ask, vault: VaultRef) -> str:
        return organisations.pairwise_subject(
            self.keys.pairwise, ask.template.organisation_id, vault.id
        )


def _reference(
    session: Session, vault: VaultRef, open_vault: OpenVault, ask: Ask, before: InForce | None
) -> tuple[str | None, str]:
    """Return the invitation that an agreement comes of, and the reference for its terms.

    The text is kept in the open, so it names the invitation; what that says is sealed (P-9).
    """
    if ask.invitation is not None:
        return str(ask.invitation), holding.reference(session, vault, open_vault, ask.invitation)
    if before is not None:
        return before.document.get("invitation"), before.terms(open_vault).reference
    return None, ""


def _spend(
    session: Session, vault: VaultRef, ask: Ask, state: InvitationState, now: datetime
) -> None:
    if ask.invitation is not None:
        holding.spend(session, vault, ask.invitation, state, now=now)


def _notice(session: Session, ask: Ask, before: InForce | None, locale: str) -> dict[str, Any]:
    organisation = organisations.get(session, ask.template.organisation_id)
    amends = amendments.describe(session, before, ask)
    return notices.build(ask, organisation, locale=locale, amends=amends)


def _refuse_strangers(session: Session, vault: VaultRef, agreed: Agreed) -> None:
    """Refuse records that are not in this vault, or of another collection: a tampered form."""
    for name, records in agreed.chosen.items():
        if present(session, vault, name, records) != records:
            raise ValidationFailedError(
                [Issue(f"records.{name}", "not_offered", choices.NOT_OFFERED)]
            )
