"""What the pages' headers forbid does not happen in a real browser; without them it would.

Clickjacking and injected scripts (BCP-B18, THR-5, SEC-S46): each has its control.
"""

from __future__ import annotations

import pytest

GUARDS = {"content-security-policy", "x-frame-options"}
FRAMED = "<body><iframe src='{url}' width='600' height='600'></iframe></body>"
INJECTED = (
    "<img src='/nothing' onerror='window.ran = true'><script>window.ran = true</script>"
    "<script src='http://127.0.0.1:9/steal.js'></script></body>"
)


@pytest.fixture
def window(chromium, served):
    """A window of Chromium that may complain: that is what is expected here."""
    context = chromium.new_context(base_url=served.url)
    yield context.new_page()
    context.close()


def serve(page, path, *, guarded, change=lambda body: body):
    """Answer `path` as the server does, with a changed body, and its guards or without them."""

    def answer(route):
        response = route.fetch()
        headers = {
            name: value
            for name, value in response.headers.items()
            if guarded or name.lower() not in GUARDS
        }
        route.fulfill(status=response.status, headers=headers, body=change(response.text()))

    page.route(f"**{path}", answer)


@pytest.mark.parametrize(("guarded", "shown"), [(True, 0), (False, 1)])
def test_a_page_is_not_shown_in_another_sites_frame(window, served, guarded, shown):
    serve(window, "/sign-in", guarded=guarded)

    window.set_content(FRAMED.format(url=f"{served.url}/sign-in"))
    window.wait_for_timeout(500)

    assert window.frames[1].locator("#login").count() == shown


def test_the_consent_page_is_not_shown_in_another_sites_frame(window, served):
    window.set_content(FRAMED.format(url=served.ask()))
    window.wait_for_timeout(500)

    assert window.frames[1].locator("form").count() == 0


@pytest.mark.parametrize(("guarded", "ran"), [(True, None), (False, True)])
def test_a_script_that_was_injected_does_not_run(window, guarded, ran):
    serve(
        window,
        "/sign-in",
        guarded=guarded,
        change=lambda body: body.replace("</body>", INJECTED),
    )

    window.goto("/sign-in")

    assert window.evaluate("window.ran ?? null") == ran
