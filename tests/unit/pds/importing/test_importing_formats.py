"""Each format: what its fixture yields, and every line that it does not, with the reason."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from pds.errors import ValidationFailedError
from pds.importing import HEAD_BYTES, detect, parse
from tests.support.histories import chrome, database, firefox, safari

FIXTURES = Path(__file__).parents[3] / "fixtures/imports"

TAKEN = {
    "bookmarks.html": {"bookmarks": 5},
    "contacts-google.csv": {"address_book": 2},
    "contacts-outlook.csv": {"address_book": 2},
    "statement.sta": {"products": 1, "transactions": 5},
    "camt053.xml": {"products": 1, "transactions": 1},
    "bank-az.csv": {"transactions": 4},
    "calendar.ics": {"life_events": 2},
    "BrowserHistory.json": {"browsing_history": 1},
    "MyActivity.json": {"browsing_history": 1},
    "like.js": {"bookmarks": 1},
    "pocket.json": {"bookmarks": 1},
}
REFUSED = {
    "bookmarks.html": [("line 17", "address_unusable"), ("line 18", "address_unusable")],
    "contacts-google.csv": [("line 6", "card_without_name")],
    "contacts-outlook.csv": [],
    "statement.sta": [("line 11", "booking_unreadable")],
    "camt053.xml": [
        ("transaction 2", "not_booked"),
        ("transaction 3", "date_missing"),
        ("transaction 4", "amount_invalid"),
    ],
    "bank-az.csv": [
        ("line 9", "date_invalid"),
        ("line 10", "amount_invalid"),
        ("line 11", "date_invalid"),
    ],
    "calendar.ics": [
        ("line 27", "date_missing"),
        ("line 31", "date_invalid"),
        ("line 36", "event_cancelled"),
        ("line 42", "component_passed_over"),
    ],
    "BrowserHistory.json": [
        ("visit 2", "subframe"),
        ("visit 3", "date_missing"),
        ("visit 4", "address_unusable"),
        ("visit 5", "entry_unreadable"),
    ],
    "MyActivity.json": [("entry 2", "no_address"), ("entry 3", "date_missing")],
    "like.js": [("entry 2", "entry_unreadable")],
    "pocket.json": [("entry 2", "invalid")],
}


def read(name):
    data = (FIXTURES / name).read_bytes()
    return parse(detect(name, data[:HEAD_BYTES]).name, data)


def counts(result):
    return dict(Counter(candidate.collection for candidate in result.candidates))


def refused(result):
    return [(str(note.position), note.code) for note in result.refused]


def values(result, collection):
    return [dict(c.data) for c in result.candidates if c.collection == collection]


@pytest.mark.parametrize("name", TAKEN)
def test_good_lines_are_taken_and_bad_ones_named(name):
    result = read(name)

    assert counts(result) == TAKEN[name]
    assert refused(result) == REFUSED[name]


def test_a_file_read_again_gives_the_same():
    for name in TAKEN:
        assert read(name) == read(name), name


def test_bookmarks_keep_folder_tags_and_lines_and_no_date_is_invented():
    first, no_date, bad_date, millis, quoted = values(read("bookmarks.html"), "bookmarks")

    assert first == {
        "url": "https://kitab.example/?a=1&b=2",
        "title": "Yeni romanlar <2026>",
        "folder": "Oxumaq & yazmaq",
        "tags": ["kitab", "oxumaq"],
        "description": "Birinci sətir\nİkinci sətir",
        "added_at": "2023-11-14T22:13:20Z",
    }
    assert "added_at" not in no_date
    assert "added_at" not in bad_date
    assert millis["added_at"] == "2023-11-14T22:13:20Z"
    assert quoted == {"url": "https://quote.example/", "title": "A stray quote"}


def test_google_contacts_have_labels_several_values_and_no_script():
    person, nameless = values(read("contacts-google.csv"), "address_book")

    assert person == {
        "name": "Elvin Quliyev",
        "given_name": "Elvin",
        "family_name": "Quliyev",
        "organization": "Gəncə Universiteti",
        "job_title": "Tələbə",
        "emails": [
            {"value": "elvin@poct.example", "label": "home"},
            {"value": "e.quliyev@poct.example", "label": "home"},
        ],
        "phones": [{"value": "+994551234567", "label": "mobile"}],
        "postal_addresses": [{"value": "Nümunə küçəsi 5, Gəncə", "label": "home"}],
        "birth_date": "2004-02-20",
        "anniversary": "2024-06-15",
        "categories": ["Dostlar"],
        "note": "İki sətirlik\nqeyd",
    }
    assert nameless["name"] == "+994501112233"


def test_outlook_contacts_have_american_dates_and_none_where_it_writes_zeros():
    aysel, orxan = values(read("contacts-outlook.csv"), "address_book")

    assert aysel["birth_date"] == "1992-09-25"
    assert aysel["job_title"] == "Mühasib"
    assert {"value": "+994124445567", "label": "fax"} in aysel["phones"]
    assert aysel["categories"] == ["Ailə", "Dost"]
    assert orxan == {"name": "Orxan Əliyev", "given_name": "Orxan", "family_name": "Əliyev"}


def test_mt940_tells_spent_from_received_and_equal_purchases_apart():
    result = read("statement.sta")
    card, pay, fee, one, other = values(result, "transactions")

    assert card["amount"] == {"value": "-12.50", "currency": "AZN"}
    assert card["memo"] == "Kartla ödəniş Xəzər Market Bakı"
    assert card["bank_reference"] == "2026100100000001"
    assert (pay["payee"], pay["memo"]) == ("GÜNƏŞ BANK ASC", "Əmək haqqı Oktyabr maaşı")
    # Two digits number a batch, not a transaction.
    assert pay["bank_reference"].startswith("2026-10-02-")
    assert (fee["date"], fee["amount"]["value"]) == ("2026-02-28", "-6.00")
    assert other["bank_reference"] == f"{one['bank_reference']}/2"
    assert [note.code for note in result.skipped] == ["date_moved", "closing_missing"]


def test_camt_gives_the_other_party_and_the_bank_s_own_day():
    result = read("camt053.xml")

    assert values(result, "transactions") == [
        {
            "date": "2026-10-03",
            "amount": {"value": "-12.50", "currency": "AZN"},
            "payee": "Xəzər Market",
            "memo": "Çek 42",
            "transaction_type": "card",
            "account_number": "AZ21NABZ00000000137010001944",
            "bank_reference": "REF-1",
        }
    ]
    assert values(result, "products")[0]["balance"] == {"value": "-99.90", "currency": "AZN"}


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE Document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE Document SYSTEM "http://evil.example/d.dtd">',
    ],
)
def test_xml_that_declares_a_document_type_is_refused(declaration):
    """No entity is expanded or fetched: what would declare one ends the reading."""
    with pytest.raises(ValidationFailedError) as raised:
        parse("camt053", f"{declaration}<Document><Stmt>&x;</Stmt></Document>".encode())

    assert raised.value.issues[0].rule == "forbidden_declaration"


def test_a_calendar_keeps_the_day_as_written_and_says_that_repeats_are_left_out():
    result = read("calendar.ics")

    assert values(result, "life_events") == [
        {
            "event": "other",
            "date": "2026-09-15",
            "details": "Yeni mənzilə köçmə, Bakı\nNizami küçəsi",
        },
        {"event": "other", "date": "2026-09-15", "details": "Another of the same day"},
    ]
    assert [note.code for note in result.skipped] == ["repeats_left_out"]


@pytest.mark.parametrize("make", [chrome, firefox, safari])
def test_each_browser_s_history_has_its_own_epoch(make):
    result = parse("history", make([("https://xeber.example/", "Xəbərlər", 1_700_000_000)]))

    (visit,) = values(result, "browsing_history")
    assert visit["visited_at"] == "2023-11-14T22:13:20Z"
    assert (visit["url"], visit["title"]) == ("https://xeber.example/", "Xəbərlər")


def test_a_visit_without_a_time_or_a_web_address_is_named_not_dated():
    visits = [("https://a.example/", None, None), ("about:blank", "", 1_700_000_000)]

    result = parse("history", firefox(visits))

    assert not result.candidates
    assert refused(result) == [("visit 1", "date_missing"), ("visit 2", "address_unusable")]


@pytest.mark.parametrize(
    "schema",
    [
        (
            "CREATE TABLE base (a); CREATE VIEW urls AS SELECT a id, a url, a title FROM base;"
            " CREATE TABLE visits (visit_time, url)"
        ),
        (
            "CREATE TABLE urls (id, url, title TEXT GENERATED ALWAYS AS (hex(zeroblob(100000))));"
            " CREATE TABLE visits (visit_time, url)"
        ),
        (
            "CREATE VIRTUAL TABLE urls USING fts5(id, url, title);"
            " CREATE TABLE visits (visit_time, url)"
        ),
        "CREATE TABLE urls (id, url); CREATE TABLE visits (visit_time, url)",
        "CREATE TABLE other (a)",
    ],
    ids=["view", "computed", "virtual", "columns", "others"],
)
def test_a_database_of_an_odd_schema_is_refused(schema):
    """What would run when a table is read is no history."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema)

    with pytest.raises(ValidationFailedError) as raised:
        parse("history", connection.serialize())

    assert raised.value.issues[0].rule == "schema_unknown"


def test_a_damaged_database_is_refused():
    data = bytearray(chrome([("https://a.example/", "a", 1_700_000_000)] * 50))
    data[1000:9000] = b"\xff" * 8000

    with pytest.raises(ValidationFailedError):
        parse("history", bytes(data))
    with pytest.raises(ValidationFailedError):
        parse("history", database("CREATE TABLE urls (id)")[:200])
