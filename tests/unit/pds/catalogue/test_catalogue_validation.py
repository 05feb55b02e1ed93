"""Validation: one normal form for each value, and an issue that helps for each fault."""

import pytest

from pds.catalogue import CATALOGUE
from pds.catalogue.messages import MESSAGES
from pds.errors import ValidationFailedError


def validated(collection, **data):
    return CATALOGUE.collection(collection).validate(data)


def issues(collection, **data):
    with pytest.raises(ValidationFailedError) as caught:
        validated(collection, **data)
    return caught.value.issues


def rules(collection, **data):
    return [(issue.field, issue.rule) for issue in issues(collection, **data)]


@pytest.mark.parametrize(
    ("collection", "name", "written", "normal"),
    [
        ("profile", "given_name", "  Aysel \t xanım ", "Aysel xanım"),
        ("profile", "given_name", "Gu\u0308nel", "Günel"),
        ("profile", "given_name", "Ay\u202esel\x00", "Aysel"),
        ("contact", "phone", "050 123 45 67", "+994501234567"),
        ("contact", "phone", "+420 600 000 142", "+420600000142"),
        ("contact", "email", " Aysel@Poct.EXAMPLE ", "Aysel@poct.example"),
        ("demographics", "birth_date", "19920314", "1992-03-14"),
        ("demographics", "nationality", "az", "AZ"),
        ("addresses", "street_address", "Küçə 1\r\nmənzil 2 ", "Küçə 1\nmənzil 2"),
        ("health", "allergies", ["Fındıq", " Fındıq ", ""], ["Fındıq"]),
    ],
)
def test_values_take_one_normal_form(collection, name, written, normal):
    assert validated(collection, **{name: written}) == {name: normal}


def test_instants_are_moved_into_utc_and_cut_to_seconds():
    data = validated(
        "browsing_history",
        url="https://xeber.example/",
        visited_at="2026-11-22T01:30:00.750+04:00",
    )

    assert data["visited_at"] == "2026-11-21T21:30:00Z"


@pytest.mark.parametrize("empty", [None, "", "  ", "\x00"])
def test_empty_values_are_left_out(empty):
    assert validated("profile", given_name="Aysel", nickname=empty) == {"given_name": "Aysel"}


def test_the_data_passed_in_is_not_changed():
    data = {"name": "A", "phones": [{"value": " 050 123 45 67 ", "label": None}]}

    CATALOGUE.collection("address_book").validate(data)

    assert data == {"name": "A", "phones": [{"value": " 050 123 45 67 ", "label": None}]}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("050 123 45 67", "+994501234567"),
        ("(050) 123-45-67", "+994501234567"),
        ("+1 905 555 1234", "+19055551234"),
        ("905-555-1234", "905-555-1234"),
        ("123456789", "123456789"),
        ("*0001", "*0001"),
    ],
)
def test_an_address_book_keeps_numbers_that_do_not_tell_their_country(written, kept):
    data = validated("address_book", name="A", phones=[{"value": written}])

    assert data["phones"] == [{"value": kept}]


@pytest.mark.parametrize(
    ("collection", "data", "expected"),
    [
        ("profile", {"shoe_size": "41"}, [("shoe_size", "unknown")]),
        ("profile", {"given_name": 7}, [("given_name", "type")]),
        ("profile", {"given_name": "a" * 101}, [("given_name", "too_long")]),
        ("profile", {"education_level": "guru"}, [("education_level", "option")]),
        ("contact", {"email": "aysel(at)poct.example"}, [("email", "email")]),
        ("contact", {"email": "a" * 300 + "@poct.example"}, [("email", "email")]),
        ("contact", {"phone": "nine"}, [("phone", "phone")]),
        ("contact", {"phone": "123 45 67"}, [("phone", "phone")]),
        ("contact", {"phone": "+994 12 345 67 89 ext. 12"}, [("phone", "phone")]),
        ("contact", {}, [("email", "exactly_one_of")]),
        (
            "contact",
            {"email": "a@poct.example", "phone": "+994501234567"},
            [("email", "exactly_one_of")],
        ),
        ("contact", {"email": "a@poct.example", "label": "beach"}, [("label", "option")]),
        ("contact", {"email": "a@poct.example", "primary": "yes"}, [("primary", "type")]),
        ("addresses", {"country": "AZ"}, [("street_address", "any_of")]),
        ("addresses", {"locality": "Bakı", "country": "Azərbaycan"}, [("country", "country")]),
        ("demographics", {"birth_date": "1992-02-31"}, [("birth_date", "date")]),
        ("preferences", {"language": "Azərbaycanca"}, [("language", "language")]),
        ("bookmarks", {"url": "javascript:alert(1)"}, [("url", "url")]),
        ("interests", {}, [("topic", "required")]),
        ("health", {"allergies": ["x"] * 3 + [1]}, [("allergies", "type")]),
        (
            "address_book",
            {"name": "A", "emails": [{"value": "a@poct.example", "label": "beach"}]},
            [("emails", "option")],
        ),
        ("address_book", {"name": "A", "phones": [{"value": "call me"}]}, [("phones", "phone")]),
        ("address_book", {"name": "A", "phones": [{"label": "home"}]}, []),
        (
            "browsing_history",
            {"url": "https://a.example", "visited_at": "2026-11-22T01:30:00"},
            [("visited_at", "instant")],
        ),
        (
            "browsing_history",
            {"url": "https://a.example", "visited_at": "0001-01-01T00:00:00+04:00"},
            [("visited_at", "instant")],
        ),
    ],
)
def test_each_fault_is_named_by_field_and_rule(collection, data, expected):
    if expected:
        assert rules(collection, **data) == expected
    else:
        assert validated(collection, **data) == {"name": "A"}


@pytest.mark.parametrize(
    "amount",
    [
        12.5,
        "12.50",
        {"value": 12.5, "currency": "AZN"},
        {"value": "12,50", "currency": "AZN"},
        {"value": "1e3", "currency": "AZN"},
        {"value": "NaN", "currency": "AZN"},
        {"value": "12.50", "currency": "manat"},
        {"value": "12.50"},
        {"value": "12.50", "currency": "AZN", "rate": "1.7"},
    ],
)
def test_money_is_a_decimal_string_with_a_currency_and_nothing_else(amount):
    """P-42."""
    found = rules("transactions", date="2026-11-22", amount=amount)

    assert found == [("amount", "money")]


def test_all_faults_of_a_form_are_told_at_once():
    assert rules("transactions", date="22.11.2026", amount={}, category="fun", colour="red") == [
        ("colour", "unknown"),
        ("date", "date"),
    ]
    assert rules("transactions", amount={"value": "x", "currency": "AZN"}, category="fun") == [
        ("date", "required"),
        ("amount", "money"),
        ("category", "option"),
    ]


def test_no_issue_quotes_the_value():
    secret = "5555-SECRET"
    found = [
        *issues("contact", phone=secret),
        *issues("demographics", birth_date=secret),
        *issues("profile", education_level=secret),
        *issues("profile", given_name=secret * 30),
        *issues("bookmarks", url=secret),
    ]

    assert all("SECRET" not in repr(issue) for issue in found)


def test_an_issue_reads_in_both_languages_with_its_limits():
    contact = issues("profile", given_name="a" * 101)[0]
    either = issues("contact")[0]

    assert CATALOGUE.message("profile", contact, "az") == (
        "«Ad» çox uzundur; ən çoxu 100 işarə ola bilər."
    )
    assert CATALOGUE.message("profile", contact, "en-GB") == contact.detail
    assert contact.params == {"max": 100}
    assert CATALOGUE.message("contact", either, "az") == (
        "Bunlardan yalnız birini doldurun: E-poçt, Telefon."
    )


def test_every_rule_has_a_message_that_can_be_filled_in():
    issue = issues("interests")[0]

    for rule in MESSAGES:
        found = type(issue)("topic", rule, "", {"min": 1, "max": 2})
        for locale in ("az", "en"):
            assert "{" not in CATALOGUE.message("interests", found, locale)


def test_a_field_name_with_braces_is_no_template():
    found = issues("profile", **{"{label.__class__}": "x"})[0]

    assert CATALOGUE.message("profile", found, "en") == (
        "There is no field “{label.__class__}”; remove it."
    )
