"""Where somebody is signed in: the list, and ending it elsewhere (SEC-S19, SEC-S23, SEC-S50)."""

from __future__ import annotations

import pytest

from pds.ids import random_uuid

PAGE = "/settings/sessions"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def phone(aysel, new_browser):
    """Give a second browser of Aysel's."""
    browser = new_browser()
    browser.http.headers["User-Agent"] = IPHONE
    browser.sign_in(aysel.login)
    return browser


def elsewhere(world, person, *keep):
    """Return the sessions of a person but those that the world and its fixtures keep."""
    return [
        one.id
        for one in world.services.sessions.list_of(person.vault_id)
        if one.id != person.signed_in.selector and one.id not in keep
    ]


def is_signed_in(browser):
    return browser.get("/connections").status == 200


def test_each_device_is_named_and_this_one_marked(aysel, browser, phone):
    browser.http.headers["User-Agent"] = FIREFOX
    browser.sign_in(aysel.login)
    text = browser.get(PAGE).text
    at_phone = phone.get(PAGE).text

    assert text.index("Firefox, Windows") < text.index("This device") < text.index("Safari, iPhone")
    assert text.count("This device") == at_phone.count("This device") == 1
    assert at_phone.index("Safari, iPhone") < at_phone.index("This device")


def test_what_a_browser_says_of_itself_is_not_repeated(aysel, browser):
    browser.http.headers["User-Agent"] = "<script>Linux</script>"
    browser.sign_in(aysel.login)
    text = browser.get(PAGE).text

    assert "Linux" in text
    assert "<script>Linux" not in text


def test_a_device_that_is_signed_out_from_here_is_out_at_its_next_request(
    world, aysel, hers, phone
):
    """Its unlock ends with it."""
    (there,) = [
        one.id for one in world.services.sessions.list_of(aysel.vault_id) if "iPhone" in one.device
    ]
    assert phone.get("/vault").status == 200
    done = hers.post(f"{PAGE}/{there}/end", {"csrf": hers.token()})

    assert done.location == PAGE
    assert "That device is signed out." in hers.get(PAGE).text
    assert phone.get("/vault").location.startswith("/sign-in")
    assert hers.get("/vault").status == 200


def test_all_others_can_be_signed_out_at_once(hers, phone):
    answer = hers.post(f"{PAGE}/end-others", {"csrf": hers.token()})

    assert answer.status == 303
    assert not is_signed_in(phone)


def test_signing_out_here_from_the_list_leads_home(world, aysel, hers):
    (here,) = elsewhere(world, aysel)
    done = hers.post(f"{PAGE}/{here}/end", {"csrf": hers.token()})

    assert done.location == "/"
    assert not is_signed_in(hers)


def test_another_persons_session_is_as_if_there_were_none(world, hers, new_browser):
    """SEC-S23"""
    leyla = world.person("leyla")
    theirs = new_browser()
    theirs.sign_in(leyla.login)
    foreign = leyla.signed_in.selector
    answers = [
        hers.post(f"{PAGE}/{one}/end", {"csrf": hers.token()}) for one in (foreign, random_uuid())
    ]

    assert [answer.status for answer in answers] == [404, 404]
    assert leyla.visitor is not None
    assert is_signed_in(theirs)


@pytest.mark.parametrize("path", ["end-others", "{there}/end"])
def test_no_other_site_signs_a_device_out(world, aysel, hers, phone, path):
    """SEC-S50"""
    (there,) = [
        one.id for one in world.services.sessions.list_of(aysel.vault_id) if "iPhone" in one.device
    ]
    address = f"{PAGE}/{path.format(there=there)}"
    token = hers.token()
    hers.post(address, {"csrf": token}, origin="https://evil.example")
    hers.post(address, {"csrf": phone.token()})
    hers.post(address, {})

    assert is_signed_in(phone)


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_is_not_signed_in_sees_and_ends_nothing(browser, method):
    token = {"csrf": browser.token()}
    answer = browser.get(PAGE) if method == "get" else browser.post(f"{PAGE}/end-others", token)

    assert answer.location.startswith("/sign-in")


def test_opening_the_address_ends_nothing_sec_s45(hers, phone):
    assert hers.get(f"{PAGE}/end-others").status in (404, 405)
    assert is_signed_in(phone)
