"""Letters: the address and its confirmation, the outbox, and who gets what (P-19, TAK-59)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from pds import letters
from pds.errors import LimitExceededError, ValidationFailedError
from pds.letters import CHOICES, SECURITY, LetterKind
from pds.models import Account, Letter
from tests.support.mailbox import Mailbox, confirmed, send_letters

ADDRESS = "aysel@example.com"


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def reached(world, aysel, mailbox):
    """Give a mailbox whose address Aysel has confirmed."""
    return confirmed(world.services, aysel, mailbox)


def vault_of(person):
    """Return whose vault it is, also when the sign-in is long over."""
    return vars(person).setdefault("ref", person.visitor and person.visitor.vault)


def give(world, person, address=ADDRESS):
    world.services.notice_addresses.give(vault_of(person), address)


def confirm(world, person, code):
    world.services.notice_addresses.confirm(vault_of(person), code)


def tell(world, person, kind, *, times=1, **options):
    vault, services = vault_of(person), world.services

    def job(session):
        for _ in range(times):
            letters.queue(
                session, vault.bucket, vault.id, kind, now=services.clock.now(), **options
            )

    services.uow.write(job)


def rows(world):
    with world.services.uow.read() as session:
        return list(session.scalars(select(Letter).order_by(Letter.created_at)))


def states(world):
    return [row.state for row in rows(world)]


def test_an_address_is_told_of_nothing_before_it_is_confirmed(world, aysel, mailbox):
    give(world, aysel)
    tell(world, aysel, LetterKind.WITHDRAWN)

    send_letters(world.services, mailbox)

    assert [row.kind for row in rows(world)] == ["confirm"]
    assert mailbox.subjects() == ["Confirm your address"]
    assert mailbox.letters[0]["To"] == ADDRESS


def test_the_code_that_was_sent_confirms_it(world, aysel, mailbox):
    give(world, aysel)
    send_letters(world.services, mailbox)

    confirm(world, aysel, mailbox.code())
    tell(world, aysel, LetterKind.SIGN_IN)
    send_letters(world.services, mailbox)

    assert mailbox.subjects()[1:] == ["A new device signed in"]
    assert world.services.notice_addresses.read(aysel.vault_id).is_confirmed


def test_no_other_code_does(world, aysel, mailbox, clock):
    """The code of another person, of another address, one used up, and one that is a day old."""
    other, theirs = world.person("leyla"), Mailbox()
    give(world, aysel)
    give(world, other, "leyla@example.com")
    send_letters(world.services, mailbox)
    codes = {str(one["To"]): one for one in mailbox.letters}
    theirs.letters = [codes["leyla@example.com"]]
    mailbox.letters = [codes[ADDRESS]]
    first = mailbox.code()
    refused = [theirs.code(), "", first[:-1], first.lower() + "x"]
    for code in refused:
        with pytest.raises(ValidationFailedError):
            confirm(world, aysel, code)

    clock.move(minutes=16)
    give(world, aysel, "other@example.com")
    send_letters(world.services, mailbox)
    second = mailbox.code()
    with pytest.raises(ValidationFailedError):
        confirm(world, aysel, first)
    clock.move(hours=24)
    with pytest.raises(ValidationFailedError):
        confirm(world, aysel, second)

    assert not world.services.notice_addresses.read(aysel.vault_id).is_confirmed


def test_codes_cannot_be_guessed_at_leisure(world, aysel):
    give(world, aysel)
    for _ in range(5):
        with pytest.raises(ValidationFailedError):
            confirm(world, aysel, "GUESS")

    with pytest.raises(LimitExceededError):
        confirm(world, aysel, "GUESS")


def test_nobody_can_have_many_letters_sent_to_a_stranger(world, aysel):
    for number in range(5):
        give(world, aysel, f"stranger{number}@example.com")

    with pytest.raises(LimitExceededError):
        give(world, aysel, "stranger@example.com")


@pytest.mark.parametrize(
    "address",
    [
        "no address",
        "a@b",
        "a@b.example\r\nBcc: c@d.example",
        "ə@example.com",
        "x" * 250 + "@b.example",
    ],
)
def test_what_is_no_address_is_refused(world, aysel, address):
    with pytest.raises(ValidationFailedError):
        give(world, aysel, address)


def test_an_address_stands_nowhere_as_it_is(world, aysel, reached):
    """P-19, P-20: not in the account, not in the outbox."""
    tell(world, aysel, LetterKind.SIGN_IN)
    give(world, aysel, "second@example.com")
    assert reached.letters == []

    with world.services.uow.read() as session:
        held = [
            bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode()
            for table in ("accounts", "letters")
            for row in session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - two names
            for value in row
        ]

    assert not any(b"example.com" in value for value in held)


def test_a_changed_address_is_told_of_at_the_one_before(world, aysel, reached):
    """SEC-S09: whoever took an account over cannot do it silently, nor read what waited."""
    tell(world, aysel, LetterKind.SIGN_IN)
    give(world, aysel, "mallory@example.com")
    send_letters(world.services, reached)

    told = {(str(one["To"]), str(one["Subject"])) for one in reached.letters}
    assert told == {
        (ADDRESS, "Letters no longer come here"),
        ("mallory@example.com", "Confirm your address"),
    }


def test_an_address_that_was_taken_away_gets_nothing_more(world, aysel, reached):
    tell(world, aysel, LetterKind.SIGN_IN)
    give(world, aysel, "")

    send_letters(world.services, reached)

    assert reached.subjects() == ["Letters no longer come here"]
    assert min(states(world)) == "dropped"


@pytest.mark.parametrize("kind", CHOICES)
def test_what_somebody_does_not_want_is_not_queued(world, aysel, reached, kind):
    world.services.notice_addresses.choose(
        aysel.vault_id, [one.value for one in CHOICES if one is not kind]
    )

    before = len(rows(world))
    tell(world, aysel, kind)

    assert len(rows(world)) == before
    assert reached.letters == []


@pytest.mark.parametrize("kind", sorted(SECURITY - {LetterKind.CONFIRM, LetterKind.ADDRESS}))
def test_letters_about_safety_cannot_be_switched_off(world, aysel, reached, kind):
    """SEC-S09."""
    world.services.notice_addresses.choose(aysel.vault_id, [])
    with world.services.uow.read() as session:
        (muted,) = session.scalars(select(Account.muted))
    assert set(muted).isdisjoint(SECURITY)

    tell(world, aysel, kind)

    assert len(send_letters(world.services, reached).letters) == 1


def test_a_mail_server_that_is_away_gets_the_letter_later(world, aysel, reached, clock):
    reached.fails = True
    tell(world, aysel, LetterKind.SIGN_IN)
    for wait in letters.WAITS:
        send_letters(world.services, reached)
        (row,) = [one for one in rows(world) if one.state == "pending"]
        assert timedelta() < row.due_at - clock.instant <= wait
        clock.move(seconds=wait.total_seconds())
    reached.fails = False

    send_letters(world.services, reached)

    assert reached.subjects() == ["A new device signed in"]


def test_a_letter_that_never_leaves_is_dropped_at_last(world, aysel, reached, clock):
    reached.fails = True
    tell(world, aysel, LetterKind.SIGN_IN)
    for _ in range(len(letters.WAITS) + 1):
        send_letters(world.services, reached)
        clock.move(days=1)

    assert states(world)[-1] == "dropped"


def test_a_letter_that_was_sent_but_not_written_down_comes_again_as_itself(
    world, aysel, reached, monkeypatch, clock
):
    """The process dies between the two: at least once, with one Message-ID."""
    tell(world, aysel, LetterKind.SIGN_IN)
    with monkeypatch.context() as patch:
        patch.setattr(letters, "settle", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            send_letters(world.services, reached)
    assert len(send_letters(world.services, reached).letters) == 1
    clock.move(minutes=10)

    send_letters(world.services, reached)

    first, second = reached.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_one_person_gets_a_bounded_number_of_letters_an_hour(world, aysel, reached, clock):
    tell(world, aysel, LetterKind.CHANGE, times=14, about={"day": "2026-03-01"})
    clock.move(hours=1)

    send_letters(world.services, reached)
    assert len(reached.letters) == letters.MOST_AN_HOUR
    clock.move(minutes=61)
    send_letters(world.services, reached)

    assert len(reached.letters) == 14


def test_the_language_is_the_accounts(world, aysel, reached):
    world.services.accounts.set_preferences(aysel.vault_id, locale="az", theme="auto")
    tell(world, aysel, LetterKind.SIGN_IN)

    send_letters(world.services, reached)

    assert reached.subjects() == ["Yeni cihazdan daxil olunub"]


def test_a_box_that_was_swapped_leads_to_nobody(world, aysel, reached):
    """TAK-21: an address belongs to its vault."""
    other = world.person("leyla")
    with world.services.uow.read() as session:
        box = session.scalar(select(Account.notice_box).where(Account.vault_id == aysel.vault_id))
    world.services.uow.write(
        lambda session: session.execute(
            update(Account)
            .where(Account.vault_id == other.vault_id)
            .values(notice_box=box, notice_verified_at=world.services.clock.now())
        )
    )
    tell(world, other, LetterKind.SIGN_IN)

    assert send_letters(world.services, reached).letters == []
    assert states(world)[-1] == "dropped"


def test_old_letters_are_swept(world, aysel, reached, clock):
    tell(world, aysel, LetterKind.SIGN_IN)
    send_letters(world.services, reached)
    clock.move(days=30)

    world.services.uow.write(lambda session: letters.sweep(session, now=clock.now()))

    assert rows(world) == []
