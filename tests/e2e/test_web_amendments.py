"""Pages of amending and narrowing: old against new, and taking away alone (P-13, P-28, CUX-9)."""

from __future__ import annotations

import pytest

from tests.support.freezing import freeze, with_new_keys
from tests.support.oauth_client import Callback, pkce_pair
from tests.support.world import PASSPHRASE

EMAIL, PHONE, NAME, CITY = (
    "contact.email",
    "contact.phone",
    "profile.given_name",
    "addresses.locality",
)


@pytest.fixture
def market(world):
    return world.organisation("Xəzər Market")


@pytest.fixture
def shared(world, aysel, market):
    """Give an agreement about e-mail and phone, of a template that has more."""
    aysel.save("contact", email="aysel@poct.example", phone="+994501112233")
    template = market.publish(required=[EMAIL], optional=[PHONE, NAME, CITY])
    return world.connect(aysel, market, template, optional=[PHONE], duration="P90D")


@pytest.fixture
def ask(world, market, shared):
    """Let the organisation ask anew; gives the link and the verifier."""

    def asks(**members):
        uri, verifier = world.push(market, market.details(shared.template, **members))
        return market.client.authorization_url(uri).removeprefix(world.issuer), verifier

    return asks


def narrowing(shared):
    return f"/connections/{shared.agreement_id}/narrow"


def test_the_page_sets_today_beside_what_would_be(hers, ask):
    """CUX-42: what is added, what goes, until when; in both columns, without script."""
    url, _ = ask(optional=[PHONE, NAME])
    text = hers.get(url).text

    assert "Xəzər Market asks to change what you share" in text
    sides = text.partition('<div class="sides">')[2].partition("</section>")[0]
    today, changed = sides.split("<h3>")[1:3]
    assert "E-mail" in today
    assert "Phone" in today
    assert "First name" not in today
    assert "First name" in changed
    assert "new, only if you tick it" in changed
    assert "Keep it as it is" in text
    assert "Allow the change" in text


def test_what_is_shared_today_is_ticked_and_no_addition_is(hers, ask):
    """CUX-9, P-9: nor is a duration chosen, or anything by a link."""
    url, _ = ask(duration="P365D")
    form = hers.get(f"{url}&attributes={NAME}&duration=P365D").page.form("decision")

    assert form.fields["attributes"] == [PHONE]
    assert form.ticked == 1
    assert "duration" not in form.fields


def test_allowing_the_change_goes_back_with_a_code_of_the_same_grant(hers, market, shared, ask):
    url, verifier = ask()
    page = hers.get(url)

    done = hers.submit(
        page, "decision", attributes=[PHONE, NAME], duration="P30D", decision="allow"
    )

    body = market.client.redeem(Callback.of(done.location)["code"], verifier).json()
    (granted,) = body["authorization_details"]
    assert body["grant_id"] == shared.body["grant_id"]
    assert granted["agreement_version"] == 2
    assert granted["attributes"] == [EMAIL, PHONE, NAME]
    detail = hers.get(f"/connections/{shared.agreement_id}").text
    assert "Consent changed" in detail
    assert "You changed what you share" in detail


def test_keeping_it_as_it_is_ends_nothing_and_is_possible_while_locked(hers, shared, ask):
    """CUX-23, TAK-41: a refusal of the change, with its receipt."""
    url, _ = ask()
    page = hers.get(url)
    hers.lock()

    done = hers.submit(page, "decision", decision="refuse")

    assert Callback.of(done.location)["error"] == "access_denied"
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 1
    assert shared.get("/v1/records").status_code == 200


def test_what_goes_is_shown_as_that(hers, ask):
    url, _ = ask(optional=[])
    text = hers.get(url).text

    changed = text.partition('<div class="sides">')[2].split("<h3>")[2].partition("</section>")[0]
    assert "<del>Phone" in changed
    assert "no longer shared" in changed


def test_a_change_of_the_agreement_meanwhile_shows_the_page_again(hers, shared, ask):
    """P-28: in another tab it was narrowed; the difference is marked, nothing is decided."""
    url, _ = ask()
    page = hers.get(url)
    asked = hers.get(narrowing(shared))
    hers.submit(asked, "agreement_sha256", leave_out=["attributes"])

    done = hers.submit(page, "decision", duration="P30D", decision="allow")

    assert done.status == 409
    assert '<mark class="changed">' in done.text.partition('id="change"')[2].partition("</h2>")[0]
    assert shared.get("/v1/grant").status_code == 401  # the narrowing ended access tokens
    assert "version 2" not in done.text


def test_a_material_change_of_the_template_is_marked(world, market, hers, shared):
    """LEAD-12, P-28."""
    template = market.publish(
        id=str(shared.template.id),
        version=2,
        required=[EMAIL],
        optional=[PHONE],
        recipients=["Bakı Poçt"],
    )
    uri, _ = world.push(market, market.details(template))
    text = hers.get(market.client.authorization_url(uri).removeprefix(world.issuer)).text

    assert "Other terms differ from today" in text
    assert '<mark class="changed">' in text.partition('id="who"')[2].partition("</h2>")[0]
    assert '<mark class="changed">' not in text.partition('id="how-long"')[2].partition("</h2>")[0]


def test_taking_away_works_at_once_and_gives_a_receipt(hers, shared, market):
    """P-13"""
    detail = hers.get(f"/connections/{shared.agreement_id}").text
    assert f'href="{narrowing(shared)}"' in detail
    asked = hers.get(narrowing(shared))
    form = asked.page.form("agreement_sha256")
    assert form.fields["attributes"] == [PHONE]

    done = hers.submit(
        asked, "agreement_sha256", leave_out=["attributes"], duration="P7D", fetches_per_day="24"
    )

    assert done.location == f"/connections/{shared.agreement_id}"
    page = hers.get(done.location).text
    assert "You share less now" in page
    assert "Consent changed" in page
    assert "Not shared, although asked for" in page
    token = market.client.refresh(shared.refresh_token).json()["access_token"]
    grant = market.get("/v1/grant", token).json()
    assert (grant["attributes"], grant["fetches_per_day"]) == ([EMAIL], 24)


def test_of_what_was_fetched_once_nothing_can_be_taken_away_any_more(world, hers, aysel, market):
    """P-10: the page offers what it can do."""
    once = market.publish(required=[EMAIL], access={"mode": "once", "fetches_per_day": 5})
    aysel.save("contact", email="aysel@poct.example")
    connected = world.connect(aysel, market, once)
    detail = f"/connections/{connected.agreement_id}"
    assert narrowing(connected) in hers.get(detail).text

    assert connected.get("/v1/records").status_code == 200

    assert narrowing(connected) not in hers.get(detail).text
    assert hers.get(narrowing(connected)).location == detail


def test_less_of_what_stays_is_offered_and_taken(world, hers, aysel, market):
    """P-13, LEAD-5: a coarser form, and the main record alone; as agreed is what is ticked."""
    aysel.save("contact", email="main@poct.example", primary=True)
    street = "addresses.street_address"
    template = market.publish(required=[EMAIL], optional=[street])
    shared = world.connect(aysel, market, template, optional=[street], duration="P90D")
    asked = hers.get(narrowing(shared))
    form = asked.page.form("agreement_sha256").fields
    assert (form[f"coarsen.{street}"], form["instances.contact"]) == ([""], [""])

    done = hers.submit(
        asked,
        "agreement_sha256",
        **{f"coarsen.{street}": "city_only", "instances.contact": "primary"},
    )

    assert "You share less now" in hers.get(done.location).text
    token = market.client.refresh(shared.refresh_token).json()["access_token"]
    grant = market.get("/v1/grant", token).json()
    assert grant["coarsenings"] == {street: "city_only"}
    assert grant["instances"] == {"contact": {"which": "primary"}}
    again = hers.get(narrowing(shared)).text
    assert "coarsen." not in again
    assert "instances.contact" not in again


@pytest.mark.parametrize(
    "values",
    [
        {"attributes": [PHONE, NAME]},
        {"duration": "P365D"},
        {"fetches_per_day": "288"},
        {"coarsen." + EMAIL: "x"},
        {},
    ],
    ids=["more items", "longer", "more often", "another form", "nothing"],
)
def test_a_form_that_would_add_or_do_nothing_is_shown_again(hers, shared, values):
    """P-13"""
    asked = hers.get(narrowing(shared))

    done = hers.submit(asked, "agreement_sha256", **values)

    assert done.status == 422
    assert "There is a problem" in done.text
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 1


def test_a_form_of_another_version_is_shown_again(hers, shared):
    """P-28"""
    asked = hers.get(narrowing(shared))

    done = hers.submit(asked, "agreement_sha256", agreement_sha256="0" * 64, duration="P7D")

    assert done.status == 409
    assert "has changed since you saw it" in done.text
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 1


def test_taking_away_needs_the_unlocked_vault_and_ones_own_agreement(
    hers, world, new_browser, shared
):
    """P-13, SEC-S23"""
    asked = hers.get(narrowing(shared))
    leyla = new_browser()
    leyla.sign_in(world.person("leyla").login)
    assert leyla.get(narrowing(shared)).status == 404
    form = {"csrf": leyla.token(), "agreement_sha256": "", "duration": "P7D"}
    assert leyla.post(narrowing(shared), form).status == 404
    hers.lock()
    assert hers.get(narrowing(shared)).location.startswith("/unlock")
    hers.submit(asked, "agreement_sha256", duration="P7D")
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 1


def test_from_an_agreement_that_has_ended_nothing_is_taken_away(hers, shared):
    """CM-6"""
    asked = hers.get(narrowing(shared))
    shared.withdraw()

    done = hers.submit(asked, "agreement_sha256", duration="P7D")

    assert done.location == f"/connections/{shared.agreement_id}"
    assert hers.get(narrowing(shared)).location == f"/connections/{shared.agreement_id}"


def test_the_same_is_shared_for_longer_after_a_look_at_the_new_end(hers, world, aysel, market):
    """CUX-42, CUX-21: no script; one radio button of three, a check, and a receipt."""
    template = market.publish(required=[EMAIL])
    shared = world.connect(aysel, market, template, duration="P7D", ask={"duration": "P90D"})
    at = f"/connections/{shared.agreement_id}"
    assert f'href="{at}/extend"' in hers.get(at).text
    asked = hers.get(f"{at}/extend").text
    assert asked.count('name="duration"') == 2
    assert " checked" not in asked
    check = hers.get(f"{at}/extend?duration=P30D")
    assert "Agreed until" in check.text
    assert hers.post(f"{at}/extend", {"csrf": hers.token(), "duration": "P90D"}).status == 409

    done = hers.submit(check, "agreement_sha256")

    assert done.location == at
    page = hers.get(at).text
    assert "You share for longer now" in page
    assert "Consent renewed" in page
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 2
    assert hers.get(f"{at}/extend?duration=P7D").text.count('type="radio"') == 1  # P90D alone
    shared.withdraw()
    assert hers.get(f"{at}/extend").location == at
    assert "has ended for good" in hers.get(at).text


def test_sensitive_data_is_shared_for_longer_by_who_proves_to_be_its_owner(
    hers, world, aysel, market
):
    """CUX-22: the second tick, and the passphrase again."""
    template = market.publish(required=["health.conditions"])
    shared = world.connect(aysel, market, template, duration="P7D", ask={"duration": "P90D"})
    at = f"/connections/{shared.agreement_id}/extend?duration=P90D"
    check = hers.get(at)
    unticked = hers.submit(check, "agreement_sha256", passphrase=PASSPHRASE)
    wrong = hers.submit(check, "agreement_sha256", confirm_sensitive="yes", passphrase="guess")
    assert (unticked.status, wrong.status) == (422, 422)
    assert 'href="#confirm_sensitive">Tick the box' in unticked.text
    assert 'href="#passphrase"' in wrong.text
    assert shared.get("/v1/grant").json()["agreement"]["version"] == 1

    proof = {"confirm_sensitive": "yes", "passphrase": PASSPHRASE}
    assert hers.submit(check, "agreement_sha256", **proof).status == 303

    assert shared.get("/v1/grant").json()["agreement"]["version"] == 2


@pytest.fixture
def manage(world, market, shared):
    """Let the organisation push a request that manages a grant; gives the link."""

    def manages(action, *, optional=(), **named):
        answer = market.client.push(
            pkce_pair()[1],
            details=market.details(shared.template, optional=list(optional)),
            grant_management_action=action,
            **named,
        )
        url = market.client.authorization_url(answer.json()["request_uri"])
        return url.removeprefix(world.issuer)

    return manages


def test_a_merge_shows_what_it_adds_and_keeps_what_is_shared(hers, shared, manage):
    """P-13, CUX-42, GM-M5: the phone was not asked for again, the name not shared before."""
    url = manage("merge", grant_id=shared.body["grant_id"], optional=[NAME])
    answer = hers.get(url)

    changed = answer.text.partition('<div class="sides">')[2].split("<h3>")[2]
    changed = changed.partition("</section>")[0]
    assert "Phone" in changed
    assert "<del>" not in changed
    assert "new, only if you tick it" in changed
    assert answer.page.form("decision").fields["attributes"] == [PHONE]


def test_a_create_says_that_it_replaces_what_stands(hers, manage):
    """P-28, P-29"""
    text = hers.get(manage("create")).text

    assert "A new agreement takes the place of today" in text


def test_a_merge_into_another_persons_grant_sends_the_browser_back_gm_m3(
    world, new_browser, shared, manage
):
    """BCP-B2, OIDF-3: with state and issuer, like every answer; nothing was shown."""
    url = manage("merge", grant_id=shared.body["grant_id"])
    leyla = world.person("leyla")
    browser = new_browser()
    browser.sign_in(leyla.login)

    back = Callback.of(browser.get(url).location)

    assert back["error"] == "invalid_grant_id"
    assert (back["state"], back["iss"]) == ("state-1", world.issuer)


def test_a_frozen_connection_says_so_and_goes_on_when_its_person_says_so(
    world, hers, market, shared
):
    """P-13, CUX-27: paused by us, not by them; the old choices are ticked."""
    uri, _ = world.push(market, market.details(shared.template))
    old_link = market.client.authorization_url(uri).removeprefix(world.issuer)
    freeze(market)

    assert "Paused by us: the keys of Xəzər Market" in hers.get("/connections").text
    assert "You need not do anything now." in hers.get(f"/connections/{shared.agreement_id}").text
    assert "This organisation is stopped" in hers.get(old_link).text

    fresh = with_new_keys(market)
    assert "It has new keys by now" in hers.get("/connections").text
    details = fresh.details(shared.template)
    uri, verifier = world.push(fresh, details)
    page = hers.get(fresh.client.authorization_url(uri).removeprefix(world.issuer))
    assert "Xəzər Market asks to go on, under new keys" in page.text
    assert "We stopped it on" in page.text
    assert page.page.form("decision").fields["attributes"] == [PHONE]

    done = hers.submit(page, "decision", attributes=[PHONE], duration="P30D", decision="allow")

    body = fresh.client.redeem(Callback.of(done.location)["code"], verifier).json()
    assert body["grant_id"] == shared.body["grant_id"]
    assert fresh.get("/v1/records", body["access_token"]).status_code == 200
    detail = hers.get(f"/connections/{shared.agreement_id}").text
    assert "Paused by us" not in detail
    assert "under the organisation&#39;s new keys" in detail
