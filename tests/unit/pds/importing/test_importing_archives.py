"""Zips and gzips: what is inside is read within bounds, and a name is never a path."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing import archives, parse
from tests.support.histories import firefox

FIXTURES = Path(__file__).parents[3] / "fixtures/imports"
CARD = b"BEGIN:VCARD\nVERSION:3.0\nFN:Elvin\nEND:VCARD\n"


def zipped(*files, method=zipfile.ZIP_DEFLATED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return written.getvalue()


def test_a_takeout_is_read_file_by_file_and_notes_name_the_file():
    result = parse(
        "archive",
        zipped(
            ("Takeout/Chrome/BrowserHistory.json", (FIXTURES / "BrowserHistory.json").read_bytes()),
            ("Takeout/Chrome/Bookmarks.html", (FIXTURES / "bookmarks.html").read_bytes()),
            ("Takeout/Contacts/All Contacts.vcf", CARD),
            ("Takeout/Calendar/a.ics", b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n"),
            ("Takeout/archive_browser.html", b"<html><body>not bookmarks</body></html>"),
            ("Takeout/Photos/1.jpg", b"\xff\xd8\xff"),
            ("Takeout/more.zip", zipped(("inner.vcf", CARD))),
            ("Takeout/bank.csv", (FIXTURES / "bank-az.csv").read_bytes()),
        ),
    )

    found = [candidate.collection for candidate in result.candidates]
    assert sorted(set(found)) == ["address_book", "bookmarks", "browsing_history"]
    assert len(found) == 7
    placed = [str(note.position) for note in result.refused]
    assert "BrowserHistory.json, visit 2" in placed
    assert ("a.ics, file 4", "truncated") in [(str(n.position), n.code) for n in result.refused]
    (passed_over,) = [note for note in result.skipped if note.code == "files_passed_over"]
    # The photo, the zip inside and the table that would need a mapping.
    assert passed_over.detail == "3"


@pytest.mark.parametrize(
    "name", ["../../etc/x.vcf", "/etc/x.vcf", "C:\\x.vcf", "a\x1b[2J\u202ex.vcf"]
)
def test_a_name_is_words_never_a_path(name):
    result = parse("archive", zipped((name, CARD + b"BEGIN:VCARD\nEND:VCARD\n")))

    (note,) = result.refused
    shown = note.position.file
    assert shown.endswith("x.vcf")
    assert shown.isprintable()
    assert "/" not in shown
    assert "\\" not in shown


def test_a_bomb_is_refused_by_what_comes_out():
    with pytest.raises(LimitExceededError, match="times its size"):
        parse("archive", zipped(("bomb.vcf", bytes(archives.MAX_RATIO * 60_000))))
    with pytest.raises(LimitExceededError, match="unpack"):
        parse("history", gzip.compress(bytes(20_000_000)))


def test_the_total_of_many_files_is_bounded(monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1_000)

    with pytest.raises(LimitExceededError, match="unpacked"):
        parse("archive", zipped(*((f"{n}.vcf", bytes(300)) for n in range(5))))


def test_the_number_of_files_is_bounded(monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 3)

    with pytest.raises(LimitExceededError, match="files"):
        parse("archive", zipped(*((f"{n}.vcf", CARD) for n in range(4))))


def test_headers_that_lie_about_the_size_change_nothing(monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 100_000)
    data = bytearray(zipped(("a.vcf", CARD * 10_000)))
    size = len(CARD * 10_000).to_bytes(4, "little")
    lying = bytes(data).replace(size, (10).to_bytes(4, "little"))

    assert lying != bytes(data)
    with pytest.raises((LimitExceededError, ValidationFailedError)):
        parse("archive", lying)


def test_a_locked_or_damaged_file_is_named_and_the_others_are_read():
    data = bytearray(zipped(("bad.vcf", CARD), ("good.vcf", CARD), method=zipfile.ZIP_STORED))
    at = data.index(b"Elvin")
    data[at : at + 5] = b"Nivle"

    result = parse("archive", bytes(data))

    assert len(result.candidates) == 1
    assert [(str(n.position), n.code) for n in result.refused] == [("bad.vcf, file 1", "damaged")]
    locked = zipped(("a.vcf", CARD), ("b.vcf", CARD), method=zipfile.ZIP_BZIP2)
    with pytest.raises(ValidationFailedError):
        parse("archive", locked)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x03\x04" + bytes(100), zipped()])
def test_an_archive_without_anything_known_is_refused(content):
    with pytest.raises(ValidationFailedError):
        parse("archive", content)


def test_a_gzip_that_is_cut_short_yields_nothing():
    whole = gzip.compress(firefox([("https://a.example/", "a", 1_700_000_000)]))

    assert len(parse("history", whole).candidates) == 1
    with pytest.raises(ValidationFailedError) as raised:
        parse("history", whole[:-20])
    assert raised.value.issues[0].rule == "truncated"
