"""The live check of an access token: the hot statement (P-7, step 1).

One joined statement reads token, grant, agreement, the organisation's standing, the vault and both
levels of wraps; nothing of it is ever cached (D13). It is the only module that may know the tables
of all three packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, bindparam, literal_column, or_, select
from sqlalchemy.orm import aliased

from api.oauth.models import Token
from consent.grants import COLLECTION, INBOUND, GrantKeys, TokenBinding, read_terms
from consent.models import Agreement, AgreementVersion, ConsentEvent, Grant, Organisation
from consent.policy import Facts, Terms
from consent.vocabulary import AgreementState, ConsentStatus, GrantState, Standing
from pds.crypto.secrets import TokenSecret
from pds.ids import IdFactory
from pds.keys import OpenVault, VaultKeys, Wrapped
from pds.models import KeyWrap, Vault
from pds.store import Sender


def _fixed(word: str) -> ColumnElement[str]:
    # In the statement's text: what never changes need not be bound at every read.
    return literal_column(f"'{word}'")


_token_wrap = aliased(KeyWrap)
_collection_wrap = aliased(KeyWrap)

# What the rows say of a grant, its agreement, its organisation and its vault.
_STANDING = (
    Grant.id.label("grant_id"),
    Grant.vault_id,
    Grant.organisation_id,
    Grant.agreement_id,
    Grant.agreement_version,
    Grant.state.label("grant_state"),
    Grant.epoch,
    Grant.expires_at,
    Grant.fetch_day,
    Grant.fetches_today,
    Grant.fetched_at,
    Grant.terms_box,
    Agreement.state.label("agreement_state"),
    # By the primary key, backwards: one row (CM-14, CM-15).
    select(ConsentEvent.status)
    .where(
        ConsentEvent.bucket == Grant.bucket,
        ConsentEvent.agreement_id == Grant.agreement_id,
    )
    .order_by(ConsentEvent.seq.desc())
    .limit(1)
    .scalar_subquery()
    .label("consent_status"),
    Agreement.connection_id,
    AgreementVersion.sha256.label("agreement_sha256"),
    Organisation.standing,
    (Organisation.key_generation != Grant.key_generation).label("is_frozen"),
    Vault.state.label("vault_state"),
    Vault.seq.label("vault_seq"),
)
_HELD = (
    _collection_wrap.wrapped_kind.label("key_kind"),
    _collection_wrap.wrapped_id.label("collection"),
    _collection_wrap.wrapped_version.label("key_version"),
    _collection_wrap.blob.label("collection_wrap"),
)
_OF_AGREEMENT = and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id)
_OF_VERSION = and_(
    AgreementVersion.bucket == Grant.bucket,
    AgreementVersion.agreement_id == Grant.agreement_id,
    AgreementVersion.version == Grant.agreement_version,
)
_OF_VAULT = and_(Vault.bucket == Grant.bucket, Vault.id == Grant.vault_id)
_HELD_BY_GRANT = and_(
    _collection_wrap.by_kind == _fixed("grant"),
    _collection_wrap.by_id == Grant.id,
    or_(
        _collection_wrap.wrapped_kind == _fixed(COLLECTION),
        _collection_wrap.wrapped_kind == _fixed(INBOUND),
    ),
)
_LIVE = (
    select(
        Token.verifier,
        Token.client_id,
        Token.jkt,
        Token.expires_at.label("token_expires_at"),
        *_STANDING,
        _token_wrap.blob.label("token_wrap"),
        *_HELD,
    )
    .join(Grant, and_(Grant.bucket == Token.bucket, Grant.id == Token.grant_id))
    .join(Agreement, _OF_AGREEMENT)
    .join(AgreementVersion, _OF_VERSION)
    .join(Organisation, Organisation.id == Grant.organisation_id)
    .join(Vault, _OF_VAULT)
    .outerjoin(
        _token_wrap,
        and_(
            _token_wrap.bucket == Token.bucket,
            _token_wrap.by_kind == _fixed("token"),
            _token_wrap.by_id == Token.selector,
            _token_wrap.wrapped_kind == _fixed("grant"),
        ),
    )
    .outerjoin(_collection_wrap, and_(_collection_wrap.bucket == Token.bucket, _HELD_BY_GRANT))
    .where(
        Token.bucket == bindparam("bucket"),
        Token.selector == bindparam("selector"),
        Token.kind == _fixed("at"),
    )
)
_OWNED = (
    select(Grant.client_id, *_STANDING, *_HELD)
    .join(Agreement, _OF_AGREEMENT)
    .join(AgreementVersion, _OF_VERSION)
    .join(Organisation, Organisation.id == Grant.organisation_id)
    .join(Vault, _OF_VAULT)
    .outerjoin(_collection_wrap, and_(_collection_wrap.bucket == Grant.bucket, _HELD_BY_GRANT))
    .where(
        Grant.bucket == bindparam("bucket"),
        Grant.vault_id == bindparam("vault"),
        Grant.agreement_id == bindparam("agreement"),
    )
    .order_by(Grant.created_at.desc())
)
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Opened:
    """What a live token opens: the grant key, the sealed terms, the collection keys."""

    keys: GrantKeys
    terms: Terms
    terms_text: bytes  # what filters are cached by: never a column's word for it (P-9)
    collection_keys: dict[tuple[str, int], bytes] = field(repr=False)
    inbound_keys: dict[tuple[str, int], bytes] = field(repr=False)  # public, for deposits


@dataclass(frozen=True, slots=True)
class LiveGrant:
    """A grant as an access token shows it at this instant.

    `opened` is None when the token opens nothing any more: the grant has ended.
    """

    bucket: int
    vault_id: UUID
    vault_seq: int
    grant_id: UUID
    client_id: UUID
    organisation_id: UUID
    connection_id: UUID
    agreement_id: UUID
    agreement_version: int
    agreement_sha256: str
    jkt: str
    epoch: int
    day: int
    facts: Facts
    opened: Opened | None

    @property
    def terms(self) -> Terms | None:
        """What was agreed, as the token opens it."""
        return None if self.opened is None else self.opened.terms


def day_of(now: datetime) -> int:
    """Return the day (since 1970, UTC) in which fetches are counted."""
    return int(now.timestamp()) // _SECONDS_PER_DAY


def find(
    sender: Sender, secret: TokenSecret, *, ids: IdFactory, deployment: bytes, now: datetime
) -> LiveGrant | None:
    """Return the grant of an access token; None for every token that is not alive.

    Raises:
        DecryptionError: a wrap was tampered with.
    """
    bucket = ids.bucket_of(secret.selector)
    rows = sender.execute(_LIVE, {"bucket": bucket, "selector": secret.selector}).all()
    if not rows:
        return None
    row = rows[0]
    # The verifier is compared before anything else of the row counts.
    if not secret.matches(row.verifier) or row.token_expires_at <= now or row.jkt is None:
        return None
    opened: Opened | None = None
    if row.token_wrap is not None:
        vault = VaultKeys(deployment, bucket, row.vault_id)
        binding = TokenBinding(
            "at", secret.selector, row.grant_id, row.client_id, row.jkt, row.token_expires_at
        )
        opened = _open(GrantKeys.from_token(vault, binding, secret, row.token_wrap), rows)
    return _live(bucket, row, opened, jkt=row.jkt, now=now)


def find_owned(
    sender: Sender, open_vault: OpenVault, agreement_id: UUID, *, now: datetime
) -> LiveGrant | None:
    """Return the latest grant of an agreement as its organisation's token would show it.

    Opened by the owner's copy of its key, which no token is needed for; what collection keys there
    are is what the grant itself holds. None: the vault has no such agreement.

    Raises:
        DecryptionError: a wrap was tampered with.
    """
    keys = open_vault.keys
    place = {"bucket": keys.bucket, "vault": keys.vault_id, "agreement": agreement_id}
    found = sender.execute(_OWNED, place).all()
    if not found:
        return None
    rows = [each for each in found if each.grant_id == found[0].grant_id]
    opened = _open(GrantKeys.from_owner(open_vault, rows[0].grant_id), rows)
    return _live(keys.bucket, rows[0], opened, jkt="", now=now)


def _open(keys: GrantKeys, rows: Sequence[Row[Any]]) -> Opened:
    text = keys.open_terms(rows[0].terms_box)
    held: dict[str, dict[tuple[str, int], bytes]] = {COLLECTION: {}, INBOUND: {}}
    for one in rows:
        if one.collection is not None:
            wrapped = Wrapped(one.key_kind, one.collection, one.key_version)
            key = keys.open_key(wrapped, one.collection_wrap)
            held[one.key_kind][one.collection, one.key_version] = key
    return Opened(keys, read_terms(text), text, held[COLLECTION], held[INBOUND])


def _live(
    bucket: int, row: Row[Any], opened: Opened | None, *, jkt: str, now: datetime
) -> LiveGrant:
    day = day_of(now)
    facts = Facts(
        agreement_state=AgreementState(row.agreement_state),
        grant_state=GrantState(row.grant_state),
        standing=Standing(row.standing),
        vault_is_active=row.vault_state == "active",
        expires_at=row.expires_at,
        fetches_today=row.fetches_today if row.fetch_day == day else 0,
        consent_status=ConsentStatus(row.consent_status),
        is_fetched=row.fetched_at is not None,
        is_frozen=bool(row.is_frozen),
    )
    return LiveGrant(
        bucket=bucket,
        vault_id=row.vault_id,
        vault_seq=row.vault_seq,
        grant_id=row.grant_id,
        client_id=row.client_id,
        organisation_id=row.organisation_id,
        connection_id=row.connection_id,
        agreement_id=row.agreement_id,
        agreement_version=row.agreement_version,
        agreement_sha256=row.agreement_sha256,
        jkt=jkt,
        epoch=row.epoch,
        day=day,
        facts=facts,
        opened=opened,
    )
