"""Forms are ours, pages are for whom they are for: checked for every route (SEC-S46, THR-4)."""

from __future__ import annotations

import pytest

from pds.ids import random_uuid
from tests.support.world import PASSPHRASE

PUBLIC = {
    "web.home.show",
    "web.signing_up.before",
    "web.signing_up.form",
    "web.entrance.sign_in_form",
    "web.recovering.form",
    "web.limited.lost",
    "web.limited.asked",
    "web.limited.link",  # whoever holds the link; another leads nowhere
    "web.deletion.show",  # where the letter leads; signed out, it tells the way in
    "web.deletion.done",
    "web.documents.notice",
    "web.help.show",
    "web.help.privacy",
    "web.help.organisation",
    "web.auditor_entrance.show",
    "web.help.errors",
    "web.help.error",
    "web.reference.show",
    "web.invitations.show",  # whoever holds the link; another leads nowhere
    "web.authorize.show",  # sends to the sign-in page itself, once the request is found valid
}
# For whoever used a link of a letter: a sign-in does not open them (P-16).
LIMITED = {
    "web.limited.show",
    "web.limited.stop_form",
    "web.limited.stop_all_form",
    "web.limited.delete_form",
}


def routes(world, method):
    """Return endpoint and path of the pages' routes."""
    found = []
    for rule in world.app.url_map.iter_rules():
        if rule.endpoint.startswith("web.") and method in rule.methods:
            path = rule.rule.replace("<name>", "contact").replace("<code>", "conflict")
            path = path.replace("<sha256>", "0" * 64).replace("<int:number>", "1")
            for argument in rule.arguments - {"name", "code", "sha256", "number"}:
                path = path.replace(f"<uuid:{argument}>", str(random_uuid()))
            found.append((rule.endpoint, path))
    assert len(found) > 10
    return found


def test_every_page_that_is_not_public_asks_for_a_sign_in(world, browser):
    for endpoint, path in routes(world, "GET"):
        answer = browser.get(path)
        if endpoint in PUBLIC:
            assert answer.status in {200, 400, 404}, path
        elif endpoint in LIMITED:
            assert (answer.status, answer.location) == (303, "/lost-passphrase"), path
        else:
            assert answer.status == 303, path
            entrance = "/auditor" if endpoint.startswith("web.auditor") else "/sign-in"
            assert answer.location.startswith(f"{entrance}?next=%2F"), path


def test_every_form_without_its_token_is_refused(world, hers):
    for _, path in routes(world, "POST"):
        assert hers.post(path, {}).status == 400, path
        assert hers.post(path, {"csrf": "ş"}).status == 400, path


def test_every_form_is_refused_to_visitors_without_a_form_cookie(world, browser):
    for _, path in routes(world, "POST"):
        assert browser.post(path, {"csrf": "0" * 64}).status == 400, path


def test_a_form_of_another_session_is_refused(world, hers, new_browser):
    world.person("mallory")
    other = new_browser()
    other.sign_in("mallory")

    assert hers.post("/lock", {"csrf": other.token()}).status == 400
    assert hers.get("/vault").status == 200


def test_a_form_made_before_sign_in_is_refused_after_it(aysel, browser):
    token = browser.token()
    browser.sign_in(aysel.login)

    assert browser.post("/lock", {"csrf": token}).status == 400


def test_a_form_cookie_that_names_a_session_gets_no_token_of_it(aysel, hers, new_browser):
    session = aysel.world.services.sessions.resolve(aysel.signed_in, None).sign_in
    other = new_browser()
    other.http.cookies.set("pds_f", session.hex + "-" * 11)

    assert other.token() != hers.token()


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_another_site_is_refused_even_with_the_token(hers, origin):
    """P-46"""
    answer = hers.post(
        "/vault/contact/new",
        {"csrf": hers.token(), "email": "planted@evil.example"},
        origin=origin,
    )

    assert answer.status == 400
    assert "planted@evil.example" not in answer.text
    assert "planted@evil.example" not in hers.get("/vault/contact").text


def test_a_stale_form_keeps_what_was_typed_but_no_secret(hers):
    """CUX-21"""
    answer = hers.post(
        "/vault/contact/new",
        {
            "csrf": "0" * 64,
            "email": "typed@poct.example",
            "passphrase": PASSPHRASE,
            "access": "pds_ad.secret",
            "group-3": "R3SZ",
            "key": "a private one",
        },
    )

    assert answer.status == 400
    assert "typed@poct.example" in answer.text
    assert PASSPHRASE not in answer.text
    assert "pds_ad.secret" not in answer.text
    assert "R3SZ" not in answer.text
    assert "a private one" not in answer.text


def test_a_form_sent_after_the_vault_has_locked_itself_is_kept(hers, clock):
    page = hers.get("/vault/contact/new")
    clock.move(minutes=16)
    answer = hers.submit(page, "email", email="typed@poct.example")

    assert answer.status == 403
    assert "typed@poct.example" in answer.text


def test_an_address_that_leads_nowhere_is_a_page_for_people_and_a_problem_for_programs(browser):
    page = browser.get("/nowhere")
    problem = browser.http.get("/nowhere", headers={"Accept": "application/json"})
    api = browser.get("/v1/nowhere")

    assert (page.status, page.response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert api.response.headers["Content-Type"] == "application/problem+json"


def test_pages_forbid_scripts_and_frames_of_others(browser):
    """UI-5"""
    policy = browser.get("/").response.headers["Content-Security-Policy"]

    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "form-action 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_pages_are_kept_in_no_cache(hers):
    assert hers.get("/vault").response.headers["Cache-Control"] == "no-store"


def test_a_static_file_is_kept_for_a_year_under_its_version_only(browser):
    """UI-11"""
    current = browser.get("/").text.partition("app.css?v=")[2][:16]
    fresh = browser.get(f"/static/app.css?v={current}")
    other = browser.get("/static/app.css?v=0000000000000000")

    assert "immutable" in fresh.response.headers["Cache-Control"]
    assert other.response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../registration.py", "/static/%2e%2e/registration.py"])
def test_no_path_leads_out_of_the_static_folder(browser, path):
    assert browser.get(path).status == 404
