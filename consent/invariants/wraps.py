"""Keys that grants hold: only live ones, and only of what their agreements share (TAK-42, P-6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select

from consent.formats import canonical
from consent.formats.errors import FormatError
from consent.grants import COLLECTION, INBOUND
from consent.invariants.scope import Broken, Scope, broken, within
from consent.models import AgreementVersion, Grant
from consent.vocabulary import LIVE_GRANT_STATES, Action
from pds import keys, passkeys, sessions
from pds.keys import HeldKey

_NEEDS = {COLLECTION: Action.READ, INBOUND: Action.WRITE}


_LIVE = select(Grant.id, Grant.vault_id).where(
    within(Grant.bucket), Grant.state.in_(LIVE_GRANT_STATES)
)
_GRANTS = select(Grant.id, Grant.vault_id).where(within(Grant.bucket))
_LIVE_TEXTS = (
    select(Grant.id, AgreementVersion.document)
    .select_from(Grant)
    .join(
        AgreementVersion,
        and_(
            AgreementVersion.bucket == Grant.bucket,
            AgreementVersion.agreement_id == Grant.agreement_id,
            AgreementVersion.version == Grant.agreement_version,
        ),
    )
    .where(within(Grant.bucket), Grant.state.in_(LIVE_GRANT_STATES))
    .execution_options(yield_per=500)
)


def holder_lives(scope: Scope) -> Iterator[Broken]:
    """A key under a grant's key is under that of a live grant of the same vault (TAK-42)."""
    live = set(scope.rows(_LIVE).all())
    for held in keys.held_by(scope.session, scope.first, scope.last, "grant"):
        if (held.by_id, held.vault_id) not in live:
            yield _broken("no live grant of that vault holds this key", held)


def key_is_agreed(scope: Scope) -> Iterator[Broken]:
    """A live grant holds keys of collections of its agreement only, as its actions need (P-13)."""
    agreed = _agreed(scope)
    for held in keys.held_by(scope.session, scope.first, scope.last, "grant"):
        needed = agreed.get(held.by_id)
        if needed is not None and (held.wrapped_kind, held.wrapped_id) not in needed:
            yield _broken("its agreement does not cover this key", held)


def grant_key_is_of_a_grant(scope: Scope) -> Iterator[Broken]:
    """A grant key is that of a grant of the same vault, whoever holds it."""
    known = {(str(grant_id), vault_id) for grant_id, vault_id in scope.rows(_GRANTS)}
    for held in keys.holders_of(scope.session, scope.first, scope.last, "grant"):
        if (held.wrapped_id, held.vault_id) not in known:
            yield _broken("there is no such grant in that vault", held)


def unlock_is_there(scope: Scope) -> Iterator[Broken]:
    """What an unlock's key holds is its vault's root key, while its row is there (P-15)."""
    known = sessions.unlocks(scope.session, scope.first, scope.last)
    return _opens_its_vault(scope, "unlock", known)


def passkey_is_there(scope: Scope) -> Iterator[Broken]:
    """What a passkey's key holds is its vault's root key, until the passkey is removed."""
    known = passkeys.known(scope.session, scope.first, scope.last)
    return _opens_its_vault(scope, passkeys.KIND, known)


def _opens_its_vault(scope: Scope, kind: str, known: set[tuple[UUID, UUID]]) -> Iterator[Broken]:
    for held in keys.held_by(scope.session, scope.first, scope.last, kind):
        if (held.by_id, held.vault_id) not in known:
            yield _broken(f"there is no such {kind} of that vault", held)
        elif (held.wrapped_kind, held.wrapped_id) != ("vrk", str(held.vault_id)):
            yield _broken("it is not that vault's root key", held)


def _agreed(scope: Scope) -> dict[UUID, set[tuple[str, str]]]:
    found: dict[UUID, set[tuple[str, str]]] = {}
    for grant_id, text in scope.rows(_LIVE_TEXTS):
        try:
            document: Any = canonical.parse(text)
            collections = {name.partition(".")[0] for name in document["attributes"]}
            kinds = [kind for kind, action in _NEEDS.items() if action in document["actions"]]
        except (FormatError, KeyError, TypeError):
            continue  # what a text must be is another rule's
        found[grant_id] = {(kind, name) for kind in kinds for name in collections}
    return found


def _broken(detail: str, held: HeldKey) -> Broken:
    return broken(
        detail,
        vault=held.vault_id,
        by=f"{held.by_kind} {held.by_id}",
        wrapped=f"{held.wrapped_kind} {held.wrapped_id} {held.wrapped_version}",
    )
