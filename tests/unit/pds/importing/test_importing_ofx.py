"""OFX files as banks really write them."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from pds.catalogue import CATALOGUE
from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing import file_message, parse

FIXTURES = Path(__file__).parents[3] / "fixtures/imports"
DEMO = Path(__file__).parents[4] / "api/demo/data"

ACCOUNT = "<CURDEF>AZN<BANKACCTFROM><ACCTID>42<ACCTTYPE>SAVINGS</BANKACCTFROM>"


def read(name):
    return parse("ofx", (FIXTURES / name).read_bytes())


def statement(*transactions, account=ACCOUNT):
    inside = "".join(f"<STMTTRN>{each}</STMTTRN>" for each in transactions)
    return parse("ofx", f"<OFX><STMTRS>{account}{inside}</STMTRS></OFX>".encode())


def transactions(result):
    return [c.data for c in result.candidates if c.collection == "transactions"]


def refused(result):
    return [(str(note.position), note.code, note.detail) for note in result.refused]


def test_values_without_closing_tags_are_read_up_to_the_next_tag():
    """OFX 1 SGML, everything on a few lines, with time zones and an empty MEMO."""
    result = read("sgml-awkward.ofx")
    account = result.candidates[0]

    assert (account.collection, str(account.position)) == ("products", "account 1")
    assert account.data == {
        "product_type": "current_account",
        "provider": "Nümune Bank",
        "account_number": "00 1452~7",
        "balance": {"value": "382.34", "currency": "AZN"},
        "balance_on": "2026-05-23",
    }
    assert transactions(result)[2] == {
        "date": "2026-04-03",
        "amount": {"value": "0.01", "currency": "AZN"},
        "payee": "Faiz",
        "transaction_type": "interest",
        "account_number": "00 1452~7",
        "bank_reference": "A3",
    }


def test_a_booking_date_stays_the_bank_s_own_day():
    """23:30 in UTC-5 is the next day in UTC, and still the day that the statement prints."""
    assert transactions(read("sgml-awkward.ofx"))[0]["date"] == "2026-04-01"


def test_currencies_stay_in_capitals_and_letters_in_their_declared_encoding():
    first = transactions(read("sgml-awkward.ofx"))[0]

    assert first["amount"] == {"value": "-6.60", "currency": "AZN"}
    assert first["payee"] == "ÇAY EVİ #112"


def test_entities_and_check_numbers_are_read():
    second = transactions(read("sgml-awkward.ofx"))[1]

    assert (second["payee"], second["memo"]) == ("Kiraye & Co <MMC>", "(№ 319)")
    assert second["amount"]["value"] == "-1316.67"


def test_a_transaction_that_is_in_the_file_twice_is_taken_once_and_said_so():
    assert refused(read("sgml-awkward.ofx")) == [("transaction 5", "duplicate", "")]


def test_one_reference_for_two_different_purchases_does_not_merge_them():
    references = [t["bank_reference"] for t in transactions(read("sgml-awkward.ofx"))]

    assert references[3:5] == ["A4", "A4/2"]


def test_two_equal_purchases_without_a_reference_stay_two_at_every_import():
    once, again = (transactions(read("sgml-awkward.ofx"))[5:] for _ in range(2))
    tags = [CATALOGUE.collection("transactions").merge_tag_source(t) for t in once]

    assert once == again
    assert len(set(tags)) == len(tags) == 2


def test_a_made_reference_does_not_depend_on_the_rest_of_the_file():
    taxi = "<DTPOSTED>20260406<TRNAMT>-2<NAME>Taksi"
    cafe = "<DTPOSTED>20260406<TRNAMT>-2<NAME>Kafe"

    alone = transactions(statement(taxi))[0]
    among = transactions(statement(cafe, taxi))[1]

    assert alone == among


def test_xml_with_cdata_comments_and_a_card_account_is_read():
    """OFX 2 XML."""
    result = read("xml-cdata.ofx")

    assert result.candidates[0].data == {
        "product_type": "credit_card",
        "account_number": "0000123412341234",
        "balance": {"value": "-123.45", "currency": "AZN"},
        "balance_on": "2026-11-20",
    }
    assert transactions(result)[0] == {
        "date": "2026-11-15",
        "amount": {"value": "-16.85", "currency": "AZN"},
        "payee": "KITAB EVI <28>",
        "transaction_type": "debit",
        "account_number": "0000123412341234",
        "bank_reference": "1",
    }
    assert transactions(result)[1]["memo"] == "Onlayn abunəlik"


def test_a_transaction_in_another_currency_says_so():
    """OFX 2.3 section 5.2: CURRENCY overrides the statement, ORIGCURRENCY does not."""
    common = "<DTPOSTED>20260101<TRNAMT>-1"
    own = statement(f"{common}<CURRENCY><CURRATE>1.7<CURSYM>USD</CURRENCY>")
    original = statement(f"{common}<ORIGCURRENCY><CURRATE>1.7<CURSYM>USD</ORIGCURRENCY>")

    assert transactions(own)[0]["amount"]["currency"] == "USD"
    assert transactions(original)[0]["amount"]["currency"] == "AZN"


def test_a_kind_of_statement_that_is_not_read_is_named():
    assert refused(read("xml-cdata.ofx")) == [("account 2", "statement_unsupported", "INVSTMTRS")]


def test_dates_that_are_missing_empty_or_impossible_are_refused_and_not_invented():
    result = read("dates.ofx")

    assert transactions(result) == []
    assert refused(result) == [
        ("transaction 1", "date_missing", ""),
        ("transaction 2", "date_missing", ""),
        ("transaction 3", "date_invalid", "20260231"),
        ("transaction 4", "amount_invalid", ""),
    ]
    assert [note.text("az") for note in result.refused[2:]] == [
        "Belə tarix yoxdur: 20260231.",
        "Məbləğ yoxdur və ya rəqəm deyil.",
    ]
    assert result.refused[2].position.text("az") == "əməliyyat 3"


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("-5.50", "-5.50"),
        ("-5,50", "-5.50"),
        ("+.01", "0.01"),
        ("5.", "5"),
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1 234 567,8", "1234567.8"),
        ("007", "7"),
        ("1.234", "1.234"),
    ],
)
def test_amounts_are_read_in_every_notation_that_is_clear(written, amount):
    (only,) = transactions(statement(f"<DTPOSTED>20260101<TRNAMT>{written}"))

    assert only["amount"] == {"value": amount, "currency": "AZN"}


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1,234",
        "1.234.567",
        "1,23,4.5",
        "1e5",
        "NaN",
        "Infinity",
        "٣",
        "12 AZN",
        "--1",
        "+",
        ".",
    ],
)
def test_amounts_that_are_none_or_could_be_two_are_refused(written):
    result = statement(f"<DTPOSTED>20260101<TRNAMT>{written}</TRNAMT>")

    assert refused(result) == [("transaction 1", "amount_invalid", "")]


def test_an_amount_larger_than_the_vault_holds_is_refused():
    result = statement(f"<DTPOSTED>20260101<TRNAMT>{'9' * 17}")

    assert refused(result) == [("transaction 1", "invalid", "transactions.amount")]


def test_money_without_a_currency_is_refused_and_not_taken_for_manat():
    account = "<BANKACCTFROM><ACCTID>42</BANKACCTFROM><LEDGERBAL><BALAMT>5</LEDGERBAL>"
    result = statement("<DTPOSTED>20260101<TRNAMT>-1", account=account)

    assert refused(result) == [("transaction 1", "currency_missing", "")]
    assert "balance" not in result.candidates[0].data
    assert [(n.code, n.detail) for n in result.skipped] == [("value_unusable", "LEDGERBAL")]


def test_an_account_without_a_number_is_refused_and_its_transactions_are_kept():
    result = statement("<DTPOSTED>20260101<TRNAMT>-1<FITID>1", account="<CURDEF>AZN")

    assert refused(result) == [("account 1", "account_missing", "")]
    assert "account_number" not in transactions(result)[0]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not_this_format"),
        (b"hello", "not_this_format"),
        (b"BEGIN:VCARD\nEND:VCARD", "not_this_format"),
        (b"<OFX></OFX>", "no_statement"),
        (b"<OFX>hello</OFX>", "no_statement"),
        (b"<OFX><STMTRS>", "truncated"),
        (b"<OFX><STMTRS></STMTRS></OFX", "truncated"),
        (b"<OFX><STMTRS><![CDATA[x</STMTRS></OFX>", "truncated"),
        (b"<OFX></OFX><OFX></OFX>", "truncated"),
        (b"<OFX><></OFX>", "damaged"),
        (b"<OFX><!ENTITY a 'b'></OFX>", "forbidden_declaration"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole_with_a_reason(data, rule):
    with pytest.raises(ValidationFailedError) as caught:
        parse("ofx", data)

    (issue,) = caught.value.issues
    assert (issue.field, issue.rule) == ("file", rule)
    assert file_message(issue, "en") == issue.detail
    assert file_message(issue, "az") != issue.detail


def test_a_cut_statement_yields_nothing():
    with pytest.raises(ValidationFailedError, match="cut short"):
        read("truncated.ofx")


def test_a_document_type_with_entities_is_refused():
    """Neither a billion laughs nor a local file."""
    with pytest.raises(ValidationFailedError, match="not allowed"):
        read("entities.ofx")


def test_unknown_entities_and_surrogates_stay_text():
    (only,) = transactions(
        statement("<DTPOSTED>20260101<TRNAMT>1<NAME>&x;&#xD800;&#x110000;&#399;AT&T</NAME>")
    )

    assert only["payee"] == "&x;&#xD800;&#x110000;ƏAT&T"


def test_tags_nested_without_end_hit_the_limit():
    with pytest.raises(LimitExceededError):
        parse("ofx", b"<OFX>" + b"<A>" * 50)


def test_a_file_of_nothing_but_tags_hits_the_limit():
    with pytest.raises(LimitExceededError):
        parse("ofx", b"<OFX>" + b"</A>" * 1_500_001)


def test_the_bank_file_of_the_demo_adds_up():
    data = (DEMO / "gunes-bank.ofx").read_bytes()
    result = parse("ofx", data)
    accounts = {
        c.data["account_number"]: c.data for c in result.candidates if c.collection == "products"
    }
    sums = Counter()
    for each in transactions(result):
        sums[each["account_number"]] += Decimal(each["amount"]["value"])

    assert data == (FIXTURES / "gunes-bank.ofx").read_bytes()
    assert (result.skipped, result.refused) == ((), ())
    assert [a["product_type"] for a in accounts.values()] == ["current_account", "savings_account"]
    assert len(transactions(result)) == 44
    assert {t["amount"]["currency"] for t in transactions(result)} == {"AZN"}
    opening = {
        number: Decimal(a["balance"]["value"]) - sums[number] for number, a in accounts.items()
    }
    assert list(opening.values()) == [Decimal("742.18"), Decimal("3120.00")]
