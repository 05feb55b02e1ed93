"""Grants: the keys an agreement hands out, and how they end (P-6, P-9, P-12, P-13).

    token -> grant key (GK) -> collection keys of the agreement, and the sealed terms
                            -> public keys for deposits, where the agreement allows writing
    vault root key -> GK: the owner's copy, needed to rotate and to read the grant's log entries

A grant's rows change only under its row lock. What ends a grant deletes every wrap that its tokens
and its key hold; the owner's copy stays, for the owner's own log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from consent import limits
from consent.formats import canonical
from consent.limits import Extent
from consent.models import Agreement, Grant
from consent.policy import Terms
from consent.vocabulary import LIVE_GRANT_STATES, AccessMode, Action, AgreementState, GrantState
from pds.clock import from_rfc3339, rfc3339
from pds.crypto.deposit import collection_public_key
from pds.crypto.labels import GRANT_AUDIT, GRANT_DEPOSITS, GRANT_TERMS, derive
from pds.crypto.sealed_box import Kind, open_box, seal
from pds.crypto.secrets import TokenSecret
from pds.errors import DecryptionError
from pds.events import VaultRef
from pds.keys import OpenVault, VaultKeys, Wrap, Wrapped, Wrapper
from pds.store import Sender

# What a grant key wraps.
COLLECTION = "collection"
INBOUND = "inbound"
_NEXT_LIVE_SEQ = (
    update(Grant)
    .where(
        Grant.bucket == bindparam("b_bucket"),
        Grant.id == bindparam("b_grant"),
        Grant.state.in_([state.value for state in LIVE_GRANT_STATES]),
        Grant.expires_at > bindparam("b_now"),
    )
    .values(seq=Grant.seq + 1)
    .returning(Grant.seq)
)


@dataclass(frozen=True, slots=True)
class TokenBinding:
    """What a token's wrap is bound to: nothing that can change later (P-12).

    `confirmation` is the `jkt` of an access token or the `dpop_jkt` of a code, and empty for a
    refresh token, whose client may change its proof key (DPoP-D21). `expires_at` is bound for
    access tokens only.
    """

    kind: str  # ac, rt or at
    selector: UUID
    grant_id: UUID
    client_id: UUID
    confirmation: str = ""
    expires_at: datetime | None = None

    def wrapper(self) -> Wrapper:
        """Return the wrapping key's identity."""
        expiry = rfc3339(self.expires_at) if self.expires_at and self.kind == "at" else ""
        return Wrapper(
            "token",
            self.selector,
            (
                self.kind.encode(),
                self.grant_id.bytes,
                self.client_id.bytes,
                self.confirmation.encode(),
                expiry.encode(),
            ),
        )


def grant_wrapped(grant_id: UUID) -> Wrapped:
    """Return a grant key's identity."""
    return Wrapped("grant", str(grant_id))


@dataclass(frozen=True, slots=True)
class GrantKeys:
    """An opened grant: its key and what derives from it."""

    vault: VaultKeys
    grant_id: UUID
    key: bytes = field(repr=False)

    @classmethod
    def from_token(
        cls, vault: VaultKeys, binding: TokenBinding, secret: TokenSecret, blob: bytes
    ) -> GrantKeys:
        """Open the grant key with a live token.

        Raises:
            DecryptionError: the wrap is not this token's, for this grant and client.
        """
        key = vault.unwrap(
            secret.kek(), blob, by=binding.wrapper(), wrapped=grant_wrapped(binding.grant_id)
        )
        return cls(vault, binding.grant_id, key)

    @classmethod
    def from_owner(cls, open_vault: OpenVault, grant_id: UUID) -> GrantKeys:
        """Open the grant key with the owner's copy.

        Raises:
            KeyUnavailableError: there is no such grant in this vault.
        """
        key = open_vault.key("grant", str(grant_id), 1)
        return cls(open_vault.keys, grant_id, key)

    def wrap_for(self, secret: TokenSecret, binding: TokenBinding) -> Wrap:
        """Wrap the grant key for a fresh token."""
        return self.vault.wrap(
            secret.kek(),
            self.key,
            by=binding.wrapper(),
            wrapped=grant_wrapped(self.grant_id),
            expires_at=binding.expires_at,
        )

    def wrap_collections(self, open_vault: OpenVault, terms: Terms) -> list[Wrap]:
        """Wrap under the grant key what the terms need of all versions of their collections' keys.

        The caller holds the vault's row lock, so that no version is added meanwhile.
        """
        return [
            wrap
            for name in terms.collections
            for version in open_vault.versions(COLLECTION, name)
            for wrap in self.wrap_collection_key(
                terms.actions, name, version, open_vault.key(COLLECTION, name, version)
            )
        ]

    def wrap_collection_key(
        self, actions: Iterable[Action], name: str, version: int, collection_key: bytes
    ) -> list[Wrap]:
        """Wrap what of a version of a collection key the actions need.

        Whoever reads gets the key. Whoever writes gets the public key to which deposits are made:
        it opens nothing (TAK-45), and since it comes from under the grant key, no database writer
        can put one of their own in its place.
        """
        by, wraps = Wrapper("grant", self.grant_id), []
        if Action.READ in actions:
            wrapped = Wrapped(COLLECTION, name, version)
            wraps.append(self.vault.wrap(self.key, collection_key, by=by, wrapped=wrapped))
        if Action.WRITE in actions:
            public_key = collection_public_key(collection_key)
            wrapped = Wrapped(INBOUND, name, version)
            wraps.append(self.vault.wrap(self.key, public_key, by=by, wrapped=wrapped))
        return wraps

    def open_key(self, wrapped: Wrapped, blob: bytes) -> bytes:
        """Open a collection key, or a public key for deposits, that this grant holds.

        Raises:
            DecryptionError: the wrap is not this grant's.
        """
        return self.vault.unwrap(
            self.key, blob, by=Wrapper("grant", self.grant_id), wrapped=wrapped
        )

    @property
    def audit_key(self) -> bytes:
        """The key for the private parts of this grant's log entries."""
        return derive(self.key, GRANT_AUDIT)

    @property
    def deposit_key(self) -> bytes:
        """The key that authenticates this grant's deposits."""
        return derive(self.key, GRANT_DEPOSITS)

    def seal_terms(self, terms: Terms) -> tuple[bytes, str]:
        """Return the sealed terms and the SHA-256 of their canonical form (P-9)."""
        text = canonical.canonical_bytes(_terms_document(terms))
        box = seal(
            derive(self.key, GRANT_TERMS),
            text,
            kind=Kind.TERMS,
            key_version=1,
            fields=self._terms_fields(),
        )
        return box, canonical.sha256_hex(_terms_document(terms))

    def open_terms(self, box: bytes) -> bytes:
        """Return the canonical text of the sealed terms, for `read_terms`.

        Raises:
            DecryptionError: they are not the terms of this grant.
        """
        return open_box(
            derive(self.key, GRANT_TERMS), box, kind=Kind.TERMS, fields=self._terms_fields()
        )

    def _terms_fields(self) -> tuple[bytes, ...]:
        return (
            b"terms",
            self.vault.deployment,
            self.vault.vault_id.bytes,
            self.grant_id.bytes,
        )


def lock(session: Session, bucket: int, grant_id: UUID) -> Grant | None:
    """Lock a grant's row and read it afresh (P-6); None if there is none."""
    query = (
        select(Grant)
        .where(Grant.bucket == bucket, Grant.id == grant_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def next_seq(session: Session, bucket: int, grant_id: UUID) -> int:
    """Take the next number of a grant's event stream; locks the grant's row."""
    return session.execute(
        update(Grant)
        .where(Grant.bucket == bucket, Grant.id == grant_id)
        .values(seq=Grant.seq + 1)
        .returning(Grant.seq)
    ).scalar_one()


def next_live_seq(sender: Sender, bucket: int, grant_id: UUID, *, now: datetime) -> int | None:
    """Take the next number of a live grant's event stream, and lock its row (P-6).

    None: it has ended, or there is none.
    """
    place = {"b_bucket": bucket, "b_grant": grant_id, "b_now": now}
    return sender.execute(_NEXT_LIVE_SEQ, place).scalar_one_or_none()


def live_of_agreement(session: Session, bucket: int, agreement_id: UUID) -> list[Grant]:
    """Lock and return the live grants of an agreement."""
    query = (
        select(Grant)
        .where(
            Grant.bucket == bucket,
            Grant.agreement_id == agreement_id,
            Grant.state.in_(LIVE_GRANT_STATES),
        )
        .order_by(Grant.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def latest_of_agreement(session: Session, bucket: int, agreement_id: UUID) -> Grant:
    """Return the latest grant of an agreement, live or not: its stream is what news go into."""
    query = (
        select(Grant)
        .where(Grant.bucket == bucket, Grant.agreement_id == agreement_id)
        .order_by(Grant.created_at.desc())
        .limit(1)
    )
    return session.scalars(query).one()


def lock_live_of_vault(session: Session, vault: VaultRef) -> list[Grant]:
    """Lock the live agreements of a vault whose row is locked, then their grants; return those.

    The agreements too: so none ends meanwhile, and whoever ends several skips them rather than
    hold one grant and wait for another.
    """
    held = (
        select(Agreement.id)
        .where(
            Agreement.bucket == vault.bucket,
            Agreement.vault_id == vault.id,
            Agreement.state.in_([AgreementState.ACTIVE, AgreementState.SUSPENDED]),
        )
        .order_by(Agreement.id)
        .with_for_update()
    )
    session.execute(held).all()
    query = (
        select(Grant)
        .where(
            Grant.bucket == vault.bucket,
            Grant.vault_id == vault.id,
            Grant.state.in_(LIVE_GRANT_STATES),
        )
        .order_by(Grant.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def terms_of(session: Session, open_vault: OpenVault, agreement_id: UUID) -> Terms | None:
    """Return what an agreement of this vault says, also one that has ended; None: there is none.

    Raises:
        DecryptionError: they are not the terms of its grant.
    """
    query = (
        select(Grant)
        .where(
            Grant.bucket == open_vault.keys.bucket,
            Grant.vault_id == open_vault.keys.vault_id,
            Grant.agreement_id == agreement_id,
        )
        .order_by(Grant.created_at.desc())
        .limit(1)
    )
    grant = session.scalars(query).one_or_none()
    if grant is None:
        return None
    return read_terms(GrantKeys.from_owner(open_vault, grant.id).open_terms(grant.terms_box))


def move(session: Session, vault: VaultKeys, grant: Grant, state: GrantState) -> None:
    """Change the state of a grant whose row is locked; what was decided on it is void (P-8).

    A grant that ends loses its wraps: nothing opens with its tokens any more (TAK-42). One that is
    paused keeps them, since its person may resume it without a vault key.
    """
    session.execute(
        update(Grant)
        .where(Grant.bucket == grant.bucket, Grant.id == grant.id)
        .values(state=state.value, epoch=Grant.epoch + 1)
    )
    if state not in LIVE_GRANT_STATES:
        # What its tokens wrap, found by what is wrapped: tokens are the authorization server's.
        vault.delete_of(session, "grant", str(grant.id), by_kind="token")
        vault.delete_by(session, "grant", [grant.id])


def rewrap(
    session: Session, keys: GrantKeys, open_vault: OpenVault, terms: Terms, *, now: datetime
) -> None:
    """Have a grant key wrap what its terms need, no more and no less (P-13).

    The caller holds the locks of the vault and of the grant (P-6).
    """
    by = Wrapper("grant", keys.grant_id)
    needed = {wrap.wrapped: wrap for wrap in keys.wrap_collections(open_vault, terms)}
    held = {wrapped for wrapped, _ in keys.vault.load(session, by)}
    keys.vault.delete(session, by, held - needed.keys())
    missing = [wrap for wrapped, wrap in needed.items() if wrapped not in held]
    keys.vault.store(session, missing, now=now)


def _terms_document(terms: Terms) -> dict[str, canonical.JSONValue]:
    return {
        "agreement": terms.agreement_id,
        "agreement_version": terms.agreement_version,
        "agreement_sha256": terms.agreement_sha256,
        "purpose": terms.purpose,
        "actions": [*sorted(action.value for action in terms.actions)],
        "attributes": [*sorted(terms.attributes)],
        "denied": [*sorted(terms.denied)],
        "starts_at": rfc3339(terms.starts_at),
        "expires_at": rfc3339(terms.expires_at),
        "access": terms.access.value,
        "fetches_per_day": terms.fetches_per_day,
        "coarsenings": dict(terms.coarsenings),
        "data_from": dict(terms.data_from),
        "retention": terms.retention,
        "reference": terms.reference,
        "primary": [*sorted(terms.primary)],
        "chosen": {
            name: [*sorted(str(each) for each in records)] for name, records in terms.chosen.items()
        },
    }


@lru_cache(maxsize=4096)
def read_terms(text: bytes) -> Terms:
    """Read the text of sealed terms.

    Cached by the whole text, so a hit is what a fresh reading would give: it can be neither stale
    nor another grant's (P-8).

    Raises:
        DecryptionError: it is no text of terms.
    """
    found = canonical.parse(text)
    if not isinstance(found, dict):
        raise DecryptionError
    document: dict[str, object] = dict(found)
    try:
        terms = Terms(
            agreement_id=str(document["agreement"]),
            agreement_version=int(str(document["agreement_version"])),
            agreement_sha256=str(document["agreement_sha256"]),
            purpose=str(document["purpose"]),
            actions=frozenset(Action(one) for one in _list(document["actions"])),
            attributes=frozenset(_list(document["attributes"])),
            denied=frozenset(_list(document["denied"])),
            starts_at=from_rfc3339(str(document["starts_at"])),
            expires_at=from_rfc3339(str(document["expires_at"])),
            # Terms that were sealed before there was `once` do not say: none of them was.
            access=AccessMode(str(document.get("access", AccessMode.PERIODIC.value))),
            fetches_per_day=int(str(document["fetches_per_day"])),
            coarsenings=_map(document["coarsenings"]),
            data_from=_map(document["data_from"]),
            retention=str(document.get("retention", "")),
            reference=str(document.get("reference", "")),
            primary=frozenset(_list(document.get("primary"))),
            chosen=_records(document.get("chosen")),
        )
        return replace(terms, exceeds=limits.exceeded(Extent.of_terms(terms)))
    except (KeyError, ValueError) as exc:
        raise DecryptionError from exc


def _list(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _map(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _records(value: object) -> dict[str, frozenset[UUID]]:
    if not isinstance(value, dict):
        return {}
    return {str(k): frozenset(UUID(one) for one in _list(v)) for k, v in value.items()}
