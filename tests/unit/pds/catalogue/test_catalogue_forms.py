"""Forms: what is shown comes back as the same data."""

import pytest

from pds.catalogue import CATALOGUE
from pds.catalogue.forms import read_form, write_form


@pytest.mark.parametrize("locale", ["az", "en"])
@pytest.mark.parametrize("name", list(CATALOGUE.collections))
def test_a_form_gives_back_the_data_it_was_filled_with(name, locale):
    collection = CATALOGUE.collection(name)
    data = {
        key: field.example(locale)
        for key, field in collection.fields.items()
        if field.editable and key not in collection.exactly_one_of[1:]
    }

    again = collection.validate(read_form(collection, write_form(collection, data, locale)))

    assert again == data


def test_a_form_cannot_say_that_something_was_verified():
    contact = CATALOGUE.collection("contact")

    data = read_form(contact, {"email": "a@poct.example", "verified": "on", "primary": "on"})

    assert data == {"email": "a@poct.example", "primary": True}


def test_an_unticked_box_is_an_answer():
    data = read_form(CATALOGUE.collection("preferences"), {"marketing": ""})

    assert data["marketing"] is False


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [
        ("12,50", "", {"value": "12.50", "currency": "AZN"}),
        ("1 250.40", "EUR", {"value": "1250.40", "currency": "EUR"}),
        ("-12.50", "AZN", {"value": "-12.50", "currency": "AZN"}),
        ("1.234,50", "AZN", {"value": "1.234,50", "currency": "AZN"}),
    ],
)
def test_money_may_be_typed_with_a_comma(value, currency, amount):
    form = {"amount.value": value, "amount.currency": currency}

    assert read_form(CATALOGUE.collection("transactions"), form)["amount"] == amount


def test_money_without_an_amount_is_left_out():
    form = {"amount.value": " ", "amount.currency": "AZN"}

    assert "amount" not in read_form(CATALOGUE.collection("transactions"), form)


def test_an_entry_may_begin_with_its_label_in_either_language():
    form = {"name": "A", "phones": "İş: 012 000 00 01\nmobile: 050 000 00 02\n012 000 00 03\n\n"}

    assert read_form(CATALOGUE.collection("address_book"), form)["phones"] == [
        {"label": "work", "value": "012 000 00 01"},
        {"label": "mobile", "value": "050 000 00 02"},
        {"value": "012 000 00 03"},
    ]


def test_a_colon_after_other_words_belongs_to_the_value():
    form = {"name": "A", "postal_addresses": "Blok B: mənzil 4, Bakı"}

    assert read_form(CATALOGUE.collection("address_book"), form)["postal_addresses"] == [
        {"value": "Blok B: mənzil 4, Bakı"}
    ]
