"""Narrowing: a person takes something away from an agreement, without having been asked (P-13).

It never adds. What comes of it is the agreement's next version (`consent.amendments`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from consent import amendments, choices, durations, templates
from consent.acts import Deed
from consent.amendments import AmendmentService, InForce, of_collections, of_items
from consent.drafts import prepare
from consent.errors import NoticeChangedError
from consent.grants import GrantKeys
from consent.lifecycle import Act
from consent.policy import Terms
from consent.templates import Template
from consent.vocabulary import AccessMode, Action, Actor, Instances
from pds import vaults
from pds.catalogue import CATALOGUE
from pds.clock import Clock, rfc3339
from pds.errors import Issue, ValidationFailedError
from pds.events import VaultRef
from pds.keys import OpenVault
from pds.store import Store


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a person takes away without having been asked.

    Attributes:
        agreement_sha256: the version that they saw.
        optional: optional attributes that stay shared.
        duration: such as `P7D`, from now on; empty: the agreed end stays.
        fetches_per_day: None: as agreed.
        coarsenings: the coarser form of some attributes; empty: as agreed.
        instances: `primary` for collections of which only the main record stays; empty: as agreed.
    """

    agreement_sha256: str
    optional: frozenset[str]
    duration: str = ""
    fetches_per_day: int | None = None
    coarsenings: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be taken away from an agreement: the choices of its page."""

    before: InForce
    required: tuple[str, ...]
    optional: tuple[str, ...]
    durations: tuple[str, ...]
    frequencies: tuple[int, ...]
    coarsenings: Mapping[str, tuple[str, ...]]
    primary: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NarrowingService:
    """Narrows agreements."""

    store: Store
    clock: Clock
    amendments: AmendmentService

    def offer(self, vault: VaultRef, agreement_id: UUID) -> Offer:
        """Return what its person may take away from an agreement.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
        """
        now = self.clock.now()
        with self.store.read() as session:
            before = amendments.of_vault(session, vault, agreement_id, now=now)
            return _offer(session, before, now)

    def narrow(
        self,
        vault: VaultRef,
        open_vault: OpenVault,
        agreement_id: UUID,
        reduction: Reduction,
    ) -> None:
        """Take something away from an agreement, on its person's own word (P-13).

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
            NoticeChangedError: it is another version than they saw; nothing was changed.
            ValidationFailedError: it would add something, or change nothing.
        """
        now = self.clock.now()
        with self.store.read() as session:
            before = amendments.of_vault(session, vault, agreement_id, now=now)
            if before.sha256 != reduction.agreement_sha256:
                raise NoticeChangedError
            offer = _offer(session, before, now)
        _refuse_additions(offer, reduction)
        terms = before.terms(open_vault)
        keys = GrantKeys.from_owner(open_vault, before.grant_id)
        draft = prepare(vault, open_vault, keys, *_reduced(before, terms, offer, reduction, now))
        deed = Deed(act=Act.NARROW, actor=Actor.INDIVIDUAL, at=now, private=draft.private)

        def job(session: Session) -> None:
            vaults.lock(session, vault)
            fresh = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
            locked = amendments.of_vault(session, vault, agreement_id, now=now, lock=True)
            if locked.sha256 != before.sha256:
                raise NoticeChangedError
            self.amendments.apply(session, locked, draft, deed, fresh, narrows=True)

        self.store.write(job)


def _offer(session: Session, before: InForce, now: datetime) -> Offer:
    document = before.document
    template = templates.find(session, document["template_sha256"])
    shared = document["attributes"]
    is_read = Action.READ in document["actions"]
    return Offer(
        before=before,
        required=tuple(name for name in shared if name in template.required),
        optional=tuple(name for name in shared if name not in template.required),
        durations=tuple(
            each for each in durations.OFFERED if now + durations.parse(each) < before.expires_at
        ),
        frequencies=tuple(
            each
            for each in choices.FREQUENCIES
            if each < document["fetches_per_day"]
            and template.document["access"]["mode"] != AccessMode.ONCE
        ),
        coarsenings=_coarsenings(template, document) if is_read else {},
        primary=_primary(document) if is_read else (),
    )


def _coarsenings(template: Template, document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the coarser forms of what is shared as it is.

    Not of what is coarse already: coarse forms have no order in which one is less than another.
    """
    forms = {
        name: template.coarsenings(name)
        for name in document["attributes"]
        if name not in document["coarsenings"]
    }
    return {name: each for name, each in forms.items() if each}


def _primary(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the collections that are shared whole, and have a main record."""
    shared = {name.partition(".")[0] for name in document["attributes"]}
    whole = shared - document.get("instances", {}).keys()
    return tuple(
        name for name in sorted(whole) if "primary" in CATALOGUE.collection(name).companions
    )


def _refuse_additions(offer: Offer, reduction: Reduction) -> None:
    wrong = [*_issues(offer, reduction)]
    if not wrong and reduction == Reduction(
        reduction.agreement_sha256,
        frozenset(offer.optional),
        coarsenings=dict.fromkeys(reduction.coarsenings, ""),
        instances=dict.fromkeys(reduction.instances, ""),
    ):
        wrong.append(Issue("attributes", "nothing_taken", "Nothing would change."))
    if wrong:
        raise ValidationFailedError(wrong)


def _issues(offer: Offer, reduction: Reduction) -> Iterator[Issue]:
    if not reduction.optional <= set(offer.optional):
        yield Issue("attributes", "not_offered", choices.NOT_OFFERED)
    elif not offer.required and not reduction.optional:
        yield Issue("attributes", "nothing_left", "Leave one item, or stop sharing.")
    if reduction.duration not in ("", *offer.durations):
        yield Issue("duration", "not_offered", choices.NOT_OFFERED)
    if reduction.fetches_per_day not in (None, *offer.frequencies):
        yield Issue("fetches_per_day", "not_offered", choices.NOT_OFFERED)
    for name, form in reduction.coarsenings.items():
        if form not in ("", *offer.coarsenings.get(name, ())):
            yield Issue(f"coarsen.{name}", "not_offered", choices.NOT_OFFERED)
    for name, which in reduction.instances.items():
        if which and (which != Instances.PRIMARY or name not in offer.primary):
            yield Issue(f"instances.{name}", "not_offered", choices.NOT_OFFERED)


def _reduced(
    before: InForce, terms: Terms, offer: Offer, reduction: Reduction, now: datetime
) -> tuple[dict[str, Any], Terms]:
    kept = [
        name
        for name in before.document["attributes"]
        if name in offer.required or name in reduction.optional
    ]
    forms = {name: form for name, form in reduction.coarsenings.items() if form}
    primary = {name for name, which in reduction.instances.items() if which}
    gone = [name for name in before.document["attributes"] if name not in kept]
    document = {
        **before.document,
        "version": before.version + 1,
        "attributes": kept,
        "denied": [*before.document["denied"], *gone],
        "coarsenings": of_items({**before.document["coarsenings"], **forms}, kept),
        "instances": of_collections(
            before.document.get("instances", {})
            | {name: {"which": Instances.PRIMARY.value} for name in sorted(primary)},
            kept,
        ),
        "data_from": of_collections(before.document["data_from"], kept),
        "fetches_per_day": reduction.fetches_per_day or before.document["fetches_per_day"],
    }
    terms = replace(
        terms,
        agreement_version=before.version + 1,
        attributes=frozenset(kept),
        denied=terms.denied | set(gone),
        coarsenings=of_items({**terms.coarsenings, **forms}, kept),
        data_from=of_collections(terms.data_from, kept),
        chosen=of_collections(terms.chosen, kept),
        primary=(terms.primary | primary) & {name.partition(".")[0] for name in kept},
        fetches_per_day=document["fetches_per_day"],
    )
    if reduction.duration:
        starts_at = now.replace(microsecond=0)
        expires_at = starts_at + durations.parse(reduction.duration)
        document |= {
            "duration": reduction.duration,
            "starts_at": rfc3339(starts_at),
            "expires_at": rfc3339(expires_at),
        }
        terms = replace(terms, starts_at=starts_at, expires_at=expires_at)
    return document, terms
