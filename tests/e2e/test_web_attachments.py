"""Files of records through the pages (P-20, P-31, P-32, TAK-20; SEC-S46, SEC-S48)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from api.worker import sweep
from pds.models import SealedChunk, SealedFile
from tests.support.stores import Store
from tests.support.worlds import world_on

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1200  # two chunks
FILE = re.compile(r'href="(/vault/documents/[0-9a-f-]{36}/files/[0-9a-f-]{36})"')


@pytest.fixture
def world(sqlite_store, clock):
    """Give a world in which a file may have 400,000 bytes, and a vault three of them."""
    limits = {"max_attachment_bytes": 400_000, "max_files_bytes": 1_000_000}
    vault = replace(sqlite_store.settings.vault, **limits)
    settings = replace(sqlite_store.settings, vault=vault)
    with world_on(Store(sqlite_store.kind, settings, sqlite_store.uow), clock=clock) as world:
        yield world


@pytest.fixture
def document(aysel):
    """Give the path of a record without files."""
    return f"/vault/documents/{aysel.save('documents', title='Rent', kind='contract').id}"


def attach(browser, path, content=PDF, name="rent.pdf", **options):
    page = browser.get(path)
    data = {"csrf": page.page.form("file").fields["csrf"]}
    return browser.post(f"{path}/files", data, files={"file": (name, content)}, **options)


def count(world, model):
    with world.services.uow.read() as session:
        return len(session.scalars(select(model)).all())


def test_a_file_is_added_saved_and_removed_for_ever(world, hers, document):
    assert "No files yet" in hers.get(document).text

    assert attach(hers, document).status == 303
    page = hers.get(document)
    path = FILE.search(page.text)[1]
    saved = hers.get(path).response

    assert "rent.pdf" in page.text
    assert "The file was added" in page.text
    assert "Only you can open them" in page.text
    assert saved.content == PDF
    assert saved.headers["Content-Type"] == "application/pdf"
    assert saved.headers["Content-Length"] == str(len(PDF))
    asked = hers.get(f"{path}/remove")
    assert "cannot be undone" in asked.text
    hers.post(f"{path}/remove", {"csrf": hers.token()})
    assert hers.get(path).status == 404
    assert "No files yet" in hers.get(document).text
    with world.services.uow.read() as session:
        assert session.execute(select(SealedFile.key_box)).scalars().all() == [None]


def test_a_file_keeps_a_name_that_no_header_could_say_as_it_is(hers, document):
    """RFC 6266 section 4.3: servers send Latin-1 alone, and a name may have other letters."""
    attach(hers, document, name='müqavilə "İ".pdf')
    path = FILE.search(hers.get(document).text)[1]

    header = hers.get(path).response.headers["Content-Disposition"]

    assert header.isascii()
    assert "filename*=UTF-8''m%C3%BCqavil%C9%99" in header
    assert "%C4%B0" in header


def test_a_file_never_runs_in_a_page(hers, document):
    """SEC-S48: whatever it claims to be, it is saved under a plain name and may do nothing."""
    attach(hers, document, b"<script>alert(1)</script>", name="../a\u202e.html")
    saved = hers.get(FILE.search(hers.get(document).text)[1]).response

    assert saved.headers["Content-Type"].startswith("text/plain")
    assert saved.headers["Content-Disposition"] == "attachment; filename=a.html"
    assert saved.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox; default-src 'none'" in saved.headers.get_list("Content-Security-Policy")


def test_what_cannot_be_added_says_why_beside_its_field(hers, document):
    """UI-19: rule and remedy; nothing is kept of it."""
    attach(hers, document)
    for content, name, words in (
        (b"", "empty.txt", "The file is empty"),
        (b"", "", "Choose a file."),
        (PDF, "again.pdf", "This file is here already"),
    ):
        answer = attach(hers, document, content, name)
        assert (answer.status, words in answer.text) == (422, True), words
    answer = attach(hers, document, bytes(400_001))
    assert (answer.status, "The file is too large" in answer.text) == (413, True)
    for number in range(3):
        answer = attach(hers, document, PDF + bytes([number]))
    assert (answer.status, "There is no room for it" in answer.text) == (413, True)
    assert len(FILE.findall(answer.text)) == 3


def test_forged_forms_and_other_people_leave_nothing(world, clock, new_browser, hers, document):
    """SEC-S46, P-1: what came in before the token was looked at is dropped."""
    attach(hers, document)
    path = FILE.search(hers.get(document).text)[1]
    before = count(world, SealedChunk)
    mallory = world.person("mallory")
    other = new_browser()
    other.sign_in(mallory.login)

    forged = hers.post(f"{document}/files", {"csrf": "0"}, files={"file": ("a.pdf", PDF)})
    token = {"csrf": other.token()}
    theirs = other.post(f"{document}/files", token, files={"file": ("a.pdf", PDF)})
    nobody = new_browser().post(f"{document}/files", {}, files={"file": ("a.pdf", PDF)})

    assert (forged.status, theirs.status) == (400, 404)
    assert nobody.status in {303, 400}
    for what in (path, f"{path}/remove"):
        assert other.get(what).status == 404
    assert other.post(f"{path}/remove", token).status == 404
    clock.move(hours=2)
    sweep(world.services)
    assert count(world, SealedChunk) == before


def test_a_file_is_chosen_on_the_page_that_a_new_document_leads_to(hers):
    page = hers.get("/vault/documents/new")
    done = hers.submit(page, "title", title="Passport", kind="identity")

    assert done.location.endswith("#files")
    assert 'type="file"' in hers.get(done.location.partition("#")[0]).text
    assert 'type="file"' not in page.text


def test_the_pages_of_files_speak_azerbaijani(hers, document):
    hers.post("/preferences", {"csrf": hers.token(), "locale": "az"})
    answer = attach(hers, document, b"")

    assert "Fayl boşdur" in answer.text
    assert "Fayllar" in answer.text
