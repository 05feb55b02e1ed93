"""Home: what the vault holds, who can see what, what waits (CUX-26, UI-23)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from api.web.home import Holdings
from pds.catalogue import CATALOGUE, Sensitivity
from pds.ids import random_uuid
from pds.models import Record
from tests.support.statements import recorded

MOST_STATEMENTS = 24
CARD = b"BEGIN:VCARD\nVERSION:3.0\nFN:Leyla\nEMAIL:leyla@poct.example\nEND:VCARD\n"


def words(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def row(number):
    """Return a record that nobody can open: home only counts them."""
    return {
        "id": random_uuid(),
        "collection": "contact",
        "version": 1,
        "seq": number,
        "changed_at": datetime(2026, 3, 1, tzinfo=UTC),
        "author_kind": "owner",
        "deleted": False,
        "key_version": 1,
        "box": b"",
    }


def shared_with(world, person, name="Xəzər Market", **chosen):
    found = world.organisation(name)
    return world.connect(person, found, found.publish(required=["contact.email"]), **chosen)


def test_signing_in_leads_home_and_connections_are_one_click_away(hers):
    """CUX-26"""
    page = hers.get("/")

    assert "<h1>Home</h1>" in page.text
    assert '<a href="/" aria-current="page">' in page.text
    assert page.text.partition("<main")[2].count('href="/connections"') == 1


def test_whoever_is_not_signed_in_is_told_what_this_is(browser):
    page = browser.get("/")

    assert 'href="/sign-up"' in page.text
    assert "<h1>Home</h1>" not in page.text


def test_a_new_person_is_told_where_to_begin(hers):
    """UI-23"""
    page = hers.get("/")

    assert 'href="/vault/profile/new"' in page.text
    assert 'href="/imports"' in page.text
    assert "Nobody. When an organisation asks for your data" in words(page)


def test_what_is_filled_in_is_counted_and_the_next_thing_is_offered(aysel, hers):
    aysel.save("profile", given_name="Aysel")
    aysel.save("contact", email="aysel@poct.example")
    aysel.save("contact", email="a@poct.example")
    page = hers.get("/")

    assert "3 records" in words(page)
    assert "2 of 8 everyday kinds of data are filled in" in words(page)
    assert 'Good to have next: <a href="/vault/demographics/new">' in page.text


def test_sensitive_data_is_never_proposed():
    counts, proposed = dict.fromkeys(CATALOGUE.collections, 0), []
    while (following := Holdings(counts).following) is not None:
        proposed.append(following)
        counts[following.name] = 1

    assert len(proposed) == Holdings(counts).filled == Holdings(counts).most
    assert {each.sensitivity for each in proposed} == {Sensitivity.ORDINARY}


def test_who_can_see_what_says_when_it_was_last_read(world, aysel, hers):
    aysel.save("contact", email="aysel@poct.example")
    shared = shared_with(world, aysel)
    assert "Not read yet" in words(hers.get("/"))

    shared.get("/v1/records")
    page = hers.get("/")

    assert f'href="/connections/{shared.agreement_id}"' in page.text
    assert "Contact details" in words(page)
    assert "Last read: 1 March 2026" in words(page)


def test_what_waits_is_said_also_while_the_vault_is_locked(world, aysel, hers):
    """P-15: what it holds is not."""
    aysel.save("contact", email="aysel@poct.example")
    shared = shared_with(world, aysel, duration="P7D")
    job = world.services.imports(aysel.visitor).stage("vcard", CARD)
    hers.lock()
    hers.get("/")  # has the note of locking
    page = hers.get("/")

    assert "Your agreement with Xəzər Market ends on 8 March 2026." in words(page)
    assert f'href="/imports/{job}"' in page.text
    assert f'href="/connections/{shared.agreement_id}"' in page.text
    assert "Only your passphrase guards your vault." in words(page)
    assert "Unlock it to see what it holds." in words(page)
    assert "records" not in words(page).partition("In my vault")[2].partition("Who can see")[0]
    assert 'href="/vault/contact"' not in page.text


def test_a_request_waits_until_it_is_decided_or_too_old(world, aysel, hers, clock):
    market = world.organisation()
    template = market.publish(required=["contact.email"])
    uri, _ = world.push(market, market.details(template))
    opened = world.open_request(aysel, market, uri)
    asked = "Xəzər Market asks for your data."
    assert asked in words(hers.get("/"))

    world.refuse(aysel, opened)
    assert asked not in words(hers.get("/"))

    uri, _ = world.push(market, market.details(template))
    world.open_request(aysel, market, uri)
    assert asked in words(hers.get("/"))
    clock.move(minutes=10)
    assert asked not in words(hers.get("/"))


def test_whoever_asks_again_and_again_has_one_line(world, aysel, hers, clock):
    """Else one organisation could push aside all that waits."""
    market = world.organisation()
    template = market.publish(required=["contact.email"])
    for _ in range(3):
        clock.move(seconds=60)
        uri, _ = world.push(market, market.details(template))
        world.open_request(aysel, market, uri)

    assert words(hers.get("/")).count("Xəzər Market asks for your data.") == 1


def test_a_request_for_more_is_told_from_a_first_one(world, aysel, hers):
    shared = shared_with(world, aysel)
    market = shared.organisation
    uri, _ = world.push(market, market.details(shared.template))
    world.open_request(aysel, market, uri)

    assert "Xəzər Market asks to change what you share." in words(hers.get("/"))


def test_an_overdue_answer_waits_after_the_end(world, aysel, hers, clock):
    shared = shared_with(world, aysel)
    shared.withdraw()
    late = "Xəzər Market has not answered in time"
    assert late not in words(hers.get("/"))

    clock.move(days=60)
    hers.sign_in()
    page = hers.get("/")

    assert late in words(page)
    assert "Nobody. When an organisation asks" in words(page)


def test_a_deletion_that_is_cooling_is_said_once(world, aysel, hers):
    world.services.deletions.ask(aysel.visitor.vault, asks_erasure=False, is_limited=False)
    page = hers.get("/")

    assert words(page).count("Your vault will be deleted on") == 1
    assert 'href="/vault-deletion"' in page.text


def test_nothing_of_another_person_is_shown(world, aysel, hers, new_browser):
    shared = shared_with(world, aysel)
    job = world.services.imports(aysel.visitor).stage("vcard", CARD)
    market = shared.organisation
    uri, _ = world.push(market, market.details(shared.template))
    world.open_request(aysel, market, uri)
    world.person("mallory")
    other = new_browser()
    other.sign_in("mallory")
    page = other.get("/")

    assert str(job) not in page.text
    assert str(shared.agreement_id) not in page.text
    assert "Xəzər Market" not in page.text
    assert "Xəzər Market" in hers.get("/").text


@pytest.mark.tampers
def test_the_statements_do_not_grow_with_the_vault(world, aysel, hers):
    """10,000 records and eight connections take as many statements as none."""
    with recorded(world) as empty:
        hers.get("/")
    for number in range(4):
        shared_with(world, aysel, f"Market {number}")
        shared_with(world, aysel, f"Bank {number}").withdraw()
    common = {"bucket": aysel.visitor.vault.bucket, "vault_id": aysel.vault_id}

    def fill(session):
        session.execute(insert(Record), [common | row(number) for number in range(10_000)])

    world.services.uow.write(fill)
    with recorded(world) as full:
        page = hers.get("/")

    assert "10,000 records" in words(page)
    assert len(full.reads) <= MOST_STATEMENTS
    assert len(full.reads) <= len(empty.reads) + 4  # the texts of what stands
    assert full.jobs == empty.jobs == []
