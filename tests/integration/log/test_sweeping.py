"""What has run out is deleted, and nothing else (P-15, TAK-28)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from api.oauth import sweeping as oauth_sweeping
from api.oauth.models import PushedRequest, Replay, Token
from pds import sweeping
from pds.ids import random_uuid
from pds.models import KeyWrap, SignIn, Throttle, Unlock
from tests.support.events import START

PAST, FUTURE = START - timedelta(seconds=1), START + timedelta(seconds=1)
VAULT = random_uuid()


def sign_in(expires_at=FUTURE):
    return SignIn(
        bucket=7,
        selector=random_uuid(),
        vault_id=VAULT,
        verifier=bytes(32),
        created_at=PAST,
        seen_at=PAST,
        expires_at=expires_at,
    )


def unlock(owner, expires_at=FUTURE, ends_at=FUTURE):
    return Unlock(
        bucket=7,
        selector=random_uuid(),
        sign_in=owner.selector,
        vault_id=VAULT,
        verifier=bytes(32),
        created_at=PAST,
        expires_at=expires_at,
        ends_at=ends_at,
    )


def wrap(by_kind, by_id, expires_at=FUTURE, bucket=7):
    return KeyWrap(
        bucket=bucket,
        by_kind=by_kind,
        by_id=by_id,
        wrapped_kind="vrk",
        wrapped_id=str(VAULT),
        wrapped_version=1,
        vault_id=VAULT,
        blob=bytes(120),
        created_at=PAST,
        expires_at=expires_at,
    )


def token(expires_at):
    return Token(
        bucket=7,
        selector=random_uuid(),
        kind="at",
        verifier=bytes(32),
        client_id=random_uuid(),
        scope="",
        created_at=PAST,
        expires_at=expires_at,
    )


def pushed(expires_at):
    return PushedRequest(
        id=random_uuid(),
        verifier=bytes(32),
        client_id=random_uuid(),
        payload={},
        expires_at=expires_at,
    )


def replay(expires_at):
    return Replay(
        bucket=7, kind="dpop", subject="x", jti_hash=random_uuid().bytes * 2, expires_at=expires_at
    )


def throttle(expires_at):
    return Throttle(key=random_uuid().bytes * 2, attempts=1, expires_at=expires_at)


def add(store, *rows):
    store.uow.write(lambda session: session.add_all(rows))


def swept(store, **more):
    def job(session):
        return sweeping.sweep(session, now=START, **more) + oauth_sweeping.sweep(
            session, now=START, **more
        )

    return store.uow.write(job)


def left(store, model, column="selector"):
    with store.uow.read() as session:
        return set(session.scalars(select(getattr(model, column))))


@pytest.mark.parametrize(
    "make", [token, pushed, replay, throttle, sign_in], ids=lambda make: make.__name__
)
def test_what_ran_out_goes_and_the_rest_stays(store, make):
    ended, now_ended, live = make(PAST), make(START), make(FUTURE)
    column = {pushed: "id", replay: "jti_hash", throttle: "key"}.get(make, "selector")
    kept = getattr(live, column)
    model = type(live)
    add(store, ended, now_ended, live)

    assert swept(store) == 2

    assert left(store, model, column) == {kept}
    assert swept(store) == 0


@pytest.mark.parametrize(
    "times", [{"expires_at": PAST}, {"ends_at": START}], ids=["idle", "at its limit"]
)
def test_an_ended_unlock_goes_with_its_wrap_before_the_wraps_own_end(store, times):
    """P-15: after 15 idle minutes nothing in the store opens the vault any more."""
    owner = sign_in()
    ended, live = unlock(owner, **times), unlock(owner)
    kept = live.selector
    wraps = [wrap("unlock", one.selector) for one in (ended, live)]
    add(store, owner, ended, live, *wraps)

    swept(store)

    assert left(store, Unlock) == left(store, KeyWrap, "by_id") == {kept}


@pytest.mark.parametrize("how", ["expired", "gone"])
def test_an_unlock_ends_with_its_sign_in(store, how):
    owner = sign_in(PAST)
    orphan = unlock(owner)
    rows = [orphan, wrap("unlock", orphan.selector)]
    add(store, *([owner, *rows] if how == "expired" else rows))

    swept(store)

    assert left(store, Unlock) == left(store, KeyWrap, "by_id") == set()


def test_only_wraps_of_the_ended_unlock_go(store):
    """Another kind of key, or another shard, under the same id."""
    owner = sign_in()
    ended = unlock(owner, expires_at=PAST)
    name = ended.selector
    others = [wrap("grant", name), wrap("unlock", name, bucket=8), wrap("passphrase", VAULT, None)]
    add(store, owner, ended, wrap("unlock", name), *others)

    swept(store)

    with store.uow.read() as session:
        kept = session.execute(select(KeyWrap.by_kind, KeyWrap.bucket)).all()
    assert sorted(map(tuple, kept)) == [("grant", 7), ("passphrase", 7), ("unlock", 8)]


def test_a_wrap_goes_at_its_end_whatever_it_wraps(store):
    ended, live = wrap("token", random_uuid(), START), wrap("token", random_uuid())
    kept = live.by_id
    add(store, ended, live)

    assert swept(store) == 1
    assert left(store, KeyWrap, "by_id") == {kept}


def test_a_long_queue_is_swept_in_parts(store):
    add(store, *[token(PAST) for _ in range(7)])

    assert [swept(store, limit=3) for _ in range(4)] == [3, 3, 1, 0]


def test_a_swept_wrap_is_overwritten_on_disk(sqlite_store):
    """TAK-54: `secure_delete` leaves nothing in free pages."""
    marked = wrap("token", random_uuid(), PAST)
    marked.blob = b"a wrapped key that must be gone" * 4
    add(sqlite_store, marked)
    swept(sqlite_store)
    # The write-ahead log is folded into the file when the last connection closes.
    sqlite_store.uow.close()

    files = sqlite_store.settings.instance.glob("pds.db*")
    assert not any(b"a wrapped key that must be gone" in file.read_bytes() for file in files)
