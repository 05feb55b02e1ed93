"""Whatever a file holds, an import answers with a result or with an error of ours."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pds.catalogue import CATALOGUE
from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing import FORMATS, ImportOptions, parse

FIXTURES = Path(__file__).parents[1] / "fixtures/imports"
SAMPLES = {
    path.name: (("vcard" if path.suffix == ".vcf" else "ofx"), path.read_bytes()[:6000])
    for path in sorted(FIXTURES.iterdir())
}

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


# A busy machine is no fault of the importers.
unhurried = settings(deadline=None)


def check(name, data, *, own_card=False):
    try:
        result = parse(name, data, options=ImportOptions(own_card=own_card))
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
