"""LEAD-5, P-27: what a person may choose, and that it is never more than was asked."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import choices
from consent.asks import Ask
from consent.choices import Choice, agree
from consent.manifests import manifest, withheld_by_agreement
from consent.policy import Terms
from consent.templates import Template
from consent.vocabulary import Action
from pds.errors import ValidationFailedError
from tests.support.world import template_document, wording

BIRTH, STREET, EMAIL, PHONE = (
    "demographics.birth_date", "addresses.street_address", "contact.email", "contact.phone",
)  # fmt: skip
ONE, TWO = uuid4(), uuid4()


def item(name, **members):
    return {"name": name, "reason": wording("Needed.")} | members


def ask(*, actions=("read",), **members):
    document = template_document(
        uuid4(),
        attributes=[item(EMAIL), item(BIRTH, coarsenings=["age_band", "age_over_18"])],
        optional_attributes=[item(PHONE), item(STREET), item("transactions.date")],
        access={"mode": "periodic", "fetches_per_day": 30},
    )
    template = Template("0" * 64, document | members)
    return Ask(
        client_id=uuid4(),
        client_name="App",
        redirect_uri="https://client.example/cb",
        template=template,
        actions=actions,
        required=template.required,
        optional=template.optional,
        duration="P90D",
    )


ASK = ask()
CHOICE = Choice("0" * 64, "en", duration="P90D")
EVERYTHING = replace(CHOICE, optional=frozenset(ASK.optional))


def refused(asked=ASK, **chosen):
    with pytest.raises(ValidationFailedError) as error:
        agree(asked, replace(CHOICE, **chosen))
    return {(issue.field, issue.rule) for issue in error.value.issues}


def test_what_is_not_chosen_is_as_asked_and_optional_items_are_left_out():
    agreed = agree(ASK, CHOICE)

    assert agreed.attributes == (EMAIL, BIRTH)
    assert agreed.denied == (PHONE, STREET, "transactions.date")
    assert (agreed.fetches_per_day, agreed.duration) == (30, "P90D")
    assert (agreed.coarsenings, agreed.primary, agreed.chosen) == ({}, (), {})
    assert agreed.is_narrowed
    assert not agree(ASK, EVERYTHING).is_narrowed


@pytest.mark.parametrize(
    "chosen",
    [
        {"duration": "P30D"},
        {"fetches_per_day": 4},
        {"coarsenings": {BIRTH: "age_band"}},
        {"instances": {"contact": "primary"}},
        {"instances": {"contact": "chosen"}, "records": {"contact": frozenset({ONE})}},
    ],
    ids=lambda each: next(iter(each)),
)
def test_whatever_is_less_than_asked_is_narrowed(chosen):
    assert agree(ASK, replace(EVERYTHING, **chosen)).is_narrowed


def test_everything_can_be_narrowed_at_once():
    agreed = agree(
        ASK,
        replace(
            CHOICE,
            optional=frozenset({STREET}),
            duration="P7D",
            fetches_per_day=1,
            coarsenings={BIRTH: "age_over_18", STREET: "district_only"},
            instances={"contact": "chosen", "addresses": "primary"},
            records={"contact": frozenset({ONE, TWO})},
        ),
    )

    assert agreed.coarsenings == {BIRTH: "age_over_18", STREET: "district_only"}
    assert agreed.primary == ("addresses",)
    assert agreed.chosen == {"contact": frozenset({ONE, TWO})}
    assert (agreed.duration, agreed.fetches_per_day) == ("P7D", 1)


def test_what_is_chosen_of_an_item_that_is_not_shared_counts_for_nothing():
    agreed = agree(
        ASK, replace(CHOICE, coarsenings={STREET: "city_only"}, instances={"addresses": "primary"})
    )

    assert (agreed.coarsenings, agreed.primary) == ({}, ())


@pytest.mark.parametrize(
    ("chosen", "field", "rule"),
    [
        ({"optional": frozenset({"identity.tax_id"})}, "attributes", "not_offered"),
        ({"optional": frozenset({EMAIL})}, "attributes", "not_offered"),
        ({"duration": "P91D"}, "duration", "not_offered"),
        ({"duration": "P31D"}, "duration", "not_offered"),
        ({"duration": ""}, "duration", "not_offered"),
        ({"fetches_per_day": 31}, "fetches_per_day", "not_offered"),
        ({"fetches_per_day": 2}, "fetches_per_day", "not_offered"),
        ({"fetches_per_day": 0}, "fetches_per_day", "not_offered"),
        ({"coarsenings": {BIRTH: "year_of_birth"}}, f"coarsen.{BIRTH}", "not_offered"),
        ({"coarsenings": {BIRTH: "none"}}, f"coarsen.{BIRTH}", "not_offered"),
        ({"coarsenings": {EMAIL: "domain_only"}}, f"coarsen.{EMAIL}", "not_offered"),
        ({"coarsenings": {"x.y": ""}}, "coarsen.x.y", "not_offered"),
        ({"instances": {"contact": "some"}}, "instances.contact", "not_offered"),
        ({"instances": {"demographics": "primary"}}, "instances.demographics", "not_offered"),
        ({"instances": {"transactions": "chosen"}}, "instances.transactions", "not_offered"),
        ({"instances": {"contact": "chosen"}}, "records.contact", "nothing_chosen_here"),
        ({"records": {"contact": frozenset({ONE})}}, "records.contact", "ticked_for_nothing"),
        (
            {"instances": {"contact": "all"}, "records": {"contact": frozenset({ONE})}},
            "records.contact",
            "ticked_for_nothing",
        ),
    ],
)
def test_what_was_not_offered_is_refused_and_its_field_named(chosen, field, rule):
    """P-27: a tampered form."""
    assert (field, rule) in refused(**chosen)


def test_agreeing_to_nothing_is_no_agreement():
    nothing = ask(attributes=[])

    assert refused(nothing) == {("attributes", "nothing_chosen")}


def test_a_form_that_was_asked_for_holds_without_a_choice():
    """Whoever asked for less gets no more."""
    coarse = ask(attributes=[item(BIRTH, coarsened_to="age_band", coarsenings=["age_over_18"])])

    assert agree(coarse, CHOICE).coarsenings == {BIRTH: "age_band"}
    assert agree(coarse, replace(CHOICE, coarsenings={BIRTH: ""})).coarsenings == {
        BIRTH: "age_band"
    }
    assert agree(coarse, replace(CHOICE, coarsenings={BIRTH: "age_over_18"})).coarsenings == {
        BIRTH: "age_over_18"
    }
    everything = replace(CHOICE, optional=frozenset(coarse.optional))
    assert not agree(coarse, everything).is_narrowed


def test_the_main_record_that_was_asked_for_is_not_widened():
    main = ask(instances={"contact": "primary"})

    assert choices.instances(main)["contact"] == ["primary"]
    assert agree(main, CHOICE).primary == ("contact",)
    assert refused(main, instances={"contact": "all"}) == {("instances.contact", "not_offered")}


def test_what_is_only_written_is_not_coarsened_nor_chosen():
    writes = ask(actions=(Action.WRITE.value,))

    assert choices.instances(writes) == {}
    assert choices.coarsenings(writes, BIRTH) == ()


def test_the_offer_has_what_is_asked_for_first_or_last():
    assert choices.frequencies(ASK) == [1, 4, 24, 30]
    once = ask(access={"mode": "once", "fetches_per_day": 30})
    assert choices.frequencies(once) == [30]
    assert choices.instances(ASK) == {
        "addresses": ["all", "primary", "chosen"],
        "contact": ["all", "primary", "chosen"],
    }
    assert choices.coarsenings(ASK, BIRTH) == ("age_band", "age_over_18")
    assert choices.coarsenings(ASK, STREET) == ("district_only", "city_only")


FORMS = st.sampled_from(["", "age_band", "age_over_18", "district_only", "x"])


@given(
    optional=st.frozensets(st.sampled_from([PHONE, STREET, EMAIL])),
    duration=st.sampled_from(["P1D", "P30D", "P90D", "P365D", ""]),
    fetches=st.sampled_from([None, 0, 1, 24, 30, 31]),
    forms=st.dictionaries(st.sampled_from([BIRTH, STREET, EMAIL]), FORMS, max_size=2),
    which=st.dictionaries(
        st.sampled_from(["contact", "addresses", "profile"]),
        st.sampled_from(["", "all", "primary", "chosen", "x"]),
        max_size=2,
    ),
    records=st.dictionaries(
        st.sampled_from(["contact", "addresses"]), st.frozensets(st.just(ONE)), max_size=2
    ),
)
def test_no_choice_agrees_to_more_than_was_asked(  # noqa: PLR0917 - what a form may hold
    optional, duration, fetches, forms, which, records
):
    """P-27: granted is within asked, whatever a form says."""
    choice = Choice("0" * 64, "en", optional, duration, fetches, forms, which, records)
    try:
        agreed = agree(ASK, choice)
    except ValidationFailedError:
        return

    assert set(ASK.required) <= set(agreed.attributes) <= {*ASK.required, *ASK.optional}
    assert {*agreed.attributes, *agreed.denied} == {*ASK.required, *ASK.optional}
    assert agreed.fetches_per_day <= 30
    assert int(agreed.duration[1:-1]) <= 90
    assert agreed.coarsenings.keys() <= set(agreed.attributes)
    assert all(form in choices.coarsenings(ASK, n) for n, form in agreed.coarsenings.items())
    assert all(agreed.chosen.values())


def terms(**members):
    values = {
        "agreement_id": "a",
        "agreement_version": 1,
        "agreement_sha256": "0" * 64,
        "purpose": "service_provision",
        "actions": frozenset({Action.READ}),
        "attributes": frozenset({EMAIL, PHONE, BIRTH, "transactions.date"}),
        "denied": frozenset({STREET}),
        "starts_at": None,
        "expires_at": None,
        "fetches_per_day": 1,
        "coarsenings": {BIRTH: "age_band"},
        "data_from": {"transactions": "2026-01-01"},
    }
    return Terms(**(values | members))


def reasons(found):
    return {(each["attribute"], each["reason"]) for each in found["withheld"]}


def test_the_manifest_gives_every_reason():
    """P-25, LEAD-5."""
    found = manifest(terms(), None, {EMAIL}, is_whole=True)

    assert reasons(found) == {
        (STREET, "not_agreed"),
        (BIRTH, "coarsened"),
        (BIRTH, "not_filled_in"),
        (PHONE, "not_filled_in"),
        ("transactions.date", "out_of_range"),
    }
    assert {"attribute": BIRTH, "reason": "coarsened", "coarsening": "age_band"} in found[
        "withheld"
    ]


@pytest.mark.parametrize(
    "limited", [{"primary": frozenset({"contact"})}, {"chosen": {"contact": frozenset({ONE})}}]
)
def test_where_some_records_are_shared_it_is_not_said_whether_there_are_others(limited):
    """P-25."""
    found = manifest(terms(**limited), "contact", {EMAIL}, is_whole=True)

    assert reasons(found) == {(PHONE, "out_of_range")}


def test_a_part_of_the_snapshot_tells_of_nothing_that_is_missing():
    found = manifest(terms(), None, set(), is_whole=False)

    assert reasons(found) == {(STREET, "not_agreed"), (BIRTH, "coarsened")}
    assert found["withheld"] == withheld_by_agreement([STREET], {BIRTH: "age_band"})


@given(st.sets(st.sampled_from([EMAIL, PHONE, BIRTH])), st.booleans())
def test_the_manifest_is_a_function_of_agreement_and_delivery(delivered, is_whole):
    """P-25: equal for equal, and every agreed item of a whole snapshot is accounted for."""
    found = manifest(terms(), None, delivered, is_whole=is_whole)

    assert found == manifest(terms(), None, set(delivered), is_whole=is_whole)
    missing = {
        name for name, reason in reasons(found) if reason in {"not_filled_in", "out_of_range"}
    }
    assert missing == ((set(found["agreed"]) - delivered) if is_whole else set())
