"""The consent page where a person shares less than was asked (LEAD-5, CUX-9, CUX-11, CUX-12)."""

from __future__ import annotations

import re

import pytest

from consent import notices
from tests.support.oauth_client import Callback
from tests.support.world import wording

pytestmark = pytest.mark.usefixtures("filled", "page")

NOBODYS = "00000000-0000-4000-8000-000000000000"
EMAIL, BIRTH, STREET = "contact.email", "demographics.birth_date", "addresses.street_address"


def item(name, **members):
    return {"name": name, "reason": wording("Needed.")} | members


@pytest.fixture
def filled(aysel):
    """Give Aysel what is asked for, twice where there can be several."""
    aysel.save("demographics", birth_date="1992-03-14")
    aysel.emails = [
        aysel.save("contact", email="home@poct.example", label="home", primary=True),
        aysel.save("contact", email="work@firma.example", label="work"),
    ]
    return aysel


@pytest.fixture
def page(world, hers):
    """Give the consent page of a request that can be narrowed in every way."""
    market = world.organisation("Xəzər Market")
    template = market.publish(
        attributes=[item(EMAIL), item(BIRTH, coarsenings=["age_band", "age_over_18"])],
        optional_attributes=[item(STREET)],
    )
    world.market, world.template = market, template
    return hers.get(link(world))


def link(world):
    pushed = world.push(world.market, world.market.details(world.template, duration="P90D"))
    return world.market.client.authorization_url(pushed[0]).removeprefix(world.issuer)


def decide(browser, page, decision="allow", **values):
    """Send the consent form; a name with two underscores stands for one with a dot."""
    values = {"duration": "P30D"} | {
        name.replace("__", ".", 1).replace("__", "."): value for name, value in values.items()
    }
    return browser.submit(page, "decision", decision=decision, **values)


def detail(browser):
    """Return the page of the only connection."""
    found = browser.get("/connections").text
    agreement = re.search(r'href="/connections/([0-9a-f-]{36})"', found)[1]
    return browser.get(f"/connections/{agreement}").text


def test_every_way_to_share_less_is_offered_and_nothing_is_chosen(page):
    """CUX-9: plain radio buttons and boxes, none ticked, no script."""
    form = page.page.form("decision")

    assert " checked" not in page.text
    for name, offered in (
        (f"coarsen.{BIRTH}", ["", "age_band", "age_over_18"]),
        (f"coarsen.{STREET}", ["", "district_only", "city_only"]),
        ("instances.contact", ["all", "primary", "chosen"]),
        ("fetches_per_day", ["1", "4", "24", "96", "100"]),
    ):
        found = re.findall(rf'type="radio" name="{re.escape(name)}" value="([^"]*)"', page.text)
        assert found == offered, name
        assert name not in form.fields
    assert "only whether you are 18 or over" in page.text
    assert "Where you choose nothing, it is as asked for." in page.text


def test_entries_are_told_apart_without_showing_them(page, filled):
    """CUX-7: masked, with their label; by ids that are the reader's own."""
    texts = ("h***@poct.example, Home", "w***@firma.example, Work")
    for record, text in zip(filled.emails, texts, strict=True):
        assert f'name="records.contact" value="{record.id}"' in page.text
        assert text in page.text
    assert "home@poct.example" not in page.text


def test_entries_that_would_read_the_same_are_shown_in_full(world, filled, hers):
    filled.save("contact", email="hotel@poct.example", label="home")

    again = hers.get(link(world)).text

    assert "home@poct.example" in again
    assert "hotel@poct.example" in again
    assert "work@firma.example" not in again


def test_the_page_speaks_azerbaijani(world, hers):
    """UI-16."""
    text = hers.get(f"{link(world)}&ui_locales=az").text

    for words in ("yalnız yaş aralığı", "yalnız əsas olanı", "İndi yox: hələ qərar vermirəm"):
        assert words in text


def test_what_was_chosen_is_agreed_and_shown(page, hers, filled):
    """LEAD-5: the connection says in what form, which records and how often."""
    done = decide(
        hers,
        page,
        **{
            f"coarsen.{BIRTH}": "age_band",
            "instances.contact": "chosen",
            "records.contact": str(filled.emails[1].id),
            "fetches_per_day": "4",
        },
    )

    assert "code" in Callback.of(done.location).parameters
    shown = detail(hers)
    assert "only the age band (such as 30-39)" in shown
    assert "only 1 that you chose" in shown
    assert "At most 4 times a day" in shown


def test_the_main_entry_alone_is_agreed_and_shown(page, hers):
    decide(hers, page, **{"instances.contact": "primary"})

    assert "only the main one" in detail(hers)


def test_who_chooses_nothing_agrees_to_what_was_asked(page, hers):
    decide(hers, page)

    shown = detail(hers)
    assert "Less than the whole" not in shown
    assert "At most 100 times a day" in shown


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({f"coarsen.{BIRTH}": "year_of_birth"}, f"coarsen.{BIRTH}"),
        ({f"coarsen.{EMAIL}": "domain_only"}, f"coarsen.{EMAIL}"),
        ({"coarsen.identity.tax_id": "last_four"}, "coarsen.identity.tax_id"),
        ({"fetches_per_day": "101"}, "fetches_per_day"),
        ({"fetches_per_day": "1e9"}, "fetches_per_day"),
        ({"fetches_per_day": "-1"}, "fetches_per_day"),
        ({"duration": "P365D"}, "duration"),
        ({"instances.contact": "every"}, "instances.contact"),
        ({"instances.profile": "primary"}, "instances.profile"),
        ({"instances.contact": "chosen"}, "records.contact"),
        (
            {
                "instances.contact": "chosen",
                "records.contact": NOBODYS,
            },
            "records.contact",
        ),
        ({"instances.contact": "chosen", "records.contact": "x"}, "records.contact"),
        ({"attributes": "identity.tax_id"}, "attributes"),
    ],
)
def test_a_tampered_form_names_its_field_and_decides_nothing(page, hers, values, field):
    """P-27."""
    answer = decide(hers, page, **values)

    assert answer.status == 422
    assert f'href="#{field}"' in answer.text
    assert "<title>Error:" in answer.text
    assert "No" in hers.get("/connections").text
    assert re.search(r'href="/connections/[0-9a-f-]{36}"', hers.get("/connections").text) is None


def test_a_record_of_somebody_else_cannot_be_chosen(world, page, hers):
    """SEC-S23."""
    leyla = world.person("leyla")
    record = leyla.save("contact", email="leyla@poct.example")

    chosen = {"instances.contact": "chosen", "records.contact": str(record.id)}

    answer = decide(hers, page, **chosen)

    assert answer.status == 422
    assert 'href="#records.contact"' in answer.text
    assert "leyla" not in answer.text


def test_a_page_that_comes_again_keeps_what_was_chosen(page, hers):
    """CUX-21."""
    answer = decide(
        hers,
        page,
        duration="P1D1",
        **{f"coarsen.{BIRTH}": "age_band", "instances.contact": "primary", "fetches_per_day": "24"},
    )

    assert answer.status == 422
    for name, value in (
        (f"coarsen.{BIRTH}", "age_band"),
        ("instances.contact", "primary"),
        ("fetches_per_day", "24"),
    ):
        assert f'name="{name}" value="{value}" checked' in answer.text


def test_a_request_is_put_aside_and_opened_again(page, hers):
    """VOC-19: nothing is decided, nothing is refused, and the way back is there."""
    aside = decide(hers, page, "defer", duration="")

    assert aside.status == 200
    assert "Nothing was decided" in aside.text
    assert "Put aside by you" in hers.get("/connections/history").text
    assert "Request put aside" in hers.get("/receipts").text
    again = re.search(r'href="(/oauth/authorize\?[^"]+)"', aside.text)[1].replace("&amp;", "&")
    done = decide(hers, hers.get(again))
    assert "code" in Callback.of(done.location).parameters
    assert "Put aside by you" not in hers.get("/connections/history").text


def test_putting_aside_rests_for_no_time(world, page, hers):
    """CUX-16 is about refusals."""
    decide(hers, page, "defer", duration="")

    assert hers.get(link(world)).page.form("decision")


def test_the_text_that_was_shown_keeps_what_was_offered(page, hers):
    """P-28: the notice is kept word for word, choices included."""
    shown = hers.get(f"/notices/{page.page.form('decision').fields['notice_sha256'][0]}").text

    for words in (
        "only whether you are 18 or over",
        "only the main one",
        "At most 4 times a day",
        "Not passed on",
    ):
        assert words in shown


def test_a_notice_of_the_first_format_is_still_shown(world, page, hers):
    sha256 = page.page.form("decision").fields["notice_sha256"][0]
    with world.services.uow.read() as session:
        document = notices.find(session, sha256)
    first = {
        name: value
        for name, value in document.items()
        if name not in {"instances", "frequencies", "clauses", "flags"}
    } | {"type": "pds-notice/1"}
    for member in ("required", "optional"):
        first[member] = [{"name": i["name"], "reason": i["reason"]} for i in first[member]]
    kept = world.services.uow.write(
        lambda session: notices.keep(session, first, now=world.services.clock.now())
    )

    answer = hers.get(f"/notices/{kept}")

    assert answer.status == 200
    assert "You can share less of it" not in answer.text
