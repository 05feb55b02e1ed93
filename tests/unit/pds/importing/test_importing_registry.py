"""The registry of formats: which file is what, what is too much, and words for all of it."""

import pytest

from pds.catalogue import CATALOGUE
from pds.errors import LimitExceededError, NotFoundError
from pds.importing import FORMATS, MAX_FILE_BYTES, Note, Position, detect, parse, results
from pds.importing.words import WORDS


@pytest.mark.parametrize(
    ("filename", "head", "name"),
    [
        ("contacts.vcf", b"BEGIN:VCARD\r\nVERSION:3.0", "vcard"),
        ("download", b"begin:vcard\nversion:4.0", "vcard"),
        ("utf16.txt", "BEGIN:VCARD\r\n".encode("utf-16"), "vcard"),
        ("statement.QFX", b"", "ofx"),
        ("statement.txt", b"OFXHEADER:100\r\nDATA:OFXSGML", "ofx"),
        ("statement.xml", b'<?xml version="1.0"?>\n<ofx>', "ofx"),
        ("misnamed.txt", b"\n\n<OFX>", "ofx"),
    ],
)
def test_a_file_is_known_by_its_content_or_its_name(filename, head, name):
    assert detect(filename, head).name == name


@pytest.mark.parametrize(("filename", "head"), [("a.pdf", b"%PDF-1.7"), ("", b""), ("vcf", b"x")])
def test_other_files_are_not_known(filename, head):
    found = detect(filename, head)

    assert found is None or filename == "vcf"


def test_formats_and_collections_name_each_other():
    for collection in CATALOGUE.collections.values():
        fillers = {f.name for f in FORMATS.values() if collection.name in f.collections}
        assert fillers == set(collection.importers), collection.name


def test_an_unknown_format_is_named_in_the_error():
    with pytest.raises(NotFoundError, match="'xls'"):
        parse("xls", b"")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_too_large_is_not_even_looked_at(name):
    with pytest.raises(LimitExceededError, match="bytes"):
        parse(name, bytes(MAX_FILE_BYTES + 1))


def test_a_file_with_too_many_items_is_refused_as_a_whole(monkeypatch):
    monkeypatch.setattr(results, "MAX_ITEMS", 100)
    card = b"BEGIN:VCARD\nFN:Leyla\nEND:VCARD\n"

    assert len(parse("vcard", card * 100).candidates) == 100
    with pytest.raises(LimitExceededError, match="more than 100 items"):
        parse("vcard", card * 101)


def test_everything_has_words_in_both_languages():
    for table, wordings in WORDS.items():
        for code, words in wordings.items():
            assert words.az, (table, code)
            assert words.az != words.en, (table, code)


def test_notes_about_an_attribute_use_its_own_label():
    note = Note(Position("line", 3), "value_unusable", "contact.phone")

    assert note.text("az") == "«Telefon» sahəsinin dəyəri oxunmadı və yüklənmədi."
    assert str(note.position) == "line 3"
    assert note.position.text("az") == "sətir 3"
