"""May this grant release this, now? Pure: no clock, no store (D8).

The rules, in order; the first that fails is the answer:

1. the vault exists, the organisation is in good standing, and has not been frozen since the person
   last confirmed the grant;
2. the agreement is active, the grant is, and the latest consent event permits (CM-8, CM-14): each
   end has its own reason;
3. the instant lies within the agreed window; `expires_at` is exclusive;
4. the terms are within the limits of their purpose;
5. the action and the collections are among those agreed, in the sealed terms;
6. a fetch is left today, unless this one was counted already (P-10).

Plain rows can only narrow: what may be read comes from the terms, which only a holder of the grant
key can have sealed (P-9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from consent.vocabulary import (
    AccessMode,
    Action,
    AgreementState,
    ConsentStatus,
    DenialReason,
    GrantState,
    Standing,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed, as sealed under the grant key (P-9).

    `attributes` are qualified names; `coarsenings` maps some of them to a coarser form;
    `data_from` maps a collection to the fixed start of its data range. Of the collections in
    `primary` the main record is shared, of those in `chosen` the records named. `retention` is how
    long the organisation may keep what it got after the end. `reference` is the number under which
    it invited this person, as it knows them; empty: none. `exceeds` is not sealed but worked out
    as the terms are read: the rule of `consent.limits` that they break, or nothing.
    """

    agreement_id: str
    agreement_version: int
    agreement_sha256: str
    purpose: str
    actions: frozenset[Action]
    attributes: frozenset[str]
    denied: frozenset[str]  # asked for, and not agreed
    starts_at: datetime
    expires_at: datetime
    fetches_per_day: int
    coarsenings: Mapping[str, str] = field(default_factory=dict)
    data_from: Mapping[str, str] = field(default_factory=dict)
    primary: frozenset[str] = frozenset()
    chosen: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    retention: str = ""
    reference: str = field(default="", repr=False)
    access: AccessMode = AccessMode.PERIODIC
    exceeds: str = ""
    collections: tuple[str, ...] = field(init=False)  # of the agreed attributes, sorted
    collection_names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what every decision asks for."""
        names = frozenset(name.partition(".")[0] for name in self.attributes)
        object.__setattr__(self, "collection_names", names)
        object.__setattr__(self, "collections", tuple(sorted(names)))


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows say at this instant; each can only narrow the terms."""

    agreement_state: AgreementState
    grant_state: GrantState
    standing: Standing
    vault_is_active: bool
    expires_at: datetime
    fetches_today: int
    consent_status: ConsentStatus = ConsentStatus.GIVEN  # the latest event's
    is_fetched: bool = False  # the one fetch of access mode `once` was had, which fulfils it
    is_frozen: bool = False  # its organisation's keys are not those that its person confirmed
    fetch_is_counted: bool = False  # a follow-up page of a fetch that was counted

    def with_counted_fetch(self) -> Facts:
        """Return the same facts for a follow-up page."""
        return replace(self, fetch_is_counted=True)


_AGREEMENT_DENIALS = {
    AgreementState.SUSPENDED: DenialReason.PAUSED,
    AgreementState.WITHDRAWN: DenialReason.WITHDRAWN,
    AgreementState.TERMINATED: DenialReason.TERMINATED,
    AgreementState.EXPIRED: DenialReason.EXPIRED,
    AgreementState.FULFILLED: DenialReason.FULFILLED,
    AgreementState.INVALIDATED: DenialReason.INVALIDATED,
}
_GRANT_DENIALS = {
    GrantState.PAUSED: DenialReason.PAUSED,
    GrantState.REVOKED: DenialReason.WITHDRAWN,
    GrantState.EXPIRED: DenialReason.EXPIRED,
    GrantState.CONSUMED: DenialReason.FULFILLED,
}
CONSENT_DENIALS = {
    ConsentStatus.PAUSED: DenialReason.PAUSED,
    ConsentStatus.REFUSED: DenialReason.NOT_AGREED,
    ConsentStatus.DEFERRED: DenialReason.PENDING,
    ConsentStatus.WITHDRAWN: DenialReason.WITHDRAWN,
    ConsentStatus.REVOKED: DenialReason.TERMINATED,
    ConsentStatus.EXPIRED: DenialReason.EXPIRED,
    ConsentStatus.INVALIDATED: DenialReason.INVALIDATED,
}


def standing_denial(facts: Facts, *, now: datetime) -> DenialReason | None:
    """Return why nothing at all is permitted at `now` (rules 1 to 3), or None."""
    if not facts.vault_is_active:
        return DenialReason.VAULT_DELETED
    if facts.standing is not Standing.GOOD or facts.is_frozen:
        is_good = facts.standing is Standing.GOOD
        return DenialReason.FROZEN if is_good else DenialReason.STANDING
    # Told apart first: hashing a member of an enumeration costs more than all the rest.
    if not (
        facts.agreement_state is AgreementState.ACTIVE and facts.grant_state is GrantState.ACTIVE
    ):
        return _AGREEMENT_DENIALS.get(facts.agreement_state) or _GRANT_DENIALS.get(
            facts.grant_state, DenialReason.CHANGED
        )
    if not facts.consent_status.permits:
        return CONSENT_DENIALS[facts.consent_status]
    if now >= facts.expires_at:
        return DenialReason.FULFILLED if facts.is_fetched else DenialReason.EXPIRED
    return None


def decide(
    terms: Terms | None,
    facts: Facts,
    *,
    action: Action,
    now: datetime,
    collections: Iterable[str] | None = None,
) -> DenialReason | None:
    """Return why release is refused at `now`, or None to permit it: the one effective permission.

    Args:
        terms: None where the token opens none: alive by its row, which is not believed.
        facts: what the rows say.
        action: what is to be done.
        now: the instant.
        collections: where; None: in all that were agreed.
    """
    denial = standing_denial(facts, now=now)
    if denial is not None:
        return denial
    if terms is None:
        return DenialReason.CHANGED
    if now < terms.starts_at:
        return DenialReason.PENDING
    if now >= terms.expires_at:
        return DenialReason.EXPIRED
    return _terms_denial(terms, facts, action, collections)


def _terms_denial(
    terms: Terms, facts: Facts, action: Action, collections: Iterable[str] | None
) -> DenialReason | None:
    if terms.exceeds:
        return DenialReason.PURPOSE_LIMIT
    if action not in terms.actions or not terms.collection_names.issuperset(collections or ()):
        return DenialReason.NOT_AGREED
    if facts.fetches_today >= terms.fetches_per_day and not facts.fetch_is_counted:
        return DenialReason.LIMIT
    return None
