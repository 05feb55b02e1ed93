"""What boxes are bound to: every field altered alone fails (SEC-S56, TAK-21, TAK-22, P-12)."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.grants import GrantKeys, TokenBinding, grant_wrapped
from consent.policy import Terms
from consent.vocabulary import Action
from pds.crypto.secrets import mint
from pds.deposits import Depositor
from pds.errors import DecryptionError
from pds.ids import random_uuid
from pds.keys import VaultKeys, Wrapped, Wrapper, new_key
from pds.record_boxes import Author, RecordContext, open_record, seal_record

VAULT = VaultKeys(bytes(16), 7, random_uuid())
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = RecordContext(
    deployment=bytes(16),
    vault_id=random_uuid(),
    collection="contact",
    record_id=random_uuid(),
    version=3,
    author=Author("organisation", random_uuid()),
    deleted=False,
)
OTHER_RECORD = {
    "deployment": b"x" * 16,
    "vault_id": random_uuid(),
    "collection": "identity",
    "record_id": random_uuid(),
    "version": 4,
    "author": Author("owner"),
    "deleted": True,
}


@pytest.mark.parametrize("field", [field.name for field in fields(RecordContext)])
def test_a_record_opens_in_its_own_place_alone(field):
    """TAK-22."""
    key = new_key()
    box = seal_record(key, 1, RECORD, {"email": "a@example.com"}, {})
    assert open_record(key, box, RECORD) == ({"email": "a@example.com"}, {})

    with pytest.raises(DecryptionError):
        open_record(key, box, replace(RECORD, **{field: OTHER_RECORD[field]}))


def test_each_author_is_another_author():
    """TAK-22: kind and id are both bound."""
    key = new_key()
    box = seal_record(key, 1, RECORD, {}, {})

    for author in (
        Author("organisation", random_uuid()),
        Author("owner", RECORD.author.id),
        Author("organisation"),
    ):
        with pytest.raises(DecryptionError):
            open_record(key, box, replace(RECORD, author=author))


BY = Wrapper("token", random_uuid(), (b"at", b"grant", b"client"))
WRAPPED = Wrapped("grant", str(random_uuid()), 2)


@pytest.mark.parametrize(
    ("vault", "by", "wrapped"),
    [
        (replace(VAULT, deployment=b"x" * 16), BY, WRAPPED),
        (replace(VAULT, vault_id=random_uuid()), BY, WRAPPED),
        (VAULT, replace(BY, kind="grant"), WRAPPED),
        (VAULT, replace(BY, kind="unlock"), WRAPPED),
        (VAULT, replace(BY, id=random_uuid()), WRAPPED),
        (VAULT, replace(BY, binding=(b"at", b"grant", b"other")), WRAPPED),
        (VAULT, replace(BY, binding=(b"at", b"grantclient")), WRAPPED),
        (VAULT, replace(BY, binding=()), WRAPPED),
        (VAULT, BY, replace(WRAPPED, kind="collection")),
        (VAULT, BY, replace(WRAPPED, id=str(random_uuid()))),
        (VAULT, BY, replace(WRAPPED, version=1)),
    ],
    ids=[
        "deployment", "vault", "wrapping kind", "as a session", "wrapping id", "binding",
        "binding joined", "no binding", "wrapped kind", "wrapped id", "wrapped version",
    ],
)  # fmt: skip
def test_a_wrap_opens_as_itself_alone(vault, by, wrapped):
    """TAK-21."""
    kek, key = new_key(), new_key()
    wrap = VAULT.wrap(kek, key, by=BY, wrapped=WRAPPED)
    assert VAULT.unwrap(kek, wrap.blob, by=BY, wrapped=WRAPPED) == key

    with pytest.raises(DecryptionError):
        vault.unwrap(kek, wrap.blob, by=by, wrapped=wrapped)


@pytest.mark.parametrize("kind", ["at", "rt", "ac"])
@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"selector": random_uuid()},
        {"grant_id": random_uuid()},
        {"client_id": random_uuid()},
        {"confirmation": "another key"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_tokens_wrap_opens_for_that_token_grant_client_and_key_alone(kind, change):
    """P-12."""
    keys = GrantKeys(VAULT, random_uuid(), new_key())
    secret = mint("at", random_uuid())
    binding = TokenBinding(kind, secret.selector, keys.grant_id, random_uuid(), "key", NOW)
    wrap = keys.wrap_for(secret, binding)
    assert GrantKeys.from_token(VAULT, binding, secret, wrap.blob).key == keys.key

    with pytest.raises(DecryptionError):
        GrantKeys.from_token(VAULT, replace(binding, **change), secret, wrap.blob)


def test_an_access_token_binds_its_end_and_a_refresh_token_does_not():
    """P-12: nothing is bound that can change later."""
    keys, secret = GrantKeys(VAULT, random_uuid(), new_key()), mint("at", random_uuid())

    def opens_later(kind):
        binding = TokenBinding(kind, secret.selector, keys.grant_id, random_uuid(), "", NOW)
        wrap = keys.wrap_for(secret, binding)
        later = replace(binding, expires_at=NOW + timedelta(seconds=1))
        try:
            return GrantKeys.from_token(VAULT, later, secret, wrap.blob).key == keys.key
        except DecryptionError:
            return False

    assert [opens_later(kind) for kind in ("at", "rt", "ac")] == [False, True, True]


TERMS = Terms(
    agreement_id="a",
    agreement_version=1,
    agreement_sha256="0" * 64,
    purpose="research",
    actions=frozenset({Action.READ}),
    attributes=frozenset({"contact.email"}),
    denied=frozenset(),
    starts_at=NOW,
    expires_at=NOW + timedelta(days=1),
    fetches_per_day=1,
)


def test_terms_open_under_their_own_grant_alone():
    """P-9: bound to deployment, vault and grant, and to a key of their own."""
    keys = GrantKeys(VAULT, random_uuid(), new_key())
    box, _ = keys.seal_terms(TERMS)
    assert keys.open_terms(box)

    for other in (
        replace(keys, grant_id=random_uuid()),
        replace(keys, key=new_key()),
        replace(keys, vault=replace(VAULT, vault_id=random_uuid())),
        replace(keys, vault=replace(VAULT, deployment=b"x" * 16)),
    ):
        with pytest.raises(DecryptionError):
            other.open_terms(box)


def test_what_a_grant_key_wraps_depends_on_what_was_agreed():
    """TAK-45, D3: a write-only grant gets a public key, which opens nothing."""
    keys, collection_key = GrantKeys(VAULT, random_uuid(), new_key()), new_key()

    def kinds(*actions):
        wraps = keys.wrap_collection_key(frozenset(actions), "contact", 1, collection_key)
        return {wrap.wrapped.kind: keys.open_key(wrap.wrapped, wrap.blob) for wrap in wraps}

    assert kinds(Action.READ) == {"collection": collection_key}
    assert set(kinds(Action.WRITE)) == {"inbound"}
    assert kinds(Action.WRITE)["inbound"] != collection_key
    assert set(kinds(Action.READ, Action.WRITE)) == {"collection", "inbound"}
    assert kinds() == {}


def test_a_deposit_names_everything_it_belongs_to():
    """P-18."""
    depositor = Depositor(bytes(16), 1, random_uuid(), random_uuid(), random_uuid(), new_key())
    mine = depositor.fields("contact", "1")

    others = [
        replace(depositor, deployment=b"x" * 16).fields("contact", "1"),
        replace(depositor, vault_id=random_uuid()).fields("contact", "1"),
        replace(depositor, grant_id=random_uuid()).fields("contact", "1"),
        replace(depositor, client_id=random_uuid()).fields("contact", "1"),
        depositor.fields("profile", "1"),
        depositor.fields("contact", "2"),
    ]

    assert mine not in others
    assert len({*others}) == len(others)
    assert grant_wrapped(depositor.grant_id).kind == "grant"
