"""Finding one's way in connections and activity: filters, what changed, what was read, files.

CUX-28, CUX-31, CUX-32, CUX-33
"""

from __future__ import annotations

import pytest

from tests.support.statements import recorded
from tests.support.world import wording

NONE = "01900000-0000-7000-8000-000000000000"
EMAIL, PHONE = "contact.email", "contact.phone"


@pytest.fixture
def market(world):
    return world.organisation()


@pytest.fixture
def shared(world, aysel, market):
    """Connect a market, which reads once."""
    aysel.save("contact", email="aysel@poct.example")
    found = world.connect(
        aysel, market, market.publish(required=[EMAIL], optional=[PHONE]), optional=[PHONE]
    )
    assert found.get("/v1/records").status_code == 200
    return found


@pytest.fixture
def bank(world, aysel):
    """Connect a bank beside it."""
    found = world.organisation("Günəş Bank")
    return world.connect(
        aysel, found, found.publish(required=[EMAIL], purpose_text=wording("Why."))
    )


def cards(page):
    return page.text.count('<article class="card connection">')


def entries(page):
    return page.text.count('<li class="entry">')


def test_connections_are_filtered_by_organisation(hers, market, shared, bank):
    """CUX-28"""
    one = hers.get(f"/connections?organisation={market.id}")
    other = hers.get(f"/connections?organisation={NONE}")

    assert cards(hers.get("/connections")) == 2
    assert cards(one) == 1
    assert str(shared.agreement_id) in one.text
    assert str(bank.agreement_id) not in one.text
    assert "Nothing matches these filters" in other.text


def test_what_nobody_uses_is_stopped_together_and_the_rest_goes_on(world, hers, aysel, clock):
    """CUX-32"""
    long = {"duration": "P365D"}
    shop, kept = world.organisation(), world.organisation("Kitab Evi")
    unused = world.connect(aysel, shop, shop.publish(required=[EMAIL]), **long)
    clock.move(days=60)
    aysel.sign_in()
    used = world.connect(aysel, kept, kept.publish(required=[EMAIL]), **long)
    clock.move(days=40)
    hers.sign_in()
    page = hers.get("/connections")
    asked = hers.get("/connections/stop-all?unused=yes")
    hers.submit(asked, "confirm")
    left = hers.get("/connections").text

    assert "1 connection has not been used for 90 days." in page.text
    assert "Stop what nobody uses?" in asked.text
    assert str(unused.agreement_id) not in left
    assert str(used.agreement_id) in left


def test_the_agreement_shows_what_each_version_changed(hers, shared):
    """CUX-41, CUX-42: narrowed without a new request, old against new."""
    page = hers.get(f"/connections/{shared.agreement_id}/narrow")
    hers.submit(page, "agreement_sha256", attributes=[], fetches_per_day="4")
    changed = hers.get(f"/connections/{shared.agreement_id}").text
    table = changed.partition('<table class="changes">')[2].partition("</table>")[0]

    assert "<td>Phone</td>" in table
    assert "<td>At most 100 times a day</td><td>At most 4 times a day</td>" in table


def test_the_agreement_shows_item_by_item_what_was_read(hers, shared, bank):
    """CUX-31"""
    read = hers.get(f"/connections/{shared.agreement_id}").text
    unread = hers.get(f"/connections/{bank.agreement_id}").text
    items = read.partition("What was read, item by item")[2].partition("</ul>")[0]

    assert "E-mail" in items
    assert "1 time" in items
    assert "What was read, item by item" not in unread


def test_an_agreement_is_downloaded_whole(hers, shared):
    """CUX-33"""
    answer = hers.get(f"/connections/{shared.agreement_id}/file")
    content = answer.response.json()

    assert "attachment" in answer.response.headers["Content-Disposition"]
    assert content["versions"][0]["attributes"] == [EMAIL, PHONE]
    assert len(content["receipts"]) == 1
    assert {"consent.given", "data.read"} <= {each["public"]["event"] for each in content["log"]}


def test_another_persons_agreement_is_no_file(world, new_browser, shared):
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    assert mallory.get(f"/connections/{shared.agreement_id}/file").status == 404
    assert mallory.get(f"/connections/{NONE}/file").status == 404


@pytest.mark.usefixtures("shared")
def test_activity_is_filtered_by_organisation_kind_and_time(hers, market, bank, clock):
    of_market = hers.get(f"/activity?organisation={market.id}")
    reads = hers.get("/activity?kind=reading")
    today = f"{clock.now():%Y-%m-%d}"
    before = hers.get("/activity?until=2020-01-01")
    since = hers.get(f"/activity?since={today}")
    all_of_it = hers.get("/activity?kind=nonsense&since=never")

    assert f"/connections/{bank.agreement_id}" not in of_market.text
    assert "The organisation read data" in reads.text
    assert "You signed up" not in reads.text
    assert "Nothing matches these filters" in before.text
    assert entries(since) == entries(all_of_it) == entries(hers.get("/activity"))
    assert 0 < entries(reads) < entries(of_market) + entries(reads) < entries(all_of_it) * 2


def test_another_persons_organisation_filters_to_nothing(world, new_browser, market, shared):
    """Who shares with whom does not show by a filter."""
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    assert shared
    for organisation in (market.id, NONE):
        page = mallory.get(f"/activity?organisation={organisation}")
        assert "Nothing matches these filters" in page.text
        assert "Xəzər Market" not in page.text


@pytest.mark.usefixtures("shared", "bank")
def test_filters_cost_no_further_statements(world, hers, market):
    counts = []
    for query in ("", f"?organisation={market.id}&kind=reading&since=2020-01-01"):
        with recorded(world) as found:
            hers.get(f"/activity{query}")
        counts.append(len(found.reads))

    assert counts[1] <= counts[0]
    assert counts[0] < 25


def test_where_data_comes_from_stands_apart_from_who_reads_it(world, hers, aysel, market, shared):
    """CUX-34"""
    template = market.publish(required=[EMAIL], actions=["read", "write"])
    imports = world.services.imports(aysel.visitor)
    card = imports.stage(
        "vcard", b"BEGIN:VCARD\nVERSION:3.0\nFN:P\nEMAIL:p@poct.example\nEND:VCARD"
    )
    page = hers.get("/connections/sources")
    shared.withdraw()

    assert template
    assert f"/imports/{card}" in page.text
    assert "No organisation has left anything" in page.text
    assert f"/imports/{card}" in hers.get("/connections/sources").text
    hers.lock()
    assert "Unlock your vault to see" in hers.get("/connections/sources").text
