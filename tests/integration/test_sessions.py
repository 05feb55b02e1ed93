"""Signed in and unlocked: two cookies, two tiers (P-15, TAK-48, TAK-49, SEC-S14 to S19)."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from pds import sweeping
from pds.crypto.secrets import mint, parse
from pds.errors import NotFoundError, VaultLockedError
from pds.models import KeyWrap, SignIn, Unlock, Vault
from tests.support.world import PASSPHRASE


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def sessions(world):
    return world.services.sessions


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def write(world, model, *where, **values):
    world.services.uow.write(
        lambda session: session.execute(update(model).where(*where).values(**values))
    )


def sweep(world):
    now = world.services.clock.now()
    return world.services.uow.write(lambda session: sweeping.sweep(session, now=now))


def is_unlocked(person):
    return person.visitor is not None and person.visitor.open_vault is not None


def unlock_wraps(world):
    return rows(world, KeyWrap, KeyWrap.by_kind == "unlock")


def test_both_cookies_together_unlock_and_each_alone_does_not(sessions, aysel):
    """P-15."""
    assert is_unlocked(aysel)

    assert sessions.resolve(aysel.signed_in, None).open_vault is None
    assert sessions.resolve(aysel.unlocked, aysel.unlocked) is None
    assert sessions.resolve(aysel.unlocked, None) is None


def test_a_locked_vault_has_no_records_and_no_imports(world, aysel):
    visitor = world.services.sessions.resolve(aysel.signed_in, None)

    with pytest.raises(VaultLockedError):
        world.services.records(visitor)
    with pytest.raises(VaultLockedError):
        world.services.imports(visitor)


def test_an_unlock_of_another_sign_in_does_not_count(sessions, aysel):
    """P-15: its row names its `s`."""
    first = aysel.signed_in, aysel.unlocked
    aysel.sign_in()

    assert sessions.resolve(aysel.signed_in, first[1]).open_vault is None
    assert sessions.resolve(first[0], aysel.unlocked).open_vault is None
    assert sessions.resolve(*first).open_vault is not None


def test_an_unlock_row_moved_to_another_sign_in_opens_nothing(world, sessions, aysel):
    """P-15, P-12: the wrap binds its `s`, so moving the row is not enough."""
    thief = aysel.signed_in
    unlocked = aysel.unlocked
    aysel.sign_in()
    write(
        world,
        Unlock,
        Unlock.selector == unlocked.selector,
        sign_in=aysel.signed_in.selector,
    )

    assert sessions.resolve(aysel.signed_in, unlocked).open_vault is None
    assert sessions.resolve(thief, unlocked).open_vault is None


def test_the_cookies_of_two_people_do_not_mix(world, sessions, aysel):
    leyla = world.person("leyla")

    assert sessions.resolve(leyla.signed_in, aysel.unlocked).open_vault is None
    assert sessions.resolve(aysel.signed_in, leyla.unlocked).open_vault is None


def test_a_made_up_secret_for_a_known_selector_is_nobody(sessions, aysel):
    """TAK-28."""
    assert sessions.resolve(mint("s", aysel.signed_in.selector), aysel.unlocked) is None
    forged = mint("u", aysel.unlocked.selector)
    assert sessions.resolve(aysel.signed_in, forged).open_vault is None


def test_each_sign_in_has_new_ids_and_secrets(aysel):
    """SEC-S16, SEC-S15."""
    before = aysel.signed_in.text(), aysel.unlocked.text()
    aysel.sign_in()
    after = aysel.signed_in.text(), aysel.unlocked.text()

    assert not {*before} & {*after}
    assert all(len(parse(text, "s", "u").secret) == 32 for text in after)


def test_the_database_keeps_no_cookie(world, aysel):
    """TAK-28, SEC-S21."""
    stored = [row.verifier for model in (SignIn, Unlock) for row in rows(world, model)]

    for cookie in (aysel.signed_in, aysel.unlocked):
        assert cookie.secret not in stored
        assert cookie.kek() not in stored
        assert cookie.verifier() in stored


def test_an_unlocked_vault_locks_after_fifteen_idle_minutes(clock, aysel):
    """P-15: signed in it stays."""
    clock.move(minutes=14, seconds=50)
    assert is_unlocked(aysel)
    clock.move(minutes=14, seconds=50)
    assert is_unlocked(aysel)
    clock.move(minutes=15, seconds=1)

    assert not is_unlocked(aysel)
    assert aysel.visitor is not None


def test_an_unlocked_vault_locks_after_eight_hours_however_busy(clock, aysel):
    """P-15, SEC-S17."""
    for _ in range(8 * 6 - 1):
        clock.move(minutes=10)
        assert is_unlocked(aysel)
    clock.move(minutes=10)

    assert not is_unlocked(aysel)


def test_a_sign_in_ends_after_twelve_hours(clock, aysel):
    """P-15."""
    clock.move(hours=11, minutes=59)
    assert aysel.visitor is not None
    clock.move(minutes=1)

    assert aysel.visitor is None


def test_the_idle_limit_does_not_write_with_every_request(world, clock, aysel):
    (before,) = rows(world, Unlock)
    clock.move(seconds=30)
    assert is_unlocked(aysel)
    (after,) = rows(world, Unlock)

    assert before.expires_at == after.expires_at


def test_unlocking_again_takes_the_passphrase_and_leaves_the_sign_in(world, sessions, aysel):
    sessions.lock(aysel.vault_id, aysel.signed_in.selector)
    assert not is_unlocked(aysel)
    entrance = world.services.accounts.enter_again(aysel.vault_id, PASSPHRASE)

    aysel.unlocked = sessions.unlock(entrance, aysel.signed_in.selector)

    assert is_unlocked(aysel)


def test_locking_deletes_the_wrap(world, sessions, aysel):
    """TAK-49: the old cookie opens nothing, also with a database writer's help."""
    stolen = aysel.unlocked
    sessions.lock(aysel.vault_id, aysel.signed_in.selector)
    sessions.lock(aysel.vault_id, aysel.signed_in.selector)

    assert unlock_wraps(world) == []
    assert sessions.resolve(aysel.signed_in, stolen).open_vault is None


def test_signing_out_ends_both_and_the_cookies_are_worth_nothing(world, sessions, aysel):
    """SEC-S18."""
    sessions.sign_out(aysel.vault_id, aysel.signed_in.selector)
    sessions.sign_out(aysel.vault_id, aysel.signed_in.selector)

    assert aysel.visitor is None
    assert (rows(world, SignIn), rows(world, Unlock), unlock_wraps(world)) == ([], [], [])


def test_nobody_signs_another_person_out(world, sessions, aysel):
    """SEC-S23."""
    leyla = world.person("leyla")

    sessions.sign_out(leyla.vault_id, aysel.signed_in.selector)
    sessions.lock(leyla.vault_id, aysel.signed_in.selector)

    assert is_unlocked(aysel)


def test_other_sessions_are_ended_and_this_one_kept(world, sessions, aysel):
    """SEC-S09, SEC-S19."""
    others = []
    for _ in range(2):
        others.append((aysel.signed_in, aysel.unlocked))
        aysel.sign_in()
    leyla = world.person("leyla")

    sessions.end_others(aysel.vault_id, keep=aysel.signed_in.selector)

    assert is_unlocked(aysel)
    assert all(sessions.resolve(*other) is None for other in others)
    assert is_unlocked(leyla)
    assert len(unlock_wraps(world)) == 2


def test_a_person_sees_where_they_are_signed_in_and_nobody_elses_sec_s19(world, sessions, aysel):
    leyla = world.person("leyla")
    entrance = world.services.accounts.enter(aysel.login, PASSPHRASE)
    signed, _ = sessions.sign_in(entrance, device="Firefox, Windows")
    sessions.lock(aysel.vault_id, signed.selector)

    found = {one.id: (one.device, one.is_unlocked) for one in sessions.list_of(aysel.vault_id)}

    assert found == {
        signed.selector: ("Firefox, Windows", False),
        aysel.signed_in.selector: ("", True),
    }
    assert [one.id for one in sessions.list_of(leyla.vault_id)] == [leyla.signed_in.selector]


def test_the_list_says_what_was_used_last_and_leaves_out_what_ran_out(clock, sessions, aysel):
    """SEC-S19: also of a session that is locked."""
    first = aysel.signed_in
    aysel.sign_in()
    clock.move(minutes=20)
    sessions.resolve(first, None)

    assert [one.id for one in sessions.list_of(aysel.vault_id)] == [
        first.selector,
        aysel.signed_in.selector,
    ]
    assert [one.is_unlocked for one in sessions.list_of(aysel.vault_id)] == [False, False]
    clock.move(hours=12)
    assert sessions.list_of(aysel.vault_id) == []


def test_a_device_is_sealed_and_not_shown_in_another_row(world, sessions, aysel):
    """P-20: with the database alone nobody reads it, and a writer cannot move it."""
    entrance = world.services.accounts.enter(aysel.login, PASSPHRASE)
    signed, _ = sessions.sign_in(entrance, device="Firefox, Windows")
    (row,) = rows(world, SignIn, SignIn.selector == signed.selector)
    other = aysel.signed_in.selector
    write(world, SignIn, SignIn.selector == other, device_box=row.device_box)

    devices = {one.id: one.device for one in sessions.list_of(aysel.vault_id)}

    assert b"Firefox" not in row.device_box
    assert devices == {signed.selector: "Firefox, Windows", other: ""}


def test_ending_one_session_ends_its_unlock_and_leaves_the_rest_sec_s19(world, sessions, aysel):
    other = aysel.signed_in, aysel.unlocked
    aysel.sign_in()

    sessions.end(aysel.vault_id, other[0].selector)

    assert sessions.resolve(*other) is None
    assert is_unlocked(aysel)
    assert [wrap.by_id for wrap in unlock_wraps(world)] == [aysel.unlocked.selector]
    with pytest.raises(NotFoundError):
        sessions.end(aysel.vault_id, other[0].selector)


def test_nobody_ends_another_persons_session_sec_s23(world, sessions, monkeypatch):
    """Of two people whose rows stand in one bucket, too."""
    monkeypatch.setattr("pds.accounts.new_bucket", lambda: 7)
    aysel, leyla = world.person("aysel"), world.person("leyla")

    with pytest.raises(NotFoundError):
        sessions.end(leyla.vault_id, aysel.signed_in.selector)

    assert is_unlocked(aysel)


def test_a_deleted_vault_lets_nobody_in(world, aysel):
    write(world, Vault, state="deleted")

    assert aysel.visitor is None


@pytest.mark.usefixtures("aysel")
def test_the_sweeper_deletes_what_ran_out_and_nothing_else(world, clock):
    """P-15, TAK-49: an idle unlock's wrap too, though it bears a later date."""
    leyla = world.person("leyla")
    clock.move(minutes=10)
    assert is_unlocked(leyla)
    clock.move(minutes=6)

    assert sweep(world) > 0

    assert [row.vault_id for row in rows(world, Unlock)] == [leyla.vault_id]
    assert [row.vault_id for row in unlock_wraps(world)] == [leyla.vault_id]
    assert len(rows(world, SignIn)) == 2
    assert is_unlocked(leyla)
    clock.move(hours=13)
    while sweep(world):
        pass
    assert (rows(world, SignIn), rows(world, Unlock), unlock_wraps(world)) == ([], [], [])
    assert rows(world, KeyWrap, KeyWrap.by_kind == "passphrase") != []


def test_an_unlock_whose_sign_in_is_gone_is_swept(world, aysel):
    """P-15: it is worth nothing without."""
    write(world, Unlock, sign_in=aysel.unlocked.selector)

    sweep(world)

    assert (rows(world, Unlock), unlock_wraps(world)) == ([], [])
