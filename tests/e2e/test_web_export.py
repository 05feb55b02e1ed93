"""Everything taken along (GDPR Art. 20; P-20, P-34, AUD-12, CUX-24): a zip in open formats."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile

import fastjsonschema
import pytest

from api import exporting
from consent.verifier.cli import main as verify
from pds.exporting import FORMAT, MEDIA_TYPE
from pds.exporting.contents import Contents
from pds.importing import parse
from tests.support.auditing import integrate
from tests.support.world import PASSPHRASE


def take(browser, passphrase=PASSPHRASE):
    return browser.submit(browser.get("/export"), "passphrase", passphrase=passphrase)


def opened(answer):
    return zipfile.ZipFile(io.BytesIO(answer.response.content))


def lines(archive, path):
    return [json.loads(line) for line in archive.read(path).splitlines()]


def live(world, aysel):
    """Give a person something of everything."""
    aysel.save("profile", given_name="Aysel", family_name="Məmmədova")
    aysel.save("address_book", name="=cmd(); Ə", phones=[{"value": "+994501234567"}], note="a\nb")
    aysel.save("life_events", event="moving", date="2026-09-15", details="Köçürük, nəhayət.")
    aysel.save("bookmarks", url="https://example.com/?a=1&b=2", title="<b>", folder="Ev")
    money = {"value": "-3.50", "currency": "AZN"}
    aysel.save("transactions", date="2026-01-02", amount=money, payee="Kafe")
    document = aysel.save("documents", title="Rent", kind="contract")
    files = world.services.attachments(aysel.visitor)
    writer = files.files.write(most_bytes=1_000_000)
    writer.write(b"%PDF-1.7" + bytes(600_000))
    files.add(document, "müqavilə.pdf", writer.finish())
    shop = world.organisation()
    world.connect(aysel, shop, shop.publish(required=["profile.given_name"]))
    integrate(world)


def test_everything_is_in_the_archive_and_its_receipts_are_proved(world, hers, aysel, tmp_path):
    live(world, aysel)
    before = exporting.outlook(world.services, aysel.visitor)
    said = hers.get("/export").text

    answer = take(hers)
    archive = opened(answer)

    names = archive.namelist()
    assert f"{before.records} records" in said
    assert (before.files, before.receipts) == (
        sum(name.startswith("files/") for name in names),
        sum(name.startswith("receipts/") and name.endswith(".json") for name in names),
    )
    assert len(answer.response.content) < before.most_bytes < 2_000_000
    headers = answer.response.headers
    assert (answer.status, headers["Content-Type"]) == (200, MEDIA_TYPE)
    assert headers["Content-Disposition"].startswith("attachment; filename=personal-data-store-")
    assert archive.testzip() is None
    assert archive.namelist()[:2] == ["mimetype", "README.txt"]
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == FORMAT
    assert manifest["records"]["documents"] == 1
    listed = {each["path"]: each["sha256"] for each in manifest["files"]}
    assert listed.keys() == set(archive.namelist()) - {"manifest.json"}
    for path, sha256 in listed.items():
        assert hashlib.sha256(archive.read(path)).hexdigest() == sha256, path
    for name in manifest["records"]:
        check = fastjsonschema.compile(json.loads(archive.read(f"schemas/{name}.json")))
        for line in lines(archive, f"records/{name}.jsonl"):
            check(line["data"])
    (document,) = lines(archive, "records/documents.jsonl")
    (named,) = document["files"]
    content = archive.read(f"files/{named['id']}/müqavilə.pdf")
    assert hashlib.sha256(content).hexdigest() == named["sha256"]
    assert [each["version"] for each in lines(archive, "history/versions.jsonl")] == [1]
    _proved(archive, tmp_path)
    assert "A copy of everything in the vault was taken along" in hers.get("/activity").text


def _proved(archive, folder):
    archive.extractall(folder)
    (receipt,) = [each for each in archive.namelist() if each.endswith(".tlog-proof")]
    path = folder / receipt.replace(".tlog-proof", ".json")
    options = ["--receipt-key", str(folder / "keys/receipt-keys.json"), "--proof"]
    options += [str(folder / receipt), "--vkey", str(folder / "keys/log.vkey")]
    assert verify([str(path), *options]) == 0


def test_other_programs_read_what_they_know(world, hers, aysel):
    """AUD-12: no cell is a formula; our own readers stand for other people's."""
    live(world, aysel)
    archive = opened(take(hers))

    (card,) = parse("vcard", archive.read("contacts/address_book.vcf")).candidates
    assert (card.data["name"], card.data["note"]) == ("=cmd(); Ə", "a\nb")
    (event,) = parse("icalendar", archive.read("calendar/life_events.ics")).candidates
    assert event.data["date"] == "2026-09-15"
    assert "Köçürük, nəhayət." in event.data["details"]
    (bookmark,) = parse("bookmarks", archive.read("bookmarks/bookmarks.html")).candidates
    assert bookmark.data == {"url": "https://example.com/?a=1&b=2", "title": "<b>", "folder": "Ev"}
    people = archive.read("tables/address_book.csv").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(people))
    assert (row["name"], row["phones"]) == ("'=cmd(); Ə", "'+994501234567")
    bookings = archive.read("tables/transactions.csv").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(bookings))
    assert (row["amount"], row["amount_currency"]) == ("-3.50", "AZN")


def test_nothing_goes_out_without_the_passphrase_or_before_its_entry(hers):
    """D9: and a vault that is empty gives an archive, too."""
    answer = take(hers, "not it")
    page = hers.get("/activity").text

    assert (answer.status, "The passphrase is not right" in answer.text) == (422, True)
    assert "A copy of everything" not in page
    assert opened(take(hers)).namelist()[-1] == "manifest.json"


def test_every_receipt_is_in_the_archive_however_many(world, hers, aysel, clock, monkeypatch):
    """CUX-24: and memory holds a few of them at a time, two of the same instant among them."""
    shop = world.organisation()
    template = shop.publish(required=["profile.given_name"])
    aysel.save("profile", given_name="Aysel")
    world.connect(aysel, shop, template)
    with monkeypatch.context() as stopped:
        stopped.setattr(clock, "now", lambda: clock.instant)
        world.connect(aysel, shop, template)
        world.connect(aysel, shop, template)
    monkeypatch.setattr(exporting, "_RECEIPTS", 1)

    taken = [each for each in opened(take(hers)).namelist() if each.startswith("receipts/")]

    assert len([each for each in taken if each.endswith(".json")]) == 3
    assert len(taken) == len(set(taken))


def test_a_file_that_is_removed_meanwhile_is_left_out(world, aysel):
    """The archive goes on: its record names the file, as it stood when it was read."""
    files = world.services.attachments(aysel.visitor)
    record = aysel.save("documents", title="Rent", kind="contract")
    for content in (b"one", b"two"):
        writer = files.files.write(most_bytes=100)
        writer.write(content)
        record = files.add(record, f"{content.decode()}.txt", writer.finish())
    contents = Contents(world.services.records(aysel.visitor), files, "en")
    paths = []

    for member in contents.members():
        held = b"".join(member.parts)
        paths.append(member.path)
        if member.path == "records/documents.jsonl":
            assert b"one.txt" in held
            files.remove(record, record.files[0].id)

    assert [each.split("/")[2] for each in paths if each.startswith("files/")] == ["two.txt"]
    assert "tables/documents.csv" in paths


def test_the_page_says_in_azerbaijani_what_one_gets(hers):
    hers.post("/preferences", {"csrf": hers.token(), "locale": "az"})

    assert "Hər şeyi özünüzlə aparın" in hers.get("/export").text


@pytest.mark.parametrize("state", ["signed out", "locked"])
def test_whoever_has_not_unlocked_is_sent_to_do_so(new_browser, aysel, state):
    browser = new_browser()
    if state == "locked":
        browser.sign_in(aysel.login)
        browser.lock()

    assert browser.get("/export").location.startswith(
        "/unlock" if state == "locked" else "/sign-in"
    )
