"""Files in sealed chunks: whole or not there, counted, and gone with what had them (P-20)."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
from sqlalchemy import delete, func, select, update

from pds import sealed_files
from pds.crypto.sealed_stream import CHUNK_BYTES
from pds.errors import DecryptionError, LimitExceededError, NotFoundError
from pds.models import SealedChunk, SealedFile
from pds.sealed_files import SealedFiles, storage_used

CONTENT = os.urandom(1000) * 600  # three chunks


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def files(world, aysel):
    return world.services.files(aysel.visitor)


def written(files, content=CONTENT, *, most=10_000_000, piece=70_000):
    writer = files.write(most_bytes=most)
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    return writer.finish()


def change(world, statement):
    world.services.uow.write(lambda session: session.execute(statement))


def count(world, model):
    with world.services.uow.read() as session:
        return session.execute(select(func.count()).select_from(model)).scalar_one()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 600_000])
def test_what_was_written_is_read_again(files, size):
    content = CONTENT[:size]

    whole = written(files, content)

    assert (whole.size_bytes, whole.sha256) == (size, sha256(content).hexdigest())
    assert b"".join(files.open(whole.id).chunks()) == content


def test_nothing_of_it_is_readable_where_it_is_kept(world, files):
    """P-20, TAK-23: chunks are sealed and padded, size and hash are sealed too."""
    whole = written(files, b"Sevinc Quliyeva " * 10)

    with world.services.uow.read() as session:
        row = session.get(SealedFile, (files.vault.bucket, files.vault.id, whole.id))
        boxes = list(session.scalars(select(SealedChunk.box)))
    assert b"Sevinc" not in b"".join(boxes)
    assert bytes.fromhex(whole.sha256) not in row.key_box
    assert row.stored_bytes == sum(map(len, boxes)) == 160 + 16


@pytest.mark.tampers
@pytest.mark.parametrize("act", ["cut off", "one lost", "swapped", "of another file"])
def test_a_file_whose_rows_were_changed_does_not_open_to_its_end(world, files, act):
    """TAK-21: and its last part is not handed out before that is known."""
    whole, other = written(files), written(files, CONTENT[::-1])
    here = SealedChunk.file_id == whole.id
    if act == "cut off":
        change(world, delete(SealedChunk).where(here, SealedChunk.number == 2))
    elif act == "one lost":
        change(world, delete(SealedChunk).where(here, SealedChunk.number == 1))
    else:
        source = SealedChunk.file_id == (whole.id if act == "swapped" else other.id)
        number = 0 if act == "swapped" else 1
        with world.services.uow.read() as session:
            query = select(SealedChunk.box).where(source, SealedChunk.number == number)
            box = session.execute(query).scalar_one()
        change(world, update(SealedChunk).where(here, SealedChunk.number == 1).values(box=box))

    got = []
    with pytest.raises(DecryptionError):
        got.extend(files.open(whole.id).chunks())
    assert len(b"".join(got)) < len(CONTENT)


@pytest.mark.tampers
def test_a_key_of_another_file_opens_nothing(world, files):
    """TAK-21."""
    whole, other = written(files), written(files)
    with world.services.uow.read() as session:
        query = select(SealedFile.key_box).where(SealedFile.id == other.id)
        box = session.execute(query).scalar_one()
    change(world, update(SealedFile).where(SealedFile.id == whole.id).values(key_box=box))

    with pytest.raises(DecryptionError):
        files.open(whole.id)


def test_a_file_of_another_vault_or_half_a_file_is_not_there(world, files):
    """P-1: not yours and not there are the same."""
    others = world.services.files(world.person("mallory").visitor)
    whole = written(files)
    half = files.write(most_bytes=10_000_000)
    half.write(CONTENT)

    with pytest.raises(NotFoundError):
        others.open(whole.id)
    with world.services.uow.read() as session:
        ids = list(session.scalars(select(SealedFile.id).where(SealedFile.id != whole.id)))
    assert len(ids) == 1
    with pytest.raises(NotFoundError):
        files.open(ids[0])
    with pytest.raises(NotFoundError):
        world.services.uow.write(lambda s: sealed_files.keep(s, files.vault, ids))


def test_more_than_may_be_is_refused_and_swept(world, clock, files):
    most = CHUNK_BYTES * 2

    with pytest.raises(LimitExceededError):
        written(files, most=most)
    small = SealedFiles(files.store, files.clock, files.vault, files.open_vault, most)
    with pytest.raises(LimitExceededError):
        written(small)

    clock.move(hours=2)
    while world.services.uow.write(lambda s: sealed_files.sweep(s, now=clock.now())):
        pass
    assert count(world, SealedChunk) == count(world, SealedFile) == 0


def test_what_a_record_keeps_stays_and_what_is_shredded_goes(world, clock, files):
    kept, left = written(files), written(files, b"left")
    world.services.uow.write(lambda s: sealed_files.keep(s, files.vault, [kept.id]))
    clock.move(hours=2)

    def swept():
        while world.services.uow.write(lambda s: sealed_files.sweep(s, now=clock.now())):
            pass

    swept()
    assert b"".join(files.open(kept.id).chunks()) == CONTENT
    with pytest.raises(NotFoundError):
        files.open(left.id)
    now = clock.now()
    world.services.uow.write(lambda s: sealed_files.shred(s, files.vault, [kept.id], now=now))
    with pytest.raises(NotFoundError):  # at once: its key is gone, whatever is left of its chunks
        files.open(kept.id)
    assert count(world, SealedChunk) == 3
    swept()
    assert count(world, SealedChunk) == count(world, SealedFile) == 0


def test_what_a_vault_takes_up_is_counted(world, aysel, files):
    aysel.save("contact", email="a@example.com")
    with world.services.uow.read() as session:
        before = storage_used(session, files.vault)
    written(files)
    with world.services.uow.read() as session:
        after = storage_used(session, files.vault)
        other = storage_used(session, world.person("mallory").visitor.vault)

    assert before.files_bytes == 0 < before.records_bytes == after.records_bytes
    assert len(CONTENT) < after.files_bytes < len(CONTENT) * 1.02
    assert after.total_bytes == after.records_bytes + after.files_bytes
    assert other.total_bytes == 0
