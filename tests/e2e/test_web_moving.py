"""Leaving for another store: the archive of one goes into another whole (GDPR Art. 20, P-2)."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
from sqlalchemy import select

from api.worker import sweep
from pds.models import SealedChunk, SealedFile
from tests.e2e.test_web_export import lines, live, opened, take
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on


@pytest.fixture
def elsewhere(stores):
    """Give a browser at another instance, with an empty vault."""
    with stores.migrated("sqlite") as store, world_on(store) as world:
        leyla = world.person("leyla")
        browser = WebBrowser(world)
        browser.sign_in(leyla.login)
        yield leyla, browser
        browser.close()


def bring(browser, content, name="archive.zip"):
    return browser.post("/imports", {"csrf": browser.token()}, files={"file": (name, content)})


def finish(browser, location, duplicates="fill"):
    for _ in range(20):
        page = browser.get(location)
        if "Finished" in page.text or "Undone:" in page.text:
            return page
        browser.post(f"{location}/advance", {"csrf": browser.token(), "duplicates": duplicates})
    raise AssertionError(page.text)


def held(archive):
    """Return every record of an archive by its id: collection, data, and its files' hashes."""
    return {
        line["id"]: (path, line["data"], [each["sha256"] for each in line.get("files", [])])
        for path in archive.namelist()
        if path.startswith("records/")
        for line in lines(archive, path)
    }


def count(world, model):
    with world.services.uow.read() as session:
        return len(session.scalars(select(model)).all())


def test_an_archive_is_the_same_vault_elsewhere_and_is_undone_whole(world, hers, aysel, elsewhere):
    """P-2: ids are kept; P-20: the archive waits sealed, and is shredded at the end."""
    live(world, aysel)
    for title in ("Twice", "Twice"):  # alike, and two
        aysel.save("documents", title=title, kind="other")
    sent = take(hers).response.content
    leyla, theirs = elsewhere

    staged = bring(theirs, sent)
    page = theirs.get(staged.location)
    assert "A personal data store elsewhere" in page.text
    assert "Nothing is in your vault yet" in page.text
    done = finish(theirs, staged.location)
    back = opened(take(theirs))

    assert held(back) == held(zipfile.ZipFile(io.BytesIO(sent)))
    (document,) = [each for each in lines(back, "records/documents.jsonl") if "files" in each]
    named = document["files"][0]
    assert named["name"] == "müqavilə.pdf"
    assert back.read(f"files/{named['id']}/{named['name']}").startswith(b"%PDF-1.7")
    assert document["author"] == {"kind": "owner"}
    assert document["source"]["name"] == "export"
    assert "Earlier versions and receipts do not move" in done.text
    again = finish(theirs, bring(theirs, sent).location)
    assert f"{len(held(back))} changed nothing" in again.text
    theirs.post(f"{staged.location}/undo", {"csrf": theirs.token()})
    finish(theirs, staged.location)
    assert leyla.records.counts()["documents"] == 0
    sweep(leyla.world.services)
    assert count(leyla.world, SealedFile) == count(leyla.world, SealedChunk) == 0


def changed(sent, path, change):
    """Return an archive with one member changed, or left out."""
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(sent))
    with zipfile.ZipFile(out, "w") as target:
        for each in source.namelist():
            content = source.read(each)
            if re.fullmatch(path, each):
                content = change(content)
            if content is not None:
                target.writestr(each, content)
    return out.getvalue()


def test_an_archive_that_was_changed_is_refused_or_says_what_is_missing(
    world, hers, aysel, elsewhere
):
    """P-20: a refused one leaves nothing."""
    live(world, aysel)
    sent = take(hers).response.content
    leyla, theirs = elsewhere

    def other_format(content):
        return json.dumps({**json.loads(content), "format": "pds-export/9"}).encode()

    for path, change, words in (
        (r"records/profile\.jsonl", lambda content: content.replace(b"Aysel", b"Leyla"), "damaged"),
        (r"manifest\.json", lambda _: None, "damaged"),
        (r"manifest\.json", lambda _: b"[]", "damaged"),
        (r"manifest\.json", other_format, "This is no pds-export/1 file"),
    ):
        answer = bring(theirs, changed(sent, path, change))
        assert (answer.status, words in answer.text) == (422, True), path
    cut = bring(theirs, sent[:-100])
    assert (cut.status, "damaged" in cut.text) == (422, True)
    sweep(leyla.world.services)
    assert count(leyla.world, SealedChunk) == 0

    missing = changed(sent, r"files/.*", lambda content: content[:-1])
    page = finish(theirs, bring(theirs, missing).location)
    assert "The file was not taken over" in page.text
    assert leyla.records.counts()["documents"] == 1


def test_what_is_here_already_is_dealt_with_as_its_owner_chose(hers, aysel):
    """One's own archive, brought back later: a record is known by its id."""
    record = aysel.save("contact", email="old@poct.example")
    gone = aysel.save("contact", email="gone@poct.example")
    sent = take(hers).response.content
    page = hers.get(f"/vault/contact/{record.id}")
    hers.submit(page, "email", email="new@poct.example")
    aysel.records.delete(gone.id, version=1)

    finish(hers, bring(hers, sent).location, "mine")
    assert aysel.records.get(record.id).data["email"] == "new@poct.example"
    finish(hers, bring(hers, sent).location, "file")

    assert aysel.records.get(record.id).data["email"] == "old@poct.example"
    found = [each.data["email"] for each in aysel.records.all(["contact"])]
    assert sorted(found) == ["gone@poct.example", "old@poct.example"]
