"""Names and types of files that strangers sent (SEC-S48)."""

from __future__ import annotations

import pytest

from pds.attached_files import OTHER, media_type, plain_name


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("Müqavilə (2).pdf", "Müqavilə (2).pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\scan.png", "scan.png"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie x.txt"),
        ('a"b<c>.txt', "abc.txt"),
        (".htaccess", "htaccess"),
        ("...", "file"),
        ("", "file"),
        ("x" * 200 + ".pdf", "x" * 116 + ".pdf"),
        ("x" * 200, "x" * 120),
    ],
)
def test_a_name_is_made_plain(given, plain):
    assert plain_name(given) == plain
    assert plain_name(plain) == plain


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (b"%PDF-1.7", "a.png", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "a.html", "image/png"),
        (b"\xff\xd8\xff\xe0", "a", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBP", "a", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic", "a", "image/heic"),
        (b"PK\x03\x04", "a.odt", "application/vnd.oasis.opendocument.text"),
        (b"PK\x03\x04", "a.html", "application/zip"),
        (b"<html><script>", "a.html", "text/plain"),
        (b"<svg xmlns=", "a.svg", "text/plain"),
        ("ə".encode() * 256, "a.txt", "text/plain"),
        (b"a" + ("ə".encode() * 256)[:511], "a.txt", "text/plain"),
        (b"\x7fELF\x00", "a.txt", OTHER),
        (b"\xfe\xff", "a.txt", OTHER),
        (b"", "a.txt", OTHER),
    ],
)
def test_a_type_is_what_the_bytes_say_and_never_one_that_runs(head, name, found):
    assert media_type(head, name) == found
