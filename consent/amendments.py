"""Amendments: a further version of an agreement in force, in place (P-6, P-13, P-29; ADR 0021).

Agreement, grant and grant key stay; text, terms and wraps change together with the epoch, in one
transaction under the locks of vault, connection, agreement and grant. An agreement that has ended
is never amended: a decision then makes a new one (CM-6).

    a request   widens or narrows, or renews: the same terms with a later end
    alone       the person takes something away on the connection's page (`consent.narrowing`), or
                shares the same for longer (`consent.extending`); never adds data (P-13)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from consent import differences, freezing, grants, templates
from consent.acts import ActService, AgreementText, Deed, lock_agreement
from consent.asks import Ask
from consent.differences import Weight
from consent.drafts import Draft
from consent.errors import GrantGoneError
from consent.formats import canonical
from consent.grants import GrantKeys
from consent.lifecycle import Act
from consent.models import Agreement, AgreementVersion, Connection, Grant
from consent.policy import Terms
from consent.vocabulary import LIVE_GRANT_STATES, AccessMode, AgreementState
from pds.clock import Clock, rfc3339
from pds.errors import (
    ConflictError,
    DecryptionError,
    NotFoundError,
)
from pds.events import VaultRef
from pds.keys import OpenVault, mark_rotation_due
from pds.store import Store

# Has a grant's tokens follow its new end; True: its access tokens end now (P-13).
FollowTerms = Callable[[Session, Grant, bool], None]


@dataclass(frozen=True, slots=True)
class InForce:
    """An agreement that lives, with the one grant under it, as their rows say."""

    agreement_id: UUID
    client_id: UUID
    connection_id: UUID
    grant_id: UUID
    state: AgreementState
    version: int
    sha256: str
    document: Mapping[str, Any]
    expires_at: datetime
    frozen_at: datetime | None  # since then nothing goes out (`consent.freezing`); null: it does
    terms_box: bytes = field(repr=False)

    def terms(self, open_vault: OpenVault) -> Terms:
        """Return the agreed terms, by the owner's copy of the grant key.

        Raises:
            DecryptionError: the rows are not those of the sealed terms: whoever can write to the
                database must not have something taken for agreed that is not (P-9).
        """
        keys = GrantKeys.from_owner(open_vault, self.grant_id)
        terms = grants.read_terms(keys.open_terms(self.terms_box))
        if terms.agreement_sha256 != canonical.sha256_hex(dict(self.document)):
            raise DecryptionError
        return terms


@dataclass(frozen=True, slots=True)
class AmendmentService:
    """Amends agreements."""

    store: Store
    clock: Clock
    acts: ActService
    follow_terms: FollowTerms

    def apply(
        self,
        session: Session,
        before: InForce,
        draft: Draft,
        deed: Deed,
        open_vault: OpenVault,
        *,
        narrows: bool,
        request_id: UUID | None = None,
    ) -> Grant:
        """Write a version in the place of the one in force; returns the grant as it is then.

        Args:
            session: of the write job, which holds the vault's lock.
            before: read under the locks of agreement and grant.
            draft: the next version.
            deed: how it came about.
            open_vault: read under the vault's lock, so that it has every version of every key.
            narrows: whether something that was permitted is not any more.
            request_id: the request that was decided; None: none was.

        Raises:
            ConflictError: the act leads nowhere from here.
        """
        at = (Agreement.bucket == open_vault.keys.bucket, Agreement.id == before.agreement_id)
        draft.store(session, now=deed.at)
        values: dict[str, Any] = {
            "version": draft.terms.agreement_version,
            "expires_at": draft.terms.expires_at,
            "expiry_told": 0,
        }
        if request_id is not None:
            values["request_id"] = request_id
        session.execute(update(Agreement).where(*at).values(**values))
        session.execute(
            update(Grant)
            .where(Grant.bucket == open_vault.keys.bucket, Grant.id == before.grant_id)
            .values(
                agreement_version=draft.terms.agreement_version,
                expires_at=draft.terms.expires_at,
                terms_box=draft.terms_box,
                terms_sha256=draft.terms_sha256,
            )
        )
        grants.rewrap(session, draft.keys, open_vault, draft.terms, now=deed.at)
        agreement = lock_agreement(session, open_vault.keys.bucket, before.agreement_id)
        if agreement is None:
            raise ConflictError("the agreement is gone")
        (grant,) = self.acts.do(session, agreement, deed)
        # Whoever copied the database before this holds the old wraps (TAK-43).
        dropped = _collections(before.document) - draft.terms.collection_names
        mark_rotation_due(session, agreement.bucket, agreement.vault_id, sorted(dropped))
        self.follow_terms(session, grant, narrows)
        return grant


def find(
    session: Session, vault: VaultRef, ask: Ask, *, now: datetime, lock: bool = False
) -> InForce | None:
    """Return the agreement that stands where an ask would have one; None: none does.

    That is the live one of the same connection, if it is the same client's: what a grant wraps is
    bound to its client (P-12, P-29). A decision amends it, unless the ask starts anew.

    Raises:
        GrantGoneError: the ask is to be merged into another grant than that one's.
    """
    found = standing(session, vault, ask, now=now, lock=lock)
    if ask.merges is not None and (found is None or found.grant_id != ask.merges):
        raise GrantGoneError
    return found


def standing(
    session: Session, vault: VaultRef, ask: Ask, *, now: datetime, lock: bool = False
) -> InForce | None:
    """As `find`, whichever grant the ask is to be merged into."""
    query = select(Connection.agreement_id).where(
        Connection.bucket == vault.bucket,
        Connection.vault_id == vault.id,
        Connection.organisation_id == ask.template.organisation_id,
        Connection.template_id == ask.template.id,
    )
    if lock:
        query = query.with_for_update()
    agreement_id = session.execute(query).scalar_one_or_none()
    if agreement_id is None:
        return None
    try:
        found = of_vault(session, vault, agreement_id, now=now, lock=lock)
    except (NotFoundError, ConflictError):
        return None
    return found if found.client_id == ask.client_id else None


def describe(session: Session, before: InForce | None, ask: Ask) -> dict[str, Any] | None:
    """Return what a notice says of the agreement that it would amend (P-28).

    What is in force now and what would be added and go: so the notice's hash covers both, and a
    decision on what is no longer in force finds another hash.
    """
    if before is None:
        return None
    document, asked = before.document, [*ask.required, *ask.optional]
    shared = list(document["attributes"])
    template = templates.find(session, document["template_sha256"]).document
    # Only where it is so: what was shown to others stays what it was, word for word.
    frozen = {"frozen_at": rfc3339(before.frozen_at)} if before.frozen_at else {}
    return frozen | {
        "agreement": str(before.agreement_id),
        "version": before.version,
        "sha256": before.sha256,
        "state": before.state.value,
        "is_replaced": ask.starts_anew,
        "template_version": template["version"],
        "actions": list(document["actions"]),
        "attributes": shared,
        "coarsenings": dict(document["coarsenings"]),
        "instances": {
            name: {"which": each["which"], "count": len(each.get("records", ()))}
            for name, each in document.get("instances", {}).items()
        },
        "data_from": dict(document["data_from"]),
        "access": document.get("access", template["access"]["mode"]),
        "fetches_per_day": document["fetches_per_day"],
        "expires_at": document["expires_at"],
        "added": [name for name in asked if name not in shared],
        "dropped": [name for name in shared if name not in asked],
        "changed": _changed_members(template, ask.template.document),
    }


def act_of(before: Terms, after: Terms, *, is_same_contract: bool, is_narrowed: bool) -> Act:
    """Return the act of a decision that amends: a renewal differs in nothing but a later end.

    Args:
        before: what is agreed.
        after: what is decided.
        is_same_contract: whether the template says the same, but for its words.
        is_narrowed: whether it is less than was asked.
    """
    same_time = replace(
        before,
        agreement_version=after.agreement_version,
        agreement_sha256=after.agreement_sha256,
        denied=after.denied,  # what was asked besides, and is not permitted
        starts_at=after.starts_at,
        expires_at=after.expires_at,
        exceeds=after.exceeds,
    )
    if is_same_contract and after.expires_at > before.expires_at and same_time == after:
        return Act.RENEW_PART if is_narrowed else Act.RENEW
    return Act.AMEND_PART if is_narrowed else Act.AMEND


def narrows(before: Terms, after: Terms) -> bool:
    """Tell whether anything that was permitted is, or may be, permitted no more.

    A different form or choice of records counts, whichever way it differs.
    """
    return not (
        before.purpose == after.purpose
        and before.actions <= after.actions
        and before.access in (AccessMode.ONCE, after.access)
        and before.attributes <= after.attributes
        and before.expires_at <= after.expires_at
        and before.fetches_per_day <= after.fetches_per_day
        and _details(before, before) == _details(before, after)
    )


def of_vault(
    session: Session, vault: VaultRef, agreement_id: UUID, *, now: datetime, lock: bool = False
) -> InForce:
    """Return an agreement in force of a vault; with `lock`, under the locks of its rows.

    Raises:
        NotFoundError: the vault has no such agreement.
        ConflictError: it has ended, or its one access has been had.
    """
    agreement = (
        lock_agreement(session, vault.bucket, agreement_id)
        if lock
        else session.get(Agreement, (vault.bucket, agreement_id))
    )
    if agreement is None or agreement.vault_id != vault.id:
        raise NotFoundError
    if lock:
        grants.live_of_agreement(session, vault.bucket, agreement_id)
    # One statement: between two, another amendment could change one of the rows and not the other.
    query = (
        select(Agreement, AgreementVersion, Grant)
        .select_from(Agreement)
        .join(
            AgreementVersion,
            and_(
                AgreementVersion.bucket == Agreement.bucket,
                AgreementVersion.agreement_id == Agreement.id,
                AgreementVersion.version == Agreement.version,
            ),
        )
        .join(
            Grant,
            and_(
                Grant.bucket == Agreement.bucket,
                Grant.agreement_id == Agreement.id,
                Grant.state.in_(LIVE_GRANT_STATES),
            ),
        )
        .where(Agreement.bucket == vault.bucket, Agreement.id == agreement_id)
        .execution_options(populate_existing=True)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise ConflictError("the agreement has ended, or has no text")
    agreement, version, grant = found
    if AgreementState(agreement.state).is_terminal or agreement.expires_at <= now:
        raise ConflictError("the agreement has ended")
    if grant.fetched_at is not None:
        # Its time runs out, in the rows alone (P-10): a version with the terms' own end would
        # bring that time back.
        raise ConflictError("the one access that was agreed has been had")
    text = AgreementText.of(version)
    return InForce(
        agreement_id=agreement_id,
        client_id=agreement.client_id,
        connection_id=agreement.connection_id,
        grant_id=grant.id,
        state=AgreementState(agreement.state),
        version=agreement.version,
        sha256=text.sha256,
        document=text.document,
        expires_at=agreement.expires_at,
        frozen_at=freezing.frozen_at(session, grant),
        terms_box=grant.terms_box,
    )


def of_items(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return what is said of these attributes."""
    return {name: each for name, each in values.items() if name in names}


def of_collections(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return what is said of the collections that these attributes stand in."""
    collections = {name.partition(".")[0] for name in names}
    return {name: each for name, each in values.items() if name in collections}


def _collections(document: Mapping[str, Any]) -> set[str]:
    return {name.partition(".")[0] for name in document["attributes"]}


def _changed_members(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = differences.differences(before, after)
    members = {each.pointer.split("/")[1] for each in found if each.weight is Weight.MATERIAL}
    return sorted(members - {"attributes", "optional_attributes"})


def _details(of: Terms, terms: Terms) -> tuple[object, ...]:
    """Return forms, ranges and choices of what `of` covers, as `terms` have them."""
    return (
        of_items(terms.coarsenings, of.attributes),
        of_collections(terms.data_from, of.attributes),
        of_collections(terms.chosen, of.attributes),
        terms.primary & of.collection_names,
    )
