"""The page of an invitation, from the link to the organisation's start page (CON-26, CUX-1)."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

import pytest
from sqlalchemy import select

from consent import organisations
from consent.invitations.holding import InvitationService
from consent.invitations.models import OpenedInvitation
from consent.vocabulary import Standing
from tests.e2e.test_web_first_run import code_of, groups_of
from tests.support.oauth_client import Callback
from tests.support.world import PASSPHRASE, START_PAGE

REFERENCE = "K-20431"
NUMBER = f'<strong class="host">{REFERENCE}</strong>'
UNUSABLE = "This invitation cannot be used"


def secret_in(path):
    return path.rpartition("/")[2]


@pytest.fixture
def market(world):
    return world.organisation("Xəzər Market")


@pytest.fixture
def template(market):
    return market.publish(required=["profile.given_name"], optional=["contact.phone"])


@pytest.fixture
def invited(market, template):
    return market.invite(template, REFERENCE)


@pytest.fixture
def path(invited, world):
    return invited["url"].removeprefix(world.issuer)


def test_anybody_with_the_link_sees_who_invites_and_that_nothing_is_shared_yet(browser, path):
    page = browser.get(path)

    for words in (
        "Xəzər Market invites you",
        "We want your contact details so that we can keep your card.",
        "approved by this store",
        "privacy@xezer.example",
        NUMBER,
        "If it is not yours, do not go on.",
        "Nothing is shared by going on.",
        "Loyalty card",
        "client.example",
        "Not now",
    ):
        assert words in page.text, words
    assert page.status == 200


def test_the_page_speaks_azerbaijani(new_browser, path):
    page = new_browser(language="az").get(path)

    assert "sizi bəzi məlumatlarınızı paylaşmağa dəvət edir" in page.text
    assert "Davam etməklə heç nə paylaşılmır." in page.text


def test_the_way_leads_through_sign_in_back_to_the_invitation_and_on(
    aysel, browser, path, invited, world
):
    assert f'href="/sign-in?next={path}"' in browser.get(path).text
    form = browser.get(f"/sign-in?next={path}")
    back = browser.submit(form, "passphrase", login=aysel.login, passphrase=PASSPHRASE)
    gone = browser.submit(browser.get(back.location), "go")

    assert back.location == path
    assert gone.status == 303
    start, _, query = gone.location.partition("?")
    assert start == START_PAGE.partition("?")[0]
    assert parse_qs(query) == {
        "from": ["vault"],
        "iss": [world.issuer],
        "invitation": [invited["id"]],
    }
    assert secret_in(path) not in gone.location


def test_whoever_has_no_vault_yet_makes_one_and_comes_back(browser, path):
    assert f'href="/sign-up?next={path}"' in browser.get(path).text
    page = browser.get(f"/sign-up/passphrase?next={path}")
    shown = browser.submit(page, "passphrase", login="newcomer", passphrase=PASSPHRASE)
    asked = browser.submit(shown, "written", written="yes")
    typed = groups_of(asked, code_of(shown))

    assert browser.submit(asked, "check", **typed).location == path


def test_no_way_to_recover_stands_on_the_sign_in_page_that_a_link_led_to(browser, path):
    """CUX-20: that is what phishing looks like."""
    assert "/lost-passphrase" in browser.get("/sign-in").text
    assert "/lost-passphrase" not in browser.get(f"/sign-in?next={path}").text


def test_a_locked_vault_is_unlocked_first(hers, path):
    form = hers.get(path)
    hers.lock()

    assert hers.submit(form, "go").location == f"/unlock?next={path.replace('/', '%2F')}"
    assert "Unlock and go on" in hers.get(path).text


def test_a_form_from_another_site_goes_nowhere(hers, path, world):
    """P-15, SEC-S46: nobody has me go on by a click elsewhere."""
    page = hers.get(path)

    answers = [
        hers.submit(page, "go", origin="https://evil.example"),
        hers.post(path, {"go": "on"}),
        hers.submit(page, "go", csrf="0" * 64),
    ]

    assert all(not each.location for each in answers)
    with world.services.uow.read() as session:
        assert session.scalars(select(OpenedInvitation)).all() == []


def test_every_link_that_leads_nowhere_shows_the_same_page(
    hers, new_browser, world, market, template
):
    """Whether there ever was such a link is nobody's business."""
    world.person("kamran")
    his = new_browser()
    his.sign_in("kamran")
    bank = world.organisation("Bank")
    of_bank = bank.invite(bank.publish(required=["contact.email"]))
    withdrawn = market.invite(template)
    market.client.request(
        "DELETE",
        world.url(f"/v1/invitations/{withdrawn['id']}"),
        market.organisation_token(),
    )
    expired = market.invite(template, valid_for="P1D")
    taken = market.invite(template)
    hers.submit(hers.get(taken["url"].removeprefix(world.issuer)), "go")
    world.services.uow.write(
        lambda session: organisations.set_standing(session, bank.id, Standing.SUSPENDED)
    )
    good = market.invite(template)["url"].removeprefix(world.issuer)
    world.services.clock.move(days=1)
    his.sign_in("kamran")

    paths = [
        "/invitation/nothing",
        good[:40] + "A" * (len(good) - 40),
        *(each["url"].removeprefix(world.issuer) for each in (withdrawn, expired, taken, of_bank)),
    ]
    answers = [his.get(each) for each in paths]
    bare = {
        each.text.replace(where, "").replace(where.replace("/", "%2F"), "")
        for each, where in zip(answers, paths, strict=True)
    }

    assert {each.status for each in answers} == {404}
    assert all(UNUSABLE in each.text for each in answers)
    assert len(bare) == 1


def test_the_holder_comes_back_after_signing_out(hers, path):
    hers.submit(hers.get(path), "go")
    hers.post("/sign-out", {"csrf": hers.token()})

    signed_out = hers.get(path)
    hers.sign_in()

    assert UNUSABLE in signed_out.text
    assert "If you went on with it before, sign in" in signed_out.text
    assert NUMBER in hers.get(path).text


def test_the_address_goes_to_no_other_site_and_into_no_store(browser, path):
    """TAK-51: the address is the secret."""
    headers = browser.get(path).response.headers

    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "form-action 'self' https://client.example;" in policy


def test_no_log_has_the_address_also_when_something_breaks(hers, path, monkeypatch, caplog):
    """SEC-S65, TAK-51."""
    caplog.set_level(logging.DEBUG)

    def broken(_self, secret, *_arguments):
        raise RuntimeError(secret.text())

    monkeypatch.setattr(InvitationService, "look", broken)
    answer = hers.get(path)

    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert answer.status == 500
    assert len(ours) == 1
    assert secret_in(path) not in ours[0]


class Asked:
    """A market that asks under an invitation."""

    def __init__(self, world, market, template, invited):
        details = market.details(template, invitation=invited["id"])
        uri, self.verifier = world.push(market, details)
        self.url = market.client.authorization_url(uri).removeprefix(world.issuer)
        self.market = market

    def allow(self, browser):
        page = browser.get(self.url)
        done = browser.submit(page, "decision", decision="allow", duration="P30D")
        assert done.status == 303, done.text
        return self.market.client.redeem(Callback.of(done.location)["code"], self.verifier).json()


@pytest.fixture
def asked(world, market, template, invited, hers):
    """Have Aysel go on with the invitation, and the market ask under it."""
    hers.submit(hers.get(invited["url"].removeprefix(world.issuer)), "go")
    return Asked(world, market, template, invited)


def test_the_consent_page_shows_the_number_that_the_organisation_is_told(asked, hers, market):
    """CUX-2, P-28: what is told besides the data stands on the page, and in no kept notice."""
    page = hers.get(asked.url)

    assert NUMBER in page.text
    tokens = asked.allow(hers)
    answer = market.get("/v1/grant", tokens["access_token"])
    assert answer.json()["reference"] == REFERENCE


def test_a_start_link_with_anothers_invitation_asks_nothing_of_me(asked, new_browser, world):
    """THR-7: login CSRF by an invitation."""
    world.person("kamran")
    his = new_browser()
    his.sign_in("kamran")

    shown = his.get(asked.url)

    assert shown.status == 400
    assert "This invitation is not yours" in shown.text
    assert REFERENCE not in shown.text


def test_my_connection_shows_the_number_while_my_vault_is_open(asked, hers):
    asked.allow(hers)
    page = hers.get("/connections")
    links = [part.partition('"')[0] for part in page.text.split('href="/connections/')[1:]]
    where = next(f"/connections/{each}" for each in links if len(each) == 36)

    opened = hers.get(where).text
    hers.lock()
    locked = hers.get(where).text

    assert NUMBER in opened
    assert REFERENCE not in locked
    assert "Unlock your vault to see it." in locked
