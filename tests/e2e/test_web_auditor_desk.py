"""The auditor's desk on pages: signing in, engagements, what is outside of them (AUD-1)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from consent.auditing import alerts
from consent.log import erasing
from pds.ids import random_uuid
from tests.support.auditing import asked_by, engaged, integrate, new_auditor, pseudonym_of


@pytest.fixture
def shop(world):
    return world.organisation()


def test_an_auditor_signs_in_and_takes_the_evidence_of_an_engagement(world, shop, browser):
    auditor = engaged(world, shop)
    integrate(world)
    desk = auditor.sign_in(browser)

    listed = browser.get("/auditor/engagements")
    overview = browser.get(desk)
    taken = browser.post(f"{desk}/evidence", {"csrf": browser.token()})

    assert desk in listed.text
    assert "Xəzər Market" in overview.text
    assert taken.response.json()["format"] == "pds-bundle/1"


def test_the_access_secret_is_in_no_address_and_no_cookie(world, browser):
    auditor = engaged(world)
    answer = browser.submit(browser.get("/auditor"), "access", access=auditor.access)

    assert auditor.access not in answer.location
    assert auditor.access not in str(browser.http.cookies)
    cookie = answer.response.headers["Set-Cookie"]
    assert ("HttpOnly" in cookie, "SameSite=Lax" in cookie) == (True, True)


@pytest.mark.parametrize("access", ["", "pds_ad.short", "pds_ad." + "A" * 64 + ".00000000"])
def test_a_wrong_access_signs_nobody_in(browser, access):
    answer = browser.submit(browser.get("/auditor"), "access", access=access)

    assert (answer.status, "Set-Cookie" in answer.response.headers) == (422, False)
    assert browser.get("/auditor/engagements").location.startswith("/auditor?next=")


def test_an_engagement_of_others_and_an_ended_one_look_like_none(world, shop, browser):
    mine, other = engaged(world, shop), engaged(world, shop)
    mine.sign_in(browser)
    of_other = browser.get(f"/auditor/engagements/{other.engagement_id}")
    mine.end()

    answers = [
        of_other,
        browser.get(f"/auditor/engagements/{mine.engagement_id}"),
        browser.get(f"/auditor/engagements/{random_uuid()}"),
    ]

    assert [each.status for each in answers] == [404, 404, 404]
    assert "No engagement is open for you" in browser.get("/auditor/engagements").text


def test_signing_out_and_time_end_the_sign_in(world, shop, browser, clock):
    auditor = engaged(world, shop)
    desk = auditor.sign_in(browser)
    browser.post("/auditor/sign-out", {"csrf": browser.token()})
    assert browser.get(desk).status == 303

    auditor.sign_in(browser)
    clock.move(hours=2)
    assert browser.get(desk).status == 303


def test_an_auditors_cookie_opens_no_vault_and_a_persons_no_desk(world, hers, new_browser):
    auditor = engaged(world)
    theirs = new_browser()
    desk = auditor.sign_in(theirs)

    assert theirs.get("/vault").location.startswith("/sign-in")
    assert hers.get(desk).location.startswith("/auditor?next=")


def test_an_access_without_an_engagement_shows_none(world, browser):
    _, access = new_auditor(world)
    answer = browser.follow(browser.submit(browser.get("/auditor"), "access", access=access))

    assert "No engagement is open for you" in answer.text


def test_the_log_is_searched_on_a_page(world, aysel, shop, browser):
    """AUD-2."""
    aysel.save("contact", email="canary@poct.example")
    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    connected.get("/v1/records")
    auditor = engaged(world, shop)
    integrate(world)
    desk = auditor.sign_in(browser)

    found = browser.get(f"{desk}/events?event=data.read")
    nothing = browser.get(f"{desk}/events?event=consent.withdrawn")
    wrong = browser.get(f"{desk}/events?since=never")
    kept = browser.follow(browser.submit(found, "name", name="Reads <i>"))
    search = re.search(r'name="forget" value="([0-9a-f-]+)"', kept.text)[1]
    forgotten = browser.follow(browser.submit(kept, "forget", forget=search))

    assert "Reads &lt;i&gt;</a>" in kept.text
    assert "Reads" not in forgotten.text
    assert ("1 event<" in found.text, "Data read" in found.text) == (True, True)
    assert "Nothing found" in nothing.text
    assert (wrong.status, "This is no day and time." in wrong.text) == (422, True)
    for secret in ("canary", aysel.login, aysel.vault_id.hex):
        assert secret not in found.text


def test_a_consent_is_followed_checked_and_packed_on_pages(world, aysel, shop, browser):
    """AUD-3, AUD-6, AUD-7, AUD-10, AUD-11."""
    aysel.save("contact", email="canary@poct.example")
    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    connected.get("/v1/records")
    connected.withdraw()
    auditor = engaged(world, shop)
    integrate(world)
    desk = auditor.sign_in(browser)

    course = browser.get(f"{desk}/agreements/{connected.agreement_id}?at=2026-03-01T16:00")
    wrong = browser.get(f"{desk}/agreements/{connected.agreement_id}?at=2020-01-01T00:00")
    checks = browser.get(f"{desk}/checks")
    pack = browser.post(f"{desk}/packs", {"csrf": browser.token(), "organisation": str(shop.id)})
    refused = browser.post(f"{desk}/packs", {"csrf": browser.token(), "agreement": "x"})
    sha256 = pack.response.headers["PDS-Pack-SHA256"]
    known = browser.get(f"{desk}/packs?sha256={sha256}")

    assert ("Consent withdrawn" in course.text, "Deletion answered" in course.text) == (True, True)
    assert (wrong.status, "within the period" in wrong.text) == (422, True)
    assert "Every read is covered." in checks.text
    assert pack.response.headers["Content-Type"] == "application/zip"
    assert refused.status == 422
    assert ("Yes: taken by Nigar" in known.text, sha256[:12] in known.text) == (True, True)
    assert browser.get(f"{desk}/packs?sha256=0").status == 404
    assert browser.get(f"{desk}/agreements/{random_uuid()}").status == 404
    for page in (course, checks, known):
        assert "canary" not in page.text


def test_a_sample_is_marked_and_figures_are_drawn_on_pages(world, aysel, shop, browser):
    """AUD-15."""
    aysel.save("contact", email="canary@poct.example")
    world.connect(aysel, shop, shop.publish(required=["contact.email"])).get("/v1/records")
    auditor = engaged(world, shop)
    integrate(world)
    desk = auditor.sign_in(browser)

    drawn = browser.post(f"{desk}/samples", {"csrf": browser.token(), "size": "2"})
    nothing = browser.post(f"{desk}/samples", {"csrf": browser.token(), "size": "0"})
    token = {"csrf": browser.token()}
    browser.post(f"{drawn.location}/1", token | {"mark": "pass"})
    refused = browser.post(f"{drawn.location}/2", token | {"mark": "fail"})
    sample, figures = browser.get(drawn.location), browser.get(f"{desk}/figures")

    assert (nothing.status, "Draw between 1 and 200" in nothing.text) == (422, True)
    assert (refused.status, "a failure needs a note" in refused.text) == (422, True)
    assert "1 passed, 0 failed, 1 to look at" in sample.text
    assert browser.get(f"{drawn.location}?format=csv").text.startswith('"sample"')
    assert ("<rect" in figures.text, "Nothing is overdue." in figures.text) == (True, True)
    assert "canary" not in sample.text + figures.text


def test_an_alert_is_explained_on_its_page(world, aysel, shop, browser, monkeypatch):
    """AUD-14."""
    monkeypatch.setattr(alerts, "REFUSALS_LEAST", 1)
    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    connected.withdraw()
    connected.get("/v1/records")
    auditor = engaged(world, shop)
    integrate(world)
    desk = auditor.sign_in(browser)

    shown = browser.get(f"{desk}/alerts")
    key = shown.page.form("key").fields["key"][0]
    answer = {"csrf": browser.token(), "key": key, "state": "explained"}
    refused = browser.post(f"{desk}/alerts", answer)
    browser.post(f"{desk}/alerts", answer | {"note": "After the end."})

    assert "Many refused reads" in shown.text
    assert (refused.status, "Say why in a note" in refused.text) == (422, True)
    assert 'value="After the end."' in browser.get(f"{desk}/alerts").text


def test_a_name_is_asked_for_opened_and_looked_at_on_pages(world, aysel, shop, hers, new_browser):
    """AUD-1: the person sees the reason without unlocking, says yes, and closes it again."""
    world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    auditor, theirs = engaged(world, shop), new_browser()
    desk = f"{auditor.sign_in(theirs)}/unmaskings"
    page = theirs.get(f"{desk}?person={pseudonym_of(auditor, aysel)}")
    refused = theirs.submit(page, "reason", reason="why")
    theirs.submit(page, "reason", reason="A complaint <b>names</b> this person.")
    asked = hers.get("/unmaskings").page.form("decision").action.rpartition("/")[2]
    early = theirs.post(f"{desk}/{asked}/look", {"csrf": theirs.token()})

    hers.lock()
    locked = hers.post(f"/unmaskings/{asked}", {"csrf": hers.token(), "decision": "allow"})
    seen = hers.get("/activity")
    hers.post("/sign-out", {"csrf": hers.token()})
    noted = hers.follow(hers.sign_in(aysel.login))
    hers.submit(hers.get("/unmaskings"), "decision", decision="allow")
    shown = theirs.post(f"{desk}/{asked}/look", {"csrf": theirs.token()})
    told = hers.get("/unmaskings")
    hers.post(f"/unmaskings/{asked}/close", {"csrf": hers.token()})
    closed = theirs.post(f"{desk}/{asked}/look", {"csrf": theirs.token()})

    assert (refused.status, "Say why, in 10 to 500" in refused.text) == (422, True)
    assert (early.status, closed.status) == (409, 409)
    assert locked.status == 403
    assert "A complaint &lt;b&gt;names&lt;/b&gt; this person." in seen.text
    assert "An auditor asks to know who you are" in noted.text
    assert "<strong>aysel</strong>" in shown.text
    assert "1 time" in told.text
    assert "<strong>aysel</strong>" not in theirs.get(desk).text


def test_a_second_auditor_and_nobody_else_agrees_on_the_page(world, aysel, shop, new_browser):
    """AUD-1"""
    world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    other_id, access = new_auditor(world, "Rauf")
    auditor = engaged(world, shop, beside=[other_id])
    mine, theirs = new_browser(), new_browser()
    desk = f"{auditor.sign_in(mine)}/unmaskings"
    replace(auditor, access=access).sign_in(theirs)
    asked = asked_by(auditor, aysel)
    answer = {"decision": "allow"}

    own = mine.post(f"{desk}/{asked}", answer | {"csrf": mine.token()})
    agreed = theirs.post(f"{desk}/{asked}", answer | {"csrf": theirs.token()})
    again = theirs.post(f"{desk}/{asked}", answer | {"csrf": theirs.token()})
    nowhere = theirs.post(f"{desk}/{random_uuid()}", answer | {"csrf": theirs.token()})

    assert [each.status for each in (own, agreed, again, nowhere)] == [409, 303, 409, 404]
    assert "Decided by" in mine.get(desk).text
    assert "Rauf" in mine.get(desk).text


def test_pages_say_what_they_pass_over_because_it_was_erased(world, browser):
    """AUD-9: how many entries, and of which retention class; nothing that they told."""
    person, shop = world.person(), world.organisation()
    person.save("contact", email="aysel@poct.example")
    connected = world.connect(person, shop, shop.publish(required=["contact.email"]))
    connected.withdraw()
    integrate(world)
    auditor, services = engaged(world), world.services
    desk = auditor.sign_in(browser)
    later = services.clock.now() + timedelta(days=3660)
    position = erasing.START
    while position is not None:
        position = services.uow.write(
            lambda session, at=position: erasing.step(session, services.log, at, now=later)
        )

    searched = browser.get(f"{desk}/events")
    erased = browser.get(f"{desk}/events?proof=erased")
    course = browser.get(f"{desk}/agreements/{connected.agreement_id}")

    for page in (searched, course):
        assert "erased when their time was over, and are not shown: consents and reads" in page.text
    rows = erased.text.partition("<tbody")[2].partition("</tbody")[0]
    assert rows.count("erased</a>") == rows.count("<tr>") >= 2
    assert "<time" not in rows
