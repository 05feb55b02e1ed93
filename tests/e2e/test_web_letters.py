"""Letters from the pages: giving an address, confirming it, choosing, and what sign-ins bring."""

from __future__ import annotations

import re

import pytest

from api.worker import Worker
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.world import PASSPHRASE

ADDRESS = "aysel@example.com"
NEW = "another six words that nobody guesses here"
SETTINGS = "/settings/letters"


@pytest.fixture
def mailbox():
    return Mailbox()


def sent(world, mailbox):
    return send_letters(world.services, mailbox).subjects()


def test_an_address_is_given_and_confirmed_by_the_link_in_the_letter(world, hers, mailbox):
    given = hers.submit(hers.get(SETTINGS), "address", address=ADDRESS)
    send_letters(world.services, mailbox)
    link = re.search(rf"{world.issuer}(\S+)", mailbox.last_text())[1]
    page = hers.get(link)
    before = hers.get(SETTINGS).text

    done = hers.follow(hers.submit(page, "code"))

    assert given.status == 303
    assert "not confirmed yet" in before  # opening the link alone changed nothing (SEC-S45)
    assert "Your address is confirmed." in done.text


def test_a_wrong_code_says_so(hers):
    hers.submit(hers.get(SETTINGS), "address", address=ADDRESS)

    answer = hers.submit(hers.get(SETTINGS), "code", code="WRONG")

    assert answer.status == 422
    assert "The code is not right" in answer.text


def test_what_is_no_address_says_so_and_is_kept_to_be_mended(hers):
    answer = hers.submit(hers.get(SETTINGS), "address", address="nowhere")

    assert answer.status == 422
    assert 'value="nowhere"' in answer.text


def test_a_locked_vault_keeps_its_address(world, hers, aysel):
    """A browser that was left signed in is not enough to send letters elsewhere."""
    page = hers.get(SETTINGS)
    hers.lock()

    hers.submit(page, "address", address="mallory@example.com")

    assert world.services.notice_addresses.read(aysel.vault_id).address == ""


def test_a_link_leads_through_the_sign_in(browser):
    answer = browser.get(f"{SETTINGS}/confirm?code=ABC")

    assert answer.status == 303
    assert answer.location.startswith("/sign-in?next=")


def test_choices_are_kept(hers):
    page = hers.get(SETTINGS)

    hers.submit(page, "wanted", wanted=["expiry", "sign-in", "nonsense"])

    ticked = re.findall(r'value="([\w-]+)" checked', hers.get(SETTINGS).text)
    assert ticked == ["expiry"]


def test_a_new_device_is_told_of_once(world, aysel, hers, new_browser, mailbox):
    confirmed(world.services, aysel, mailbox)

    other = new_browser()
    other.sign_in()
    first = sent(world, mailbox)
    other.post("/sign-out", {"csrf": other.token()})
    other.sign_in()

    assert first == ["A new device signed in"]
    assert sent(world, mailbox) == first
    assert hers.get("/vault").status == 200


def test_a_mark_of_another_person_makes_no_device_known(world, aysel, new_browser, mailbox):
    world.person("leyla")
    shared = new_browser()
    shared.sign_in("leyla")
    shared.post("/sign-out", {"csrf": shared.token()})
    confirmed(world.services, aysel, mailbox)

    shared.sign_in("aysel")

    assert sent(world, mailbox) == ["A new device signed in"]


def test_a_changed_passphrase_is_told_of(world, aysel, hers, mailbox):
    """SEC-S09."""
    confirmed(world.services, aysel, mailbox)

    hers.submit(hers.get("/settings"), "new_passphrase", passphrase=PASSPHRASE, new_passphrase=NEW)

    assert sent(world, mailbox) == ["Your passphrase was changed"]


def test_a_used_recovery_code_is_told_of(world, aysel, hers, new_browser, mailbox):
    confirmed(world.services, aysel, mailbox)
    other = new_browser()

    other.submit(
        other.get("/recover"),
        "new_passphrase",
        login="aysel",
        code=aysel.recovery_code,
        new_passphrase=NEW,
    )

    assert sent(world, mailbox) == ["Your recovery code was used", "A new device signed in"]
    assert hers.get("/vault").status == 303


def test_the_worker_writes_letters_into_the_folder_of_a_trial(world, hers):
    hers.submit(hers.get(SETTINGS), "address", address=ADDRESS)
    worker = Worker(world.services)

    worker.turn()
    worker.stop()

    (letter,) = (world.services.settings.instance / "mail").iterdir()
    assert ADDRESS in letter.read_text("utf-8")


def test_a_server_without_mail_offers_none(hers, monkeypatch):
    monkeypatch.setattr("api.letters.transports.of", lambda _: None)

    page = hers.get(SETTINGS)

    assert "This server sends no e-mail." in page.text
    assert 'name="address"' not in page.text
