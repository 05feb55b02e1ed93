"""Whatever a file holds, an import answers with a result or with an error of ours."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pds.catalogue import CATALOGUE
from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing import FORMATS, HEAD_BYTES, BankMapping, ImportOptions, detect, parse
from pds.importing.bank_csv import FIELDS
from pds.importing.dates import ORDERS
from tests.support.histories import chrome

FIXTURES = Path(__file__).parents[1] / "fixtures/imports"


def _zipped(*paths):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    return written.getvalue()


SAMPLES = {
    path.name: (detect(path.name, path.read_bytes()[:HEAD_BYTES]).name, path.read_bytes()[:6000])
    for path in sorted(FIXTURES.iterdir())
}
SAMPLES["History"] = ("history", chrome([("https://a.example/", "a", 1_700_000_000)] * 5))
SAMPLES["History.gz"] = ("history", gzip.compress(SAMPLES["History"][1]))
SAMPLES["takeout.zip"] = (
    "archive",
    _zipped(FIXTURES / "calendar.ics", FIXTURES / "MyActivity.json", FIXTURES / "modern-4.0.vcf"),
)

vcard_pieces = st.sampled_from(
    [
        b"BEGIN:VCARD\r\n", b"END:VCARD\r\n", b"VERSION:2.1\n", b"VERSION:4.0\n", b"FN:",
        b"N:", b"TEL", b"EMAIL:", b"ADR", b"BDAY:", b"PHOTO", b"NOTE",
        b";ENCODING=QUOTED-PRINTABLE", b";ENCODING=B", b";CHARSET=SHIFT_JIS", b";TYPE=", b'"',
        b":", b";", b",", b"\\", b"=", b"=C3", b"\n ", b"\n", b"\r", b"+994501234567",
        b"19920314", b"a@b.example", b"\xff", "ə".encode(), b"item1.",
        b"X-ABLabel:_$!<x>!$_\n", b"\x00", b"URL:", b"ORG:", b"--0910", b"\xf0\x9f\x98\x80",
    ]
)  # fmt: skip
ofx_pieces = st.sampled_from(
    [
        b"<OFX>", b"</OFX>", b"<STMTRS>", b"</STMTRS>", b"<CCSTMTRS>", b"<STMTTRN>",
        b"</STMTTRN>", b"<DTPOSTED>", b"<TRNAMT>", b"<FITID>", b"<NAME>", b"<MEMO>",
        b"<CURDEF>AZN", b"<ACCTID>1", b"<BANKACCTFROM>", b"</BANKACCTFROM>", b"<LEDGERBAL>",
        b"<BALAMT>", b"20260101", b"-1,5", b"x", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<!",
        b"<?", b"?>", b"<", b">", b"/", b"&#0;", b"&amp;", b"&#xD800;", b"\xff", b"\n",
        b"<A/>", b"CHARSET:idna\n", b"<CURRENCY><CURSYM>usd</CURRENCY>",
    ]
)  # fmt: skip


markup = st.sampled_from(
    [
        b"<DL><p>", b"</DL>", b"<DT>", b"<DD>", b"<H3 FOLDED>", b"</H3>", b"<A HREF=", b"</A>",
        b'"https://a.example/"', b"'", b'"', b">", b"<", b" ADD_DATE=", b"1700000000", b"9" * 30,
        b" TAGS=", b"<!--", b"-->", b"<!", b"&lt;", b"&#0;", b"&#xD800;", b"\xff", b"\x00", b"\n",
        b"a", b"<BR>", b"javascript:x",
    ]
)  # fmt: skip
entries = st.sampled_from(
    [
        b":20:A\n", b":25:1\n", b":60F:C260101AZN1,00\n", b":61:2601010101D1,00NTRFNONREF\n",
        b":61:", b":86:", b"166?00a?20b?32c\n", b"?2", b":62F:C260101AZN1,00\n", b"-\n", b"\n",
        b"260230", b"RC", b",", b"//", b"\x01", b"\xff", b"{4:", b"9" * 40,
    ]
)  # fmt: skip
nodes = st.sampled_from(
    [
        b"<Stmt>", b"</Stmt>", b"<Ntry>", b"</Ntry>", b"<Amt Ccy='AZN'>", b"</Amt>", b"1.00",
        b"<BookgDt><Dt>2026-01-01</Dt></BookgDt>", b"<CdtDbtInd>DBIT</CdtDbtInd>",
        b"<Acct><Id><IBAN>1</IBAN></Id></Acct>", b"<Bal>", b"</Bal>", b"<x/>", b"&amp;", b"&x;",
        b"<!DOCTYPE a>", b"<?x?>", b"<![CDATA[", b"]]>", b"\xff", b"\x00", b"x:", b"<!--",
    ]
)  # fmt: skip
event_lines = st.sampled_from(
    [
        b"BEGIN:VEVENT\n", b"END:VEVENT\n", b"BEGIN:VALARM\n", b"END:VALARM\n", b"DTSTART",
        b";VALUE=DATE", b":20260101", b"T000000Z", b":", b"\n", b"\n ", b"\n\n ", b"SUMMARY:",
        b"\\n", b"RRULE:", b"EXDATE:", b"\xff", b"\x00", b"a", b"END:VCALENDAR\n",
    ]
)  # fmt: skip
cells = st.sampled_from(
    [
        b"Date", b"Amount", b"Name", b"E-mail", b"Phone 1 - Value", b"Birthday", b"Action", b",",
        b";", b"\t", b'"', b"\n", b"\r", b"2026-01-01", b"01/02/2026", b"-1,5", b"1.234,50", b"(1)",
        b"AZN", b"\x00", b"\xff", "Məbləğ".encode(), b"delete", b" ::: ", b"Qoxoz", b"=cmd()",
    ]
)  # fmt: skip

JSON_NAMES = (
    "Browser History", "url", "time_usec", "list", "given_url", "tags", "like", "time", "header",
    "title", "titleUrl", "time_added", "expandedUrl", "fullText",
)  # fmt: skip


# A busy machine is no fault of the importers.
unhurried = settings(deadline=None)


def check(name, data, *, own_card=False, mapping=None):
    try:
        result = parse(name, data, options=ImportOptions(own_card=own_card, mapping=mapping))
    except (ValidationFailedError, LimitExceededError):
        return
    for candidate in result.candidates:
        collection = CATALOGUE.collection(candidate.collection)
        assert collection.validate(candidate.data) == candidate.data
        json.dumps(dict(candidate.data), ensure_ascii=False).encode()
    for note in (*result.skipped, *result.refused):
        for locale in ("az", "en"):
            assert note.text(locale).encode()
            assert note.position.text(locale)


@pytest.mark.parametrize("name", FORMATS)
@unhurried
@given(data=st.binary(max_size=2000), own_card=st.booleans())
def test_random_bytes_raise_only_errors_of_ours(name, data, own_card):
    check(name, data, own_card=own_card)


@unhurried
@given(pieces=st.lists(vcard_pieces, max_size=60), own_card=st.booleans())
@example(pieces=[b"N:", b"\\", b"\n"], own_card=True)
def test_pieces_of_cards_raise_only_errors_of_ours(pieces, own_card):
    inside = b"".join(pieces)
    check("vcard", b"BEGIN:VCARD\r\nFN:A\r\n" + inside + b"\r\nEND:VCARD\r\n", own_card=own_card)
    check("vcard", inside, own_card=own_card)


@unhurried
@given(pieces=st.lists(ofx_pieces, max_size=60))
def test_pieces_of_statements_raise_only_errors_of_ours(pieces):
    inside = b"".join(pieces)
    check("ofx", b"<OFX><STMTRS><CURDEF>AZN" + inside + b"</STMTRS></OFX>")
    check("ofx", inside)


@unhurried
@given(pieces=st.lists(markup, max_size=60))
def test_pieces_of_bookmarks_raise_only_errors_of_ours(pieces):
    check("bookmarks", b"<!DOCTYPE NETSCAPE-Bookmark-file-1>" + b"".join(pieces))


@unhurried
@given(pieces=st.lists(entries, max_size=40))
def test_pieces_of_mt940_raise_only_errors_of_ours(pieces):
    check("mt940", b":20:A\n:25:1\n:60F:C260101AZN1,00\n" + b"".join(pieces))
    check("mt940", b"".join(pieces))


@unhurried
@given(pieces=st.lists(nodes, max_size=40))
def test_pieces_of_camt_raise_only_errors_of_ours(pieces):
    check("camt053", b"<Document><Stmt>" + b"".join(pieces) + b"</Stmt></Document>")
    check("camt053", b"".join(pieces))


@unhurried
@given(pieces=st.lists(event_lines, max_size=40))
def test_pieces_of_calendars_raise_only_errors_of_ours(pieces):
    check("icalendar", b"BEGIN:VCALENDAR\n" + b"".join(pieces) + b"\nEND:VCALENDAR\n")


@unhurried
@given(
    pieces=st.lists(cells, max_size=60),
    columns=st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 5)),
    order=st.sampled_from(ORDERS),
)
def test_pieces_of_tables_raise_only_errors_of_ours(pieces, columns, order):
    data = b"".join(pieces)
    check("bank_csv", b"Date,Amount\n" + data)
    check("contacts_csv", b"Name,E-mail,Birthday\n" + data)
    check("bank_csv", data, mapping=BankMapping(columns, order))


@settings(unhurried, max_examples=40)
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inside: (
            st.lists(inside, max_size=4)
            | st.dictionaries(
                st.sampled_from(JSON_NAMES),
                inside,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_raises_only_errors_of_ours(content):
    data = json.dumps(content).encode()
    for name in ("history", "activity"):
        check(name, data)
        check(name, b'{"Browser History": [' + data + b"]}")
        check(name, b'{"list": ' + data + b"}")
        check(name, b'[{"header": 1, "title": 2}, ' + data + b"]")
    check("activity", b"window.YTD.like.part0 = [" + data + b"]")


@settings(unhurried, max_examples=300)
@given(sample=st.sampled_from(sorted(SAMPLES)), data=st.data())
def test_damaged_files_raise_only_errors_of_ours(sample, data):
    name, content = SAMPLES[sample]
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        length = data.draw(st.integers(0, 40))
        damaged[start : start + length] = data.draw(st.binary(max_size=20))
        if not damaged:
            break
    check(name, bytes(damaged), own_card=data.draw(st.booleans()))


@unhurried
@given(sample=st.sampled_from(sorted(SAMPLES)), data=st.data())
def test_a_file_cut_anywhere_yields_all_or_nothing(sample, data):
    name, content = SAMPLES[sample]

    check(name, content[: data.draw(st.integers(0, len(content)))])


@unhurried
@example(text="a\r\nb")
@given(text=st.text(max_size=300))
def test_any_text_of_a_card_survives_escaping(text):
    escaped = text.replace("\\", "\\\\").replace("\r\n", "\n")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\n")
    escaped = escaped.replace(",", "\\,").replace(";", "\\;")
    data = f"BEGIN:VCARD\nVERSION:4.0\nFN:A\nNOTE:{escaped}\nEND:VCARD\n".encode(errors="replace")

    (only,) = parse("vcard", data).candidates

    expected = {"name": "A", "note": text.encode(errors="replace").decode()}
    assert only.data == CATALOGUE.collection("address_book").validate(expected)
