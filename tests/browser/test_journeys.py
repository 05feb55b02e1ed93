"""What only a browser can tell: policies, scripts, clicks (UI-4 to UI-6, CUX-35, CUX-39)."""

from __future__ import annotations

from playwright.sync_api import Error as PlaywrightError

from api import security
from tests.browser.conftest import sign_in
from tests.support.life import CARDS
from tests.support.world import PASSPHRASE

ELSEWHERE = "https://client.example/**"


def stand_in_for_the_client(page):
    """Answer for the client's address; returns what was asked of it."""
    asked = []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(status=200, content_type="text/html", body="<title>Client</title>Back")

    page.route(ELSEWHERE, answer)
    return asked


def decide(page, served, decision):
    """Open a request and press a button; before it is allowed, look at it once more (CUX-21)."""
    page.goto(served.ask())
    page.click('.pills label:has-text("30")')
    if decision == "allow":
        page.click('button[name=decision][value="check"]')
    page.click(f'button[value="{decision}"], form.consent .decide-row button:not([name])')


def test_allowing_leads_back_to_the_client(served, open_page):
    """UI-6: Chromium holds the redirect after a form against the page's policy."""
    page = open_page(locale="en")
    asked = stand_in_for_the_client(page)
    sign_in(page)
    decide(page, served, "allow")
    page.wait_for_url(ELSEWHERE)

    assert "code=" in asked[0]


def test_back_in_the_browser_loses_no_choice(served, open_page):
    """CUX-21, UI-6: by Back, by "Change", and on to the client from the last step."""
    page = open_page(locale="en")
    asked = stand_in_for_the_client(page)
    sign_in(page)
    page.goto(served.ask())
    page.check('input[value="addresses.locality"]')
    page.click('.pills label:has-text("30")')
    page.click('button[value="check"]')
    page.wait_for_selector("#choices")
    page.go_back()
    assert page.is_checked('input[value="addresses.locality"]')
    assert page.is_checked('input[value="P30D"]')
    page.click('button[value="check"]')
    page.click('button[formaction$="#duration"]')
    assert page.is_checked('input[value="P30D"]')
    page.click('button[value="check"]')
    page.click("form.consent .decide-row button:not([name])")
    page.wait_for_url(ELSEWHERE)

    assert "code=" in asked[0]


def test_refusing_takes_no_other_choice_and_leads_back_to_the_client(served, open_page):
    """UI-6, CUX-15"""
    page = open_page(locale="en")
    asked = stand_in_for_the_client(page)
    sign_in(page)
    page.goto(served.ask(served.market.publish(required=["profile.given_name"])))
    page.click('button[value="refuse"]')
    page.wait_for_url(ELSEWHERE)

    assert "error=access_denied" in asked[0]


def test_going_on_with_an_invitation_leads_to_the_organisations_page(served, open_page):
    """UI-6, TAK-51: its address is a secret, and no other site gets it."""
    page = open_page(locale="en")
    sent = []
    page.on("request", lambda request: sent.append(request))  # noqa: PLW0108 - Playwright takes no builtin
    stand_in_for_the_client(page)
    invited = served.invite()
    page.goto(invited["url"])
    page.click('a:has-text("Sign in and go on")')
    page.fill("#login", "aysel")
    page.fill("#passphrase", PASSPHRASE)
    page.click("main button")
    page.click('button:has-text("Go on")')
    page.wait_for_url(ELSEWHERE)

    assert f"invitation={invited['id']}" in page.url
    outside = [each for each in sent if not each.url.startswith(served.url)]
    assert outside
    assert all("referer" not in each.all_headers() for each in outside)


def test_without_its_exception_the_policy_would_stop_the_way_back(served, chromium, monkeypatch):
    """UI-6, the other way round: the test above fails without `allow_form_redirect`."""
    monkeypatch.setattr(security, "allow_form_redirect", lambda _uri: None)
    context = chromium.new_context(base_url=served.url, locale="en")
    page = context.new_page()
    asked, told = stand_in_for_the_client(page), []
    page.on("console", lambda message: told.append(message.text))
    sign_in(page)
    try:
        decide(page, served, "allow")
        page.wait_for_url(ELSEWHERE, timeout=2_000)
    except PlaywrightError:
        pass
    finally:
        context.close()

    assert asked == []
    assert any("form-action" in text for text in told)


def test_stopping_takes_two_clicks(served, open_page):
    """CUX-35"""
    person = served.world.person("leyla")
    shared = served.world.connect(person, served.market, served.template)
    page = open_page(locale="en")
    sign_in(page, "leyla")
    page.goto("/connections")

    page.click('main a[role=button]:has-text("Stop sharing")')
    page.click('main button:has-text("Stop sharing")')

    assert "Sharing has stopped" in page.text_content("main")
    assert shared.get("/v1/records").status_code == 403


def test_an_import_goes_on_by_itself(open_page):
    """UI-1 to UI-4"""
    page = open_page(locale="en")
    sign_in(page)
    page.goto("/imports")
    page.set_input_files("#file", {"name": "a.vcf", "mimeType": "text/vcard", "buffer": CARDS})
    page.click('main form[action="/imports"] button')
    assert "Nothing is in your vault yet." in page.text_content("main")
    page.click('main form[action$="/advance"] button')
    page.wait_for_selector('label:has-text("Finished")', timeout=60_000)

    assert "600 / 600" in page.text_content("#import")
    assert page.locator("#import").count() == 1


def test_everything_works_without_scripts(served, open_page):
    """UI-1, UI-23"""
    page = open_page(locale="en", java_script_enabled=False)
    sign_in(page)
    page.goto(f"/imports/{served.import_id}")
    while page.locator('button:has-text("Continue")').count():
        page.click('button:has-text("Continue")')

    assert "Finished" in page.text_content("#import")
    assert page.locator("[data-print]:visible").count() == 0


def test_the_vault_warns_before_it_locks_itself(open_page):
    """UI-21"""
    page = open_page(locale="en")
    page.clock.install()
    sign_in(page)

    page.clock.fast_forward("12:00")
    assert not page.locator("#idle-warning").is_visible()
    page.clock.fast_forward("01:30")
    assert page.locator("#idle-warning").is_visible()


def test_colours_follow_the_device_until_they_are_chosen(open_page):
    """UI-21"""
    page = open_page(locale="en", color_scheme="dark")
    page.goto("/help")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(background)
    page.click("button[name=theme]")  # dark for the choice, the same as the device
    assert page.evaluate(background) == dark
    page.click("button[name=theme]")

    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.evaluate(background) != dark
