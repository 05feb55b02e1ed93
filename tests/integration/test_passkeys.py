"""Passkeys: made, asked for as a second factor, refused where anything is wrong (SEC-S06)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from consent.models import Event
from pds.app_codes import STEP_SECONDS, code_at
from pds.errors import (
    ConflictError,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.events import vault_stream
from pds.ids import random_uuid
from pds.models import Passkey, PasskeyChallenge
from pds.sweeping import sweep
from pds.webauthn import CHALLENGE_BYTES, Answer, Purpose, RelyingParty
from tests.support.authenticator import Authenticator, plain
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.stores import STORES, Store
from tests.support.world import PASSPHRASE
from tests.support.worlds import TickingClock, world_on

ISSUER = "https://vault.example"
HERS, OTHERS = b"her browser", b"another browser"
NEW_PASSPHRASE = "violet engine harbour ticket museum spoon"


@pytest.fixture(scope="module", params=STORES)
def world(stores, request):
    """Give one world for all tests here, behind a name: for an address, nobody makes passkeys."""
    with stores.migrated(request.param) as store:
        server = replace(store.settings.server, issuer=ISSUER, insecure_loopback=False)
        named = Store(store.kind, replace(store.settings, server=server), store.uow)
        with world_on(named, clock=TickingClock()) as world:
            yield world


@pytest.fixture
def clock(world):
    return world.services.clock


@pytest.fixture
def aysel(world):
    return world.person(random_uuid().hex)


@pytest.fixture
def rashad(world):
    return world.person(random_uuid().hex)


@pytest.fixture
def passkeys(world):
    return world.services.second_factors.passkeys


@pytest.fixture
def accounts(world):
    return world.services.accounts


@pytest.fixture
def device():
    return Authenticator(ISSUER)


def made(passkeys, person, device, label="Telephone", **wrong):
    options = passkeys.begin(person.vault_id, person.login, HERS)
    answer = Answer(device.register(options, **wrong), HERS)
    return passkeys.add(person.visitor.vault, answer, label)


def proof(passkeys, device, purpose=Purpose.CONFIRM, browser=HERS, **wrong):
    options = passkeys.ask(purpose, browser, source=None)
    return Answer(device.prove(options, **wrong), browser)


def rows(world, person):
    with world.services.uow.read() as session:
        return session.scalars(select(Passkey).where(Passkey.vault_id == person.vault_id)).all()


def events(world, person):
    stream = vault_stream(person.vault_id)
    with world.services.uow.read() as session:
        query = select(Event.name).where(Event.stream == stream).order_by(Event.id)
        return [name for name in session.scalars(query) if "passkey" in name]


@pytest.fixture
def hers(passkeys, aysel, device):
    """Give Aysel's one passkey."""
    return made(passkeys, aysel, device)


@pytest.mark.usefixtures("hers")
def test_a_sign_in_needs_passphrase_and_passkey(passkeys, accounts, aysel, device):
    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE)
    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, NEW_PASSPHRASE, proof(passkeys, device))

    assert accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, device))
    assert passkeys.list_of(aysel.vault_id)[0].used_at


def test_of_codes_and_passkeys_either_suffices(world, clock, aysel, device):
    accounts, factors = world.services.accounts, world.services.second_factors
    passkeys, codes = factors.passkeys, factors.codes
    secret = codes.begin(aysel.visitor.vault)

    def present():
        return code_at(secret, int(clock.now().timestamp()) // STEP_SECONDS)

    codes.confirm(aysel.visitor.vault, present())
    made(passkeys, aysel, device)
    clock.move(seconds=2 * STEP_SECONDS)

    assert accounts.enter(aysel.login, PASSPHRASE, present())
    assert accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, device))
    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, "")


def test_what_was_made_or_proved_for_another_page_is_refused_sec_s06(passkeys, aysel, device):
    wrongs = (
        {"origin": "https://vault.example.evil.example"},
        {"origin": "http://vault.example"},
        {"party_id": "evil.example"},
        {"framed": True},
    )
    for wrong in wrongs:
        with pytest.raises(WrongSecretError):
            made(passkeys, aysel, device, **wrong)
    made(passkeys, aysel, device)

    assert not any(passkeys.confirms(aysel.vault_id, proof(passkeys, device, **w)) for w in wrongs)
    assert passkeys.confirms(aysel.vault_id, proof(passkeys, device))


@pytest.mark.usefixtures("hers")
def test_a_challenge_is_long_answered_once_soon_and_where_it_was_asked_sec_s06(
    world, clock, passkeys, aysel, device
):
    first, second = (passkeys.ask(Purpose.CONFIRM, HERS, source=None) for _ in range(2))
    used = Answer(device.prove(first), HERS)

    assert first["challenge"] != second["challenge"]
    assert len(plain(first["challenge"])) == CHALLENGE_BYTES == 32
    assert passkeys.confirms(aysel.vault_id, used)
    assert not passkeys.confirms(aysel.vault_id, used)
    elsewhere = Answer(device.prove(second), OTHERS)
    assert not passkeys.confirms(aysel.vault_id, elsewhere)
    for_more = proof(passkeys, device, Purpose.OPEN)
    assert not passkeys.confirms(aysel.vault_id, for_more)
    late = proof(passkeys, device)
    clock.move(minutes=5)
    assert not passkeys.confirms(aysel.vault_id, late)
    world.services.uow.write(lambda session: sweep(session, now=clock.now()))
    with world.services.uow.read() as session:
        assert session.scalars(select(PasskeyChallenge)).all() == []


def test_another_process_takes_the_answer_p_45(world, passkeys, aysel, device):
    """P-45: a challenge is in the store, so any worker may serve the second half."""
    options = passkeys.begin(aysel.vault_id, aysel.login, HERS)
    other = replace(passkeys, ceremonies=replace(passkeys.ceremonies, store=world.services.uow))

    assert other.add(aysel.visitor.vault, Answer(device.register(options), HERS), "Key")


@pytest.mark.usefixtures("hers")
def test_nobody_proves_a_passkey_of_somebody_else(world, aysel, rashad, device):
    accounts, passkeys = world.services.accounts, world.services.second_factors.passkeys
    his = Authenticator(ISSUER)
    made(passkeys, rashad, his)

    for answer in (proof(passkeys, his), proof(passkeys, his, user=None)):
        with pytest.raises(WrongSecretError):
            accounts.enter(aysel.login, PASSPHRASE, answer)
    forged = replace(device, key=his.key)
    assert not passkeys.confirms(aysel.vault_id, proof(passkeys, forged))
    assert passkeys.confirms(aysel.vault_id, proof(passkeys, device, user=None))


@pytest.mark.usefixtures("hers")
def test_a_counter_that_goes_back_is_refused_and_told_sec_s06(
    world, passkeys, accounts, aysel, device
):
    mailbox = confirmed(world.services, aysel, Mailbox())
    copy = replace(device)
    assert passkeys.confirms(aysel.vault_id, proof(passkeys, device))

    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, copy))

    assert "vault.passkey_refused" in events(world, aysel)
    assert send_letters(world.services, mailbox).subjects() == ["A passkey was refused"]
    assert passkeys.confirms(aysel.vault_id, proof(passkeys, device))


def test_a_device_that_does_not_count_is_taken(passkeys, aysel):
    device = Authenticator(ISSUER, step=0)
    made(passkeys, aysel, device)

    assert all(passkeys.confirms(aysel.vault_id, proof(passkeys, device)) for _ in range(2))


@pytest.mark.usefixtures("hers")
def test_what_is_no_answer_is_a_wrong_one(passkeys, aysel):
    deep = "[" * 9000
    for text in ("", "{", "[]", deep, '{"id": 1}', "x" * 20_000, "\x00", '{"id":"é"}'):
        assert not passkeys.confirms(aysel.vault_id, Answer(text, HERS))
        with pytest.raises(WrongSecretError):
            passkeys.add(aysel.visitor.vault, Answer(text, HERS), "Key")


@pytest.mark.usefixtures("hers")
def test_answers_with_any_part_missing_or_changed_are_refused(passkeys, aysel, device):
    good = json.loads(proof(passkeys, device).text)
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        for value in (None, 7, "", "AAAA", good["response"][part][:-8] + "AAAAAAAA"):
            fresh = json.loads(proof(passkeys, device).text)
            fresh["response"][part] = value
            assert not passkeys.confirms(aysel.vault_id, Answer(json.dumps(fresh), HERS))


@pytest.mark.tampers
def test_a_passkey_that_a_writer_of_the_database_moves_lets_nobody_in(
    world, accounts, aysel, rashad, hers
):
    """The database alone takes in nobody's passkey: its box names vault and row."""
    passkeys = world.services.second_factors.passkeys
    his = Authenticator(ISSUER)
    made(passkeys, rashad, his)
    (of_his,) = rows(world, rashad)
    world.services.uow.write(
        lambda session: session.execute(
            update(Passkey).where(Passkey.id == hers).values(credential_box=of_his.credential_box)
        )
    )

    with pytest.raises(WrongSecretError):
        accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, his, user=None))


def test_the_database_names_no_device(world, passkeys, aysel, device):
    made(passkeys, aysel, device, label="Aysel's telephone")
    (row,) = rows(world, aysel)

    assert device.id not in row.credential_box
    assert b"telephone" not in row.label_box


def test_a_passkey_is_renamed_and_removed_by_its_owner_alone(world, aysel, rashad, hers):
    passkeys = world.services.second_factors.passkeys
    mailbox = confirmed(world.services, aysel, Mailbox())
    passkeys.rename(aysel.vault_id, hers, "  Blue   key ")
    for act in (
        lambda: passkeys.rename(rashad.vault_id, hers, "Mine"),
        lambda: passkeys.remove(rashad.visitor.vault, hers),
    ):
        with pytest.raises(NotFoundError):
            act()
    for label in ("", "  ", "x" * 61, "a\x00b"):
        with pytest.raises(ValidationFailedError):
            passkeys.rename(aysel.vault_id, hers, label)

    assert [each.label for each in passkeys.list_of(aysel.vault_id)] == ["Blue key"]
    passkeys.remove(aysel.visitor.vault, hers)
    assert passkeys.list_of(aysel.vault_id) == []
    assert world.services.accounts.enter(aysel.login, PASSPHRASE)
    assert events(world, aysel) == ["vault.passkey_added", "vault.passkey_removed"]
    assert send_letters(world.services, mailbox).subjects() == ["A passkey was removed"]


def test_a_device_is_added_once_and_ten_at_most(passkeys, aysel, device, hers):
    options = passkeys.begin(aysel.vault_id, aysel.login, HERS)
    assert [plain(each["id"]) for each in options["excludeCredentials"]] == [device.id]
    assert options["attestation"] == "none"
    with pytest.raises(ConflictError):
        passkeys.add(aysel.visitor.vault, Answer(device.register(options), HERS), "Again")

    for number in range(9):
        made(passkeys, aysel, Authenticator(ISSUER), f"Key {number}")
    with pytest.raises(LimitExceededError):
        passkeys.begin(aysel.vault_id, aysel.login, HERS)
    assert passkeys.list_of(aysel.vault_id)[0].id == hers


@pytest.mark.usefixtures("hers")
def test_the_recovery_code_removes_them(world, accounts, aysel):
    """Whoever lost every passkey has passphrase and recovery code, and loses no vault."""
    accounts.recover(aysel.login, aysel.recovery_code, NEW_PASSPHRASE)

    assert accounts.enter(aysel.login, NEW_PASSPHRASE)
    assert rows(world, aysel) == []
    assert "vault.passkey_removed" in events(world, aysel)


def test_challenges_are_limited_by_address_sec_s10(passkeys):
    few = replace(passkeys, challenges_per_quarter_hour=2)
    for _ in range(2):
        few.ask(Purpose.CONFIRM, HERS, source="192.0.2.7")
    with pytest.raises(LimitExceededError):
        few.ask(Purpose.CONFIRM, HERS, source="192.0.2.7")

    assert few.ask(Purpose.CONFIRM, HERS, source="192.0.2.8")


@pytest.mark.parametrize(
    ("issuer", "party"),
    [
        ("https://vault.example", "vault.example"),
        ("https://vault.example:8443", "vault.example"),
        ("http://localhost:8321", "localhost"),
        ("http://127.0.0.1:8321", None),
        ("https://[2001:db8::1]", None),
        ("http://vault.example", None),
    ],
)
def test_browsers_make_passkeys_for_names_in_secure_contexts_p_37(issuer, party):
    found = RelyingParty.of(issuer)

    assert (found and found.id) == party
    assert found is None or found.origin == issuer
