"""The consent page, from the client's link to the decision (CUX-1 to CUX-23, P-25, P-27, P-28)."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from consent.models import Organisation
from pds.catalogue import CATALOGUE
from tests.support.oauth_client import Callback, pkce_pair
from tests.support.world import CALLBACK, PASSPHRASE

pytestmark = pytest.mark.usefixtures("filled")

REQUIRED = ("profile.given_name", "contact.email")
OPTIONAL = ("contact.phone", "addresses.locality")


@pytest.fixture
def market(world):
    """Give an organisation."""
    return world.organisation("Xəzər Market")


@pytest.fixture
def ask(world, market):
    """Let the organisation ask for something; gives the link that it sends people to."""

    def asks(*, required=REQUIRED, optional=OPTIONAL, push=None, duration="P90D", **members):
        template = market.publish(required=required, optional=optional, **members)
        details = market.details(template, duration=duration)
        answer = push(details) if push else world.push(market, details)
        url = market.client.authorization_url(answer[0])
        return url.removeprefix(world.issuer)

    return asks


@pytest.fixture
def filled(aysel):
    """Give Aysel some data; no phone and no address."""
    aysel.save("profile", given_name="Aysel")
    aysel.save("contact", email="aysel@poct.example")
    return aysel


def decide(browser, page, decision="allow", **values):
    """Send the consent form."""
    values = {"duration": "P30D"} | values
    return browser.submit(page, "decision", decision=decision, **values)


def rename(world, organisation, name):
    """Change an organisation's name, as its operator may."""

    def job(session):
        session.execute(
            update(Organisation)
            .where(Organisation.id == organisation.id)
            .values(name_az=name, name_en=name)
        )

    world.services.uow.write(job)


def test_the_way_leads_through_sign_in_to_the_request_and_back(filled, browser, ask):
    url = ask()
    signed_out = browser.get(url)
    form = browser.get(signed_out.location)
    done = browser.submit(form, "passphrase", login=filled.login, passphrase=PASSPHRASE)

    assert signed_out.location.startswith("/sign-in?next=%2Foauth%2Fauthorize")
    assert done.location == url
    assert "Xəzər Market asks to read some of your data" in browser.get(done.location).text


def test_a_locked_vault_is_unlocked_first(hers, ask):
    hers.lock()

    assert hers.get(ask()).location.startswith("/unlock?next=%2Foauth%2Fauthorize")


def test_no_optional_item_is_ticked_and_no_duration_chosen(hers, ask):
    """CUX-9, CUX-11"""
    page = hers.get(ask())
    form = page.page.form("decision")

    assert form.checkboxes["attributes"] == ["contact.phone", "addresses.locality"]
    assert form.ticked == 0
    assert "duration" not in form.fields
    assert page.text.count('name="duration"') == 4


def test_a_link_cannot_tick_anything(hers, ask):
    """CUX-9"""
    page = hers.get(f"{ask()}&attributes=contact.phone&duration=P90D")

    assert " checked" not in page.text


def test_both_answers_are_the_same_kind_of_button_in_one_row(hers, ask):
    """CUX-15"""
    row = hers.get(ask()).text.partition('<div class="decide-row">')[2].partition("</div>")[0]
    buttons = re.findall(r"<button ([^>]*)>", row)

    assert len(buttons) == 2
    assert all("class" not in button and "style" not in button for button in buttons)


def test_the_page_says_all_that_it_must(hers, ask):
    """CUX-2, CUX-3, CUX-7, CUX-10 to CUX-14, CUX-17, CUX-18, CUX-19"""
    page = hers.get(ask()).text

    for words in (
        "We want your contact details so that we can keep your card.",  # purpose
        "privacy@xezer.example",  # contact
        "approved by this store's operator",
        "a***@poct.example",  # example
        "Needed.",  # reason
        "At most 100 times a day",
        "Deleted within 30 days.",
        "<dd>Azerbaijan</dd>",  # where it is kept; no code (CUX-29)
        "You get no card.",
        "Write to us.",
        "client.example",  # where it leads
        "never sees your passphrase",
    ):
        assert words in page
    assert "aysel@poct.example" not in page.replace("a***@poct.example", "")


def test_the_page_says_how_far_back_the_data_goes(hers, ask):
    """CUX-13"""
    url = ask(
        required=["transactions.amount"], optional=(), data_from={"transactions": "2026-01-01"}
    )

    assert "since 1 January 2026" in hers.get(url).text


def test_the_page_names_who_asks_and_everything_that_is_asked_for_fapi_a13(hers, ask):
    """Who it is by the name that the operator approved, not by one that the request brings."""
    page = hers.get(f"{ask()}&client_name=Mallory").text
    labels = [CATALOGUE.attribute(name).label.text("en") for name in REQUIRED + OPTIONAL]

    assert "Xəzər Market" in page
    assert "Mallory" not in page
    for label in labels:
        assert label in page


def test_an_item_that_is_not_filled_in_says_so_and_where_to_add_it(hers, ask):
    """CUX-8"""
    page = hers.get(ask()).text

    assert page.count("not in your vault yet") == 2
    assert 'name="fill" value="addresses.locality"' in page


def test_allowing_a_part_gives_that_part(hers, ask):
    """P-27"""
    done = decide(hers, hers.get(ask()), attributes="contact.phone")

    assert done.status == 303
    assert done.location.startswith(f"{CALLBACK}?")
    assert {"code", "state", "iss"} <= set(Callback.of(done.location).parameters)
    page = hers.get("/connections").text
    agreement = re.search(r'href="/connections/([0-9a-f-]{36})"', page)[1]
    agreed, _, denied = hers.get(f"/connections/{agreement}").text.partition("Not shared")
    assert "Phone" in agreed
    assert "City" in denied


def test_refusing_is_recorded_and_told_to_the_client(hers, ask):
    """CUX-23"""
    done = decide(hers, hers.get(ask()), "refuse", duration="")

    assert Callback.of(done.location)["error"] == "access_denied"
    history = hers.get("/connections/history").text
    assert "Refused by you" in history
    assert 'href="/receipts/' in history


def test_refusing_needs_no_unlocked_vault(hers, ask, clock):
    page = hers.get(ask())
    clock.move(minutes=9)
    hers.lock()

    assert "error=access_denied" in decide(hers, page, "refuse").location


def test_allowing_needs_an_unlocked_vault_and_keeps_what_was_ticked(hers, ask):
    page = hers.get(ask())
    hers.lock()
    answer = decide(hers, page, attributes="contact.phone")

    assert answer.status == 403
    assert "contact.phone" in answer.text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"duration": ""}, "This was not offered"),
        ({"duration": "P365D"}, "This was not offered"),
        ({"attributes": "health.conditions"}, "This was not offered"),
    ],
    ids=["no duration", "longer than asked", "more than asked"],
)
def test_a_choice_outside_the_offer_is_refused_and_nothing_is_decided(hers, ask, values, words):
    """P-27, CUX-11"""
    answer = decide(hers, hers.get(ask()), **values)

    assert answer.status == 422
    assert words in answer.text
    assert "Nobody reads from your vault" in hers.get("/connections").text


def test_what_was_ticked_is_still_ticked_after_a_mistake(hers, ask):
    """CUX-21"""
    answer = decide(hers, hers.get(ask()), attributes="contact.phone", duration="")

    assert answer.page.form("decision").fields["attributes"] == ["contact.phone"]


def test_a_form_without_a_decision_decides_nothing(hers, ask):
    page = hers.get(ask())
    answer = hers.submit(page, "decision", duration="P30D")

    assert answer.status == 422
    assert "Nobody reads from your vault" in hers.get("/connections").text


def test_sensitive_items_take_a_second_tick(hers, ask):
    """CUX-22"""
    page = hers.get(ask(required=["health.conditions"], optional=()))
    without = decide(hers, page, passphrase=PASSPHRASE)
    with_it = decide(hers, page, confirm_sensitive="yes", passphrase=PASSPHRASE)

    assert without.status == 422
    assert "Tick the box about sensitive data" in without.text
    assert with_it.location.startswith(CALLBACK)


def test_a_sensitive_item_left_out_needs_no_second_tick(hers, ask):
    """CUX-22"""
    url = ask(required=["profile.given_name"], optional=["health.conditions"])
    page = hers.get(url)
    ticked = decide(hers, page, attributes="health.conditions")
    left_out = decide(hers, page)

    assert ticked.status == 422
    assert left_out.location.startswith(CALLBACK)


def test_a_notice_that_changed_is_shown_again_with_the_change_marked(world, hers, ask, market):
    """P-28"""
    page = hers.get(ask())
    rename(world, market, "Xəzər Holding")
    answer = decide(hers, page, attributes="contact.phone")

    assert answer.status == 409
    assert "The request has changed since you saw it" in answer.text
    who = answer.text.partition('id="who"')[2].partition("</h2>")[0]
    what = answer.text.partition('id="what"')[2].partition("</h2>")[0]
    assert 'class="changed"' in who
    assert 'class="changed"' not in what
    assert answer.page.form("decision").fields["attributes"] == ["contact.phone"]
    assert "Nobody reads from your vault" in hers.get("/connections").text
    assert decide(hers, answer).location.startswith(CALLBACK)


@pytest.mark.parametrize("sha256", ["", "0" * 64, "no hash"])
def test_a_hash_of_something_else_decides_nothing(hers, ask, sha256):
    """P-28"""
    answer = decide(hers, hers.get(ask()), notice_sha256=sha256)

    assert answer.status == 409
    assert "Nobody reads from your vault" in hers.get("/connections").text


def test_a_switch_of_language_shows_the_request_in_it(hers, ask):
    """UI-17"""
    url = ask()
    page = hers.get(url)
    switched = hers.submit(page, "locale", locale="az")
    page = hers.get(switched.location)

    assert switched.location == url
    assert "məlumatlarınızın bir hissəsini oxumaq istəyir" in page.text
    assert decide(hers, page).location.startswith(CALLBACK)


def test_a_clients_wish_for_a_language_is_heard(hers, ask, market):
    """UI-17"""

    def push(details):
        verifier, challenge = pkce_pair()
        answer = market.client.push(challenge, details=details, ui_locales="az")
        return answer.json()["request_uri"], verifier

    assert '<html lang="az">' in hers.get(ask(push=push)).text


def test_only_the_consent_page_lets_its_form_lead_to_the_client(hers, ask):
    """UI-6"""
    consent = hers.get(ask()).response.headers["Content-Security-Policy"]
    other = hers.get("/vault").response.headers["Content-Security-Policy"]

    assert "form-action 'self' https://client.example;" in consent
    assert "form-action 'self';" in other


def test_a_request_is_decided_once(hers, ask):
    url = ask()
    page = hers.get(url)
    decide(hers, page)

    for again in (hers.get(url), decide(hers, page)):
        assert again.status in {400, 409}
        assert "location" not in again.response.headers


def test_a_request_belongs_to_the_session_that_opened_it_first(world, hers, ask, new_browser):
    """THR-7"""
    url = ask()
    page = hers.get(url)
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    stolen = page.page.form("decision").fields | {"csrf": [mallory.token()]}

    shown = mallory.get(url)
    posted = mallory.post("/oauth/authorize", stolen | {"decision": "allow", "duration": "P30D"})

    for answer in (shown, posted):
        assert answer.status == 400
        assert "opened elsewhere" in answer.text
    assert "Nobody reads from your vault" in mallory.get("/connections").text


@pytest.mark.parametrize(
    "query",
    ["", "?client_id=x", "?request_uri=urn:ietf:params:oauth:request_uri:none&client_id=x"],
)
def test_an_invalid_request_is_a_page_and_never_a_redirect(hers, query):
    """THR-6"""
    answer = hers.get(f"/oauth/authorize{query}")

    assert answer.status == 400
    assert "This request is not valid" in answer.text
    assert answer.location == ""


def test_an_expired_request_says_where_to_begin_again(hers, ask, clock):
    url = ask()
    clock.move(minutes=11)

    assert "Begin again on the organisation's page" in hers.get(url).text


def test_a_refused_request_rests_until_the_person_wants_to_see_it(hers, world, market):
    """CUX-16"""
    template = market.publish(required=REQUIRED, optional=OPTIONAL)

    def asks():
        uri, _ = world.push(market, market.details(template))
        return market.client.authorization_url(uri).removeprefix(world.issuer)

    decide(hers, hers.get(asks()), "refuse")
    resting = hers.get(asks())
    anyway = re.search(r'href="([^"]+anyway=yes)"', resting.text)[1].replace("&amp;", "&")

    assert "You refused this lately" in resting.text
    assert 'name="decision"' not in resting.text
    assert 'value="check"' in hers.get(anyway).text


def test_what_an_organisation_writes_is_text_and_never_markup(hers, ask):
    evil = "<script>alert(1)</script>"
    page = hers.get(ask(purpose_text={"az": evil, "en": evil}))

    assert evil not in page.text
    assert "&lt;script&gt;" in page.text
