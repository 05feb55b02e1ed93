"""The second step at sign-in, from the pages (SEC-S05, SEC-S46, SEC-S50)."""

from __future__ import annotations

import base64
import re
from functools import partial

import pytest

from pds.app_codes import STEP_SECONDS, code_at
from tests.support.world import PASSPHRASE

PAGE = "/settings/second-step"


def secret_of(answer):
    """Return the secret that a page shows."""
    shown = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', answer.text)[1]
    return base64.b32decode(shown.replace(" ", ""))


def present(world, secret):
    return code_at(secret, int(world.services.clock.now().timestamp()) // STEP_SECONDS)


@pytest.fixture
def secret(world, clock, hers):
    """Turn the second step on in Aysel's browser; returns the secret."""
    begun = hers.submit(hers.get(PAGE), "passphrase", passphrase=PASSPHRASE)
    secret = secret_of(begun)
    done = hers.submit(begun, "code", code=present(world, secret))
    assert done.location == PAGE
    clock.move(seconds=2 * STEP_SECONDS)
    return secret


def sign_in(browser, login, passphrase, code):
    page = browser.get("/sign-in")
    return browser.submit(page, "passphrase", login=login, passphrase=passphrase, code=code)


def test_the_secret_is_shown_once_as_picture_and_text_under_the_strict_policy(hers):
    """SEC-S46: no style attribute; SEC-S54: in no address."""
    wrong = hers.submit(hers.get(PAGE), "passphrase", passphrase="not it at all")
    begun = hers.submit(hers.get(PAGE), "passphrase", passphrase=PASSPHRASE)

    assert (wrong.status, begun.status) == (422, 200)
    assert "<code" not in wrong.text
    picture = begun.text[begun.text.index("<figure") : begun.text.index("</figure>")]
    assert "<svg" in picture
    assert "style=" not in picture
    assert "unsafe-inline" not in begun.response.headers["Content-Security-Policy"]
    assert begun.response.headers["Cache-Control"] == "no-store"
    assert 'id="secret"' not in hers.get(PAGE).text


def test_a_wrong_code_turns_nothing_on(world, aysel, hers, new_browser):
    begun = hers.submit(hers.get(PAGE), "passphrase", passphrase=PASSPHRASE)
    code = f"{(int(present(world, secret_of(begun))) + 1) % 10**6:06d}"
    answer = hers.submit(begun, "code", code=code)

    assert answer.status == 422
    assert 'id="secret"' not in answer.text
    assert new_browser().sign_in(aysel.login).status == 303


def test_a_sign_in_asks_for_the_code(world, aysel, secret, new_browser):
    browser = new_browser()

    assert sign_in(browser, aysel.login, PASSPHRASE, "").status == 422
    assert sign_in(browser, aysel.login, PASSPHRASE, present(world, secret)).status == 303
    assert browser.get("/vault").status == 200


def test_wrong_passphrase_wrong_code_and_unknown_name_get_the_same_answer_sec_s05(
    world, aysel, secret, new_browser
):
    answers = []
    for login, passphrase, code in (
        (aysel.login, PASSPHRASE, ""),
        (aysel.login, "not it at all", present(world, secret)),
        ("nobody", PASSPHRASE, ""),
    ):
        answer = sign_in(new_browser(), login, passphrase, code)
        token = answer.page.form("passphrase").fields["csrf"][0]
        answers.append((answer.status, answer.text.replace(token, "").replace(login, "")))

    assert len(set(answers)) == 1
    assert answers[0][0] == 422


def test_turning_it_off_takes_both(world, aysel, hers, secret, new_browser):
    page = hers.get(PAGE)
    refused = hers.submit(page, "code", passphrase=PASSPHRASE, code="")
    code = present(world, secret)
    done = hers.submit(page, "code", passphrase=PASSPHRASE, code=code)

    assert refused.status == 422
    assert done.location == PAGE
    assert new_browser().sign_in(aysel.login).status == 303


def test_another_passphrase_takes_both(world, hers, secret):
    """SEC-S09: whoever learnt the passphrase at an open browser does not take the vault over."""
    page, new = hers.get("/settings"), "six other words nobody can guess"
    change = partial(hers.submit, page, "new_passphrase", passphrase=PASSPHRASE, new_passphrase=new)

    assert change(code="").status == 422
    assert change(code=present(world, secret)).status == 200


def test_a_second_step_that_is_on_is_not_begun_anew(world, hers, secret):
    """Neither the passphrase alone nor both put another app in its place."""
    form = {"csrf": hers.token(), "passphrase": PASSPHRASE}
    alone = hers.post(f"{PAGE}/begin", form)
    both = hers.post(f"{PAGE}/begin", {**form, "code": present(world, secret)})

    assert (alone.status, both.status) == (422, 409)
    assert 'id="secret"' not in alone.text + both.text


@pytest.mark.parametrize("path", ["begin", "confirm", "end"])
def test_no_other_site_and_no_stranger_changes_it(hers, browser, path):
    """SEC-S50"""
    form = {"csrf": hers.token(), "passphrase": PASSPHRASE, "code": "000000"}
    forged = hers.post(f"{PAGE}/{path}", form, origin="https://evil.example")
    hers.post("/sign-out", {"csrf": hers.token()})
    stranger = browser.post(f"{PAGE}/{path}", {**form, "csrf": browser.token()})

    assert 'id="secret"' not in forged.text
    assert stranger.location.startswith("/sign-in")
