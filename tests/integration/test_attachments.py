"""A record and its files are one thing: written, counted, logged and deleted together."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from pds import sealed_files
from pds.attached_files import AttachedFile
from pds.errors import (
    ConflictError,
    DecryptionError,
    NotFoundError,
    ValidationFailedError,
    VaultLockedError,
)
from pds.models import CollectionKey, KeyWrap, SealedFile
from pds.records import Draft


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def attachments(world, aysel):
    return world.services.attachments(aysel.visitor)


@pytest.fixture
def record(aysel):
    return aysel.save("documents", title="Rent", kind="contract")


def whole(attachments, content=b"%PDF-1"):
    writer = attachments.files.write(most_bytes=1000)
    writer.write(content)
    return writer.finish()


def keys(world):
    with world.services.uow.read() as session:
        return {row.id: row.key_box for row in session.scalars(select(SealedFile))}


def test_a_file_makes_a_version_of_its_record_and_an_edit_keeps_it(aysel, attachments, record):
    """P-31, P-32: the record's box names it, so the log's hash of the box covers it."""
    after = attachments.add(record, "Rent.pdf", whole(attachments))
    edited = aysel.records.save(Draft("documents", {**record.data, "note": "x"}, record.id, 2))

    assert (after.version, edited.version) == (2, 3)
    assert [(each.name, each.media_type) for each in edited.files] == [
        ("Rent.pdf", "application/pdf")
    ]
    named, opened = attachments.open(aysel.records.get(record.id), edited.files[0].id)
    assert b"".join(opened.chunks()) == b"%PDF-1"
    assert AttachedFile.read(named.written()) == named


def test_organisations_that_read_the_record_see_no_change(world, aysel, attachments, record, shop):
    """P-22: a file is no attribute."""
    template = shop.publish(required=["documents.title"])
    reads = world.connect(aysel, shop, template)
    page = reads.get("/v1/records", params={"collection": "documents"}).json()
    attachments.add(aysel.records.get(record.id), "Rent.pdf", whole(attachments))

    more = {"collection": "documents", "cursor": page["next_cursor"]}
    assert reads.get("/v1/records", params=more).json()["records"] == []
    again = reads.get("/v1/records", params={"collection": "documents"}).json()
    assert [each["data"] for each in again["records"]] == [{"title": "Rent"}]


def sweep(world):
    while world.services.uow.write(
        lambda session: sealed_files.sweep(session, now=world.services.clock.now())
    ):
        pass


def test_a_file_that_is_taken_away_is_destroyed_at_once(world, attachments, record):
    first = attachments.add(record, "1", whole(attachments))
    both = attachments.add(first, "2", whole(attachments, b"two"))

    one = attachments.remove(both, both.files[0].id)

    with pytest.raises(NotFoundError):
        attachments.open(one, both.files[0].id)
    found = keys(world)
    assert [found[each.id] is None for each in both.files] == [True, False]


def test_files_come_back_with_their_record_for_a_time_and_are_destroyed_after_it(
    world, clock, aysel, attachments, record
):
    """ADR 0038; a file that was taken away before does not come back with the others."""
    deleted, records = world.services.deleted(aysel.visitor), aysel.records
    removed = attachments.add(record, "0", whole(attachments, b"zero"))
    named = attachments.add(removed, "1", whole(attachments)).files[1]
    there = attachments.remove(records.get(record.id), removed.files[0].id)
    gone = records.delete(record.id, version=there.version)
    clock.move(days=29)
    sweep(world)

    assert deleted.undo(gone.seq, gone.seq).restored == 1
    clock.move(days=60)
    sweep(world)
    back = records.get(record.id)
    assert back.files == (named,)
    assert b"".join(attachments.open(back, named.id)[1].chunks()) == b"%PDF-1"

    again = records.delete(record.id, version=back.version)
    clock.move(days=30)
    assert keys(world)[named.id] is not None
    sweep(world)
    assert keys(world) == {}
    assert deleted.undo(again.seq, again.seq).restored == 1
    assert records.get(record.id).files == ()


def test_a_file_that_is_gone_or_given_to_an_old_version_is_not_added(
    world, aysel, attachments, record
):
    """P-4: what was decided from a read is checked again inside."""
    file = whole(attachments)
    attachments.add(record, "1", file)
    with pytest.raises(ConflictError):
        attachments.add(record, "2", whole(attachments, b"two"))
    waiting = whole(attachments, b"three")
    world.services.uow.write(
        lambda session: session.execute(delete(SealedFile).where(SealedFile.id == waiting.id))
    )

    with pytest.raises(NotFoundError):
        attachments.add(aysel.records.get(record.id), "3", waiting)
    assert len(aysel.records.get(record.id).files) == 1


def test_a_record_has_ten_files_at_most_and_only_where_the_catalogue_says_so(
    aysel, attachments, record
):
    for number in range(10):
        record = attachments.add(record, f"{number}", whole(attachments, b"%d" % number))
    with pytest.raises(ValidationFailedError, match="too_many_files"):
        attachments.add(record, "11", whole(attachments, b"eleven"))
    contact = aysel.save("contact", email="a@example.com")
    with pytest.raises(ValidationFailedError, match="no_files_here"):
        attachments.add(contact, "1", whole(attachments))


@pytest.mark.tampers
def test_a_file_that_is_not_the_one_the_record_names_is_not_handed_out(aysel, attachments, record):
    """TAK-21: hash and size stand in the record's box, which the log knows."""
    file = attachments.add(record, "1", whole(attachments)).files[0]
    other = AttachedFile(
        file.id, file.name, file.media_type, file.size_bytes, "0" * 64, file.added_at
    )
    draft = Draft("documents", record.data, record.id, 2, files=(other,))
    changed = aysel.records.save(draft)

    with pytest.raises(DecryptionError):
        attachments.open(changed, file.id)


@pytest.mark.tampers
def test_a_vault_that_is_older_than_a_collection_gets_its_key_at_the_next_unlock(world, aysel):
    """D2: and may not be written to before."""

    def forget(session):
        session.execute(delete(KeyWrap).where(KeyWrap.wrapped_id == "documents"))
        session.execute(delete(CollectionKey).where(CollectionKey.collection == "documents"))

    world.services.uow.write(forget)
    with pytest.raises(VaultLockedError):
        aysel.save("documents", title="Rent", kind="contract")

    aysel.sign_in()
    aysel.sign_in()

    assert aysel.save("documents", title="Rent", kind="contract").version == 1
