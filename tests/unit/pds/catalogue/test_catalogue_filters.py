"""What leaves a record: agreed attributes only, as coarse as agreed."""

from datetime import date

import pytest

from pds.catalogue import CATALOGUE, mask
from pds.catalogue.coarsening import TRANSFORMS
from pds.errors import NotFoundError

TODAY = date(2026, 11, 22)


def today():
    return TODAY


def filtered(collection, attributes, data, coarsenings=None):
    known = CATALOGUE.collection(collection)
    keep = known.compile_filter(frozenset(attributes), coarsenings or {}, today=today)
    return keep(data)


def test_only_agreed_attributes_are_kept():
    data = {"given_name": "Aysel", "family_name": "Məmmədova", "job_title": "Memar"}

    assert filtered("profile", ["profile.given_name"], data) == {"given_name": "Aysel"}


def test_companions_go_along_with_an_agreed_attribute():
    """P-21."""
    data = {"email": "a@poct.example", "label": "work", "primary": True}

    assert filtered("contact", ["contact.email"], data) == data


def test_companions_alone_tell_nothing():
    """P-22: a phone record is no business of who may read e-mail addresses."""
    data = {"phone": "+994501234567", "label": "work", "primary": True, "verified": True}

    assert filtered("contact", ["contact.email"], data) == {}


def test_attributes_of_other_collections_are_passed_over():
    data = {"given_name": "Aysel"}

    assert filtered("profile", ["contact.email", "contact.no_such"], data) == {}
    assert filtered("profile", ["profile.given_name", "contact.email"], data) == data


@pytest.mark.parametrize("name", ["contact.fax", "contact.label", "contact."])
def test_a_filter_over_an_unknown_attribute_is_refused(name):
    with pytest.raises(NotFoundError, match=name):
        CATALOGUE.collection("contact").compile_filter(frozenset({name}), {})


def test_an_unknown_coarsening_is_refused_rather_than_ignored():
    with pytest.raises(NotFoundError, match="age_over_99"):
        CATALOGUE.collection("demographics").compile_filter(
            frozenset({"demographics.birth_date"}),
            {"demographics.birth_date": "age_over_99"},
            today=today,
        )


def test_a_coarsening_of_another_attribute_is_refused():
    with pytest.raises(NotFoundError, match="domain_only"):
        CATALOGUE.collection("demographics").compile_filter(
            frozenset({"demographics.birth_date"}),
            {"demographics.birth_date": "domain_only"},
            today=today,
        )


def test_coarsening_without_a_day_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="day"):
        CATALOGUE.collection("demographics").compile_filter(
            frozenset({"demographics.birth_date"}), {"demographics.birth_date": "age_over_18"}
        )


def test_a_coarse_value_stands_under_its_own_name_and_the_exact_one_is_gone():
    data = {"birth_date": "1992-03-14", "gender": "female"}

    kept = filtered(
        "demographics",
        ["demographics.birth_date", "demographics.gender"],
        data,
        {"demographics.birth_date": "age_over_18"},
    )

    assert kept == {"birth_date": True, "gender": "female"}


def test_a_coarsening_does_not_agree_to_its_attribute():
    data = {"birth_date": "1992-03-14", "gender": "female"}

    kept = filtered(
        "demographics",
        ["demographics.gender"],
        data,
        {"demographics.birth_date": "year_of_birth"},
    )

    assert kept == {"gender": "female"}


def test_a_cached_filter_sees_the_day_change():
    days = iter([date(2026, 3, 13), date(2026, 3, 14)])
    keep = CATALOGUE.collection("demographics").compile_filter(
        frozenset({"demographics.birth_date"}),
        {"demographics.birth_date": "age_over_18"},
        today=lambda: next(days),
    )
    data = {"birth_date": "2008-03-14"}

    assert [keep(data), keep(data)] == [{"birth_date": False}, {"birth_date": True}]


def test_a_street_may_be_shared_as_a_district_that_is_not_itself_agreed():
    data = {"street_address": "Nümunə küçəsi 12", "district": "Nəsimi", "locality": "Bakı"}

    kept = filtered(
        "addresses",
        ["addresses.street_address"],
        data,
        {"addresses.street_address": "district_only"},
    )

    assert kept == {"street_address": "Nəsimi, Bakı"}


def test_what_cannot_be_made_coarse_is_left_out_and_not_sent_as_it_is():
    data = {"street_address": "Nümunə küçəsi 12", "label": "home"}

    kept = filtered(
        "addresses",
        ["addresses.street_address"],
        data,
        {"addresses.street_address": "city_only"},
    )

    assert kept == {}


@pytest.mark.parametrize(
    ("name", "value", "coarse"),
    [
        ("age_over_18", "2008-11-22", True),
        ("age_over_18", "2008-11-23", False),
        ("age_over_18", "2027-01-01", None),
        ("age_over_65", "1959-04-21", True),
        ("age_over_65", "1985-02-09", False),
        ("age_band", "1992-03-14", "30-39"),
        ("age_band", "1996-11-22", "30-39"),
        ("age_band", "2026-11-01", "0-9"),
        ("age_band", "2027-01-01", None),
        ("year_of_birth", "1992-03-14", 1992),
        ("postal_area", "AZ1000", "AZ10"),
        ("postal_area", "602 00", "6020"),
        ("postal_area", "1", None),
        ("last_four", "AZ00GNSB00000000000000124267", "4267"),
        ("last_four", "12345", "45"),
        ("last_four", "7", None),
        ("domain_only", "https://user:pw@xeber.example:8443/a?q=1#x", "xeber.example"),
        ("domain_only", "https://[broken", None),
        ("month_only", "2026-11-22", "2026-11"),
        ("day_only", "2026-11-22T09:30:00Z", "2026-11-22"),
        ("amount_rounded", {"value": "-12.50", "currency": "AZN"}, ("-10", "AZN")),
        ("amount_rounded", {"value": "1250.40", "currency": "AZN"}, ("1250", "AZN")),
        ("amount_rounded", {"value": "-0.40", "currency": "AZN"}, ("0", "AZN")),
        ("amount_rounded", "12.50 AZN", None),
    ],
)
def test_transforms_say_less(name, value, coarse):
    if isinstance(coarse, tuple):
        coarse = {"value": coarse[0], "currency": coarse[1]}

    assert TRANSFORMS[name](value, {}, TODAY) == coarse


def test_who_was_born_on_a_leap_day_ages_on_the_first_of_march():
    assert not TRANSFORMS["age_over_18"]("2008-02-29", {}, date(2026, 2, 28))
    assert TRANSFORMS["age_over_18"]("2008-02-29", {}, date(2026, 3, 1))


@pytest.mark.parametrize(
    ("name", "value", "masked"),
    [
        ("contact.phone", "+994501234567", "+994 50 *** ** 67"),
        ("contact.phone", "+420600000142", "+420 600 *** *42"),
        ("contact.email", "a@poct.example", "***@poct.example"),
        ("contact.email", "aysel@poct.example", "a***@poct.example"),
        ("profile.given_name", "Aysel", "A***"),
        ("profile.given_name", "Ə", "***"),
        ("profile.education_level", "bachelor", "***"),
        ("demographics.birth_date", "1992-03-14", "1992-**-**"),
        ("identity.national_id", "0XX0XX0", "***X0"),
        ("products.account_number", "AZ00GNSB00000000000000124267", "***4267"),
        ("transactions.amount", {"value": "-12.50", "currency": "AZN"}, "*** AZN"),
        ("bookmarks.url", "https://kitab.example/roman", "https://k***"),
        ("health.allergies", ["Penisillin", "Fındıq"], "P*** (+1)"),
        ("health.allergies", [], "***"),
        ("address_book.phones", [{"value": "*0001", "label": "work"}], "***"),
        ("address_book.emails", [{"value": "elvin@poct.example"}], "e***@poct.example"),
    ],
)
def test_masks_show_enough_to_recognise_and_too_little_to_use(name, value, masked):
    """CUX-7."""
    assert mask(CATALOGUE.attribute(name), value) == masked


def test_no_mask_of_any_example_shows_the_value():
    """CUX-7."""
    for collection in CATALOGUE.collections.values():
        for attribute in collection.fields.values():
            value = attribute.example("az")
            assert str(value) not in mask(attribute, value), attribute.qualified_name


@pytest.mark.parametrize(
    ("collection", "one", "other"),
    [
        ("interests", {"topic": "Dağ Gəzintiləri"}, {"topic": "dağ  gəzintiləri"}),
        (
            "contact",
            {"email": "Aysel@poct.example"},
            {"email": "aysel@poct.example", "label": "home"},
        ),
        (
            "address_book",
            {"name": "İlqar", "phones": [{"value": "1"}, {"value": "2", "label": "home"}]},
            {"name": "ilqar", "phones": [{"value": "2"}, {"value": "1"}], "note": "x"},
        ),
        (
            "transactions",
            {"date": "2026-01-01", "amount": {"value": "-5.0", "currency": "AZN"}, "payee": "A"},
            {"date": "2026-01-01", "amount": {"value": "-5.00", "currency": "AZN"}, "payee": "a"},
        ),
    ],
)
def test_two_spellings_of_one_record_have_one_merge_key(collection, one, other):
    known = CATALOGUE.collection(collection)

    assert known.merge_tag_source(one) == known.merge_tag_source(other) is not None


@pytest.mark.parametrize(
    ("collection", "one", "other"),
    [
        ("interests", {"topic": "Qış"}, {"topic": "Qiş"}),
        ("contact", {"email": "1@a.example"}, {"phone": "+994501234567"}),
        ("bookmarks", {"url": "https://a.example/A"}, {"url": "https://a.example/a"}),
        (
            "transactions",
            {"account_number": "1", "bank_reference": "A"},
            {"account_number": "2", "bank_reference": "A"},
        ),
    ],
)
def test_different_records_have_different_merge_keys(collection, one, other):
    known = CATALOGUE.collection(collection)

    assert known.merge_tag_source(one) != known.merge_tag_source(other)


def test_a_record_without_its_key_attributes_has_no_merge_key():
    assert CATALOGUE.collection("bookmarks").merge_tag_source({"title": "x"}) is None
    assert CATALOGUE.collection("profile").merge_tag_source({"given_name": "Aysel"}) is None


@pytest.mark.parametrize(
    ("collection", "data", "az", "en"),
    [
        ("profile", {"given_name": "Aysel", "family_name": "M."}, "Aysel M.", "Aysel M."),
        ("profile", {}, "Profil", "Profile"),
        (
            "transactions",
            {
                "date": "2026-10-03",
                "payee": "Xəzər Market",
                "amount": {"value": "-12.50", "currency": "AZN"},
            },
            "03.10.2026 · Xəzər Market · -12,50 ₼",
            "2026-10-03 · Xəzər Market · -12.50 AZN",
        ),
        ("life_events", {"event": "moving"}, "Köçmə", "Moving home"),
        ("health", {"allergies": ["Fındıq", "Süd"]}, "Fındıq, Süd", "Fındıq, Süd"),
    ],
)
def test_titles_are_written_as_the_reader_writes(collection, data, az, en):
    known = CATALOGUE.collection(collection)

    assert (known.title(data, "az"), known.title(data, "en")) == (az, en)
