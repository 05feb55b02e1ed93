"""Passkeys: made, asked for as a second factor, refused where anything is wrong (SEC-S06)."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from api.uow import UnitOfWork
from consent.models import Event
from pds.app_codes import STEP_SECONDS, code_at
from pds.crypto import prf
from pds.crypto.prf import PrfOutput
from pds.errors import (
    ConflictError,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.events import vault_stream
from pds.ids import random_uuid
from pds.models import KeyWrap, Passkey, PasskeyChallenge
from pds.passkey_entrance import PasskeyOpensNothingError
from pds.passkeys import Opening
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


def made_to_open(passkeys, person, device, *, asked_twice=False, prover=None):
    """Add a passkey of a device with the PRF, which some calculate only when asked once more."""
    options = passkeys.begin(person.vault_id, person.login, HERS)
    answer, visitor = Answer(device.register(options), HERS), person.visitor
    proof = proved = None
    if asked_twice:
        proved = passkeys.ask(Purpose.OPEN, HERS, source=None)
        proof = Answer((prover or device).prove(proved), HERS)
    opening = Opening(visitor.open_vault.vrk, prf.parse(device.prf(proved or options)), proof)
    return passkeys.add(visitor.vault, answer, "Telephone", opening)


def opened(world, device, *, output=None, browser=HERS, vault_id=None, source=None, **wrong):
    """Come in by a passkey alone, as the page does."""
    passkeys = world.services.second_factors.passkeys
    options = passkeys.ask(Purpose.OPEN, HERS, source=None)
    answer = Answer(device.prove(options, **wrong), browser)
    output = prf.parse(device.prf(options)) if output is None else output
    return world.services.passkey_entrance.enter(answer, output, source=source, vault_id=vault_id)


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
    """P-45: a challenge is in the store, so any worker may serve the second half, once."""
    options = passkeys.begin(aysel.vault_id, aysel.login, HERS)
    answer = Answer(device.register(options), HERS)
    with closing(UnitOfWork(world.services.settings)) as uow:
        other = replace(passkeys, store=uow, ceremonies=replace(passkeys.ceremonies, store=uow))
        assert other.add(aysel.visitor.vault, answer, "Key")

    with pytest.raises(WrongSecretError):
        passkeys.add(aysel.visitor.vault, answer, "Key")


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


def wraps(world, person):
    with world.services.uow.read() as session:
        query = select(KeyWrap).where(
            KeyWrap.vault_id == person.vault_id, KeyWrap.by_kind == "passkey"
        )
        return session.scalars(query).all()


@pytest.mark.parametrize("asked_twice", [False, True])
def test_a_passkey_with_prf_opens_the_vault_and_is_both_factors_tak_18(
    world, passkeys, aysel, device, asked_twice
):
    """TAK-18: nothing to guess, and no passphrase needed."""
    made_to_open(passkeys, aysel, device, asked_twice=asked_twice)
    entrance = opened(world, device)

    assert entrance.vrk == aysel.visitor.open_vault.vrk
    assert entrance.ref == aysel.visitor.vault
    assert [each.opens for each in passkeys.list_of(aysel.vault_id)] == [True]
    assert opened(world, device, vault_id=aysel.vault_id).vrk == entrance.vrk


def test_each_passkey_opens_by_a_key_of_its_own(world, passkeys, aysel, device):
    other = Authenticator(ISSUER)
    first, second = (made_to_open(passkeys, aysel, each) for each in (device, other))

    assert opened(world, device).vrk == opened(world, other).vrk
    assert {wrap.by_id for wrap in wraps(world, aysel)} == {first, second}
    passkeys.remove(aysel.visitor.vault, first)
    assert [wrap.by_id for wrap in wraps(world, aysel)] == [second]
    with pytest.raises(WrongSecretError):
        opened(world, device)
    assert opened(world, other)


def test_a_device_without_prf_confirms_only(world, passkeys, accounts, aysel, device):
    made(passkeys, aysel, device)
    unverified = Authenticator(ISSUER, verifies=False)
    made_to_open(passkeys, aysel, unverified)

    assert [each.opens for each in passkeys.list_of(aysel.vault_id)] == [False, False]
    assert wraps(world, aysel) == []
    with pytest.raises(PasskeyOpensNothingError):
        opened(world, device)
    assert accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, unverified))


def test_a_device_that_verifies_nobody_does_not_open_sec_s06(world, passkeys, aysel, device):
    """Whoever finds it has one factor only."""
    made_to_open(passkeys, aysel, device)
    with pytest.raises(WrongSecretError) as refused:
        opened(world, replace(device, verifies=False))
    with pytest.raises(WrongSecretError):
        made_to_open(
            passkeys, aysel, Authenticator(ISSUER), asked_twice=True, prover=Authenticator(ISSUER)
        )

    assert refused.type is WrongSecretError
    assert len(passkeys.list_of(aysel.vault_id)) == 1


def test_a_wrong_output_opens_nothing_and_locks_nobody_out(world, passkeys, aysel, device):
    made_to_open(passkeys, aysel, device)
    for _ in range(11):
        with pytest.raises(PasskeyOpensNothingError):
            opened(world, device, output=PrfOutput(bytes(32)))

    assert opened(world, device)
    assert world.services.accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, device))


def test_nobody_opens_by_another_page_browser_party_or_passkey_sec_s06(
    world, aysel, rashad, device
):
    passkeys, his = world.services.second_factors.passkeys, Authenticator(ISSUER)
    made_to_open(passkeys, aysel, device)
    made_to_open(passkeys, rashad, his)
    for by, how in (
        (device, {"origin": "https://evil.example"}),
        (device, {"party_id": "evil.example"}),
        (device, {"browser": OTHERS}),
        (device, {"vault_id": rashad.vault_id}),
        (device, {"user": None}),
        (device, {"user": b"short"}),
        (his, {"user": aysel.vault_id.bytes}),
        (replace(device, key=his.key), {}),
    ):
        with pytest.raises(WrongSecretError) as refused:
            opened(world, by, **how)
        assert not isinstance(refused.value, PasskeyOpensNothingError)
    with pytest.raises(WrongSecretError):
        world.services.passkey_entrance.enter(proof(passkeys, device), None)

    assert opened(world, device).ref.id == aysel.vault_id


@pytest.mark.tampers
def test_a_wrap_that_was_moved_or_altered_opens_nothing(world, passkeys, aysel, device):
    other = Authenticator(ISSUER)
    first, second = (made_to_open(passkeys, aysel, each) for each in (device, other))
    blobs = {wrap.by_id: wrap.blob for wrap in wraps(world, aysel)}
    for blob in (blobs[second], blobs[first][:-1] + bytes([blobs[first][-1] ^ 1])):
        put = update(KeyWrap).where(KeyWrap.by_id == first).values(blob=blob)
        world.services.uow.write(lambda session, put=put: session.execute(put))
        with pytest.raises(PasskeyOpensNothingError):
            opened(world, device)

    assert opened(world, other)
    assert world.services.accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, device))


def test_failed_attempts_fill_no_window_of_the_passphrase_sec_s10(world, aysel, device):
    passkeys, accounts = world.services.second_factors.passkeys, world.services.accounts
    made_to_open(passkeys, aysel, device)
    stranger = replace(device, key=Authenticator(ISSUER).key)
    for _ in range(accounts.settings.attempts_per_quarter_hour):
        with pytest.raises(WrongSecretError):
            opened(world, stranger, source="192.0.2.9")
    with pytest.raises(LimitExceededError):
        opened(world, stranger)

    assert accounts.enter(aysel.login, PASSPHRASE, proof(passkeys, device))
    with world.services.uow.read() as session:
        failed = select(Event).where(
            Event.stream == vault_stream(aysel.vault_id), Event.name == "vault.unlock_failed"
        )
        assert len(session.scalars(failed).all()) == accounts.settings.attempts_per_quarter_hour


def test_a_new_passphrase_leaves_passkeys_and_the_recovery_code_ends_them(
    world, accounts, aysel, device
):
    passkeys = world.services.second_factors.passkeys
    made_to_open(passkeys, aysel, device)
    entrance = opened(world, device)
    code = accounts.change_passphrase(entrance, NEW_PASSPHRASE)
    assert opened(world, device).vrk == entrance.vrk

    accounts.recover(aysel.login, code, PASSPHRASE)
    assert wraps(world, aysel) == []
    with pytest.raises(WrongSecretError):
        opened(world, device)


def test_no_secret_shows_in_what_is_logged_sec_s54():
    shown = repr(PrfOutput(b"s" * 32)) + repr(Opening(b"v" * 32, PrfOutput(b"s" * 32), None))
    shown += repr(Answer("answer", b"browser"))

    assert not any(secret in shown for secret in ("ssss", "vvvv", "answer'", "browser"))


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 44, "A" * 42 + "é", "=" * 43, "A" * 200])
def test_what_is_no_output_is_none(text):
    assert prf.parse(text) is None
    assert prf.parse("A" * 43).secret == bytes(32)
