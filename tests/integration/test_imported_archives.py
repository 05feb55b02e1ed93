"""Archives that no store of ours made: lines that repeat are records of their own (P-2, P-21)."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid4

import pytest

from pds.imports import archives
from tests.support.archives import archive, record

A, B, C = (UUID(f"6f1ab2c3-0000-4000-8000-00000000000{number}") for number in (1, 2, 3))


@pytest.fixture
def imports(world, aysel):
    return world.services.imports(aysel.visitor)


def bring(imports, members, *, duplicates="fill"):
    """Import an archive whole; return what became of it."""
    writer = imports.attachments.files.write(most_bytes=1_000_000)
    writer.write(archive(members))
    import_id = imports.archives.stage(writer.finish().id)
    progress = imports.progress(import_id)
    while progress.state != "done":
        progress = imports.advance(import_id, duplicates=duplicates)
    return progress


def emails(person):
    return {each.id: each.data["email"] for each in person.records.all(["contact"])}


def contacts(*given):
    lines = [record({"email": email}, record_id) for record_id, email in given]
    return {"records/contact.jsonl": b"".join(lines)}


def test_an_existing_record_is_met_once_and_first_by_its_id(aysel, imports):
    bring(imports, contacts((A, "a@a.example")))

    done = bring(
        imports,
        contacts((B, "a@a.example"), (A, "new@a.example"), (A, "third@a.example")),
        duplicates="file",
    )

    held = emails(aysel)
    assert (held.pop(A), held.pop(B)) == ("new@a.example", "a@a.example")
    assert list(held.values()) == ["third@a.example"]
    assert (done.completed, dict(done.imported)) == (1, {"contact": 2})


def test_two_lines_that_are_alike_meet_one_record_between_them(aysel, imports):
    bring(imports, contacts((A, "a@a.example")))

    done = bring(imports, contacts((B, "a@a.example"), (C, "a@a.example")))

    assert emails(aysel) == {A: "a@a.example", C: "a@a.example"}
    assert (done.known, dict(done.imported)) == (1, {"contact": 1})


def test_a_free_id_is_given_once(aysel, imports, monkeypatch):
    """In one batch, and across two."""
    done = bring(imports, contacts((A, "a@a.example"), (A, "b@a.example")))
    monkeypatch.setattr(archives, "BATCH_RECORDS", 1)
    later = bring(imports, contacts((B, "c@a.example"), (B, "d@a.example")), duplicates="file")

    held = emails(aysel)
    assert (held.pop(A), held.pop(B)) == ("a@a.example", "c@a.example")
    assert sorted(held.values()) == ["b@a.example", "d@a.example"]
    assert dict(done.imported) == dict(later.imported) == {"contact": 2}


@pytest.mark.parametrize("is_there", [False, True], ids=["none yet", "one is there"])
def test_lines_of_a_collection_of_one_record_are_one_record(aysel, imports, is_there):
    if is_there:
        aysel.save("profile", given_name="Aysel")
    lines = record({"given_name": "Aysel"}, A) + record({"family_name": "Quliyeva"}, B)

    bring(imports, {"records/profile.jsonl": lines})

    (only,) = aysel.records.all(["profile"])
    assert only.data == {"given_name": "Aysel", "family_name": "Quliyeva"}


def test_undone_a_collection_of_one_record_keeps_no_file(aysel, imports):
    """What a blank record kept could be opened, and nobody would look for it there."""
    file_id, content = uuid4(), b"%PDF-1"
    named = {"id": str(file_id), "name": "a.pdf", "bytes": len(content)}
    named["sha256"] = hashlib.sha256(content).hexdigest()
    line = record({"blood_type": "A+"}, A, files=[named])
    done = bring(imports, {"records/health.jsonl": line, f"files/{file_id}/a.pdf": content})
    assert [each.name for each in aysel.records.get(A).files] == ["a.pdf"]

    imports.undo(done.id)
    imports.advance(done.id)

    blank = aysel.records.get(A)
    assert (dict(blank.data), blank.files) == ({}, ())
