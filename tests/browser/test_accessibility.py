"""Every page, in both languages, on a phone and a desk, in light and dark (UI-18 to UI-23).

axe-core finds no violation of WCAG 2.2 AA nor of its best practices, nothing is wider than the
window, and nothing that can be pressed is smaller than 24 pixels.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from tests.browser.conftest import sign_in
from tests.support.auditing import engaged, integrate
from tests.support.world import PASSPHRASE

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """
async (tags) => {
  const found = await axe.run(document, {runOnly: {type: "tag", values: tags}});
  const told = (node) => node.target.join(" ") + " " + node.failureSummary;
  return found.violations.map((one) => one.id + ": " + one.nodes.map(told).join("; "));
}
"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
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
PUBLIC = [
    "/",
    "/sign-up",
    "/sign-in",
    "/recover",
    "/lost-passphrase",
    "/lost-passphrase/asked",
    "/limited/link/nothing",
    "/vault-deletion",
    "/vault-deletion/done",
    "/help",
    "/organisation",
    "/auditor",
    "/docs",
    "/docs/errors",
    "/docs/errors/consent-withdrawn",
    "/nowhere",
    "/oauth/authorize",
    "/invitation/nothing",
]


def pages_of(served):
    """Return the pages of someone who is signed in and has unlocked."""
    held = served.invite()
    served.world.go_on(served.aysel, held)
    return [
        "/",
        "/vault",
        "/vault?q=aysel",
        "/vault?q=nothing-like-it",
        "/vault/contact",
        "/vault/bookmarks",
        "/vault/products/new",
        "/vault/address_book/new",
        "/vault/preferences/new",
        f"/vault/contact/{served.record}",
        f"/vault/contact/{served.record}/delete",
        "/imports",
        f"/imports/{served.import_id}",
        f"/imports/{served.staged_id}",
        f"/imports/{served.table_id}",
        "/connections",
        "/connections?q=nothing-like-it",
        "/connections/history",
        "/connections/then",
        "/connections/stop-all",
        f"/connections/{served.agreement}",
        f"/connections/{served.agreement}/narrow",
        f"/connections/{served.agreement}/stop",
        f"/connections/{served.stopped}",
        f"/connections/{served.paused}",
        f"/connections/{served.paused}/resume",
        "/receipts",
        f"/notices/{served.notice}",
        "/activity",
        "/settings",
        "/settings/letters",
        "/vault-deletion",
        "/settings/sessions",
        "/settings/second-step",
        "/settings/passkeys",
        served.ask(),
        served.ask(served.sensitive),
        served.invite()["url"],
        held["url"],
        served.ask(invitation=held["id"]),
    ]


def look(page, problems, path=None):
    """Check the page that is open, or the one at `path`."""
    if path is not None:
        page.goto(path)
    page.evaluate(AXE)
    where = path or page.url
    problems += [f"{where}: {found}" for found in page.evaluate(CHECK, RULES)]
    problems += [f"{where}: too small: {found}" for found in page.evaluate(SMALL_TARGETS)]
    if page.evaluate(TOO_WIDE) > 0:
        problems.append(f"{where}: wider than the window")


@each_view
def test_every_page_is_accessible(served, open_page, language, colours, width):
    """UI-18, UI-20, UI-23, CUX-15"""
    page = open_page(
        viewport={"width": width, "height": 800}, color_scheme=colours, locale=language
    )
    problems = []
    for path in (*PUBLIC, served.invite()["url"]):
        look(page, problems, path)
    look(page, problems, served.limited_link())
    page.click("main form[method=post] button")
    for path in (
        "/limited",
        f"/limited/{served.agreement}/stop",
        "/limited/stop-all",
        "/limited/delete",
    ):
        look(page, problems, path)
    sign_in(page)
    if page.locator("html").get_attribute("lang") != language:
        page.click(f"button[name=locale][value={language}]")
    for path in pages_of(served):
        look(page, problems, path)
        assert page.locator("html").get_attribute("lang") == language
    page.goto("/receipts")
    look(page, problems, page.get_attribute('main a[href^="/receipts/"]', "href"))
    page.goto("/vault/contact/new")
    page.click("main form[method=post] button")
    look(page, problems)
    page.goto(served.ask(served.sensitive))
    page.check('input[name=duration][value="P30D"]')
    page.check("#confirm_sensitive")
    page.click('button[value="check"]')
    page.wait_for_selector("#passphrase")
    look(page, problems)
    page.goto("/settings/second-step")
    page.fill("#passphrase", PASSPHRASE)
    page.click("main form[method=post] button")
    look(page, problems)
    page.click('form[action="/lock"] button')
    for path in ("/", "/unlock", "/connections", "/activity"):
        look(page, problems, path)

    assert not problems, "\n".join(problems)


@each_view
def test_the_auditors_desk_is_accessible(served, open_page, language, colours, width):
    """UI-18, UI-23"""
    page = open_page(
        viewport={"width": width, "height": 800}, color_scheme=colours, locale=language
    )
    auditor, problems = engaged(served.world), []
    integrate(served.world)
    page.goto("/auditor")
    page.fill("#access", auditor.access)
    page.click("main form button")
    desk = f"/auditor/engagements/{auditor.engagement_id}"
    for path in (
        "/auditor/engagements",
        desk,
        f"{desk}/events",
        f"{desk}/events?event=nothing.like-it",
        f"{desk}/agreements/{served.agreement}",
        f"{desk}/checks",
        f"{desk}/alerts",
        f"{desk}/figures",
        f"{desk}/packs",
        f"{desk}/samples",
    ):
        look(page, problems, path)
        assert page.locator("html").get_attribute("lang") == language

    assert not problems, "\n".join(problems)


def test_a_mistake_takes_the_reader_to_the_summary_and_on_to_the_field(open_page):
    """UI-19"""
    page = open_page(locale="en")
    page.goto("/sign-up")
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

    assert not page.locator("header.bar").is_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1
