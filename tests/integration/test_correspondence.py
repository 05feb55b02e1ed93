"""What people are told of their agreements by e-mail, when, and how often (CM-7, CUX-32)."""

from __future__ import annotations

import pytest

from consent import correspondence, obligations
from consent.correspondence import DECIDED_WITHIN
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.reading import page

TEMPLATE = {"required": ["contact.email"]}


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def shop(world):
    return world.organisation("Xəzər Market")


@pytest.fixture
def mailbox(world, aysel):
    return confirmed(world.services, aysel, Mailbox())


def connect(world, person, shop, duration="P30D"):
    return world.connect(person, shop, shop.publish(**TEMPLATE), duration=duration)


def sent(world, mailbox):
    """Send what is due; return the new subjects."""
    before = len(mailbox.letters)
    return send_letters(world.services, mailbox).subjects()[before:]


def run(world, look):
    services = world.services
    return services.uow.write(lambda session: look(session, now=services.clock.now()))


def test_a_decision_and_a_withdrawal_are_confirmed(world, aysel, shop, mailbox):
    connected = connect(world, aysel, shop)
    granted = sent(world, mailbox)
    connected.withdraw()
    withdrawn = sent(world, mailbox)

    assert (granted, withdrawn) == (["A connection has changed"], ["You stopped sharing"])
    assert "with Xəzər Market." in mailbox.last_text()


def test_a_letter_holds_no_name_of_an_item_and_no_id(world, aysel, shop, mailbox):
    """Who, and that something happened; never what is shared."""
    aysel.save("contact", email="secret@example.com", label="home")
    connected = connect(world, aysel, shop)
    connected.withdraw()
    sent(world, mailbox)

    for letter in mailbox.letters:
        text = letter.as_string()
        assert "secret@example.com" not in text
        assert "contact" not in text
        assert str(aysel.vault_id) not in text
        assert str(connected.agreement_id) not in text
        assert str(shop.id) not in text


def test_a_replacement_is_told_of_once(world, aysel, shop, mailbox):
    connected = connect(world, aysel, shop)
    sent(world, mailbox)

    world.connect(aysel, shop, connected.template)

    assert sent(world, mailbox) == ["A connection has changed"]


def test_an_end_by_the_clock_is_told_of(world, aysel, shop, mailbox, clock):
    connect(world, aysel, shop)
    sent(world, mailbox)
    clock.move(days=31)

    run(world, world.services.endings.end_due)

    assert sent(world, mailbox) == ["A connection has changed"]
    assert "has ended" in mailbox.last_text()


def test_a_request_that_is_not_decided_is_told_of_a_little_later(
    world, aysel, shop, mailbox, clock
):
    template = shop.publish(**TEMPLATE)
    request_uri, _ = world.push(shop, shop.details(template))
    world.open_request(aysel, shop, request_uri)
    assert sent(world, mailbox) == []

    clock.move(seconds=DECIDED_WITHIN.total_seconds())

    assert sent(world, mailbox) == ["A request waits for you"]


def test_a_request_that_was_decided_meanwhile_is_not(world, aysel, shop, mailbox, clock):
    template = shop.publish(**TEMPLATE)
    request_uri, _ = world.push(shop, shop.details(template))
    world.refuse(aysel, world.open_request(aysel, shop, request_uri))
    clock.move(hours=1)

    assert sent(world, mailbox) == []


def test_an_end_ahead_is_told_of_14_and_3_days_before(world, aysel, shop, mailbox, clock):
    connect(world, aysel, shop, duration="P60D")
    sent(world, mailbox)
    told = []
    for _ in range(60):
        run(world, correspondence.tell_of_expiry)
        run(world, correspondence.tell_of_expiry)
        told.append(len(sent(world, mailbox)))
        clock.move(days=1)

    assert [day for day, count in enumerate(told) if count] == [46, 57]
    assert sum(told) == 2
    assert "ends on 30 April 2026" in mailbox.last_text()


@pytest.mark.parametrize(
    ("duration", "letters"), [("P5D", 0), ("P7D", 1), ("P27D", 1), ("P28D", 2)]
)
def test_a_short_agreement_is_not_told_of_its_end_as_it_begins(  # noqa: PLR0917 - fixtures
    world, aysel, shop, mailbox, clock, duration, letters
):
    connect(world, aysel, shop, duration=duration)
    sent(world, mailbox)
    told = []
    for _ in range(int(duration[1:-1])):
        run(world, correspondence.tell_of_expiry)
        told += sent(world, mailbox)
        clock.move(days=1)

    assert told == ["A connection ends soon"] * letters


def test_what_has_ended_is_not_told_of_as_ending(world, aysel, shop, mailbox, clock):
    connected = connect(world, aysel, shop, duration="P60D")
    connected.withdraw()
    sent(world, mailbox)
    clock.move(days=58)

    assert run(world, correspondence.tell_of_expiry) == 0


def test_a_deletion_that_is_overdue_is_told_of_once(world, aysel, shop, mailbox, clock):
    connect(world, aysel, shop).withdraw()
    sent(world, mailbox)
    clock.move(days=31)

    run(world, obligations.announce_overdue)
    run(world, obligations.announce_overdue)

    assert sent(world, mailbox) == ["An organisation owes an answer"]


def test_whoever_reads_again_after_long_is_told_of_once(world, aysel, shop, mailbox, clock):
    connected = connect(world, aysel, shop, duration="P365D")
    page(connected)
    clock.move(days=89)
    run(world, correspondence.tell_of_dormant)
    clock.move(days=2)
    run(world, correspondence.tell_of_dormant)
    quiet = sent(world, mailbox)[1:]

    fresh = shop.client.refresh(connected.refresh_token).json()["access_token"]
    answer = shop.get("/v1/records", fresh)
    run(world, correspondence.tell_of_dormant)
    run(world, correspondence.tell_of_dormant)

    assert (quiet, answer.status_code) == ([], 200)
    assert sent(world, mailbox) == ["An organisation reads again"]


def test_whoever_reads_every_day_is_not(world, aysel, shop, mailbox, clock):
    connected = connect(world, aysel, shop, duration="P365D")
    sent(world, mailbox)
    for _ in range(4):
        clock.move(days=30)
        fresh = shop.client.refresh(connected.refresh_token).json()["access_token"]
        shop.get("/v1/records", fresh)
        run(world, correspondence.tell_of_dormant)

    assert sent(world, mailbox) == []


def test_another_persons_agreement_is_not_told_of(world, shop, mailbox):
    connect(world, world.person("leyla"), shop).withdraw()

    assert sent(world, mailbox) == []


def test_without_an_address_nothing_is_kept(world, shop):
    """Nothing is in the outbox for whoever wants no letters."""
    connect(world, world.person("leyla"), shop).withdraw()

    assert sent(world, Mailbox()) == []
    with world.services.uow.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM letters").scalar() == 0
