"""Expressions, transforms, rules and lint (CON-12, CON-25, CON-33)."""

from __future__ import annotations

import pytest

from connector.crm.base import FieldSchema, ObjectSchema
from connector.errors import MappingError
from connector.mapping.expressions import EvaluationError, compile_expression
from connector.mapping.lint import lint
from connector.mapping.rules import Conflict, MapRule, apply_rules, touched_by
from connector.mapping.transforms import TRANSFORMS, TransformError
from connector.pds.models import Agreement, Record, Snapshot


def rule(category, field, expr, *transforms):
    expression = compile_expression(expr)
    return MapRule(category, "contact", field, expression, transforms, Conflict.VAULT_WINS)


def snapshot(*records, agreed):
    rows = [
        Record(collection, number, 1, "2030-01-01T00:00:00Z", data)
        for collection, number, data in records
    ]
    return Snapshot("g", Agreement("a", 1, ""), frozenset(agreed), rows, ())


def mapped(one_rule, *records, agreed):
    result = apply_rules([one_rule], snapshot(*records, agreed=agreed))
    return result.desired[one_rule.field].value if result.desired else None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"given_name": "Aysel", "family_name": "Məmmədova"}, "Aysel Məmmədova"),
        ({"given_name": "Aysel"}, "Aysel"),
        ({"given_name": " ", "family_name": None}, None),
    ],
    ids=["both", "one", "none"],
)
def test_words_joins_what_there_is(data, name):
    assert compile_expression("words(given_name, family_name)").evaluate(data) == name


@pytest.mark.parametrize("expr", ["a.", "nothing(a)", "join(a)"])
def test_what_is_no_expression_is_refused_when_it_is_read(expr):
    with pytest.raises(MappingError):
        compile_expression(expr)


def test_an_expression_that_does_not_fit_the_data_quotes_no_value():
    with pytest.raises(EvaluationError) as caught:
        compile_expression("join(', ', given_name)").evaluate({"given_name": "Aysel"})

    assert "Aysel" not in str(caught.value)


def test_names_and_members_of_an_expression_are_known():
    expression = compile_expression("{street: road, town: city.name}")

    assert expression.names == {"road", "city", "name"}
    assert expression.members == {"street", "town"}


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("email", " Aysel.M+x@Mail.Example ", "Aysel.M+x@mail.example"),
        ("phone", "050 123 45 67", "+994501234567"),
        ("phone", "+44 20 7946 0958", "+442079460958"),
        ("trim", "  a  b ", "a b"),
    ],
    ids=["e-mail keeps dots and tags", "local number", "foreign number", "blanks"],
)
def test_transforms_normalise_con_25(name, value, result):
    assert TRANSFORMS[name](value) == result


@pytest.mark.parametrize(
    ("name", "value"), [("email", "nope"), ("phone", "not a phone"), ("phone", "12")]
)
def test_transforms_refuse_what_a_crm_would_take_con_12(name, value):
    with pytest.raises(TransformError) as caught:
        TRANSFORMS[name](value)

    assert value not in str(caught.value)


def test_the_primary_record_comes_first_whatever_its_place():
    records = [
        ("contact", "1", {"email": "second@x.example"}),
        ("contact", "2", {"email": "first@x.example", "primary": True}),
    ]
    expr = "records[?email].email | [0]"

    assert (
        mapped(rule("contact", "email", expr), *records, agreed={"contact.email"})
        == "first@x.example"
    )


def test_the_members_of_the_first_record_are_at_hand():
    records = [("profile", "1", {"given_name": "Aysel"})]

    assert (
        mapped(rule("profile", "name", "given_name"), *records, agreed={"profile.given_name"})
        == "Aysel"
    )


def test_a_category_outside_the_agreement_is_dropped_con_33():
    records = [("health", "1", {"diagnosis": "x"})]

    assert (
        mapped(rule("health", "note", "diagnosis"), *records, agreed={"profile.given_name"}) is None
    )


def test_empty_members_are_left_out_and_an_empty_object_is_nothing():
    records = [("addresses", "1", {"city": "Bakı", "street": " "})]
    expr = "{city: city, street: street, code: postal_code}"

    assert mapped(rule("addresses", "a[b]", expr), *records, agreed={"addresses.city"}) == {
        "city": "Bakı"
    }
    assert (
        mapped(rule("addresses", "a[b]", "{x: nope}"), *records, agreed={"addresses.city"}) is None
    )


@pytest.mark.parametrize("expr", ["records", "ratio"])
def test_a_list_or_a_fraction_is_no_field_value(expr):
    records = [("profile", "1", {"ratio": 0.5})]

    result = apply_rules(
        [rule("profile", "name", expr)], snapshot(*records, agreed={"profile.ratio"})
    )

    assert [problem.field for problem in result.invalid] == ["name"]


def test_a_transform_of_what_is_no_text_is_invalid():
    records = [("profile", "1", {"children": 2})]

    result = apply_rules(
        [rule("profile", "name", "children", "trim")],
        snapshot(*records, agreed={"profile.children"}),
    )

    assert result.invalid[0].problem == "not a text"


def test_the_rules_that_read_a_removed_attribute_are_found_con_g6():
    rules = [
        rule("contact", "email", "records[?email].email | [0]"),
        rule("contact", "phone", "records[?phone].phone | [0]"),
        rule("profile", "name", "words(given_name, family_name)"),
    ]

    touched = touched_by(rules, frozenset({"contact.phone", "profile.family_name"}))

    assert [one.field for one in touched] == ["phone", "name"]


SCHEMA = ObjectSchema(
    {
        "name": FieldSchema("text"),
        "id": FieldSchema("number", is_writable=False),
        "ways": FieldSchema("rows", keys=frozenset({"email"})),
        "places": FieldSchema("rows", members=frozenset({"city"})),
    }
)


@pytest.mark.parametrize(
    ("field", "expr", "problem"),
    [
        ("name", "a", None),
        ("ways[email]", "a", None),
        ("ways[email:work]", "a", None),
        ("places[home]", "{city: a}", None),
        ("nope", "a", "no such field"),
        ("id", "a", "read-only"),
        ("name[x]", "a", "no rows"),
        ("ways", "a", "name the row"),
        ("ways[]", "a", "name the row"),
        ("ways[pigeon]", "a", "one of email"),
        ("ways[email]", "{city: a}", "one text"),
        ("places[home]", "a", "an object here"),
        ("places[home]", "{town: a}", "no town"),
    ],
)
def test_lint_finds_what_does_not_fit_con_10(field, expr, problem):
    problems = lint([rule("profile", field, expr)], {"contact": SCHEMA})

    assert (not problems) if problem is None else (problem in problems[0])


def test_lint_finds_an_unknown_object_a_repeated_field_and_an_empty_mapping():
    twice = [rule("profile", "name", "a"), rule("profile", "name", "b")]

    assert "no such object" in lint(twice[:1], {"contact": ObjectSchema({})})[0]
    assert "mapped 2 times" in lint(twice, {"contact": SCHEMA})[0]
    assert "no [[map]]" in lint([], {})[0]
