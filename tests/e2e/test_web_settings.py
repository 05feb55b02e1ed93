"""Settings and the vault's own privacy notice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from api.web import help as help_pages
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.world import PASSPHRASE


def words(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_every_setting_is_reached_from_one_page_also_while_locked(aysel, hers):
    aysel.save("contact", email="aysel@poct.example")
    hers.lock()
    page = hers.get("/settings")

    for path in (
        "/settings/letters",
        "/settings/recovery-code",
        "/settings/passkeys",
        "/settings/second-step",
        "/settings/apps",
        "/settings/sessions",
        "/export",
        "/privacy",
        "/vault-deletion",
    ):
        assert f'href="{path}"' in page.text
    for part in re.findall(r'class="chip" href="#([a-z-]+)"', page.text):
        assert f'id="{part}"' in page.text
    assert re.search(r"Your vault takes up [1-9]", words(page))


def test_the_notice_says_what_the_operator_sees_and_claims_no_more(browser):
    page = words(browser.get("/privacy"))

    assert "your name for signing in and your address for letters" in page
    assert "short of guessing your passphrase" in page
    assert "in the clear" in page
    assert not re.search("zero.knowledge|end.to.end", page, re.IGNORECASE)


def test_the_notice_gives_the_periods_that_hold(browser, monkeypatch):
    """LOG-9: they come from the table that erasure goes by."""

    @dataclass
    class Kept:
        private: timedelta = timedelta(days=7 * 365)
        public: timedelta = timedelta(days=13 * 365)

    assert "for 10 years" in words(browser.get("/privacy"))
    monkeypatch.setattr(help_pages.retention, "class_of", lambda _event: Kept())
    assert "for 13 years" in words(browser.get("/privacy"))


def rename(browser, login, passphrase=PASSPHRASE):
    return browser.submit(
        browser.get("/settings/name"), "login", login=login, passphrase=passphrase
    )


def test_another_name_takes_the_place_of_the_old_one(world, aysel, hers, new_browser):
    mailbox, other = confirmed(world.services, aysel, Mailbox()), new_browser()
    other.sign_in(aysel.login)

    assert rename(hers, "Aysel M").location == "/settings"
    assert "<strong>Aysel M</strong>" in hers.get("/settings").text
    assert other.get("/connections").location.startswith("/sign-in")
    assert new_browser().sign_in("aysel").status == 422
    assert new_browser().sign_in("AYSEL m").status == 303
    assert "You sign in under another name now" in send_letters(world.services, mailbox).subjects()
    assert world.person("aysel")  # the old name is free


def test_a_name_is_not_changed_without_the_passphrase_nor_into_anothers(world, hers, new_browser):
    """SEC-S05: in whatever spelling; and what is refused changes nothing."""
    world.person("leyla")

    assert rename(hers, "other", passphrase="not the passphrase of this vault").status == 422
    for taken in ("leyla", " LEYLA", "x"):
        answer = rename(hers, taken)
        assert answer.status == 422
        assert 'href="#login"' in answer.text
    assert new_browser().sign_in("aysel").status == 303


def test_a_name_may_be_spelled_anew(hers, new_browser):
    assert rename(hers, "AYSEL").status == 303
    assert new_browser().sign_in("aysel").status == 303
