"""Bank tables: the mapping that is proposed, and what each choice in it changes."""

from pathlib import Path

import pytest

from pds.errors import ValidationFailedError
from pds.importing import BankMapping, ImportOptions, parse
from pds.importing.bank_csv import open_bank_csv, preview, propose
from pds.importing.bookings import read_amount
from pds.importing.dates import instant_of_digits, propose_order, read_date

FIXTURES = Path(__file__).parents[3] / "fixtures/imports"


def rows(text, mapping=None):
    return parse("bank_csv", text.encode(), options=ImportOptions(mapping=mapping))


def amounts(result):
    return [candidate.data["amount"]["value"] for candidate in result.candidates]


def test_a_statement_in_azerbaijani_is_understood():
    table = open_bank_csv((FIXTURES / "bank-az.csv").read_bytes())
    mapping = propose(table)

    assert table.header_line == 4
    assert mapping.columns == {"date": 0, "payee": 1, "memo": 2, "amount": 3, "currency": 4}
    assert (mapping.date_order, mapping.decimal_sign) == ("dmy", ",")
    result = parse("bank_csv", (FIXTURES / "bank-az.csv").read_bytes())
    assert amounts(result) == ["-1012.50", "-3.00", "-3.00", "1500.00"]
    one, two = (result.candidates[n].data["bank_reference"] for n in (1, 2))
    # The same coffee twice in a day is two coffees.
    assert two == f"{one}/2"


@pytest.mark.parametrize(
    ("header", "line", "columns"),
    [
        (
            "Дата операции;Получатель;Назначение платежа;Сумма",
            "31.12.2026;\u0416;\u0411;1,50",
            "dpma",
        ),
        (
            "Buchungstag;Auftraggeber/Empfänger;Verwendungszweck;Betrag",
            "31.12.2026;A;B;1,50",
            "dpma",
        ),
        ("Date,Payee,Memo,Amount", "2026-12-31,A,B,1.50", "dpma"),
        ("İşlem Tarihi\tAlıcı\tAçıklama\tTutar", "31.12.2026\tA\tB\t1,50", "dpma"),
    ],
    ids=["ru", "de", "en", "tr"],
)
def test_columns_are_known_by_their_names_in_several_languages(header, line, columns):
    mapping = propose(open_bank_csv(f"{header}\n{line}\n".encode()))

    names = {"d": "date", "p": "payee", "m": "memo", "a": "amount"}
    assert mapping.columns == {names[letter]: at for at, letter in enumerate(columns)}
    assert amounts(rows(f"{header}\n{line}\n")) == ["1.50"]


def test_without_a_header_days_and_amounts_are_known_by_their_look():
    result = rows("2026-01-31,Kafe,-3.00\n2026-02-01,Kino,-8.00\n")

    assert [dict(c.data)["payee"] for c in result.candidates] == ["Kafe", "Kino"]
    assert amounts(result) == ["-3.00", "-8.00"]


def test_money_out_and_money_in_are_two_columns():
    text = "Date,Description,Debit,Credit\n31/01/2026,a,3.00,0.00\n31/01/2026,b,,5.00\n"

    assert amounts(rows(text)) == ["-3.00", "5.00"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("(12.50)", "-12.50"), ("12.50-", "-12.50"), ("\u221212.50", "-12.50"),
        ("1\u00a0234.50", "1234.50"), ("1'234.50", "1234.50"), ("1,234.50", "1234.50"),
        ("AZN 5", "5"), ("5 ₼", "5"), ("+5.00", "5.00"), ("0.00", "0.00"),
    ],
)  # fmt: skip
def test_amounts_as_banks_write_them(cell, value):
    assert amounts(rows(f'Date;Amount\n2026-01-31;"{cell}"\n')) == [value]


@pytest.mark.parametrize("cell", ["", "x", "1.2.3", "1e5", "NaN", "--5", "5.", "1,2.3,4"])
def test_what_is_no_amount_is_refused_by_its_line(cell):
    result = rows(f'Date;Amount\n2026-01-31;"{cell}"\n2026-01-31;1.00\n')

    taken = amounts(result)
    assert taken[-1] == "1.00"
    assert [str(note.position) for note in result.refused] == ["line 2"][: 2 - len(taken)]


def test_the_sign_the_order_and_the_account_are_the_person_s_to_choose():
    mapping = BankMapping(
        {"date": 0, "amount": 1}, "mdy", ",", "USD", "My card", spending_is_positive=True
    )
    (only,) = rows("a;b\n02/03/2026;1.234,50\n", mapping).candidates

    assert only.data["date"] == "2026-02-03"
    assert only.data["amount"] == {"value": "-1234.50", "currency": "USD"}
    assert only.data["account_number"] == "My card"


def test_a_mapping_without_day_or_amount_is_refused():
    with pytest.raises(ValidationFailedError) as raised:
        rows("a;b\n1;2\n", BankMapping({"payee": 0}))

    assert raised.value.issues[0].rule == "columns_unknown"


def test_a_preview_shows_the_first_rows_as_they_would_import():
    data = (FIXTURES / "bank-az.csv").read_bytes()
    shown, result = preview(data, propose(open_bank_csv(data)))

    assert len(shown) == 4
    assert len(result.refused) == 3


def test_files_of_one_bank_have_one_signature_and_those_of_another_have_another():
    def signature(text):
        return open_bank_csv(text.encode()).signature

    one = signature("Tarix;Məbləğ\n01.02.2026;1\n")
    assert one == signature("TARİX ;MƏBLƏĞ\n05.06.2026;7\n")
    assert one != signature("Tarix;Məbləğ;Qeyd\n01.02.2026;1;a\n")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00" * 100, b"one column\nand more\n", b"a;b\n" + b"x" * 300_000,
        b'Date;Amount\n2026-01-31;1.00\n"' + b"x" * 300_000 + b"\n2026-02-01;2.00\n",
        b"Date;Amount\n2026-01-31;1\x00.00\n2026-02-01;2.00\n",
        "Date;Amount\n2026-01-31;1.00\n".encode("utf-16"),
        "Tarix;Məbləğ\n2026-01-31;1.00\n".encode("cp1254", "replace"),
    ],
    ids=["empty", "zeros", "no table", "huge", "open quote", "nul", "utf-16", "other encoding"],
)  # fmt: skip
def test_hostile_tables_are_refused_or_noted(data):
    try:
        result = parse("bank_csv", data)
    except ValidationFailedError:
        return
    assert result.candidates
    assert result.refused or result.skipped or len(result.candidates) == 1


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("31.12.2026", "dmy", "2026-12-31"), ("12/31/26", "mdy", "2026-12-31"),
        ("2026-12-31T10:00", "ymd", "2026-12-31"), ("20261231", "ymd", "2026-12-31"),
        ("31 dekabr 2026", "dmy", "2026-12-31"), ("3 окт. 2026", "dmy", "2026-10-03"),
        ("31-Dec-2026", "dmy", "2026-12-31"), ("31.02.2026", "dmy", None), ("", "dmy", None),
        ("0", "dmy", None), ("00.00.0000", "dmy", None), ("13/13/2026", "dmy", None),
    ],
)  # fmt: skip
def test_days(text, order, day):
    assert read_date(text, order) == day


def test_the_order_of_a_date_comes_from_the_data():
    assert propose_order(["01/02/2026", "01/31/2026"]) == "mdy"
    assert propose_order(["01/02/2026", "31/01/2026"]) == "dmy"
    assert propose_order(["2026-01-31"]) == "ymd"


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "1" * 20, "\uff11\uff17"])
def test_no_instant_is_invented(text):
    assert instant_of_digits(text) is None


def test_only_a_decimal_sign_decides_what_a_comma_is():
    assert read_amount("1,234") is None
    assert read_amount("1,234", decimal_sign=",") == "1.234"
    assert read_amount("1,234", decimal_sign=".") == "1234"
