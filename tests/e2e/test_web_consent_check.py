"""Between the consent page and the decision: a look at what was chosen, and who it is.

CUX-8, CUX-21, CUX-22, TAK-50
"""

from __future__ import annotations

import re

import pytest

from tests.support.world import CALLBACK, PASSPHRASE

SENSITIVE = {"duration": "P30D", "confirm_sensitive": "yes"}
NOBODY = "Nobody reads from your vault"


@pytest.fixture
def ask(world, aysel):
    """Let an organisation ask; gives the link that it sends people to."""
    aysel.save("profile", given_name="Aysel")
    market = world.organisation()

    def asks(required, optional=()):
        template = market.publish(required=required, optional=optional)
        uri, _ = world.push(market, market.details(template, duration="P90D"))
        return market.client.authorization_url(uri).removeprefix(world.issuer)

    return asks


def check(browser, page, **values):
    """Press the button that leads on from the consent page."""
    return browser.submit(page, "decision", decision="check", **({"duration": "P30D"} | values))


def test_one_cluster_is_decided_at_once(hers, ask):
    """CUX-21"""
    done = check(hers, hers.get(ask(["profile.given_name"])))

    assert done.location.startswith(f"{CALLBACK}?")


def test_more_than_one_cluster_is_shown_once_more_before_anything_is_decided(hers, ask):
    """CUX-21"""
    url = ask(["profile.given_name"], ["contact.email", "contact.phone"])
    shown = check(hers, hers.get(url), attributes="contact.email")

    assert shown.status == 200
    assert "Check before you allow" in shown.text
    assert "E-mail" in shown.text
    assert "30 days, until " in shown.text
    assert (
        "form-action 'self' https://client.example;"
        in (shown.response.headers["Content-Security-Policy"])
    )
    assert NOBODY in hers.get("/connections").text
    done = hers.submit(shown, "decision", decision="allow")
    assert done.location.startswith(f"{CALLBACK}?")


def test_a_row_leads_back_to_its_choice_with_everything_still_chosen(hers, ask):
    """CUX-21"""
    url = ask(["profile.given_name"], ["contact.email", "contact.phone"])
    shown = check(hers, hers.get(url), attributes="contact.email")
    again = hers.submit(shown, "decision", decision="change")

    assert 'formaction="/oauth/authorize#duration"' in shown.text
    assert again.status == 200
    fields = again.page.form("decision").fields
    assert (fields["attributes"], fields["duration"]) == (["contact.email"], ["P30D"])


def test_going_back_in_the_browser_loses_no_choice(hers, ask):
    """CUX-21: pages are not kept by browsers, so the page is asked for again."""
    url = ask(["profile.given_name"], ["contact.email"])
    check(hers, hers.get(url), attributes="contact.email")
    fields = hers.get(url).page.form("decision").fields

    assert (fields["attributes"], fields["duration"]) == (["contact.email"], ["P30D"])


def test_what_was_chosen_for_one_request_is_not_ticked_in_another(hers, ask):
    """CUX-9"""
    check(
        hers,
        hers.get(ask(["profile.given_name"], ["contact.email"])),
        attributes="contact.email",
    )
    page = hers.get(ask(["profile.given_name"], ["contact.email"]))

    assert "attributes" not in page.page.form("decision").fields


@pytest.mark.parametrize("change", [lambda text: "A" + text[1:], lambda _text: "~"])
def test_a_cookie_that_the_server_did_not_write_ticks_nothing(hers, ask, change):
    """CUX-9: its tag is bound to the sign-in session."""
    url = ask(["profile.given_name"], ["contact.email"])
    check(hers, hers.get(url), attributes="contact.email")
    name = next(each for each in hers.http.cookies if each.endswith("pds_c"))
    kept = hers.http.cookies[name]
    for cookie in hers.http.cookies.jar:
        if cookie.name == name:
            cookie.value = change(kept)
    page = hers.get(url)

    assert "attributes" not in page.page.form("decision").fields


def test_sensitive_data_is_shared_only_after_the_passphrase(hers, ask):
    """CUX-22, TAK-50, SEC-S20"""
    page = hers.get(ask(["health.conditions"]))
    without = hers.submit(page, "decision", decision="allow", **SENSITIVE)
    wrong = hers.submit(without, "passphrase", passphrase="not hers at all")
    right = hers.submit(wrong, "passphrase", passphrase=PASSPHRASE)

    assert (without.status, wrong.status) == (422, 422)
    assert "Give your passphrase, or a passkey" in without.text
    assert "The passphrase is not right" in wrong.text
    assert right.location.startswith(f"{CALLBACK}?")


def test_another_persons_passphrase_shares_nothing(world, hers, ask):
    """CUX-22: knowing some account is not being this one."""
    world.person("mallory")
    page = hers.get(ask(["health.conditions"]))
    shown = hers.submit(page, "decision", decision="check", **SENSITIVE)
    answer = hers.submit(shown, "passphrase", login="mallory", passphrase="x" * 24)

    assert answer.status == 422
    assert NOBODY in hers.get("/connections").text


def test_guesses_of_the_passphrase_are_counted(hers, ask):
    """CUX-22, SEC-S10"""
    page = hers.get(ask(["health.conditions"]))
    shown = hers.submit(page, "decision", decision="check", **SENSITIVE)
    statuses = [
        hers.submit(shown, "passphrase", passphrase=f"a guess, number {number}").status
        for number in range(12)
    ]

    assert statuses[0] == 422
    assert statuses[-1] == 429


def test_ticked_sensitive_items_ask_too_and_unticked_ones_do_not(hers, ask):
    """CUX-22"""
    page = hers.get(ask(["profile.given_name"], ["health.conditions"]))
    ticked = hers.submit(
        page, "decision", decision="allow", attributes="health.conditions", **SENSITIVE
    )
    plain = hers.submit(page, "decision", decision="allow", duration="P30D")

    assert ticked.status == 422
    assert plain.location.startswith(f"{CALLBACK}?")


def test_refusing_needs_no_passphrase_even_from_the_last_step(hers, ask):
    """CUX-15, CUX-36"""
    page = hers.get(ask(["health.conditions"]))
    shown = hers.submit(page, "decision", decision="check", **SENSITIVE)

    done = hers.submit(shown, "decision", decision="refuse")
    assert "error=access_denied" in done.location


def test_a_missing_item_is_filled_in_on_the_way_and_nothing_is_lost(hers, ask):
    """CUX-8"""
    url = ask(["profile.given_name"], ["contact.phone", "addresses.locality"])
    page = hers.get(url)
    led = hers.submit(
        page, "fill", fill="contact.phone", attributes="addresses.locality", duration="P7D"
    )
    form = hers.get(led.location)
    saved = hers.submit(form, "phone", phone="+994501234567")
    back = hers.get(saved.location)
    fields = back.page.form("decision").fields

    assert led.location.startswith("/vault/contact/new?next=%2Foauth%2Fauthorize")
    assert led.location.endswith("#phone")
    assert saved.location == url
    assert (fields["attributes"], fields["duration"]) == (["addresses.locality"], ["P7D"])
    assert re.search(r"\+994 \S+ \*|\*\* 67|\*67", back.text)


def test_a_record_that_stands_is_filled_in_rather_than_made_again(hers, ask):
    """CUX-8"""
    led = hers.submit(hers.get(ask(["profile.family_name"])), "fill", fill="profile.family_name")

    assert re.match(r"/vault/profile/[0-9a-f-]{36}\?next=", led.location)


@pytest.mark.parametrize("name", ["identity.document_number", "nothing", "contact"])
def test_only_what_is_asked_for_can_be_filled_in(hers, ask, name):
    page = hers.get(ask(["profile.given_name", "contact.phone"]))

    assert hers.submit(page, "fill", fill=name).status == 404


def test_the_vaults_form_leads_to_no_other_site(hers):
    page = hers.get("/vault/contact/new?next=https://evil.example/")
    saved = hers.submit(page, "phone", phone="+994501234567")

    assert saved.location == "/vault/contact"
