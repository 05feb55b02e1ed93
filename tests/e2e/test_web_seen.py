"""See exactly what they see: the page and the organisation's own read are one (P-25, P-26)."""

from __future__ import annotations

import html
import json
import re

import pytest
from sqlalchemy import func, select

from consent.models import Event, Grant

ATTRIBUTES = ("profile.given_name", "contact.email", "health.conditions")
POSTCODE = "addresses.postal_code"
NONE = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def shared(world, aysel):
    """Connect a market to some of Aysel's data, a part of it in a coarser form."""
    aysel.save("profile", given_name="Aysel", family_name="Məmmədova")
    aysel.save("contact", email="aysel@poct.example")
    aysel.save("contact", phone="+994501234567")
    aysel.save("addresses", street="Nizami 1", postal_code="AZ1000", country="AZ")
    market = world.organisation()
    reason = {"az": "Lazımdır.", "en": "Needed."}
    items = [{"name": name, "reason": reason} for name in ATTRIBUTES]
    items.append({"name": POSTCODE, "reason": reason, "coarsenings": ["postal_area"]})
    template = market.publish(attributes=items)
    return world.connect(aysel, market, template, coarsenings={POSTCODE: "postal_area"})


def path(shared):
    return f"/connections/{shared.agreement_id}/seen"


def answer_on(page):
    """Return the answer that a page shows."""
    text = re.search(r"<code>(.*?)</code></pre>", page.text, re.DOTALL)[1]
    return json.loads(html.unescape(text))


def test_the_page_shows_what_the_organisation_gets_and_nothing_else(hers, shared):
    read = shared.get("/v1/records").json()
    page = hers.get(path(shared))
    shown = answer_on(page)

    assert shown == {name: read[name] for name in shown}
    assert {"records", "manifest", "grant_id", "agreement"} == set(shown)
    assert "aysel@poct.example" in page.text
    assert "AZ1000" not in page.text
    assert "Məmmədova" not in page.text
    assert "501234567" not in page.text
    assert "Agreed, but not among this:" in page.text


def test_looking_is_no_reading_and_leaves_no_trace(world, hers, shared):
    def traces():
        with world.services.uow.read() as session:
            grants = session.execute(
                select(Grant.seq, Grant.reads, Grant.last_read_at, Grant.fetches_today)
            ).all()
            return grants, session.scalar(select(func.count()).select_from(Event))

    before = traces()
    hers.get(path(shared))

    assert traces() == before


def test_while_it_rests_the_page_says_that_they_get_nothing(world, hers, aysel, shared):
    world.services.pauses.pause(aysel.visitor.vault, shared.agreement_id)
    page = hers.get(path(shared))

    assert "you have paused it" in page.text
    assert "aysel@poct.example" in page.text


def test_after_the_end_there_is_nothing_to_see(hers, shared):
    shared.withdraw()
    page = hers.get(path(shared))

    assert "the agreement is over" in page.text
    assert "aysel@poct.example" not in page.text


def test_a_locked_vault_shows_nothing(hers, shared):
    hers.lock()

    assert hers.get(path(shared)).location.startswith("/unlock?next=")


def test_another_persons_connection_is_like_none(world, new_browser, shared):
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    other = mallory.get(path(shared))
    none = mallory.get(f"/connections/{NONE}/seen")

    assert (other.status, none.status) == (404, 404)
    assert other.text == none.text.replace(NONE, str(shared.agreement_id))


def test_many_records_come_in_pages_of_the_same_snapshot(world, hers, aysel):
    market = world.organisation("Kitab Evi")
    for number in range(30):
        aysel.save("contact", email=f"a{number}@poct.example")
    shared = world.connect(aysel, market, market.publish(required=["contact.email"]))
    first = hers.get(path(shared))
    second = hers.get(path(shared) + re.search(r'href="(\?after=\d+)"', first.text)[1])
    found = [*answer_on(first)["records"], *answer_on(second)["records"]]

    assert found == shared.get("/v1/records").json()["records"]


def test_a_place_far_behind_the_end_is_an_empty_page(hers, shared):
    assert hers.get(f"{path(shared)}?after={'9' * 30}").status == 200
