"""The first run: what opens a vault is told first; whether the code was kept is asked (P-17)."""

from __future__ import annotations

import re

import pytest

from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.world import PASSPHRASE

NEW = "violet anchor meadow castle pepper wagon"


def sign_up(browser, login="elvin", path="/sign-up/passphrase"):
    return browser.submit(browser.get(path), "passphrase", login=login)


def code_of(answer):
    return re.search(r'id="recovery-code">([A-Z2-7-]{39})<', answer.text)[1]


def asking(browser, shown):
    """Say that the code is written down, and return the page that asks for some of it."""
    return browser.submit(shown, "written", written="yes")


def groups_of(page, code):
    """Return what the page asks for, as its form names it."""
    asked = page.page.form("check").fields["asked"]
    return {f"group-{number}": code.split("-")[int(number) - 1] for number in asked}


def test_what_is_lost_with_both_is_said_before_there_is_a_vault(browser):
    first = browser.get("/sign-up")

    assert "Whoever loses both loses the data for ever." in first.text
    assert "not even the operator" in first.text
    assert 'href="/sign-up/passphrase?next=/welcome"' in first.text
    assert "<form method" not in first.text.partition("<main")[2]


def test_signing_up_offers_six_words_and_shows_the_recovery_code_once(browser):
    """P-17"""
    form = browser.get("/sign-up/passphrase")
    offered = form.page.form("passphrase").fields["passphrase"][0]

    done = browser.submit(form, "passphrase", login="elvin")

    assert len(offered.split()) == 6
    assert done.status == 200
    assert 'id="recovery-code"' in done.text
    assert browser.get("/vault").status == 200
    assert 'id="recovery-code"' not in browser.get("/settings").text


def test_nothing_on_the_page_of_the_code_leads_away_from_it(browser):
    done = sign_up(browser)

    assert 'action="/preferences"' not in done.text
    assert 'class="main-nav"' not in done.text


def test_the_code_is_never_sent_back(browser):
    done = sign_up(browser)
    code = code_of(done)
    page = asking(browser, done)

    for answer in (done.text.partition("<form")[2], page.text):
        assert not any(group in answer for group in code.split("-"))


def test_whoever_kept_the_code_goes_on_to_a_beginning(browser):
    done = sign_up(browser)
    page = asking(browser, done)
    typed = {name: text.lower() for name, text in groups_of(page, code_of(done)).items()}
    answer = browser.submit(page, "check", **typed)

    assert answer.location == "/welcome"
    welcome = browser.get("/welcome").text
    assert 'href="/imports"' in welcome
    assert "Not now" in welcome


def test_whoever_skipped_the_check_is_reminded_until_they_show_the_code(browser):
    """P-17: by some groups at the beginning or by the whole code later; a new code begins anew."""
    reminder = "You have not checked yet that you kept your recovery code"
    form = browser.get("/sign-up/passphrase")
    shown = browser.submit(form, "passphrase", login="elvin")
    passphrase = form.page.form("passphrase").fields["passphrase"][0]
    page = asking(browser, shown)
    assert reminder in browser.get("/").text
    later = browser.get("/settings/recovery-code")

    wrong = browser.submit(later, "recovery_code", recovery_code="AAAA-" * 7 + "AAAA")
    right = browser.submit(wrong, "recovery_code", recovery_code=code_of(shown).lower())

    assert (wrong.status, right.location) == (422, "/")
    assert 'href="#recovery_code"' in wrong.text
    assert reminder not in browser.get("/").text
    assert "You showed on" in browser.get("/settings/recovery-code").text
    settings = browser.get("/settings/recovery-code")
    second = browser.submit(settings, "passphrase", passphrase=passphrase)
    assert reminder in browser.get("/").text
    assert browser.submit(page, "check", **groups_of(page, code_of(shown))).status == 422
    page = asking(browser, second)
    browser.submit(page, "check", **groups_of(page, code_of(second)))
    assert reminder not in browser.get("/").text


def test_a_wrong_group_is_explained_and_leads_to_a_new_code(browser):
    """UI-19"""
    done = sign_up(browser)
    page = asking(browser, done)
    typed = groups_of(page, code_of(done))
    first = next(iter(typed))
    again = browser.submit(page, "check", **typed | {first: "AAAA"})

    assert again.status == 422
    assert f'href="#{first}"' in again.text
    assert 'href="/settings/recovery-code"' in again.text
    assert browser.submit(again, "check", **typed).location == "/welcome"


@pytest.mark.parametrize("changed", ["asked", "check", "none"])
def test_groups_that_were_not_asked_for_prove_nothing(browser, changed):
    """The hash is of these groups at these numbers."""
    done = sign_up(browser)
    page = asking(browser, done)
    typed = groups_of(page, code_of(done))
    other = {
        "asked": {"asked": ["1", "8"], "group-1": "", "group-8": ""} | typed,
        "check": typed | {"check": "0" * 64},
        "none": {"asked": []},
    }[changed]

    assert browser.submit(page, "check", **other).status == 422


def test_anothers_page_proves_nothing(browser, new_browser):
    done = sign_up(browser)
    page = asking(browser, done)
    typed = groups_of(page, code_of(done))
    other = new_browser()
    sign_up(other, "leyla")
    form = page.page.form("check").fields | typed | {"csrf": other.token()}

    assert other.post("/recovery-code/check", form).status == 422


def test_whoever_was_asked_for_consent_goes_back_there(browser):
    path = "/oauth/authorize?client_id=a&request_uri=b"
    first = browser.get(f"/sign-up?next={path.replace('&', '%26')}")
    link = re.search(r'href="(/sign-up/passphrase[^"]+)"', first.text)[1].replace("&amp;", "&")
    done = sign_up(browser, path=link)
    page = asking(browser, done)

    assert browser.submit(page, "check", **groups_of(page, code_of(done))).location == path


def test_a_new_code_ends_the_old_one_and_leaves_the_passphrase(world, aysel, hers, new_browser):
    mailbox = confirmed(world.services, aysel, Mailbox())
    done = hers.submit(hers.get("/settings/recovery-code"), "passphrase", passphrase=PASSPHRASE)
    code = code_of(done)

    def recover(with_code):
        browser = new_browser()
        values = {"login": aysel.login, "code": with_code, "new_passphrase": NEW}
        return browser.submit(browser.get("/recover"), "code", **values).status

    assert new_browser().sign_in(aysel.login, PASSPHRASE).status == 303
    assert recover(aysel.recovery_code) == 422
    assert recover(code) == 200
    assert "You have a new recovery code" in send_letters(world.services, mailbox).subjects()
    hers.sign_in(aysel.login, NEW)
    assert "A new recovery code was made" in hers.get("/activity").text


def test_a_new_code_takes_the_passphrase(aysel, hers, new_browser):
    """Whoever finds an open browser makes no way in for themselves."""
    page = hers.get("/settings/recovery-code")
    refused = hers.submit(page, "passphrase", passphrase="not the passphrase of this vault")
    browser = new_browser()
    form = browser.get("/recover")
    values = {"login": aysel.login, "code": aysel.recovery_code, "new_passphrase": NEW}

    assert refused.status == 422
    assert 'id="recovery-code"' not in refused.text
    assert browser.submit(form, "code", **values).status == 200


def test_a_passkey_that_opens_the_vault_is_named_where_the_passphrase_is_lost(browser, world):
    """P-16"""
    page = browser.get("/lost-passphrase").text

    offered = world.services.second_factors.passkeys.are_offered
    assert ("You have a passkey that opens the vault" in page) is offered
