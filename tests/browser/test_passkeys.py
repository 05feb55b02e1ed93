"""Passkeys in Chromium, with the authenticator that it plays itself (SEC-S06, SEC-S46, UI-18)."""

from __future__ import annotations

import pytest

from tests.browser.test_accessibility import AXE, look
from tests.support.world import CALLBACK, PASSPHRASE


@pytest.fixture
def page(open_page):
    """Give a window with a security key plugged in, in which every page comes with axe."""
    page = open_page(locale="en")
    page.add_init_script(AXE)
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "hasPrf": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return page


def fill_in(page, login):
    page.goto("/sign-in")
    page.fill("#login", login)
    page.fill("#passphrase", PASSPHRASE)


def _share_sensitive_data(served, page):
    """Allow a request that takes a step-up, with the passkey alone (CUX-22)."""
    page.goto(served.ask(served.sensitive))
    page.check('input[name=duration][value="P30D"]')
    page.check("#confirm_sensitive")
    page.click('button[value="check"]')
    with page.expect_request(f"{CALLBACK}?**") as sent:
        page.click("[data-passkey=open]")
    assert "code=" in sent.value.url
    # Nobody answers there. Until the browser shows that, it would break off the next page.
    page.wait_for_function("location.protocol === 'chrome-error:'")


def test_a_passkey_from_its_making_to_its_end(served, page):
    """Made, the way in by itself, a second factor, and removed, under the strict policy."""
    login, problems = "passkeys-owner", []
    served.world.person(login)
    fill_in(page, login)
    page.click("main form button:not([type])")
    page.goto("/settings/passkeys")
    page.fill("#passphrase", PASSPHRASE)
    page.click("main form[action$=begin] button")
    page.wait_for_selector("[data-passkey=register]")
    look(page, problems, "passkeys.begin")
    page.click("[data-passkey=register]")
    page.wait_for_selector("text=Your passkey is added.")
    assert page.locator("text=It opens your vault, without the passphrase.").is_visible()

    page.click('form[action="/sign-out"] button')
    page.goto("/sign-in")
    page.click("[data-passkey=open]")
    page.wait_for_url("**/")
    page.click('form[action="/lock"] button')
    page.goto("/unlock")
    page.click("[data-passkey=open]")
    page.wait_for_url("**/")
    page.click('form[action="/sign-out"] button')
    fill_in(page, login)
    page.click("main form button:not([type])")
    assert page.locator("#error-summary").is_visible()
    fill_in(page, login)
    page.click("[data-passkey=confirm]")
    page.wait_for_url("**/")

    _share_sensitive_data(served, page)
    page.goto("/settings/passkeys")
    look(page, problems, "passkeys.show-one")
    page.click("text=Remove")
    page.wait_for_url("**/remove")
    look(page, problems, "passkeys.confirm_removal")
    page.fill("#passphrase", PASSPHRASE)
    page.click("[data-passkey=confirm]")
    page.wait_for_selector("text=The passkey is removed.")
    assert page.locator("text=You have no passkey yet.").is_visible()
    assert not problems, "\n".join(problems)
