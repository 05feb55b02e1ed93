"""Signing up, and the ways in (P-16 to P-19, TAK-11, TAK-16, TAK-47, SEC-S01 to S12)."""

from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from consent.models import Event
from pds.crypto import passphrase as stretching
from pds.errors import (
    DecryptionError,
    LimitExceededError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.models import Account, KeyWrap, LoginName, Vault
from tests.support.world import PASSPHRASE

OTHER = "violet engine harbour ticket museum spoon"


@pytest.fixture
def accounts(world):
    return world.services.accounts


@pytest.fixture
def aysel(world):
    aysel = world.person("Aysel")
    aysel.save("contact", email="a@example.com")
    return aysel


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def events(world):
    return [event.name for event in sorted(rows(world, Event), key=lambda one: one.id)]


def write(world, model, **values):
    world.services.uow.write(lambda session: session.execute(update(model).values(**values)))


def emails(person):
    return [one.data["email"] for one in person.records.all(["contact"])]


def test_sign_up_makes_a_vault_with_all_its_keys_under_two_ways_in(world, accounts):
    """D2, TAK-11."""
    made = accounts.sign_up("leyla", PASSPHRASE, locale="az")

    (vault,) = rows(world, Vault)
    assert vault.id == made.vault_id
    by = {(wrap.by_kind, wrap.wrapped_kind) for wrap in rows(world, KeyWrap)}
    assert by == {
        ("passphrase", "vrk"),
        ("recovery", "vrk"),
        *(("vrk", kind) for kind in ("collection", "agreement", "audit", "history")),
    }
    assert events(world) == ["vault.created"]


def test_the_login_name_is_sealed(world, accounts):
    """P-19: sign-in looks up a keyed tag."""
    accounts.sign_up("leyla", PASSPHRASE, locale="az")

    (account,), (name,) = rows(world, Account), rows(world, LoginName)
    for stored in (account.login_box, name.tag):
        assert b"leyla" not in stored
    assert accounts.login_name(account) == "leyla"


@pytest.mark.parametrize("login", ["aysel", "AYSEL", "  Aysel ", "aYSEL"])
@pytest.mark.usefixtures("aysel")
def test_a_login_name_is_taken_in_every_spelling(accounts, login):
    with pytest.raises(ValidationFailedError) as refused:
        accounts.sign_up(login, OTHER, locale="en")

    assert [issue.rule for issue in refused.value.issues] == ["login_taken"]


def test_the_azerbaijani_i_is_two_letters(accounts):
    """`ı` and `i` are different; the folding is ours, not Python's."""
    accounts.sign_up("KAMIL", PASSPHRASE, locale="az")

    assert accounts.enter("kamıl", PASSPHRASE)
    with pytest.raises(WrongSecretError):
        accounts.enter("kamil", PASSPHRASE)


@pytest.mark.parametrize("login", ["", "ab", "x" * 65, "line\nbreak", "zero\x00", "  a  "])
def test_a_malformed_login_name_is_refused(world, accounts, login):
    with pytest.raises(ValidationFailedError):
        accounts.sign_up(login, PASSPHRASE, locale="en")

    assert rows(world, Vault) == []


def test_of_many_who_take_a_name_at_once_one_has_it(world, accounts):
    def take(number):
        try:
            return accounts.sign_up("same", f"{OTHER} {number}", locale="en").vault_id
        except ValidationFailedError:
            return None
        except Exception as exc:  # noqa: BLE001 - reported below
            return exc

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(take, range(4)))

    assert len([one for one in made if one is not None]) == 1, made
    assert len(rows(world, Vault)) == 1


@pytest.mark.parametrize(
    ("passphrase", "rule"),
    [
        ("", "passphrase_too_short"),
        ("abcdefghijklmn", "passphrase_too_short"),
        ("aaaaaaaaaaaaaaaaaaaa", "passphrase_guessable"),
        ("passwordpassword1", "passphrase_guessable"),
        ("x" * 257, "passphrase_too_long"),
    ],
)
def test_a_weak_passphrase_is_refused_everywhere_it_is_set(accounts, aysel, passphrase, rule):
    """P-17, THR-13, SEC-S01, SEC-S02."""
    entrance = accounts.enter("Aysel", PASSPHRASE)
    for attempt in (
        lambda: accounts.sign_up("new", passphrase, locale="en"),
        lambda: accounts.change_passphrase(entrance, passphrase),
        lambda: accounts.recover("Aysel", aysel.recovery_code, passphrase),
    ):
        with pytest.raises(ValidationFailedError) as refused:
            attempt()
        assert rule in {issue.rule for issue in refused.value.issues}
    assert accounts.enter("Aysel", PASSPHRASE)


def test_the_passphrase_is_the_same_from_every_keyboard(accounts):
    """P-17: NFKC."""
    composed = "çörək üzüm gəmi şəkər ığdır ölçü"
    accounts.sign_up("leyla", composed, locale="az")

    assert accounts.enter("leyla", unicodedata.normalize("NFD", composed))


def test_nothing_of_a_long_passphrase_is_cut_off(accounts):
    """SEC-S01: what comes after the last character counts."""
    long = (OTHER * 7)[:256]
    accounts.sign_up("leyla", long, locale="en")

    assert accounts.enter("leyla", long)
    with pytest.raises(WrongSecretError):
        accounts.enter("leyla", long + "x")
    with pytest.raises(WrongSecretError):
        accounts.enter("leyla", long[:-1])


@pytest.mark.usefixtures("aysel")
def test_a_wrong_passphrase_and_an_unknown_name_get_the_same_answer(world, accounts):
    """SEC-S05, THR-11; the attempt on a vault is its owner's to see."""
    refusals = []
    for login, passphrase in (("Aysel", OTHER), ("nobody", PASSPHRASE)):
        with pytest.raises(WrongSecretError) as refused:
            accounts.enter(login, passphrase)
        refusals.append((str(refused.value), refused.value.code))

    assert refusals[0] == refusals[1]
    assert events(world).count("vault.unlock_failed") == 1


def test_an_unknown_name_costs_the_same_stretching(accounts, monkeypatch):
    """SEC-S05: no difference to be timed."""
    costs, real = [], stretching.from_passphrase

    def counted(*args, **kwargs):
        costs.append(kwargs["parameters"])
        return real(*args, **kwargs)

    monkeypatch.setattr(stretching, "from_passphrase", counted)
    with pytest.raises(WrongSecretError):
        accounts.enter("nobody", PASSPHRASE)

    assert costs == [accounts._parameters()]


def test_attempts_are_throttled_by_name_and_the_window_ends_by_itself(
    world, clock, accounts, aysel
):
    """SEC-S10: nobody locks an owner out for good, and the right passphrase waits too."""
    leyla = world.person("leyla")
    for _ in range(accounts.settings.attempts_per_quarter_hour):
        with pytest.raises(WrongSecretError):
            accounts.enter("Aysel", OTHER)

    with pytest.raises(LimitExceededError) as refused:
        accounts.enter("  AYSEL", PASSPHRASE)
    assert 0 < refused.value.retry_after_seconds <= 901
    assert accounts.enter(leyla.login, PASSPHRASE)
    with pytest.raises(LimitExceededError):
        accounts.recover("Aysel", aysel.recovery_code, OTHER)
    with pytest.raises(LimitExceededError):
        accounts.enter_again(aysel.vault_id, PASSPHRASE)

    clock.move(minutes=15, seconds=1)
    assert accounts.enter("Aysel", PASSPHRASE)


def test_an_unknown_name_is_throttled_as_a_known_one_is(accounts):
    """SEC-S05: the limit is no oracle either."""
    for _ in range(accounts.settings.attempts_per_quarter_hour):
        with pytest.raises(WrongSecretError):
            accounts.enter("nobody", OTHER)

    with pytest.raises(LimitExceededError):
        accounts.enter("nobody", OTHER)


def test_who_tries_many_names_from_one_address_is_slowed_and_nobody_else_is(clock, accounts, aysel):
    """SEC-S10, THR-12: nor does a full address fill the window of an owner."""
    few = replace(
        accounts,
        attempts=replace(
            accounts.attempts,
            settings=replace(accounts.settings, address_attempts_per_quarter_hour=3),
        ),
    )
    for name in ("nobody", "anybody", "Aysel"):
        with pytest.raises(WrongSecretError):
            few.enter(name, OTHER, source="81.21.80.1")

    for _ in range(accounts.settings.attempts_per_quarter_hour):
        with pytest.raises(LimitExceededError) as refused:
            few.enter("Aysel", PASSPHRASE, source="81.21.80.1")
    with pytest.raises(LimitExceededError):
        few.recover("Aysel", aysel.recovery_code, OTHER, source="81.21.80.1")
    assert 0 < refused.value.retry_after_seconds <= 901
    assert few.enter("Aysel", PASSPHRASE, source="81.21.80.2")
    assert few.enter("Aysel", PASSPHRASE)
    clock.move(minutes=15, seconds=1)
    assert few.enter("Aysel", PASSPHRASE, source="81.21.80.1")


@pytest.mark.usefixtures("aysel")
def test_a_success_is_not_counted_by_address_and_does_not_empty_its_window(accounts):
    """THR-12: signing in to a vault of one's own buys no more guesses."""
    few = replace(
        accounts,
        attempts=replace(
            accounts.attempts,
            settings=replace(accounts.settings, address_attempts_per_quarter_hour=2),
        ),
    )
    for _ in range(3):
        assert few.enter("Aysel", PASSPHRASE, source="81.21.80.1")
    with pytest.raises(WrongSecretError):
        few.enter("nobody", OTHER, source="81.21.80.1")
    assert few.enter("Aysel", PASSPHRASE, source="81.21.80.1")
    with pytest.raises(WrongSecretError):
        few.enter("nobody", OTHER, source="81.21.80.1")

    with pytest.raises(LimitExceededError):
        few.enter("Aysel", PASSPHRASE, source="81.21.80.1")


@pytest.mark.usefixtures("aysel")
def test_a_success_starts_the_count_again(accounts):
    most = accounts.settings.attempts_per_quarter_hour
    for _ in range(2):
        for _ in range(most - 1):
            with pytest.raises(WrongSecretError):
                accounts.enter("Aysel", OTHER)
        assert accounts.enter("Aysel", PASSPHRASE)


@pytest.mark.usefixtures("aysel")
def test_stretching_is_capped(accounts, monkeypatch):
    """TAK-17, SEC-S13: who does not get a slot in time is told to come back."""
    monkeypatch.setattr("pds.accounts._SLOT_WAIT_SECONDS", 0.01)
    slots = accounts.slots
    for _ in range(accounts.settings.argon2_slots):
        assert slots.acquire(timeout=1)

    with pytest.raises(LimitExceededError):
        accounts.enter("Aysel", PASSPHRASE)

    slots.release()
    assert accounts.enter("Aysel", PASSPHRASE)


@pytest.mark.usefixtures("aysel")
def test_a_slot_is_given_back_whatever_happens(accounts):
    for _ in range(accounts.settings.argon2_slots + 1):
        with pytest.raises(WrongSecretError):
            accounts.enter("Aysel", OTHER)

    assert accounts.enter("Aysel", PASSPHRASE)


def test_a_changed_passphrase_opens_the_same_vault_and_the_old_one_nothing(world, accounts, aysel):
    """TAK-47, THR-13."""
    code = accounts.change_passphrase(accounts.enter("Aysel", PASSPHRASE), OTHER)

    with pytest.raises(WrongSecretError):
        accounts.enter("Aysel", PASSPHRASE)
    with pytest.raises(WrongSecretError):
        accounts.recover("Aysel", aysel.recovery_code, PASSPHRASE)
    entrance = accounts.enter("Aysel", OTHER)
    aysel.signed_in, aysel.unlocked = world.services.sessions.sign_in(entrance)
    assert emails(aysel) == ["a@example.com"]
    assert accounts.recover("Aysel", code, PASSPHRASE)
    assert "vault.credentials_changed" in events(world)


def test_grants_go_on_when_the_passphrase_changes(world, accounts, aysel):
    """TAK-47, THR-13: it re-wraps the owner's root alone."""
    shop = world.organisation()
    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))

    accounts.change_passphrase(accounts.enter("Aysel", PASSPHRASE), OTHER)

    assert connected.get("/v1/records").status_code == 200
    assert shop.client.refresh(connected.refresh_token).status_code == 200


def test_the_recovery_code_opens_the_vault_once(world, accounts, aysel):
    """SEC-S08: a new one replaces it, and the old passphrase is gone with it."""
    entrance, code = accounts.recover("Aysel", aysel.recovery_code, OTHER)

    aysel.signed_in, aysel.unlocked = world.services.sessions.sign_in(entrance)
    assert emails(aysel) == ["a@example.com"]
    assert code != aysel.recovery_code
    with pytest.raises(WrongSecretError):
        accounts.recover("Aysel", aysel.recovery_code, OTHER)
    with pytest.raises(WrongSecretError):
        accounts.enter("Aysel", PASSPHRASE)
    assert accounts.enter("Aysel", OTHER)


def test_the_recovery_code_may_be_typed_as_people_type(accounts, aysel):
    typed = aysel.recovery_code.lower().replace("-", " ")

    assert accounts.recover("aysel", typed, OTHER)


@pytest.mark.parametrize("code", ["", "x", "AAAA-" * 7 + "AAAA", "1" * 32, "ə" * 32, "A" * 400])
@pytest.mark.usefixtures("aysel")
def test_a_wrong_recovery_code_changes_nothing(world, accounts, code):
    with pytest.raises(WrongSecretError):
        accounts.recover("Aysel", code, OTHER)
    with pytest.raises(WrongSecretError):
        accounts.recover("nobody", code, OTHER)

    assert accounts.enter("Aysel", PASSPHRASE)
    assert "vault.credentials_changed" not in events(world)


@pytest.mark.usefixtures("aysel")
def test_another_persons_recovery_code_opens_nothing(world, accounts):
    leyla = world.person("leyla")

    with pytest.raises(WrongSecretError):
        accounts.recover("Aysel", leyla.recovery_code, OTHER)


def test_a_verifier_of_ones_own_opens_no_vault(world, accounts, aysel):
    """TAK-16: whoever writes the database gets in as far as the wrap, and no further."""
    leyla = world.person("leyla")
    with world.services.uow.read() as session:
        theirs = session.scalars(select(Account).where(Account.vault_id == leyla.vault_id)).one()
    world.services.uow.write(
        lambda session: session.execute(
            update(Account)
            .where(Account.vault_id == aysel.vault_id)
            .values(
                passphrase_verifier=theirs.passphrase_verifier,
                passphrase_salt=theirs.passphrase_salt,
            )
        )
    )

    with pytest.raises((WrongSecretError, DecryptionError)):
        accounts.enter("Aysel", PASSPHRASE)


@pytest.mark.parametrize(
    "argon2",
    [
        "argon2id$m=8,t=1,p=1",
        "argon2id$m=4194304,t=1,p=1",
        "argon2id$m=47104,t=0,p=1",
        "argon2id$m=47104,t=100,p=1",
        "argon2i$m=47104,t=1,p=1",
        "argon2id$m=47104,t=1",
        "",
    ],
)
@pytest.mark.usefixtures("aysel")
def test_parameters_out_of_bounds_in_the_database_are_refused(world, accounts, argon2):
    """SEC-S04, TAK-17: neither a cheap guess nor an exhausted machine."""
    write(world, Account, argon2=argon2)

    with pytest.raises((WrongSecretError, DecryptionError)):
        accounts.enter("Aysel", PASSPHRASE)


@pytest.mark.usefixtures("aysel")
def test_raised_costs_hold_from_the_next_change_on(world, accounts):
    """TAK-17: parameters are kept with each account."""
    dearer = replace(accounts, settings=replace(accounts.settings, argon2_passes=2))
    assert dearer.enter("Aysel", PASSPHRASE)

    dearer.change_passphrase(dearer.enter("Aysel", PASSPHRASE), OTHER)

    assert rows(world, Account)[0].argon2 == "argon2id$m=47104,t=2,p=1"
    assert accounts.enter("Aysel", OTHER)


def test_without_its_pepper_no_passphrase_opens(accounts, aysel):
    """TAK-16: and the recovery code still does."""
    keys = replace(accounts.keys, peppers={1: bytes(32)})
    without = replace(accounts, keys=keys)

    with pytest.raises(WrongSecretError):
        without.enter("Aysel", PASSPHRASE)
    assert without.recover("Aysel", aysel.recovery_code, OTHER)


@pytest.mark.usefixtures("aysel")
def test_a_new_pepper_takes_over_at_the_next_change(world, accounts):
    """TAK-16: versions stand beside each other until none needs the old one."""
    both = replace(
        accounts, keys=replace(accounts.keys, peppers=accounts.keys.peppers | {2: b"2" * 32})
    )
    both.change_passphrase(both.enter("Aysel", PASSPHRASE), OTHER)

    assert rows(world, Account)[0].pepper_version == 2
    assert both.enter("Aysel", OTHER)
