"""LEAD-6: what is too much for its purpose is refused or flagged, and by which rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import limits, templates
from consent.grants import GrantKeys, read_terms
from consent.limits import LIMITS, Extent, Severity
from consent.policy import Terms
from consent.vocabulary import Action, Purpose
from pds.catalogue import CATALOGUE, Sensitivity
from pds.ids import random_uuid
from pds.keys import VaultKeys, new_key
from tests.support.world import template_document

TODAY = date(2026, 3, 1)
ORDINARY, SENSITIVE = (
    tuple(
        attribute.qualified_name
        for collection in CATALOGUE.collections.values()
        if collection.range_field is None
        for attribute in collection.attributes.values()
        if attribute.sensitivity is wanted
    )
    for wanted in (Sensitivity.ORDINARY, Sensitivity.SENSITIVE)
)
WITHIN = Extent(
    Purpose.CUSTOMER_MANAGEMENT,
    ("contact.email",),
    fetches_per_day=1,
    data_from={},
    duration=timedelta(days=30),
    retention=timedelta(days=30),
    on=TODAY,
)


def found(**changes):
    return {
        (each.rule, each.severity.value) for each in limits.findings(replace(WITHIN, **changes))
    }


def test_what_is_within_the_limits_gives_nothing():
    assert found() == set()
    assert limits.exceeded(WITHIN) == ""


@pytest.mark.parametrize(
    ("rule", "changes", "less"),
    [
        ("attributes", {"attributes": ORDINARY[:21]}, {"attributes": ORDINARY[:20]}),
        (
            "sensitive",
            {"attributes": [n for n in SENSITIVE if n.startswith(("household", "products"))][:5]},
            {"attributes": [n for n in SENSITIVE if n.startswith(("household", "products"))][:4]},
        ),
        ("frequency", {"fetches_per_day": 289}, {"fetches_per_day": 288}),
        ("duration", {"duration": timedelta(days=366)}, {"duration": timedelta(days=365)}),
        ("retention", {"retention": timedelta(days=181)}, {"retention": timedelta(days=180)}),
        (
            "data_range",
            {
                "attributes": ("transactions.date",),
                "data_from": {"transactions": str(TODAY - timedelta(days=731))},
            },
            {
                "attributes": ("transactions.date",),
                "data_from": {"transactions": str(TODAY - timedelta(days=730))},
            },
        ),
        ("data_range", {"attributes": ("transactions.date",)}, {}),
        ("collection", {"attributes": ("health.allergies",)}, {"attributes": ("contact.phone",)}),
    ],
    ids=["items", "sensitive", "frequency", "duration", "retention", "range", "no start", "never"],
)
def test_each_ceiling_refuses_what_is_above_it_and_not_what_is_at_it(rule, changes, less):
    assert (f"purpose.{rule}", "refused") in found(**changes)
    assert not any(severity == "refused" for _, severity in found(**less))
    assert limits.exceeded(replace(WITHIN, **changes)) == f"purpose.{rule}"


def test_what_is_unusual_is_flagged_and_not_refused():
    assert found(fetches_per_day=49) == {("purpose.frequency", "flagged")}
    assert limits.exceeded(replace(WITHIN, fetches_per_day=49)) == ""


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_has_limits_that_make_sense(purpose):
    """The usual is within the most; no consent runs for more than a year (CUX-11)."""
    found = LIMITS[purpose]

    for name in ("attributes", "sensitive", "fetches_per_day", "duration", "retention"):
        assert getattr(found.usual, name) <= getattr(found.most, name), name
    assert found.most.duration <= timedelta(days=365)
    assert found.never <= CATALOGUE.collections.keys()
    assert limits.public()[purpose.value]["never"] == list(
        dict.fromkeys(limits.public()[purpose.value]["never"])
    )


def test_marketing_gets_nothing_sensitive():
    for name in SENSITIVE:
        extent = replace(WITHIN, purpose=Purpose.DIRECT_MARKETING, attributes=(name,))
        assert limits.exceeded(extent)


@given(
    st.sampled_from(Purpose),
    st.sets(st.sampled_from([*ORDINARY, *SENSITIVE]), min_size=1, max_size=12),
    st.integers(1, 1440),
    st.integers(1, 400),
)
def test_asking_for_less_is_never_refused_for_more(purpose, names, fetches, days):
    """Narrowing stays within: what a person agrees to needs no further check (P-27)."""
    asked = replace(
        WITHIN,
        purpose=purpose,
        attributes=tuple(sorted(names)),
        fetches_per_day=fetches,
        duration=timedelta(days=days),
    )
    less = replace(
        asked,
        attributes=asked.attributes[:1],
        fetches_per_day=1,
        duration=timedelta(days=1),
    )

    if not limits.exceeded(asked):
        assert not limits.exceeded(less)


def test_a_template_is_linted_with_place_rule_and_what_to_do():
    document = template_document(
        uuid4(),
        required=["contact.email", "health.allergies"],
        purpose="direct_marketing",
        access={"mode": "on_change", "fetches_per_day": 24},
        max_duration="P999D",
    )

    lint = templates.lint(document, on=TODAY)

    assert {(each.pointer, each.rule) for each in lint.errors} == {
        ("/attributes", "purpose.collection"),
        ("/attributes", "purpose.sensitive"),
        ("/max_duration", "purpose.duration"),
    }
    assert [(each.pointer, each.rule) for each in lint.flags] == [
        ("/access/fetches_per_day", "purpose.frequency")
    ]
    assert "365" in next(each.detail for each in lint.errors if each.rule == "purpose.duration")


def sealed(**members):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    terms = Terms(
        **{
            "agreement_id": "a",
            "agreement_version": 1,
            "agreement_sha256": "0" * 64,
            "purpose": "direct_marketing",
            "actions": frozenset({Action.READ}),
            "attributes": frozenset({"contact.email"}),
            "denied": frozenset(),
            "starts_at": start,
            "expires_at": start + timedelta(days=30),
            "fetches_per_day": 4,
        }
        | members
    )
    keys = GrantKeys(VaultKeys(b"d", 1, random_uuid()), random_uuid(), new_key())
    return read_terms(keys.open_terms(keys.seal_terms(terms)[0]))


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, ""),
        ({"attributes": frozenset({"health.allergies"})}, "purpose.collection"),
        ({"fetches_per_day": 1440}, "purpose.frequency"),
        ({"expires_at": datetime(2030, 1, 1, tzinfo=UTC)}, "purpose.duration"),
        ({"retention": "P31D"}, "purpose.retention"),
        ({"retention": "P30D"}, ""),
        ({"exceeds": "anything"}, ""),
    ],
)
def test_terms_are_held_against_the_limits_as_they_are_read(members, rule):
    """Worked out once for each text of terms, and never taken from the box."""
    assert sealed(**members).exceeds == rule


def test_severities_are_the_two():
    assert set(Severity) == {"refused", "flagged"}
