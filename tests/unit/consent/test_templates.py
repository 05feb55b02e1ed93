"""What an organisation may put into a template, and what is found before it is published."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from consent import notices
from consent.asks import Ask
from consent.formats import canonical
from consent.models import Organisation
from consent.templates import Template, check
from pds.errors import NotFoundError, ValidationFailedError
from tests.support.world import template_document, wording

ORGANISATION = uuid4()
TODAY = date(2026, 3, 1)


def document(**members):
    return template_document(ORGANISATION, **({"required": ["contact.email"]} | members))


def rules(found):
    with pytest.raises(ValidationFailedError) as refused:
        check(found, on=TODAY)
    return {(issue.field, issue.rule) for issue in refused.value.issues}


def test_a_complete_template_is_good():
    check(document(optional=["profile.given_name"]), on=TODAY)
    ranged = {"required": ["transactions.date"], "data_from": {"transactions": "2026-01-01"}}
    check(document(**ranged), on=TODAY)
    check(document(actions=["write"]), on=TODAY)


@pytest.mark.parametrize("member", sorted(document()))
def test_every_member_is_needed(member):
    """Uniform terms: nothing is left to a default."""
    found = document()
    del found[member]

    assert rules(found)


@pytest.mark.parametrize("member", ["purpose_text", "name", "if_refused", "complaint"])
@pytest.mark.parametrize(
    "words",
    [{}, {"en": "x"}, {"az": "x"}, {"az": "", "en": "x"}, {"az": "x", "en": "x", "ru": "x"}, "x"],
    ids=["none", "no az", "no en", "empty", "a third", "text"],
)
def test_words_are_in_both_languages(member, words):
    """CUX: Azerbaijani and English."""
    assert rules(document(**{member: words}))


def test_every_fault_of_words_is_named_at_once():
    found = document(
        required=["contact.email", "contact.nothing", "contact.email"],
        max_duration="P1Y",
        purpose_text=wording("x" * 161),
        data_from={"contact": "2026-01-01", "health": "2026-01-01"},
    )

    assert rules(found) == {
        ("/attributes/1/name", "unknown_attribute"),
        ("/attributes/2/name", "twice"),
        ("/max_duration", "duration"),
        ("/purpose_text/az", "too_long"),
        ("/purpose_text/en", "too_long"),
        ("/data_from/contact", "no_range"),
        ("/data_from/health", "no_range"),
    }


def test_an_item_is_either_required_or_optional():
    assert ("/optional_attributes/0/name", "twice") in rules(document(optional=["contact.email"]))


def test_reading_nothing_is_a_contradiction():
    assert rules(document(required=[])) == {("/attributes", "empty")}


@pytest.mark.parametrize("name", ["contact.label", "contact", "contact.", ".email", "x.y"])
def test_companions_and_collections_are_not_asked_for(name):
    """P-21: they go with what is agreed."""
    assert rules(document(required=[name])) == {("/attributes/0/name", "unknown_attribute")}


@pytest.mark.parametrize(
    ("members", "place", "rule"),
    [
        ({"jurisdiction": "Bakı"}, "/jurisdiction", "pattern"),
        ({"access": {"mode": "always", "fetches_per_day": 1}}, "/access/mode", "enum"),
        ({"access": {"mode": "periodic", "fetches_per_day": 0}}, "/access/fetches_per_day",
         "minimum"),
        ({"attributes": [{"name": "contact.email"}]}, "/attributes/0", "required"),
        ({"attributes": [{"name": 1, "reason": wording("x")}]}, "/attributes/0/name", "type"),
        ({"data_from": {"transactions": "yesterday"}}, "/data_from/transactions", "format"),
        ({"data_from": {"a.b": "2026-01-01"}}, "/data_from", "propertyNames"),
        ({"name": wording(" ")}, "/name/az", "blank"),
        ({"clauses": "0" * 64}, "/clauses", "not_current"),
        ({"recipients": ["x"]}, "/recipients/0", "minLength"),
        ({"extra": 1}, "/", "additionalProperties"),
        ({"type": "pds-template/1"}, "/type", "const"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_a_json_pointer_with_its_rule_and_what_to_do(members, place, rule):
    """RFC 6901."""
    with pytest.raises(ValidationFailedError) as refused:
        check(document(**members), on=TODAY)

    issue = refused.value.issues[0]
    assert (issue.pointer, issue.rule) == (place, rule)
    assert issue.detail
    assert not issue.detail.startswith("data")


@pytest.mark.parametrize("found", [None, [], "x", 1, {}])
def test_what_is_no_template_is_refused_whole(found):
    assert {place for place, _ in rules(found)} == {"/"}


def item(name="demographics.birth_date", **members):
    return {"name": name, "reason": wording("Needed.")} | members


@pytest.mark.parametrize(
    ("asked", "place", "rule"),
    [
        (item(coarsened_to="city_only"), "coarsened_to", "unknown_coarsening"),
        (item(coarsenings=["age_band", "city_only"]), "coarsenings/1", "unknown_coarsening"),
        (item(coarsened_to="age_band", coarsenings=["age_band"]), "coarsenings/0", "twice"),
        (item(coarsenings=["age_band", "age_band"]), "coarsenings", "uniqueItems"),
        (item("contact.email", coarsenings=["age_band"]), "coarsenings/0", "unknown_coarsening"),
    ],
)
def test_coarser_forms_are_those_of_the_catalogue(asked, place, rule):
    """LEAD-5."""
    assert rules(document(attributes=[asked])) == {(f"/attributes/0/{place}", rule)}


@pytest.mark.parametrize(
    ("instances", "rule"),
    [
        ({"contact": "primary"}, None),
        ({"contact": "all"}, None),
        ({"addresses": "primary"}, "not_asked"),
        ({"profile": "all"}, "only_one"),
        ({"interests": "primary"}, "no_primary"),
        ({"contact": "chosen"}, "enum"),
    ],
)
def test_a_template_may_ask_for_the_main_record_only(instances, rule):
    """P-26: which of several is the person's to choose, and never the organisation's."""
    found = document(
        required=["contact.email", "profile.given_name", "interests.level"], instances=instances
    )
    place = f"/instances/{next(iter(instances))}"

    if rule is None:
        check(found, on=TODAY)
    else:
        assert rules(found) == {(place, rule)}


def test_what_may_be_coarsened_is_the_organisations_word_for_required_items_only():
    """P-27: less of a required item than was said to do would be a refusal."""
    exact = item()
    named = item(coarsenings=["age_band"])
    coarse = item(coarsened_to="age_band", coarsenings=["age_over_18"])
    every = ("age_over_18", "age_over_65", "age_band", "year_of_birth")

    def offered(place, asked):
        found = document(attributes=[item("contact.email")], optional_attributes=[])
        template = Template("0" * 64, found | {place: [*found[place], asked]})
        name = "demographics.birth_date"
        return template.coarsened_to(name), template.coarsenings(name)

    assert offered("attributes", exact) == (None, ())
    assert offered("attributes", named) == (None, ("age_band",))
    assert offered("attributes", coarse) == ("age_band", ("age_over_18",))
    assert offered("optional_attributes", exact) == (None, every)
    assert offered("optional_attributes", coarse) == ("age_band", ("age_over_18",))


def test_a_template_of_the_first_format_is_still_read():
    first = document(type="pds-template/1")
    del first["clauses"], first["instances"]
    found = Template("0" * 64, first)

    assert found.clauses is None
    assert found.instances("contact") == "all"
    assert found.coarsenings("contact.email") == ()
    notice = notices.build(ask(template=found, optional=()), organisation(), locale="az")
    assert notice["clauses"] is None


def test_a_template_says_why_it_asks_for_each_item():
    found = Template("0" * 64, document(optional=["profile.given_name"]))

    assert found.reason("contact.email", "az") == "Needed."
    assert found.reason("profile.given_name", "en") == "Nice."
    with pytest.raises(NotFoundError):
        found.reason("contact.phone", "en")


def organisation(**changes):
    values = {
        "id": ORGANISATION,
        "name_az": "Mağaza",
        "name_en": "Shop",
        "contact": "c@example.com",
        "address": "Bakı",
        "standing": "good",
    }
    return Organisation(**(values | changes))


def ask(**changes):
    template = Template("0" * 64, document(optional=["profile.given_name"]))
    values = {
        "client_id": uuid4(),
        "client_name": "App",
        "redirect_uri": "https://client.example:8443/cb?x=1",
        "template": template,
        "actions": ("read",),
        "required": template.required,
        "optional": template.optional,
        "duration": "P30D",
    }
    return Ask(**(values | changes))


ASK = ask()


def sha256(asked=ASK, locale="en", **changes):
    return notices.notice_sha256(notices.build(asked, organisation(**changes), locale=locale))


def test_a_notice_is_known_by_the_hash_of_its_canonical_form():
    """P-28, AUD-4."""
    notice = notices.build(ASK, organisation(), locale="en")

    assert sha256() == canonical.sha256_hex(notice)
    assert sha256() == sha256()
    assert notice["redirect_host"] == "client.example:8443"
    assert notice["durations"] == ["P1D", "P7D", "P30D"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda: sha256(locale="az"),
        lambda: sha256(name_en="Another"),
        lambda: sha256(contact="d@example.com"),
        lambda: sha256(standing="suspended"),
        lambda: sha256(ask(client_id=ASK.client_id, client_name="Other app")),
        lambda: sha256(ask(client_id=ASK.client_id, redirect_uri="https://other.example/cb")),
        lambda: sha256(ask(client_id=ASK.client_id, required=())),
        lambda: sha256(ask(client_id=ASK.client_id, optional=())),
        lambda: sha256(ask(client_id=ASK.client_id, actions=("read", "write"))),
        lambda: sha256(ask(client_id=ASK.client_id, duration="P7D")),
    ],
    ids=[
        "language", "organisation", "contact", "standing", "client", "redirect", "required",
        "optional", "actions", "duration",
    ],
)  # fmt: skip
def test_whatever_is_shown_is_in_the_hash(changed):
    """P-28: a difference shows the page again."""
    assert changed() != sha256()
