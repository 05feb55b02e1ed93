"""LEAD-12: which changes of a template a person must be asked about again."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.differences import Weight, differences, is_material
from tests.support.world import template_document, wording

ORGANISATION = uuid4()
EMAIL, PHONE = "contact.email", "contact.phone"


def document(**members):
    return template_document(ORGANISATION, **({"required": [EMAIL], "id": "x"} | members))


def items(*names, **members):
    return [{"name": name, "reason": wording("Needed.")} | members for name in names]


BEFORE = document(optional_attributes=items(PHONE), recipients=["A", "B"])


def found(**members):
    return [(each.pointer, each.weight.value) for each in differences(BEFORE, BEFORE | members)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"purpose": "direct_marketing"}, "/purpose"),
        ({"purpose_text": wording("For other things.")}, "/purpose_text/az"),
        ({"lawful_basis": "contract"}, "/lawful_basis"),
        ({"attributes": items(EMAIL, "profile.given_name")}, "/attributes/profile.given_name"),
        ({"optional_attributes": []}, "/optional_attributes/contact.phone"),
        ({"attributes": items(EMAIL, coarsenings=["x"])}, "/attributes/contact.email/coarsenings"),
        (
            {"attributes": items(EMAIL, coarsened_to="x")},
            "/attributes/contact.email/coarsened_to",
        ),
        ({"actions": ["read", "write"]}, "/actions"),
        ({"access": {"mode": "periodic", "fetches_per_day": 100}}, "/access/mode"),
        ({"access": {"mode": "on_change", "fetches_per_day": 99}}, "/access/fetches_per_day"),
        ({"instances": {"contact": "primary"}}, "/instances/contact"),
        ({"data_from": {"contact": "2026-01-01"}}, "/data_from/contact"),
        ({"max_duration": "P30D"}, "/max_duration"),
        (
            {"retention": BEFORE["retention"] | {"after_end": "P60D"}},
            "/retention/after_end",
        ),
        ({"storage_location": "US"}, "/storage_location"),
        ({"recipients": ["A", "C"]}, "/recipients"),
        ({"automated_decisions": True}, "/automated_decisions"),
        ({"if_refused": wording("You pay more.")}, "/if_refused/az"),
        ({"jurisdiction": "GE"}, "/jurisdiction"),
        ({"clauses": "0" * 64}, "/clauses"),
    ],
)
def test_a_change_of_terms_is_material(members, expected):
    assert (expected, "material") in found(**members)
    assert is_material(BEFORE, BEFORE | members)


@pytest.mark.parametrize(
    "members",
    [
        {"name": wording("Our loyalty card")},
        {"complaint": wording("Ring us.")},
        {"retention": BEFORE["retention"] | {"text": wording("Gone within 30 days.")}},
        {"attributes": items(EMAIL, reason=wording("To write to you."))},
        {"if_refused": wording("You get  no card!")},
        {"purpose_text": wording(BEFORE["purpose_text"]["en"].upper())},
    ],
    ids=["name", "complaint", "retention text", "reason", "punctuation", "case"],
)
def test_a_change_of_words_alone_is_cosmetic(members):
    assert {weight for _, weight in found(**members)} == {"cosmetic"}
    assert not is_material(BEFORE, BEFORE | members)


def test_order_says_nothing():
    assert found(recipients=["B", "A"]) == []
    both = items(EMAIL, PHONE)
    assert differences(document(attributes=both), document(attributes=both[::-1])) == []


def test_both_sides_are_told():
    (only,) = differences(BEFORE, BEFORE | {"max_duration": "P30D"})
    assert (only.before, only.after) == ("P365D", "P30D")
    (gone,) = differences(BEFORE, BEFORE | {"optional_attributes": []})
    assert (gone.before["reason"], gone.after) == (wording("Needed."), None)


def test_the_first_version_of_the_format_compares_with_the_second():
    first = {name: BEFORE[name] for name in BEFORE if name not in {"clauses", "instances"}}

    assert [each.pointer for each in differences(first, BEFORE)] == ["/clauses"]
    assert differences(first, BEFORE)[0].weight is Weight.MATERIAL


TERMS = sorted(BEFORE.keys() - {"type", "id", "version", "organisation"})


@given(st.sampled_from(TERMS), st.sampled_from([None, 1, "x", {}, {"a": 1}, wording("y")]))
def test_no_change_of_a_term_goes_unnoticed(member, value):
    """Whatever a later version says otherwise is listed; what is not listed is the same."""
    is_changed = BEFORE[member] != value

    assert bool(differences(BEFORE, BEFORE | {member: value})) == is_changed
