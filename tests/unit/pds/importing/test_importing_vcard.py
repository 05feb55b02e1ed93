"""vCard files as address books really write them."""

from pathlib import Path

import pytest

from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing import ImportOptions, parse
from pds.importing.results import MAX_DEPTH

FIXTURES = Path(__file__).parents[3] / "fixtures/imports"
DEMO = Path(__file__).parents[4] / "api/demo/data"
OWN = ImportOptions(own_card=True)


def read(name, **options):
    return parse("vcard", (FIXTURES / name).read_bytes(), **options)


def card(*lines, version="3.0"):
    body = "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])
    return parse("vcard", body.encode())


def notes(result):
    return [(note.position.number, note.code, note.detail) for note in result.skipped]


def names(result):
    return [candidate.data["name"] for candidate in result.candidates]


def test_old_phone_cards_keep_letters_lines_and_labels():
    """vCard 2.1: quoted-printable with soft breaks, a photo ended by a blank line."""
    result = read("phone-2.1.vcf")

    first = result.candidates[0]
    assert first.collection == "address_book"
    assert str(first.position) == "line 1"
    assert first.data == {
        "name": "Günel Quliyeva, Xırdalan şəhərindən",
        "given_name": "Günel",
        "family_name": "Quliyeva",
        "phones": [
            {"value": "+994500004501", "label": "mobile"},
            {"value": "+994120004502", "label": "fax"},
        ],
        "postal_addresses": [
            {
                "value": "Nümunə küçəsi 8, Xırdalan, Abşeron, AZ0100, Azərbaycan",
                "label": "home",
            }
        ],
        "note": "Birinci sətir\nikinci sətir",
    }


def test_a_character_set_of_a_single_property_is_believed():
    """vCard 2.1: raw and quoted Shift_JIS beside ASCII in one file."""
    japanese = read("phone-2.1.vcf").candidates[1].data

    assert japanese["name"] == "太郎 見本"
    assert japanese["postal_addresses"] == [{"value": "見本町1-2, 000-0000", "label": "work"}]
    assert japanese["phones"] == [{"value": "9"}]


def test_cards_inside_a_card_are_cards_and_the_outer_one_keeps_its_own():
    flat = {c.data["name"]: c.data.get("phones") for c in read("phone-2.1.vcf").candidates}

    assert flat["Rehber"] == [{"value": "+994120004508"}]
    assert flat["Katibe"] == [{"value": "+994120004509"}]


def test_a_card_without_a_name_goes_by_what_else_it_has_and_says_so():
    result = read("phone-2.1.vcf")

    assert "yalniz-poct@nomre.example" in names(result)
    assert (41, "name_taken_from", "EMAIL") in notes(result)


def test_a_card_without_anything_is_refused_with_a_reason():
    result = read("phone-2.1.vcf")

    assert [(n.position.number, n.code) for n in result.refused] == [(56, "card_without_name")]
    assert result.refused[0].text("az") == "Kartda nə ad, nə də əlaqə vasitəsi var."


def test_what_the_vault_has_no_place_for_is_named():
    result = read("phone-2.1.vcf")

    assert (12, "binary_dropped", "PHOTO") in notes(result)
    assert (1, "properties_dropped", "X-PHONE-GROUP") in notes(result)


def test_a_folded_photo_is_dropped_and_the_card_is_kept():
    """vCard 3.0 with doubled carriage returns, groups, Apple labels and escapes."""
    result = read("cloud-3.0.vcf")
    (only,) = result.candidates

    assert only.data == {
        "name": "Mr. Nümunə Rauf Kamal Doe Sr.",
        "given_name": "Nümunə",
        "family_name": "Doe",
        "organization": "Sample Works, Accounts",
        "emails": [{"value": "numune@works.example", "label": "other"}],
        "phones": [
            {"value": "555-000-1234", "label": "mobile"},
            {"value": "555-000-8888", "label": "fax"},
            {"value": "555-000-1111"},
            {"value": "555-000-2222", "label": "other"},
        ],
        "postal_addresses": [
            {
                "value": "Sample Alley 5, New Sample, NS, 12345, United States of America",
                "label": "home",
            },
            {"value": "Street 4, Building 6, Floor 8, New Sample, 12345, USA", "label": "work"},
        ],
        "birth_date": "1982-06-06",
        "anniversary": "2016-06-18",
        "urls": ["http://works.example"],
        "note": "Two lines\nwith a comma, a semicolon; and a back\\slash",
    }


def test_addresses_that_could_run_and_mail_that_cannot_arrive_are_left_out_with_a_note():
    found = {(code, detail) for _, code, detail in notes(read("cloud-3.0.vcf"))}

    assert found == {
        ("value_unusable", "URL"),
        ("value_unusable", "EMAIL"),
        ("binary_dropped", "PHOTO"),
        ("properties_dropped", "X-ICQ"),
    }


def test_alternatives_of_one_thing_count_once():
    """RFC 6350 section 5.4: of the ALTIDs the first, of dates the first that is one."""
    first, second = read("modern-4.0.vcf").candidates

    assert first.data["name"] == "Nümunə İnsan"
    assert first.data["birth_date"] == "1990-08-01"
    assert [phone["value"] for phone in first.data["phones"]] == ["+994120007701", "+994120007702"]
    assert first.data["postal_addresses"][0]["value"] == (
        "Nümunə küçəsi 1, Bakı, AZ1000, Azərbaycan"
    )
    assert second.data == {"name": "İlsiz Ad Günü"}


def test_pictures_behind_a_link_are_not_fetched():
    """P-20: an import opens no connection; every test here would fail on one."""
    assert (12, "binary_dropped", "PHOTO") in notes(read("modern-4.0.vcf"))


def test_a_birthday_without_a_year_is_not_given_one():
    assert (21, "date_without_year", "BDAY") in notes(read("modern-4.0.vcf"))


def test_a_cut_file_yields_nothing():
    with pytest.raises(ValidationFailedError) as caught:
        read("truncated.vcf")

    assert [(issue.field, issue.rule) for issue in caught.value.issues] == [("file", "truncated")]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x00" * 100, b"END:VCARD\r\n", b"BEGIN:VCALENDAR"]
)
def test_another_file_is_told_from_a_card(data):
    with pytest.raises(ValidationFailedError, match="no vCard file"):
        parse("vcard", data)


def test_cards_nested_without_end_hit_the_limit():
    with pytest.raises(LimitExceededError):
        parse("vcard", b"BEGIN:VCARD\r\n" * (MAX_DEPTH + 1))


def test_a_card_of_a_million_numbers_is_refused_alone():
    endless = b"BEGIN:VCARD\nFN:A\n" + b"TEL:1\n" * 2000 + b"END:VCARD\n"

    result = parse("vcard", endless + b"BEGIN:VCARD\nFN:B\nEND:VCARD\n")

    assert names(result) == ["B"]
    assert [note.code for note in result.refused] == ["card_too_long"]


def test_an_endless_header_is_no_property():
    result = parse("vcard", b"BEGIN:VCARD\nFN:A\nTEL" + b";X" * 5000 + b":1\nEND:VCARD\n")

    assert result.candidates[0].data == {"name": "A"}
    assert notes(result) == [(3, "line_unreadable", "")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["N:Quliyev;Elvin;Rauf oğlu;Dr.;", "FN:"], {"name": "Dr. Elvin Rauf oğlu Quliyev"}),
        (["ORG:Xəzər Market"], {"name": "Xəzər Market", "organization": "Xəzər Market"}),
        (["FN:A", "TITLE:x", "TITLE:y"], {"name": "A", "job_title": "x; y"}),
        (["FN:A", "NICKNAME:x,y\\,z"], {"name": "A", "nickname": "x, y,z"}),
        (["FN:A", "CATEGORIES:Dost,İş", "CATEGORIES:İş"], {"categories": ["Dost", "İş"]}),
        (["FN:A", "BDAY:1996-04-15T00:00:00Z"], {"birth_date": "1996-04-15"}),
        (["FN:A", "X-MS-ANNIVERSARY:20110113"], {"anniversary": "2011-01-13"}),
        (["FN:A\\nB"], {"name": "A B"}),
        (["fn:A:B"], {"name": "A:B"}),
        (
            ["FN:A", "tel;type=cell:050 000 00 01"],
            {"phones": [{"value": "+994500000001", "label": "mobile"}]},
        ),
        (
            ["FN:A", 'TEL;TYPE="work,fax";X="a:b":*12'],
            {"phones": [{"value": "*12", "label": "fax"}]},
        ),
        (
            ["FN:A", "LABEL;TYPE=HOME:Küçə 1\\nBakı"],
            {"postal_addresses": [{"value": "Küçə 1, Bakı", "label": "home"}]},
        ),
        (["FN;ENCODING=B:QXlzZWw="], {"name": "Aysel"}),
        (["FN:Uzun ", " ad"], {"name": "Uzun ad"}),
    ],
)
def test_properties_become_attributes(lines, expected):
    (only,) = card(*lines).candidates

    assert {key: only.data.get(key) for key in expected} == expected


def test_a_fold_of_version_2_1_keeps_the_space_it_folds_at():
    (only,) = card("FN:Uzun", " ad", version="2.1").candidates

    assert only.data["name"] == "Uzun ad"


def test_a_backslash_of_version_2_1_is_a_backslash():
    (only,) = card("FN:A", "NOTE:C:\\new\\;x", version="2.1").candidates

    assert only.data["note"] == "C:\\new;x"


def test_text_of_an_unnamed_encoding_is_read_with_a_warning():
    data = "BEGIN:VCARD\r\nFN:Günay Şıxlı\r\nEND:VCARD\r\n".encode("cp1254")

    result = parse("vcard", data)

    assert names(result) == ["Günay Şıxlı"]
    assert notes(result) == [(2, "charset_guessed", "FN")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_what_the_file_is_in(encoding):
    data = "BEGIN:VCARD\r\nFN:Şəbnəm\r\nEND:VCARD\r\n".encode(encoding)

    assert names(parse("vcard", data)) == ["Şəbnəm"]


@pytest.mark.parametrize("charset", ["idna", "punycode", "zlib", "unicode_escape", "no-such"])
def test_a_file_cannot_choose_any_codec_of_the_program(charset):
    data = f"BEGIN:VCARD\nFN;CHARSET={charset}:a\\u0041".encode() + b"\xe9\nEND:VCARD\n"

    result = parse("vcard", data)

    assert names(result) == ["au0041é"]
    assert [note.code for note in result.skipped] == ["charset_guessed"]


def test_broken_lines_are_passed_over_one_by_one():
    result = card("FN:A", "no colon here", "BAD NAME:x", "PHOTO;ENCODING=b:!", "NOTE;ENCODING=b:A")

    assert names(result) == ["A"]
    assert notes(result) == [
        (4, "line_unreadable", ""),
        (5, "line_unreadable", ""),
        (7, "value_unusable", "NOTE"),
        (6, "binary_dropped", "PHOTO"),
    ]


def test_a_note_that_is_too_long_is_shortened_and_says_so():
    result = card("FN:A", "NOTE:" + "a" * 5000)

    assert len(result.candidates[0].data["note"]) == 4000
    assert [note.text("az") for note in result.skipped] == [
        "«Qeyd» çox uzun olduğu üçün qısaldıldı."
    ]


def test_text_between_cards_is_noted():
    result = parse("vcard", b"X-Mail: yes\nBEGIN:VCARD\nFN:A\nEND:VCARD\nEND:VCARD\n")

    assert notes(result) == [(1, "line_outside_card", ""), (5, "line_outside_card", "")]


def test_the_own_card_fills_profile_contact_points_and_addresses():
    result = parse("vcard", (DEMO / "aysel.vcf").read_bytes(), options=OWN)

    assert [(c.collection, str(c.position)) for c in result.candidates] == [
        ("profile", "line 1"),
        ("demographics", "line 1"),
        ("contact", "line 8"),
        ("contact", "line 9"),
        ("contact", "line 10"),
        ("contact", "line 11"),
        ("addresses", "line 12"),
        ("addresses", "line 14"),
    ]
    assert result.candidates[0].data == {
        "given_name": "Aysel",
        "family_name": "Məmmədova",
        "middle_name": "Rauf qızı",
        "nickname": "Aysel xanım",
        "job_title": "Memar",
        "organization": "Abşeron Layihə",
    }
    assert result.candidates[1].data == {"birth_date": "1992-03-14", "gender": "female"}
    assert result.candidates[4].data == {
        "phone": "+994500001267",
        "label": "mobile",
        "primary": True,
    }
    assert result.candidates[6].data["country"] == "AZ"
    assert (result.skipped, result.refused) == ((), ())


def test_an_import_never_says_that_a_contact_point_was_verified():
    result = parse("vcard", (DEMO / "aysel.vcf").read_bytes(), options=OWN)

    assert all("verified" not in candidate.data for candidate in result.candidates)


def test_of_several_cards_only_the_first_is_the_own_one():
    result = read("aysel-contacts.vcf", options=OWN)

    assert result.candidates[0].data["given_name"] == "Elvin"
    assert [note.code for note in result.refused] == ["only_first_card"] * 9


def test_an_own_number_without_a_country_is_refused_and_not_guessed():
    result = read("cloud-3.0.vcf", options=OWN)

    refused = [(n.position.number, n.code, n.detail) for n in result.refused]
    assert (7, "invalid", "contact.email") not in refused
    assert refused[0][1:] == ("invalid", "contact.email")
    assert {detail for _, code, detail in refused if code == "invalid"} == {
        "contact.email",
        "contact.phone",
    }
    assert result.refused[1].text("az") == "«Telefon» düzgün deyil, ona görə qeyd yüklənmədi."


def test_an_own_card_without_components_keeps_its_whole_name():
    data = "BEGIN:VCARD\nFN:Aysel M.\nADR:;;A 1;Bakı;;;Atlantis\nEND:VCARD\n".encode()

    result = parse("vcard", data, options=OWN)

    assert [dict(c.data) for c in result.candidates] == [
        {"given_name": "Aysel M."},
        {"street_address": "A 1", "locality": "Bakı"},
    ]
    assert notes(result) == [(3, "value_unusable", "addresses.country")]


@pytest.mark.parametrize("name", ["aysel.vcf", "elvin.vcf", "leyla.vcf", "daniel.vcf"])
def test_the_cards_of_the_demo_are_read_without_a_note(name):
    result = parse("vcard", (DEMO / name).read_bytes(), options=OWN)

    assert result.candidates
    assert (result.skipped, result.refused) == ((), ())


def test_the_address_book_of_the_demo_is_read_whole():
    data = (DEMO / "aysel-contacts.vcf").read_bytes()
    result = parse("vcard", data)

    assert data == (FIXTURES / "aysel-contacts.vcf").read_bytes()
    assert len(result.candidates) == 10
    assert [note.code for note in result.skipped] == ["properties_dropped"]
    assert names(result)[4] == "Çinarə Güləliyeva"
    assert result.candidates[3].data["phones"] == [{"value": "+994700001152", "label": "mobile"}]
