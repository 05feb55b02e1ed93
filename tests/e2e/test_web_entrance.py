"""Making a vault, signing in, unlocking, recovering, leaving (P-15, P-17, CUX-20, UI-17, UI-19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import Store
from tests.support.web_browser import WebBrowser
from tests.support.world import PASSPHRASE
from tests.support.worlds import world_on

NEW = "violet anchor meadow castle pepper wagon"


def cookies_of(answer):
    """Return the Set-Cookie headers of an answer, by cookie name."""
    headers = answer.response.headers.get_list("set-cookie")
    return {header.split("=")[0]: header for header in headers}


def test_a_weak_passphrase_is_explained_and_not_repeated(browser):
    """UI-19"""
    weak = "password password"
    answer = browser.submit(
        browser.get("/sign-up/passphrase"), "passphrase", login="elvin", passphrase=weak
    )

    assert answer.status == 422
    assert "<title>Error:" in answer.text
    assert 'href="#passphrase"' in answer.text
    assert 'id="passphrase-error"' in answer.text
    assert weak not in answer.text


def test_an_unknown_name_and_a_wrong_passphrase_get_the_same_answer(world, new_browser):
    """SEC-S05"""
    world.person("aysel")
    answers = [
        new_browser().sign_in(login, "never was the passphrase of anybody")
        for login in ("aysel", "nobody")
    ]
    forms = [answer.page.form("passphrase") for answer in answers]
    texts = [
        answer.text.replace(form.fields["csrf"][0], "").replace(login, "")
        for answer, form, login in zip(answers, forms, ("aysel", "nobody"), strict=True)
    ]

    assert [answer.status for answer in answers] == [422, 422]
    assert texts[0] == texts[1]


def test_too_many_attempts_say_how_long_to_wait(aysel, browser):
    for _ in range(10):
        browser.sign_in(aysel.login, "never was the passphrase of anybody")
    answer = browser.sign_in(aysel.login, PASSPHRASE)

    assert answer.status == 429
    assert 0 < int(answer.response.headers["Retry-After"]) <= 900
    assert "Try again in 15 minutes" in answer.text


def test_cookies_are_plain_on_an_insecure_loopback_which_says_so(aysel, browser):
    """P-37"""
    answer = browser.sign_in(aysel.login)
    signed_in = cookies_of(answer)["pds_s"]

    assert "HttpOnly" in signed_in
    assert "SameSite=Lax" in signed_in
    assert "Path=/" in signed_in
    assert "Insecure loopback" in browser.get("/help").text


def test_cookies_are_bound_to_the_host_everywhere_else(sqlite_store):
    """P-15"""
    server = replace(
        sqlite_store.settings.server, issuer="https://vault.example", insecure_loopback=False
    )
    settings = replace(sqlite_store.settings, server=server)
    with world_on(Store("sqlite", settings, sqlite_store.uow)) as world:
        world.person("aysel")
        browser = WebBrowser(world)
        answer = browser.sign_in("aysel")
        browser.close()

    found = cookies_of(answer)
    assert {"__Host-pds_s", "__Host-pds_u"} <= set(found)
    for name in ("__Host-pds_s", "__Host-pds_u"):
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(found[name].split("; "))
        assert "Domain" not in found[name]
    assert "Insecure loopback" not in answer.text


def test_signing_out_ends_the_session_and_not_only_the_cookie(hers):
    """SEC-S48: and nothing of it stays in the browser's cache."""
    stolen = dict(hers.http.cookies)
    done = hers.post("/sign-out", {"csrf": hers.token()})
    assert done.response.headers["Clear-Site-Data"] == '"cache", "storage"'
    hers.http.cookies.clear()
    hers.http.cookies.update(stolen)

    assert hers.get("/vault").location.startswith("/sign-in")


def test_signing_in_again_ends_the_session_before_it(aysel, hers):
    """SEC-S16"""
    before = dict(hers.http.cookies)
    page = hers.get("/help")
    again = {"csrf": page.page.form("csrf").fields["csrf"][0], "login": aysel.login}
    hers.post("/sign-in", again | {"passphrase": PASSPHRASE})
    hers.http.cookies.clear()
    hers.http.cookies.update(before)

    assert hers.get("/connections").location.startswith("/sign-in")


def test_a_locked_vault_shows_connections_and_nothing_of_the_vault(aysel, hers):
    """P-15"""
    aysel.save("contact", email="aysel@poct.example")
    hers.lock()

    assert hers.get("/vault").location == "/unlock?next=%2Fvault"
    assert hers.get("/connections").status == 200
    assert "aysel@poct.example" not in hers.get("/activity").text


def test_unlocking_takes_the_passphrase_and_leads_back(hers):
    hers.lock()
    page = hers.get("/unlock?next=/vault/contact")

    wrong = hers.submit(page, "passphrase", passphrase="not the passphrase of this vault")
    right = hers.submit(page, "passphrase", passphrase=PASSPHRASE)

    assert wrong.status == 422
    assert right.location == "/vault/contact"
    assert hers.get("/vault/contact").status == 200


def test_an_unlock_cookie_of_another_session_opens_nothing(aysel, hers, new_browser):
    """P-15: `u` names its `s`."""
    other = new_browser()
    other.sign_in(aysel.login)
    mixed = new_browser()
    mixed.http.cookies.set("pds_s", dict(hers.http.cookies)["pds_s"])
    mixed.http.cookies.set("pds_u", dict(other.http.cookies)["pds_u"])

    assert mixed.get("/vault").location.startswith("/unlock")


def test_the_recovery_code_sets_a_new_passphrase_and_ends_the_old_ways_in(aysel, new_browser):
    browser = new_browser()
    form = browser.get("/recover")
    done = browser.submit(
        form, "code", login=aysel.login, code=aysel.recovery_code, new_passphrase=NEW
    )

    assert done.status == 200
    assert aysel.recovery_code not in done.text
    assert new_browser().sign_in(aysel.login, PASSPHRASE).status == 422
    assert new_browser().sign_in(aysel.login, NEW).status == 303


def test_a_wrong_recovery_code_opens_nothing(aysel, browser):
    answer = browser.submit(
        browser.get("/recover"), "code", login=aysel.login, code="wrong", new_passphrase=NEW
    )

    assert answer.status == 422
    assert browser.get("/vault").location.startswith("/sign-in")


def test_changing_the_passphrase_takes_the_present_one_and_signs_others_out(
    aysel, hers, new_browser
):
    other = new_browser()
    other.sign_in(aysel.login)
    settings = hers.get("/settings")

    refused = hers.submit(
        settings, "new_passphrase", passphrase="not it at all", new_passphrase=NEW
    )
    done = hers.submit(settings, "new_passphrase", passphrase=PASSPHRASE, new_passphrase=NEW)

    assert refused.status == 422
    assert 'id="recovery-code"' in done.text
    assert other.get("/connections").location.startswith("/sign-in")
    assert hers.get("/vault").status == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/vault\r\nSet-Cookie: a=b",
    ],
)
def test_signing_in_leads_to_no_other_site(aysel, browser, elsewhere):
    """THR-9, SEC-S48"""
    page = browser.get("/sign-in")
    answer = browser.submit(
        page, "passphrase", login=aysel.login, passphrase=PASSPHRASE, next=elsewhere
    )

    assert (answer.status, answer.location) == (303, "/")


def test_a_sign_in_page_inside_a_redirect_offers_no_recovery(browser):
    """CUX-20"""
    within = browser.get("/sign-in?next=/oauth/authorize%3Fclient_id%3Da%26request_uri%3Db")

    assert "/lost-passphrase" in browser.get("/sign-in").text
    assert "/lost-passphrase" not in within.text
    assert "/recover" not in within.text


@pytest.mark.parametrize(
    ("header", "word"), [("az", "Daxil ol"), ("en-GB", "Sign in"), ("de", "Sign in")]
)
def test_signed_out_pages_speak_the_browsers_language(new_browser, header, word):
    """UI-17"""
    page = new_browser(language=header).get("/sign-in")

    assert f"<h1>{word}</h1>" in page.text


def test_a_switch_of_language_is_kept_with_the_account(aysel, hers, new_browser):
    """UI-17"""
    switched = hers.post("/preferences", {"csrf": hers.token(), "locale": "az", "next": "/vault"})
    other = new_browser()
    other.sign_in(aysel.login)

    assert switched.location == "/vault"
    assert '<html lang="az"' in hers.get("/vault").text
    assert '<html lang="az"' in other.get("/vault").text


def test_a_link_may_ask_for_a_language_until_the_reader_switches(browser):
    """UI-17"""
    assert '<html lang="az"' in browser.get("/help?ui_locales=fr%20az-AZ").text
    browser.post("/preferences", {"csrf": browser.token(), "locale": "en", "next": "/help"})
    assert '<html lang="en"' in browser.get("/help?ui_locales=az").text


def test_colours_are_kept_with_the_account(aysel, hers, new_browser):
    """UI-21"""
    hers.post("/preferences", {"csrf": hers.token(), "theme": "dark"})
    other = new_browser()
    other.sign_in(aysel.login)

    assert 'data-theme="dark"' in other.get("/vault").text


@pytest.mark.parametrize("values", [{"locale": "xx"}, {"theme": '"><script>'}])
def test_unknown_preferences_change_nothing(hers, values):
    hers.post("/preferences", {"csrf": hers.token()} | values)

    assert '<html lang="en">' in hers.get("/vault").text


def test_a_note_is_shown_once(hers):
    hers.lock()

    assert "Your vault is locked" in hers.get("/connections").text
    assert "Your vault is locked" not in hers.get("/connections").text


def test_an_invented_note_shows_nothing(hers):
    hers.http.cookies.set("pds_n", "<b>hello</b>.saved2")

    assert "hello" not in hers.get("/connections").text
