"""Every page, in both languages, on a phone and a desk, in light and dark (UI-18 to UI-23).

axe-core finds no violation of WCAG 2.2 AA nor of its best practices, no text leaves its box at 320
pixels either, nothing that can be pressed is smaller than 24 pixels, and no page weighs more than
200 KiB with all that it loads.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from tests.browser import pages
from tests.browser.conftest import sign_in
from tests.support.auditing import engaged, integrate
from tests.support.oauth_client import new_key
from tests.support.world import PASSPHRASE

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Nothing but what is wrong: axe would also tell the way to each of the many things that are right.
VIOLATIONS = """
async (tags) => {
  const only = {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]};
  const found = await axe.run(document, only);
  const told = (node) => node.target.join(" ") + " " + node.failureSummary;
  return found.violations.map((one) => one.id + ": " + one.nodes.map(told).join("; "));
}
"""
# Text that leaves its box, at any width; what scrolls by itself (a table, code) is meant to.
OVERFLOWING = """
() => {
  const root = document.documentElement;
  const scrolls = (each) => each && (/auto|scroll|hidden/.test(getComputedStyle(each).overflowX)
    || scrolls(each.parentElement));
  return [...document.querySelectorAll("main *, header *, footer *")]
    .filter((each) => each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1)
    .filter((each) => each.checkVisibility() && !each.closest(".sr-only, svg, input"))
    .filter((each) => !scrolls(each))
    .map((each) => "text leaves " + each.outerHTML.slice(0, 120))
    .concat(root.scrollWidth > root.clientWidth ? ["wider than the window"] : []);
}
"""
# In bytes as a browser stores them, the page itself included.
WEIGHT = """
() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
  .reduce((sum, each) => sum + each.decodedBodySize, 0)
"""
COLOURS_AND_LANGUAGE = """
() => [matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
  document.documentElement.lang]
"""
# Links in running text are excepted (WCAG 2.5.8), what is hidden from sight has no size.
SMALL_TARGETS = """
() => [...document.querySelectorAll("button, [role=button], nav a, select, input")]
  .filter((each) => each.checkVisibility() && !each.closest(".sr-only") && each.type !== "hidden")
  .filter((each) => {
    const target = each.closest("label") ?? each;
    const box = target.getBoundingClientRect();
    return box.width < 24 || box.height < 24;
  })
  .map((each) => each.outerHTML.slice(0, 120))
"""
# Two opposite ones find nearly all; `make a11y` looks at every one.
OPPOSITES = [(360, "light", "az"), (1280, "dark", "en")]
VIEWS = (
    list(itertools.product((360, 1280), ("light", "dark"), ("az", "en")))
    if os.environ.get("PDS_EVERY_VIEW")
    else OPPOSITES
)
each_view = pytest.mark.parametrize(("width", "colours", "language"), VIEWS)
HEIGHT = 800
NARROWEST, WIDE = 320, 1280
WEIGHT_MOST = 200 * 1024
PICTURES = os.environ.get("PDS_PICTURES")
"""Folder to which a picture of each page is written; `make screenshots` sets it."""


def look(page, problems, name, path=None):
    """Check the page that is open, or the one at `path`."""
    if path is not None:
        page.goto(path)
    where = path or page.url
    problems += [f"{where}: {found}" for found in page.evaluate(VIOLATIONS, RULES)]
    problems += [f"{where}: too small: {found}" for found in page.evaluate(SMALL_TARGETS)]
    if (weight := page.evaluate(WEIGHT)) > WEIGHT_MOST:
        problems.append(f"{where}: {weight} bytes")
    if PICTURES:
        view = name, page.viewport_size["width"], *page.evaluate(COLOURS_AND_LANGUAGE)
        page.screenshot(path=f"{PICTURES}/{'-'.join(map(str, view))}.png", full_page=True)
    problems += [f"{where}: {found}" for found in page.evaluate(OVERFLOWING)]
    if (width := page.viewport_size["width"]) < WIDE:
        page.set_viewport_size({"width": NARROWEST, "height": HEIGHT})
        problems += [f"{where}, {NARROWEST}: {found}" for found in page.evaluate(OVERFLOWING)]
        page.set_viewport_size({"width": width, "height": HEIGHT})


def look_at_each(page, problems, language, listed):
    """Check pages by endpoint; each shows itself in the language that is set."""
    for endpoint, paths in listed.items():
        for number, path in enumerate(paths, start=1):
            look(page, problems, f"{endpoint}-{number}", path)
            assert page.locator("html").get_attribute("lang") == language


@pytest.fixture
def page(open_page, language, colours, width):
    """Open a window in which every page comes with axe."""
    page = open_page(
        viewport={"width": width, "height": HEIGHT}, color_scheme=colours, locale=language
    )
    page.add_init_script(AXE)
    return page


@each_view
def test_every_page_is_accessible(served, page, language, colours, width):
    """UI-18, UI-20, UI-23, CUX-15"""
    problems = []
    look_at_each(page, problems, language, pages.PUBLIC)
    page.goto("/sign-up/passphrase")
    page.fill("#login", f"new {width} {colours} {language}")
    page.click("main form button")
    look(page, problems, "signing_up.sign_up")
    page.check("input[name=written]")
    page.click("main form button:not([type])")
    look(page, problems, "recovery_codes.written")
    page.goto("/welcome")
    page.click('form[action="/sign-out"] button')
    look(page, problems, "invitations.show-signed-out", served.invite()["url"])
    look(page, problems, "limited.link-good", served.limited_link())
    page.click("main form[method=post] button")
    look_at_each(page, problems, language, pages.limited(served))
    sign_in(page)
    if page.locator("html").get_attribute("lang") != language:
        page.click(f"button[name=locale][value={language}]")
    look_at_each(page, problems, language, pages.own(served))
    page.goto("/vault/contact/new")
    page.click("main form[method=post] button")
    look(page, problems, "vault.new-refused")
    page.goto(served.ask(served.sensitive))
    page.check('input[name=duration][value="P30D"]')
    page.check("#confirm_sensitive")
    page.click('button[value="check"]')
    page.wait_for_selector("#passphrase")
    look(page, problems, "authorize.check")
    page.goto("/settings/apps")
    page.fill("#label", f"{width} {colours} {language}")
    page.fill("#key", new_key("Ed25519").as_pem(private=False).decode())
    page.check('input[name=collections][value="contact"]')
    page.fill("#passphrase", PASSPHRASE)
    page.click('form[action="/settings/apps"] button')
    page.wait_for_selector("#app-token")
    look(page, problems, "personal_apps.add")
    page.goto("/settings/second-step")
    page.fill("#passphrase", PASSPHRASE)
    page.click("main form[method=post] button")
    look(page, problems, "second_step.begin")
    page.click('form[action="/lock"] button')
    look_at_each(page, problems, language, pages.LOCKED)

    assert not problems, "\n".join(problems)


@each_view
def test_the_auditors_desk_is_accessible(served, page, language):
    """UI-18, UI-23"""
    auditor, problems = engaged(served.world), []
    integrate(served.world)
    page.goto("/auditor")
    page.fill("#access", auditor.access)
    page.click("main form button")
    look_at_each(page, problems, language, pages.desk(served, auditor))

    assert not problems, "\n".join(problems)


def test_no_page_is_forgotten(served):
    """UI-18"""
    shown = {
        rule.endpoint.removeprefix("web.")
        for rule in served.world.app.url_map.iter_rules()
        if rule.endpoint.startswith("web.") and "GET" in rule.methods
    }
    integrate(served.world)
    listed = pages.PUBLIC | pages.limited(served) | pages.own(served) | pages.LOCKED
    listed |= pages.desk(served, engaged(served.world))

    assert shown - listed.keys() == pages.FILES | pages.ELSEWHERE
    assert listed.keys() - shown == {"nowhere"}


def test_a_mistake_takes_the_reader_to_the_summary_and_on_to_the_field(open_page):
    """UI-19"""
    page = open_page(locale="en")
    page.goto("/sign-up/passphrase")
    page.fill("#login", "somebody new")
    page.fill("#passphrase", "too short")
    page.click("main form button")

    assert page.evaluate("document.activeElement.id") == "error-summary"
    page.click("#error-summary a")
    assert page.evaluate("document.activeElement.id") == "passphrase"


def test_the_keyboard_reaches_the_content_first(open_page):
    """UI-20"""
    page = open_page(locale="en")
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_receipt_prints_on_one_page(open_page):
    """UI-22"""
    page = open_page(locale="en")
    sign_in(page)
    page.goto("/receipts")
    page.goto(page.get_attribute('main a[href^="/receipts/"]', "href"))
    page.emulate_media(media="print")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")

    ink = "getComputedStyle(document.querySelector('h1')).color"
    assert page.evaluate(ink) == "rgb(18, 32, 30)"
    assert not page.locator("header.bar").is_visible()
    assert page.locator("main").locator("button, [role=button]").all_inner_texts() != []
    assert not any(each.is_visible() for each in page.locator("main [role=button]").all())
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
