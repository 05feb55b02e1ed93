"""Importing a file through the pages; and that it never touches the disk in plain (P-20)."""

from __future__ import annotations

import re

import pytest
from werkzeug import formparser

from pds.imports import staging

CARD = """BEGIN:VCARD
VERSION:3.0
FN:Aysel Məmmədova
N:Məmmədova;Aysel;;;
EMAIL:aysel@poct.example
TEL:+994501234567
PHOTO;ENCODING=b;TYPE=JPEG:AAAA
END:VCARD
"""


def cards(number):
    """Return a file of as many cards."""
    card = "BEGIN:VCARD\nVERSION:3.0\nFN:Person{0}\nEMAIL:person{0}@poct.example\nEND:VCARD\n"
    return "".join(card.format(each) for each in range(number)).encode()


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(staging, "BATCH_RECORDS", 20)


def upload(browser, content, *, name="mine.vcf", **fields):
    """Send a file from the page."""
    page = browser.get("/imports")
    form = page.page.form("file")
    data = {name: value for name, value in form.fields.items() if name != "file"}
    return browser.post("/imports", data | fields, files={"file": (name, content)})


def advance(browser, page, duplicates="fill", **headers):
    """Press "Import" or "Continue"."""
    path = re.search(r'action="(/imports/[0-9a-f-]+/advance)"', page.text)[1]
    return browser.post(path, {"csrf": browser.token(), "duplicates": duplicates}, **headers)


def test_a_card_of_ones_own_fills_the_vault(hers):
    staged = upload(hers, CARD.encode(), own_card="yes")
    page = hers.get(staged.location)
    while "Finished" not in page.text:
        page = hers.get(advance(hers, page).location)

    assert "aysel@poct.example" in hers.get("/vault/contact").text
    assert "Aysel" in hers.follow(hers.get("/vault/profile")).text
    assert "pictures and sounds are not kept" in page.text


@pytest.mark.usefixtures("small_batches")
def test_each_step_without_scripts_is_a_page(hers):
    page = hers.get(upload(hers, cards(30)).location)
    answer = advance(hers, page)

    assert answer.status == 303
    assert "20 / 30" in hers.get(answer.location).text


@pytest.mark.usefixtures("small_batches")
def test_each_step_with_scripts_is_a_part_of_the_page(hers):
    page = hers.get(upload(hers, cards(30)).location)
    answer = advance(hers, page, **{"HX-Request": "true"})

    assert answer.status == 200
    assert answer.text.lstrip().startswith('<section id="import"')
    assert "20 / 30" in answer.text


def test_an_unfinished_import_is_on_the_first_page_of_the_vault(hers):
    upload(hers, cards(30))

    assert "An import is not finished" in hers.get("/vault").text


@pytest.mark.usefixtures("small_batches")
def test_cancelling_keeps_what_is_imported(hers):
    page = hers.get(upload(hers, cards(30)).location)
    advance(hers, page)
    path = page.page.url.removesuffix("/")
    hers.post(f"{path}/cancel", {"csrf": hers.token()})

    assert "Cancelled" in hers.get(path).text
    assert "Person0" in hers.get("/vault?q=person0").text


def test_the_same_file_twice_changes_nothing(hers):
    for _ in range(2):
        page = hers.get(upload(hers, cards(3)).location)
        page = hers.get(advance(hers, page).location)

    assert "3 changed nothing" in page.text


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "empty.vcf", "Choose a file."),
        (b"%PDF-1.7", "statement.pdf", "This kind of file is not known here"),
        (b"BEGIN:VCARD\nVERSION:3.0\nFN:Cut", "cut.vcf", "cut short"),
    ],
    ids=["empty", "unknown", "cut short"],
)
def test_a_file_that_cannot_be_used_is_explained(hers, content, name, words):
    answer = upload(hers, content, name=name)

    assert answer.status == 422
    assert words in answer.text


def test_a_file_that_is_too_large_is_refused_beside_its_field(world, hers):
    most = world.services.settings.server.max_upload_bytes
    answer = upload(hers, b"x" * (most + 100_000))

    assert answer.status == 413
    assert "The file is too large. At most 20 MB fit." in answer.text


def test_no_other_form_takes_so_much(hers):
    answer = hers.post("/vault/contact/new", {"csrf": hers.token(), "email": "x" * 1_200_000})

    assert answer.status == 413


def test_an_upload_is_never_spooled_to_the_disk(hers, monkeypatch):
    """P-20"""

    def spool(*_args, **_kwargs):
        raise AssertionError("werkzeug would write the file to the disk")

    monkeypatch.setattr(formparser, "default_stream_factory", spool)
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", spool)
    monkeypatch.setattr("tempfile.TemporaryFile", spool)

    answer = upload(hers, cards(20_000))

    assert answer.status == 303


def test_another_persons_import_looks_like_none(world, hers, new_browser):
    path = upload(hers, cards(3)).location
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    assert mallory.get(path).status == 404
    assert mallory.post(f"{path}/advance", {"csrf": mallory.token()}).status == 404
    assert mallory.post(f"{path}/cancel", {"csrf": mallory.token()}).status == 404


TABLE = "Tarix;Qarşı tərəf;Məbləğ\n01.02.2026;Kafe;-3,50\n31.02.2026;Kino;-8,00\n".encode()


def columns(browser, page, **fields):
    """Send the form that says what the columns are."""
    form = page.page.form("column_date")
    sent = {name: value for name, value in form.fields.items() if name != "then"}
    path = f"{page.page.url.removesuffix('/')}/columns"
    return browser.post(path, sent | fields)


def test_a_bank_s_table_is_imported_once_its_columns_are_confirmed(hers):
    page = hers.get(upload(hers, TABLE, name="bank.csv").location)
    assert "What are the columns?" in page.text
    assert "-3.50 AZN" in page.text
    assert "There is no such date: 31.02.2026." in page.text

    unnamed = columns(hers, page, then="stage")
    assert unnamed.status == 422
    assert "write its number or a name for it" in unnamed.text

    shown = columns(hers, page, then="show", account="My card", decimal_sign=".")
    assert "With these columns no row can be read." in shown.text

    staged = columns(hers, page, then="stage", account="My card", keep="yes")
    preview = hers.get(staged.location)
    assert "Nothing is in your vault yet." in preview.text
    done = hers.get(advance(hers, preview).location)
    assert "Finished" in done.text
    assert "Kafe" in hers.get("/vault/transactions").text

    again = hers.get(upload(hers, TABLE, name="bank.csv").location)
    assert "This is what you said of this bank" in again.text
    assert 'value="My card"' in again.text


def test_an_import_can_be_undone_from_its_page(hers):
    page = hers.get(upload(hers, cards(3)).location)
    assert "Person0" in page.text
    done = hers.get(advance(hers, page, duplicates="mine").location)
    path = page.page.url.removesuffix("/")

    assert "Undo the whole import" in done.text
    hers.post(f"{path}/undo", {"csrf": hers.token()})
    undone = hers.get(advance(hers, hers.get(path)).location)

    assert "Undone" in undone.text
    assert "Person0" not in hers.get("/vault?q=person0").text


def test_another_persons_table_looks_like_none(world, hers, new_browser):
    path = upload(hers, TABLE, name="bank.csv").location
    world.person("eve")
    eve = new_browser()
    eve.sign_in("eve")

    assert eve.get(path).status == 404
    assert eve.post(f"{path}/columns", {"csrf": eve.token()}).status == 404
    assert eve.post(f"{path}/undo", {"csrf": eve.token()}).status == 404
