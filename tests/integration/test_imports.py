"""Taking a file into the vault, in batches that a crash does not double (P-20, P-35)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import select

from consent.models import Event
from pds.errors import NotFoundError, ValidationFailedError, VaultLockedError
from pds.importing.bank_csv import open_bank_csv, propose
from pds.imports import staging
from pds.models import ImportJob, Record, StagedBatch
from pds.records import Draft


def card(name, *lines):
    return "\r\n".join(["BEGIN:VCARD", "VERSION:4.0", f"FN:{name}", *lines, "END:VCARD", ""])


CARDS = "".join(
    [
        card("Ayan Quliyeva", "TEL:+994501112233", "EMAIL:ayan@example.com"),
        card("Bahar Məmmədova", "TEL:+994502223344"),
        card("Cavid Həsənov"),
    ]
).encode()


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def imports(world, aysel):
    return world.services.imports(aysel.visitor)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(staging, "BATCH_RECORDS", 2)


def rows(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).all()


def finish(imports, import_id):
    progress = imports.progress(import_id)
    for _ in range(20):
        if progress.state == "done":
            return progress
        progress = imports.advance(import_id)
    raise AssertionError(progress)


def people(person):
    return sorted(record.data["name"] for record in person.records.all(["address_book"]))


NAMES = ["Ayan Quliyeva", "Bahar Məmmədova", "Cavid Həsənov"]


def test_staging_makes_no_record_and_leaves_nothing_readable(world, aysel, imports):
    """P-20: candidates and report are sealed to the vault."""
    import_id = imports.stage("vcard", CARDS)

    progress = imports.progress(import_id)
    assert (progress.state, progress.total, progress.done) == ("staged", 3, 0)
    assert rows(world, Record) == []
    stored = [row.box for row in rows(world, StagedBatch)]
    stored += [row.report_box for row in rows(world, ImportJob)]
    assert not any(b"Ayan" in box or b"example" in box for box in stored)
    assert people(aysel) == []


def test_each_batch_is_one_transaction_and_one_entry(world, aysel, imports):
    """P-35."""
    import_id = imports.stage("vcard", CARDS)

    first = imports.advance(import_id)
    assert (first.state, first.done) == ("running", 2)
    assert len(people(aysel)) == 2
    last = imports.advance(import_id)

    assert (last.state, last.done, dict(last.imported)) == ("done", 3, {"address_book": 3})
    assert people(aysel) == NAMES
    names = [event.name for event in rows(world, Event)]
    assert names.count("records.imported") == 2
    assert {row.kind for row in rows(world, StagedBatch)} == {"undo"}


def test_the_same_file_again_changes_nothing(world, aysel, imports):
    finish(imports, imports.stage("vcard", CARDS))
    before = {record.id: record for record in aysel.records.all(["address_book"])}

    progress = finish(imports, imports.stage("vcard", CARDS))

    assert (dict(progress.imported), progress.known) == ({"address_book": 0}, 3)
    assert {record.id: record for record in aysel.records.all(["address_book"])} == before
    names = [event.name for event in rows(world, Event)]
    assert names.count("records.imported") == 2


def test_a_later_file_completes_what_is_there_and_overwrites_nothing(aysel, imports):
    """Owners keep their data."""
    finish(imports, imports.stage("vcard", CARDS))
    (mine,) = [r for r in aysel.records.all(["address_book"]) if r.data["name"] == NAMES[2]]
    aysel.records.save(Draft("address_book", mine.data | {"note": "mine"}, mine.id, mine.version))
    later = card(NAMES[2], "NOTE:theirs", "TITLE:Engineer").encode()

    progress = finish(imports, imports.stage("vcard", later))

    assert (progress.kept, progress.known, progress.completed) == (1, 0, 0)
    after = aysel.records.get(mine.id).data
    assert (after["note"], after["job_title"]) == ("mine", "Engineer")


def test_twice_the_same_in_one_file_is_one_record(aysel, imports):
    finish(imports, imports.stage("vcard", CARDS + CARDS))

    assert people(aysel) == NAMES


def test_a_crash_within_a_batch_leaves_it_to_be_done_again(world, aysel, imports, monkeypatch):
    """The records and the tick are one transaction: nothing is imported twice, nothing missing."""
    import_id = imports.stage("vcard", CARDS)

    def crashes(*_args, **_kwargs):
        raise OSError("power loss")

    monkeypatch.setattr(type(world.services.sink), "records_changed", crashes)
    with pytest.raises(OSError, match="power loss"):
        imports.advance(import_id)
    monkeypatch.undo()
    monkeypatch.setattr(staging, "BATCH_RECORDS", 2)
    assert people(aysel) == []
    assert imports.progress(import_id).done == 0

    progress = finish(imports, import_id)

    assert people(aysel) == NAMES
    assert dict(progress.imported) == {"address_book": 3}


def test_what_has_no_merge_key_is_not_doubled_either(world, aysel, imports, monkeypatch):
    """A record by which nothing is found again, imported as its tick fails."""
    statement = (
        b"OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\n\r\n<OFX><BANKMSGSRSV1><STMTTRNRS>"
        b"<STMTRS><CURDEF>AZN<BANKTRANLIST><STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260101"
        b"<TRNAMT>5.00</STMTTRN></BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
    import_id = imports.stage("ofx", statement)
    real = type(world.services.sink).records_changed
    monkeypatch.setattr(type(world.services.sink), "records_changed", lambda *_a, **_k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        imports.advance(import_id)
    monkeypatch.setattr(type(world.services.sink), "records_changed", real)

    finish(imports, import_id)

    assert len(aysel.records.all(["transactions"])) == 1


def test_two_tabs_that_advance_at_once_import_each_batch_once(world, aysel, imports):
    import_id = imports.stage("vcard", CARDS)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: world.services.imports(aysel.visitor).advance(import_id), range(4)))
    progress = finish(imports, import_id)

    assert people(aysel) == NAMES
    assert (progress.done, dict(progress.imported), progress.known) == (3, {"address_book": 3}, 0)


def test_a_cancelled_import_keeps_what_is_a_record_and_drops_the_rest(world, aysel, imports):
    import_id = imports.stage("vcard", CARDS)
    imports.advance(import_id)

    imports.cancel(import_id)
    imports.cancel(import_id)

    assert imports.progress(import_id).state == "cancelled"
    assert imports.advance(import_id).state == "cancelled"
    assert len(people(aysel)) == 2
    assert {row.kind for row in rows(world, StagedBatch)} == {"undo"}


def test_a_finished_import_is_not_cancelled(imports):
    import_id = imports.stage("vcard", CARDS)
    finish(imports, import_id)

    imports.cancel(import_id)

    assert imports.progress(import_id).state == "done"


def test_an_import_of_another_vault_is_not_there(world, imports):
    """SEC-S23."""
    import_id = imports.stage("vcard", CARDS)
    theirs = world.services.imports(world.person("leyla").visitor)

    for ask in (theirs.progress, theirs.advance, theirs.cancel):
        for one in (import_id, uuid4()):
            with pytest.raises(NotFoundError):
                ask(one)
    assert theirs.recent() == []
    assert imports.progress(import_id).state == "staged"


def test_a_file_of_an_unknown_or_wrong_format_keeps_nothing(world, imports):
    with pytest.raises(NotFoundError):
        imports.stage("spreadsheet", CARDS)
    with pytest.raises(ValidationFailedError):
        imports.stage("ofx", CARDS)

    assert rows(world, ImportJob) == []


def test_what_could_not_be_used_is_in_the_report(imports):
    import_id = imports.stage("vcard", CARDS + b"BEGIN:VCARD\r\nVERSION:4.0\r\nEND:VCARD\r\n")

    progress = finish(imports, import_id)

    (note,) = [*progress.refused, *progress.skipped]
    assert (note.position.unit, note.position.number) == ("line", 16)


def test_an_import_needs_an_unlocked_vault(world, aysel):
    aysel.unlocked = None

    with pytest.raises(VaultLockedError):
        world.services.imports(aysel.visitor)


def test_imported_records_are_told_to_whoever_may_see_them(world, aysel, imports):
    shop = world.organisation()
    connected = world.connect(aysel, shop, shop.publish(required=["address_book.name"]))

    finish(imports, imports.stage("vcard", CARDS))

    body = connected.get("/v1/records").json()
    assert sorted(record["data"]["name"] for record in body["records"]) == NAMES
    assert all(set(record["data"]) == {"name"} for record in body["records"])


TABLE = (
    "Tarix;Qarşı tərəf;Məbləğ\n"
    "01.02.2026;Kafe;-3,50\n01.02.2026;Kafe;-3,50\n02.02.2026;Kino;-8,00\n"
).encode()


def test_a_table_waits_sealed_until_its_columns_are_said(world, imports):
    """P-20: the upload is kept, and no word of it can be read."""
    import_id = imports.tables.hold(TABLE)

    assert imports.progress(import_id).state == "mapping"
    assert imports.advance(import_id).state == "mapping"
    assert imports.tables.held(import_id) == TABLE
    (stored,) = rows(world, StagedBatch)
    assert b"Kafe" not in stored.box


def test_what_the_columns_are_is_kept_for_the_next_file_of_the_bank(aysel, imports):
    table = open_bank_csv(TABLE)
    mapping = replace(propose(table), account="My card")
    assert imports.tables.kept_mapping(table.signature) is None
    import_id = imports.tables.hold(TABLE)
    imports.tables.map_columns(import_id, mapping, keep=True)

    assert imports.tables.kept_mapping(table.signature) == mapping
    assert imports.tables.kept_mapping("of another bank") is None
    with pytest.raises(NotFoundError):
        imports.tables.held(import_id)
    with pytest.raises(NotFoundError):
        imports.tables.map_columns(import_id, mapping, keep=True)
    assert finish(imports, import_id).imported == {"transactions": 3}
    again = imports.tables.hold(TABLE)
    imports.tables.map_columns(again, mapping, keep=False)
    assert finish(imports, again).known == 3
    assert len(aysel.records.all(["transactions"])) == 3


def test_a_preview_shows_what_waits_and_what_is_known(imports):
    finish(imports, imports.stage("vcard", card("Cavid Həsənov").encode()))
    import_id = imports.stage("vcard", CARDS + card("Cavid Həsənov").encode())
    shown = imports.preview(import_id)

    assert shown.examples[0] == (
        "address_book",
        {
            "name": "Ayan Quliyeva",
            "emails": [{"value": "ayan@example.com"}],
            "phones": [{"value": "+994501112233"}],
        },
    )
    assert imports.progress(import_id).found == {"address_book": 4}
    assert imports.progress(import_id).state == "staged"


@pytest.mark.parametrize(
    ("duplicates", "note", "title"),
    [("fill", "mine", "Engineer"), ("mine", "mine", None), ("file", "theirs", "Engineer")],
)
def test_what_is_known_already_is_dealt_with_as_its_owner_chose(
    aysel, imports, duplicates, note, title
):
    finish(imports, imports.stage("vcard", card("Ayan", "NOTE:mine").encode()))
    import_id = imports.stage("vcard", card("Ayan", "NOTE:theirs", "TITLE:Engineer").encode())

    imports.advance(import_id, duplicates=duplicates)

    (record,) = aysel.records.all(["address_book"])
    assert (record.data["note"], record.data.get("job_title")) == (note, title)


def test_what_an_import_brought_again_does_not_come_back_beside_it(world, aysel, imports):
    """Two records would have one merge key; two that were alike before are two again."""
    finish(imports, imports.stage("vcard", CARDS))
    ayan = next(each for each in aysel.records.each("address_book") if "emails" in each.data)
    twins = [aysel.save("interests", topic="chess") for _ in range(2)]
    gone = aysel.records.delete(ayan.id, version=1)
    other = aysel.records.delete(twins[0].id, version=1)
    finish(imports, imports.stage("vcard", CARDS))
    anew = next(each for each in aysel.records.each("address_book") if "emails" in each.data)
    aysel.records.save(Draft("address_book", {**anew.data, "note": "x"}, anew.id, 1))

    undone = world.services.deleted(aysel.visitor).undo(gone.seq, other.seq)

    assert (undone.restored, undone.there_again, undone.left) == (1, 1, None)
    assert aysel.records.counts()["address_book"] == 3
    assert aysel.records.counts()["interests"] == 2
    aysel.records.delete(anew.id, version=2)
    assert world.services.deleted(aysel.visitor).undo(gone.seq, gone.seq).restored == 1


def test_an_import_is_undone_and_what_was_changed_since_stays(aysel, imports):
    finish(imports, imports.stage("vcard", card("Cavid Həsənov", "NOTE:mine").encode()))
    twice = CARDS + card("Cavid Həsənov", "TITLE:Engineer").encode()
    import_id = imports.stage("vcard", twice)
    done = finish(imports, import_id)
    assert done.can_undo
    changed = next(r for r in aysel.records.all(["address_book"]) if "Bahar" in r.data["name"])
    aysel.records.save(
        Draft("address_book", changed.data | {"note": "a friend"}, changed.id, changed.version)
    )

    progress = imports.undo(import_id)
    for _ in range(5):
        progress = imports.advance(import_id)

    assert progress.state == "undone"
    assert (progress.taken_back, progress.changed_since) == (2, 1)
    assert not progress.can_undo
    left = {r.data["name"]: r.data for r in aysel.records.all(["address_book"])}
    assert sorted(left) == ["Bahar Məmmədova", "Cavid Həsənov"]
    assert left["Cavid Həsənov"] == {"name": "Cavid Həsənov", "note": "mine"}
    assert imports.advance(import_id).state == "undone"


def test_what_a_cancelled_import_had_taken_can_be_undone(aysel, imports):
    import_id = imports.stage("vcard", CARDS)
    imports.advance(import_id)
    imports.cancel(import_id)

    imports.undo(import_id)
    imports.advance(import_id)

    assert people(aysel) == []


def test_a_file_that_changed_nothing_cannot_be_undone(imports):
    finish(imports, imports.stage("vcard", CARDS))

    again = finish(imports, imports.stage("vcard", CARDS))

    assert not again.can_undo
    assert imports.undo(again.id).state == "done"


def test_nobody_else_sees_a_table_that_waits(world, imports):
    import_id = imports.tables.hold(TABLE)
    others = world.services.imports(world.person("mallory").visitor)

    with pytest.raises(NotFoundError):
        others.tables.held(import_id)
    with pytest.raises(NotFoundError):
        others.undo(import_id)
