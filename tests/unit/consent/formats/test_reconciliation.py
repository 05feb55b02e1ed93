"""LEAD-8, P-25: an answer that differs from its agreement is told by machine, on either side."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.formats.errors import MalformedError
from consent.formats.reconciliation import Terms, mismatches

EMAIL, PHONE, BIRTH, STREET = (
    "contact.email", "contact.phone", "demographics.birth_date", "addresses.street_address",
)  # fmt: skip
GRANTED = {
    "attributes": [EMAIL, PHONE, BIRTH, "transactions.date"],
    "coarsenings": {BIRTH: "age_band"},
    "instances": {"contact": {"which": "chosen", "records": ["r1"]}},
    "data_from": {"transactions": "2026-01-01"},
    "withheld": [
        {"attribute": STREET, "reason": "not_agreed"},
        {"attribute": BIRTH, "reason": "coarsened", "coarsening": "age_band"},
    ],
}
TERMS = Terms.from_document(GRANTED)


def record(name, number, **data):
    return {"collection": name, "id": number, "deleted": False, "data": data}


ANSWER = {
    "records": [
        record("contact", "r1", email="a@example.com", label="work"),
        record("demographics", "r2", birth_date="30-39"),
        record("transactions", "r3", date="2026-01-01"),
        {"collection": "contact", "id": "r1", "deleted": True},
    ],
    "manifest": {
        "asked": sorted([*GRANTED["attributes"], STREET]),
        "agreed": sorted(GRANTED["attributes"]),
        "delivered": sorted([EMAIL, BIRTH, "transactions.date"]),
        "withheld": [*GRANTED["withheld"], {"attribute": PHONE, "reason": "out_of_range"}],
    },
}
RANGES = {"transactions": "date"}


def codes(answer=ANSWER, terms=TERMS, **options):
    return [each.code for each in mismatches(answer, terms, range_fields=RANGES, **options)]


def changed(change):
    answer = copy.deepcopy(ANSWER)
    change(answer["manifest"], answer["records"])
    return codes(answer)


def withheld(attribute, reason, **more):
    return {"attribute": attribute, "reason": reason, **more}


def test_an_answer_as_agreed_matches():
    assert codes() == []


def test_terms_read_the_same_from_every_document_that_states_them():
    """The grant's detail, `/v1/grant` and the agreement's own text."""
    agreement = {k: v for k, v in GRANTED.items() if k != "withheld"} | {"denied": [STREET]}

    assert Terms.from_document(agreement) == TERMS
    assert Terms.from_document(TERMS.to_document()) == TERMS
    assert Terms.from_document(json.loads(json.dumps(TERMS.to_document()))) == TERMS


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("asked", lambda m, _: m["asked"].remove(STREET)),
        ("asked", lambda m, _: m["asked"].append("x.y")),
        ("agreed", lambda m, _: m["agreed"].append(STREET)),
        ("agreed", lambda m, _: m["agreed"].remove(EMAIL)),
        ("withheld", lambda m, _: m["withheld"].pop(0)),
        ("withheld", lambda m, _: m["withheld"].pop(1)),
        ("withheld", lambda m, _: m["withheld"].append(withheld(EMAIL, "not_agreed"))),
        ("withheld", lambda m, _: m["withheld"].append(withheld(STREET, "not_agreed"))),
        ("withheld", lambda m, _: m["withheld"][1].update(coarsening="age_over_18")),
        ("withheld", lambda m, _: m["withheld"][1].pop("coarsening")),
        ("delivered", lambda m, _: m["delivered"].append(PHONE)),
        ("delivered", lambda m, _: m["delivered"].remove(EMAIL)),
        ("delivered", lambda _, r: r.pop(1)),
        ("absent", lambda m, _: m["withheld"].append(withheld(EMAIL, "out_of_range"))),
        ("absent", lambda m, _: m["withheld"].append(withheld(PHONE, "out_of_range"))),
        ("absent", lambda m, _: m["withheld"].append(withheld(STREET, "not_filled_in"))),
        ("absent", lambda m, _: m["withheld"][2].update(reason="not_filled_in")),
        ("beyond-agreement", lambda _, r: r[0]["data"].update(street="x")),
        ("beyond-agreement", lambda _, r: r.append(record("health", "r9", allergies=["x"]))),
        ("record-not-shared", lambda _, r: r.append(record("contact", "r8", email="b@e.example"))),
        ("out-of-range", lambda _, r: r[2]["data"].update(date="2025-12-31")),
        ("out-of-range", lambda _, r: r[2]["data"].update(date="2025-12")),
    ],
)  # fmt: skip
def test_each_difference_has_its_code(code, change):
    assert set(changed(change)) == {code}


@pytest.mark.parametrize("date", ["2026-01", "2026-01-01T00:00:00Z", "2026"])
def test_a_coarser_date_is_in_range_where_the_range_may_have_begun(date):
    assert changed(lambda _, r: r[2]["data"].update(date=date)) == []


def test_the_main_record_is_the_one_that_says_so():
    terms = Terms.from_document(GRANTED | {"instances": {"contact": {"which": "primary"}}})

    assert codes(terms=terms) == ["record-not-shared"]
    answer = copy.deepcopy(ANSWER)
    answer["records"][0]["data"]["primary"] = True
    assert codes(answer, terms) == []


def test_an_answer_about_one_collection_is_held_against_that_part():
    answer = {
        "records": [ANSWER["records"][1]],
        "manifest": {
            "asked": [BIRTH],
            "agreed": [BIRTH],
            "delivered": [BIRTH],
            "withheld": [GRANTED["withheld"][1]],
        },
    }

    assert codes(answer, collection="demographics") == []
    assert set(codes(answer)) == {"asked", "agreed", "withheld"}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("manifest"),
        lambda a: a.update(records={}),
        lambda a: a["manifest"].pop("withheld"),
        lambda a: a["manifest"].update(agreed=[EMAIL, EMAIL]),
        lambda a: a["manifest"]["withheld"].append({"attribute": EMAIL}),
        lambda a: a["manifest"]["withheld"].append(withheld(EMAIL, "lost")),
        lambda a: a["manifest"]["withheld"].append(withheld(EMAIL, "not_agreed", value="x")),
        lambda a: a["records"].append({"collection": "contact"}),
        lambda a: a["records"].append(1),
    ],
)
def test_what_breaks_the_form_is_malformed_and_nothing_else(change):
    answer = copy.deepcopy(ANSWER)
    change(answer)

    with pytest.raises(MalformedError):
        mismatches(answer, TERMS)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"attributes": "x"},
        {"attributes": [], "withheld": []} | {"coarsenings": []},
        {"attributes": [], "withheld": [], "instances": {"contact": "all"}},
        {"attributes": [], "withheld": [], "instances": {"contact": {"which": "chosen"}}},
        {"attributes": []},
    ],
)
def test_terms_that_break_the_form_are_malformed(document):
    with pytest.raises(MalformedError):
        Terms.from_document(document)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(["records", "manifest"]), VALUES)
def test_no_answer_makes_it_fail_otherwise(member, value):
    try:
        mismatches(ANSWER | {member: value}, TERMS)
    except MalformedError:
        return


def test_no_value_is_in_a_mismatch():
    """CM-17: what is told of a difference may be logged."""
    answer = copy.deepcopy(ANSWER)
    answer["records"].append(record("contact", "r8", email="secret@example.com", x="secret"))

    assert "secret@" not in str(mismatches(answer, TERMS))
