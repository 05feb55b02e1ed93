"""Passkeys from the pages: added, asked for, removed, and what no page tells (SEC-S06, SEC-S50)."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest

from pds.ids import random_uuid
from tests.support.authenticator import Authenticator, base64url
from tests.support.stores import Store
from tests.support.web_browser import WebBrowser
from tests.support.world import PASSPHRASE
from tests.support.worlds import TickingClock, world_on

ISSUER = "http://localhost:8321"
PAGE = "/settings/passkeys"


@pytest.fixture(scope="module")
def world(stores):
    """Give one world for all tests here, behind a name: for an address, nobody makes passkeys."""
    with stores.migrated("sqlite") as store:
        server = replace(store.settings.server, issuer=ISSUER)
        named = Store(store.kind, replace(store.settings, server=server), store.uow)
        with world_on(named, clock=TickingClock()) as world:
            yield world


@pytest.fixture
def aysel(world):
    return world.person(random_uuid().hex)


@pytest.fixture
def device():
    return Authenticator(ISSUER)


def ask(browser, purpose):
    answer = browser.post("/passkeys/challenge", {"csrf": browser.token(), "purpose": purpose})
    return json.loads(answer.text)


def begun(browser, **values):
    return browser.submit(browser.get(PAGE), "passphrase", passphrase=PASSPHRASE, **values)


def options_in(answer):
    return json.loads(html.unescape(re.search(r"data-options='([^']+)'", answer.text)[1]))


def add(browser, device, label="Telephone", **values):
    """Add a passkey as the page's script does."""
    page = begun(browser, **values)
    attestation = device.register(options_in(page))
    return browser.submit(page, "attestation", attestation=attestation, label=label)


def sign_in(browser, login, **values):
    page = browser.get("/sign-in")
    return browser.submit(page, "passphrase", login=login, passphrase=PASSPHRASE, **values)


@pytest.fixture
def hers(aysel, new_browser):
    browser = new_browser()
    assert browser.sign_in(aysel.login).status == 303
    return browser


def test_a_passkey_is_added_asked_for_and_removed(aysel, hers, device, new_browser):
    """TAK-49: other sessions end with each change."""
    other = new_browser()
    other.sign_in(aysel.login)
    assert add(hers, device, "Blue <key>").location == PAGE
    assert other.get(PAGE).status == 303
    assert "Blue &lt;key&gt;" in hers.get(PAGE).text

    assert sign_in(other, aysel.login).status == 422
    assertion = device.prove(ask(other, "confirm"))
    assert sign_in(other, aysel.login, assertion=assertion).status == 303

    removal = re.search(rf"{PAGE}/[0-9a-f-]+/remove", other.get(PAGE).text)[0]
    page = other.get(removal)
    assert other.submit(page, "assertion", passphrase=PASSPHRASE).status == 422
    assertion = device.prove(ask(other, "confirm"))
    done = other.submit(page, "assertion", passphrase=PASSPHRASE, assertion=assertion)
    assert done.location == PAGE
    assert hers.get(PAGE).status == 303
    assert new_browser().sign_in(aysel.login).status == 303


def test_another_passkey_or_app_takes_the_one_that_is_there(hers, device):
    """Who learnt the passphrase and sits at an open session adds nothing of their own."""
    add(hers, device)
    app = {"csrf": hers.token(), "passphrase": PASSPHRASE}

    assert begun(hers).status == 422
    assert hers.post("/settings/second-step/begin", app).status == 422
    assertion = device.prove(ask(hers, "confirm"))
    assert add(hers, Authenticator(ISSUER), "Second", assertion=assertion).location == PAGE


def test_a_passkey_is_renamed(hers, device):
    add(hers, device, "Old")
    page = hers.get(PAGE)
    wrong = hers.submit(page, "label", label=" ")
    hers.submit(page, "label", label="New name")

    assert wrong.status == 422
    assert "Use 1 to 60 characters." in wrong.text
    assert 'value="New name"' in hers.get(PAGE).text


def test_what_was_made_for_another_page_is_not_added(hers, device):
    page = begun(hers)
    attestation = device.register(options_in(page), origin="https://evil.example")
    answer = hers.submit(page, "attestation", attestation=attestation, label="Key")

    assert answer.status == 422
    assert "The passkey was not added." in answer.text
    assert "You have no passkey yet." in answer.text


def test_a_challenge_tells_nothing_of_anybody_sec_s05(hers, device, new_browser):
    """No page and no answer says which name has passkeys: devices find their own."""
    add(hers, device)
    asked = ask(new_browser(), "confirm")
    refused = new_browser().post("/passkeys/challenge", {"csrf": "x", "purpose": "confirm"})
    browser = new_browser()
    unknown = browser.post("/passkeys/challenge", {"csrf": browser.token(), "purpose": "x"})

    assert set(asked) == {"rpId", "challenge", "timeout", "userVerification"}
    assert (refused.status, unknown.status) == (400, 404)


def test_wrong_passkey_wrong_passphrase_and_unknown_name_get_the_same_answer_sec_s05(
    aysel, hers, device, new_browser
):
    add(hers, device)
    answers = set()
    for login, passphrase, by in (
        (aysel.login, PASSPHRASE, Authenticator(ISSUER, user=device.user)),
        (aysel.login, "not it at all", device),
        ("nobody", PASSPHRASE, device),
    ):
        browser = new_browser()
        assertion = by.prove(ask(browser, "confirm"))
        page = browser.get("/sign-in")
        answer = browser.submit(
            page, "passphrase", login=login, passphrase=passphrase, assertion=assertion
        )
        token = answer.page.form("passphrase").fields["csrf"][0]
        answers.add((answer.status, answer.text.replace(token, "").replace(login, "")))
        assert assertion not in html.unescape(answer.text)

    assert len(answers) == 1


def test_a_passkey_of_one_browser_counts_in_no_other(aysel, hers, device, new_browser):
    """The challenge is bound to the sign-in that asked."""
    add(hers, device)
    assertion = device.prove(ask(new_browser(), "confirm"))

    assert sign_in(new_browser(), aysel.login, assertion=assertion).status == 422


def test_no_other_site_and_no_stranger_changes_them_sec_s50(world, hers, device, new_browser):
    add(hers, device)
    known = re.search(rf"{PAGE}/[0-9a-f-]+/remove", hers.get(PAGE).text)[0]
    stranger, other = new_browser(), world.person(random_uuid().hex)
    form = {"passphrase": PASSPHRASE, "label": "Mine", "attestation": "{}"}
    for path in (f"{PAGE}/begin", f"{PAGE}/add", known, known.replace("remove", "rename")):
        forged = hers.post(path, {**form, "csrf": hers.token()}, origin="https://evil.example")
        away = stranger.post(path, {**form, "csrf": stranger.token()})
        assert forged.status == 400
        assert away.location.startswith("/sign-in")
    stranger.sign_in(other.login)

    assert stranger.get(known).status == 404
    assert stranger.post(known, {**form, "csrf": stranger.token()}).status == 404


def test_an_address_of_numbers_offers_none_and_says_why_p_37(sqlite_store):
    """P-37"""
    with world_on(sqlite_store, clock=TickingClock()) as world:
        browser = WebBrowser(world)
        browser.sign_in(world.person("aysel").login)
        page = browser.get(PAGE)
        form = {"csrf": browser.token(), "passphrase": PASSPHRASE, "purpose": "confirm"}

        assert "browsers make them for names" in page.text
        assert "passkeys.js" not in browser.get("/sign-in").text
        assert browser.post(f"{PAGE}/begin", form).status == 409
        assert browser.post("/passkeys/challenge", form).status == 409
        browser.close()


def add_to_open(browser, device):
    """Add a passkey of a device with the PRF, as the page's script does."""
    page = begun(browser)
    options = options_in(page)
    sent = {"attestation": device.register(options), "prf": device.prf(options)}
    return browser.submit(page, "attestation", label="Telephone", **sent)


def open_by(browser, device, form_of="/sign-in", output=None, **values):
    """Send the form that needs a passkey alone, as the page's script does."""
    options = ask(browser, "open")
    sent = {"assertion": device.prove(options), "prf": output or device.prf(options)}
    return browser.submit(browser.get(form_of), "prf", **sent, **values)


def test_a_passkey_alone_signs_in_and_unlocks(hers, device, new_browser):
    assert add_to_open(hers, device).location == PAGE
    assert "It opens your vault, without the passphrase." in hers.get(PAGE).text
    browser = new_browser()

    assert open_by(browser, device, next="/connections").location == "/connections"
    assert browser.get("/vault").status == 200
    browser.lock()
    assert open_by(browser, device, "/unlock").status == 303
    assert browser.get("/vault").status == 200


def test_what_does_not_open_says_so_and_what_to_do(aysel, hers, device, new_browser):
    """The PRF output is treated as a passphrase is: no page shows it again."""
    add_to_open(hers, device)
    output = base64url(b"o" * 32)
    nobodys = Authenticator(ISSUER, user=bytes(16))
    forged = replace(device, key=nobodys.key)
    answers = [
        open_by(new_browser(), by, output=output)
        for by in (device, nobodys, Authenticator(ISSUER), forged)
    ]

    assert [answer.status for answer in answers] == [422] * 4
    assert "it does not open your vault" in answers[0].text
    assert all("The passkey was not accepted." in answer.text for answer in answers[1:])
    assert not any(output in answer.text for answer in answers)
    hers.post("/sign-out", {"csrf": hers.token()})
    assertion = device.prove(ask(hers, "confirm"))
    assert sign_in(hers, aysel.login, assertion=assertion).status == 303


def test_somebody_elses_passkey_does_not_unlock(world, hers, device, new_browser):
    add_to_open(hers, Authenticator(ISSUER))
    browser, other = new_browser(), world.person(random_uuid().hex)
    browser.sign_in(other.login)
    add_to_open(browser, device)
    hers.lock()

    assert open_by(hers, device, "/unlock").status == 422
    assert hers.get("/vault").location.startswith("/unlock")
