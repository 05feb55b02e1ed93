"""A second factor: begun, confirmed, asked for, spent, turned off (P-19, SEC-S05, SEC-S09)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from consent.models import Event
from pds.app_codes import STEP_SECONDS, code_at
from pds.errors import ConflictError, LimitExceededError, WrongSecretError
from pds.models import SecondFactor
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.world import PASSPHRASE

OTHER = "violet engine harbour ticket museum spoon"


@pytest.fixture
def factors(world):
    return world.services.second_factors.codes


@pytest.fixture
def accounts(world):
    return world.services.accounts


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def secret(world, clock, factors, aysel):
    """Turn Aysel's second factor on; returns its secret, with the code that did it spent."""
    secret = factors.begin(aysel.visitor.vault)
    factors.confirm(aysel.visitor.vault, present(world, secret))
    clock.move(seconds=2 * STEP_SECONDS)
    return secret


def present(world, secret, steps=0):
    """Return the code of this moment, or of some steps from it."""
    return code_at(secret, int(world.services.clock.now().timestamp()) // STEP_SECONDS + steps)


def wrong(world, secret):
    """Return six digits that are no code of about this moment."""
    near = {present(world, secret, steps) for steps in range(-3, 4)}
    return next(
        code for code in ("000000", "111111", "222222", *map(str, range(10**5))) if code not in near
    )


def rows(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).all()


def events(world):
    return [event.name for event in sorted(rows(world, Event), key=lambda one: one.id)]


def test_a_sign_in_needs_passphrase_and_code(world, accounts, aysel, secret):
    for code in ("", wrong(world, secret)):
        with pytest.raises(WrongSecretError):
            accounts.enter(aysel.login, PASSPHRASE, code)

    assert accounts.enter(aysel.login, PASSPHRASE, present(world, secret))


def test_a_code_without_the_passphrase_is_not_used_up(world, accounts, aysel, secret):
    """Nobody spends the owner's codes for them."""
    code = present(world, secret)
    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, OTHER, code)

    assert accounts.enter(aysel.login, PASSPHRASE, code)


def test_a_wrong_code_is_answered_as_a_wrong_passphrase_and_an_unknown_name_sec_s05(
    world, accounts, aysel, secret
):
    """Nobody learns that the passphrase was right; the owner sees each attempt."""
    refusals = []
    before = events(world).count("vault.unlock_failed")
    for login, passphrase in ((aysel.login, PASSPHRASE), (aysel.login, OTHER), ("nobody", OTHER)):
        with pytest.raises(WrongSecretError) as refused:
            accounts.enter(login, passphrase, wrong(world, secret))
        refusals.append((str(refused.value), refused.value.code))

    assert len(set(refusals)) == 1
    assert events(world).count("vault.unlock_failed") - before == 2


def test_a_code_counts_once(world, accounts, aysel, secret):
    """RFC 6238 section 5.2: whoever looked on cannot use it again, nor the one before it."""
    older, code = present(world, secret, -1), present(world, secret)
    assert accounts.enter(aysel.login, PASSPHRASE, code)

    for spent in (code, older):
        with pytest.raises(WrongSecretError):
            accounts.enter(aysel.login, PASSPHRASE, spent)


def test_of_many_who_use_a_code_at_once_one_gets_in(world, factors, aysel, secret):
    code = present(world, secret)
    with ThreadPoolExecutor(8) as pool:
        let_in = list(pool.map(lambda _: factors.accepts(aysel.vault_id, code), range(8)))

    assert let_in.count(True) == 1


def test_the_code_that_confirmed_it_is_used_up(world, factors, accounts, aysel):
    secret = factors.begin(aysel.visitor.vault)
    code = present(world, secret)
    factors.confirm(aysel.visitor.vault, code)

    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, code)


def test_what_was_begun_and_not_confirmed_does_not_count(factors, accounts, aysel):
    factors.begin(aysel.visitor.vault)

    assert accounts.enter(aysel.login, PASSPHRASE)
    assert not factors.is_on(aysel.vault_id)


def test_beginning_anew_ends_what_was_begun(world, factors, aysel):
    first = factors.begin(aysel.visitor.vault)
    second = factors.begin(aysel.visitor.vault)

    with pytest.raises(WrongSecretError):
        factors.confirm(aysel.visitor.vault, present(world, first))
    factors.confirm(aysel.visitor.vault, present(world, second))
    assert factors.is_on(aysel.vault_id)


def test_nothing_replaces_a_factor_that_is_on(world, factors, accounts, aysel, secret):
    with pytest.raises(ConflictError):
        factors.begin(aysel.visitor.vault)
    with pytest.raises(WrongSecretError):
        factors.confirm(aysel.visitor.vault, present(world, secret))

    assert accounts.enter(aysel.login, PASSPHRASE, present(world, secret))


def test_confirmations_are_throttled(world, factors, aysel):
    secret = factors.begin(aysel.visitor.vault)
    for _ in range(5):
        with pytest.raises(WrongSecretError):
            factors.confirm(aysel.visitor.vault, wrong(world, secret))

    with pytest.raises(LimitExceededError):
        factors.confirm(aysel.visitor.vault, present(world, secret))


def test_codes_are_guessed_slowly_and_the_owner_gets_in_when_the_window_ends(
    world, clock, accounts, aysel, secret
):
    """SEC-S10: also by somebody who knows the passphrase; others' accounts do not wait."""
    leyla = world.person("leyla")
    for _ in range(accounts.settings.attempts_per_quarter_hour):
        with pytest.raises(WrongSecretError):
            accounts.enter(aysel.login, PASSPHRASE, wrong(world, secret))

    with pytest.raises(LimitExceededError):
        accounts.enter(aysel.login, PASSPHRASE, present(world, secret))
    assert accounts.enter(leyla.login, PASSPHRASE)
    clock.move(minutes=15, seconds=1)
    assert accounts.enter(aysel.login, PASSPHRASE, present(world, secret))


def test_another_persons_code_lets_nobody_in(world, clock, factors, aysel, secret):
    accounts, leyla = world.services.accounts, world.person("leyla")
    theirs = factors.begin(leyla.visitor.vault)
    factors.confirm(leyla.visitor.vault, present(world, theirs))
    clock.move(seconds=2 * STEP_SECONDS)

    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, present(world, theirs))
    assert accounts.enter(aysel.login, PASSPHRASE, present(world, secret))


@pytest.mark.tampers
def test_the_secret_is_sealed_and_another_row_s_box_lets_nobody_in(
    world, factors, accounts, aysel, secret
):
    """P-19: the database alone does not open it, and a writer cannot move it."""
    leyla = world.person("leyla")
    theirs = factors.begin(leyla.visitor.vault)
    boxes = {row.vault_id: row.secret_box for row in rows(world, SecondFactor)}
    world.services.uow.write(
        lambda session: session.execute(
            update(SecondFactor)
            .where(SecondFactor.vault_id == aysel.vault_id)
            .values(secret_box=boxes[leyla.vault_id])
        )
    )

    assert secret not in boxes[aysel.vault_id]
    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, present(world, theirs))


def test_turning_it_off_takes_passphrase_and_code(world, factors, accounts, aysel, secret):
    """SEC-S09"""
    code = present(world, secret)
    for passphrase, given in ((OTHER, code), (PASSPHRASE, ""), (PASSPHRASE, wrong(world, secret))):
        with pytest.raises(WrongSecretError):
            accounts.enter_again(aysel.vault_id, passphrase, given)

    factors.turn_off(accounts.enter_again(aysel.vault_id, PASSPHRASE, code).ref)

    assert accounts.enter(aysel.login, PASSPHRASE)
    assert rows(world, SecondFactor) == []


@pytest.mark.usefixtures("secret")
def test_an_unlock_in_a_session_that_began_with_a_code_takes_the_passphrase(accounts, aysel):
    assert accounts.enter_again(aysel.vault_id, PASSPHRASE)


@pytest.mark.usefixtures("secret")
def test_the_recovery_code_turns_it_off(world, accounts, aysel):
    accounts.recover(aysel.login, aysel.recovery_code, OTHER)

    assert accounts.enter(aysel.login, OTHER)
    assert rows(world, SecondFactor) == []
    assert "vault.second_factor_off" in events(world)


def test_a_changed_passphrase_leaves_it_on(world, factors, accounts, aysel, secret):
    entrance = accounts.enter(aysel.login, PASSPHRASE, present(world, secret))
    accounts.change_passphrase(entrance, OTHER)

    assert factors.is_on(aysel.vault_id)


def test_each_change_is_told_and_logged_sec_s09(world, clock, factors, aysel):
    mailbox = confirmed(world.services, aysel, Mailbox())
    secret = factors.begin(aysel.visitor.vault)
    assert send_letters(world.services, mailbox).subjects() == []
    factors.confirm(aysel.visitor.vault, present(world, secret))
    clock.move(minutes=1)
    factors.turn_off(aysel.visitor.vault)

    assert send_letters(world.services, mailbox).subjects() == [
        "A second step at sign-in is on",
        "The second step at sign-in is off",
    ]
    assert [name for name in events(world) if "second" in name] == [
        "vault.second_factor_on",
        "vault.second_factor_off",
    ]
