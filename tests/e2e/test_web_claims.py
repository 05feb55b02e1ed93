"""Asking for correction or deletion, and reporting, without ending anything (CUX-43, CM-7)."""

from __future__ import annotations

import pytest

from consent.formats import obligation_answer
from consent.formats.obligation_answer import AnswerFacts, Kind, Outcome
from tests.support.auditing import engaged, integrate

NONE = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def market(world):
    return world.organisation()


@pytest.fixture
def shared(world, aysel, market):
    """Connect a market to Aysel's e-mail."""
    aysel.save("contact", email="aysel@poct.example")
    return world.connect(aysel, market, market.publish(required=["contact.email"]))


def ask(browser, shared, kind):
    page = browser.get(f"/connections/{shared.agreement_id}/ask")
    return browser.follow(browser.submit(page, "kind", kind=kind))


def report(browser, shared, reason="not-deleted"):
    page = browser.get(f"/connections/{shared.agreement_id}/report")
    return browser.follow(browser.submit(page, "reason", reason=reason))


def owed(market, **query):
    answer = market.get("/v1/obligations", market.organisation_token(), params=query or None)
    return answer.json()["obligations"]


@pytest.mark.parametrize("kind", ["correct", "erase"])
def test_the_organisation_is_asked_told_answers_and_sharing_goes_on(hers, market, shared, kind):
    """GDPR Art. 16, 17"""
    asked = ask(hers, shared, kind)
    due = owed(market)
    facts = AnswerFacts(
        obligation=due[0]["id"],
        agreement=str(shared.agreement_id),
        kind=Kind(kind),
        outcome=Outcome.DONE,
        reason=None,
        answered_at="2026-11-22T10:00:00Z",
    )
    signed = obligation_answer.sign(obligation_answer.build(facts), market.signing_key, market.kid)
    where = f"/v1/obligations/{due[0]['id']}/confirmation"
    answer = market.post(where, market.organisation_token(), signed)
    page = hers.get(f"/connections/{shared.agreement_id}").text

    assert "The organisation has been asked" in asked.text
    assert [(each["kind"], each["asked_by_person"]) for each in due] == [(kind, True)]
    assert answer.status_code == 200, answer.text
    assert "Confirmed" in page
    assert shared.get("/v1/records").status_code == 200


def test_what_is_not_answered_within_a_month_is_overdue(hers, shared, clock):
    ask(hers, shared, "correct")
    clock.move(days=29)
    hers.sign_in()
    before = hers.get(f"/connections/{shared.agreement_id}").text
    clock.move(days=2)
    hers.sign_in()
    after = hers.get(f"/connections/{shared.agreement_id}").text

    assert "Overdue" not in before
    assert "Overdue" in after


def test_the_same_is_not_asked_twice_while_it_waits(hers, market, shared):
    ask(hers, shared, "erase")

    assert "You have asked for this already" in ask(hers, shared, "erase").text
    assert len(owed(market)) == 1


def test_nothing_is_asked_for_by_a_form_without_a_choice(hers, market, shared):
    for where in ("ask", "report"):
        path = f"/connections/{shared.agreement_id}/{where}"
        field = "kind" if where == "ask" else "reason"
        answer = hers.submit(hers.get(path), field)
        assert answer.status == 422
        assert "Choose one of these." in answer.text
        assert hers.submit(hers.get(path), field, **{field: "delete"}).status == 422
    assert owed(market) == []


def test_after_the_end_only_a_report_is_left(hers, shared):
    shared.withdraw()
    path = f"/connections/{shared.agreement_id}"

    assert hers.get(f"{path}/ask").location == path
    token = hers.token()
    asked = hers.post(f"{path}/ask", {"csrf": token, "kind": "correct"})
    assert "This agreement has ended" in hers.follow(asked).text
    assert "Your report was received" in report(hers, shared).text


def test_a_report_reaches_the_auditors_and_its_state_comes_back(world, hers, new_browser, shared):
    """CUX-43"""
    received = report(hers, shared)
    integrate(world)
    auditor = engaged(world)
    desk = new_browser()
    desk.submit(desk.get("/auditor"), "access", access=auditor.access)
    alerts = f"/auditor/engagements/{auditor.engagement_id}/alerts"
    page = desk.get(alerts)
    desk.submit(page, "note", note="The shop was spoken to.", state="confirmed")
    looked_at = hers.get(f"/connections/{shared.agreement_id}").text

    assert "Your report was received" in received.text
    assert "received, waits for an auditor" in received.text
    assert "A person reported the organisation" in page.text
    assert "reason=not-deleted" in page.text
    assert "aysel" not in page.text
    assert "looked at: confirmed" in looked_at
    assert "spoken to" not in looked_at


def test_reports_of_a_day_are_one(hers, shared, clock):
    report(hers, shared)
    again = report(hers, shared, "pressure")
    clock.move(days=1, minutes=1)
    hers.sign_in()

    assert "Your report of today was received" in again.text
    assert "Your report was received" in report(hers, shared, "pressure").text


@pytest.mark.parametrize("where", ["ask", "report"])
def test_another_persons_connection_is_like_none(world, new_browser, market, shared, where):
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    token = mallory.token()
    values = {"csrf": token, "kind": "erase", "reason": "pressure"}
    for agreement in (shared.agreement_id, NONE):
        path = f"/connections/{agreement}/{where}"
        assert (mallory.get(path).status, mallory.post(path, values).status) == (404, 404)

    assert owed(market) == []


def test_both_work_while_the_vault_is_locked(hers, shared):
    """TAK-41"""
    hers.lock()

    assert "The organisation has been asked" in ask(hers, shared, "correct").text
    assert "Your report was received" in report(hers, shared).text
