"""Records as their owner writes them: versions, history, tombstones, one sequence (P-5, P-21)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from consent.models import Event
from pds.errors import ConflictError, NotFoundError
from pds.models import Record, Vault
from pds.records import Draft


@pytest.fixture
def aysel(world):
    return world.person()


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def sequence(world):
    return rows(world, Vault)[0].seq


def edit(person, opened, **data):
    return person.records.save(Draft(opened.collection, data, opened.id, opened.version))


def test_a_record_is_read_back_as_it_was_written(aysel):
    saved = aysel.save("interests", topic="chess", level="high")

    found = aysel.records.get(saved.id)

    assert found == saved
    assert found.data == {"topic": "chess", "level": "high"}
    assert (found.version, found.author.kind, found.deleted) == (1, "owner", False)


def test_each_edit_is_a_version_and_the_older_ones_are_kept(aysel):
    """P-21: newest first."""
    record = aysel.save("interests", topic="chess")
    record = edit(aysel, record, topic="go")
    record = edit(aysel, record, topic="shogi")

    assert record.version == 3
    assert [(each.version, each.data) for each in aysel.records.history(record.id)] == [
        (2, {"topic": "go"}),
        (1, {"topic": "chess"}),
    ]


def test_an_edit_of_a_version_that_is_not_the_present_one_is_a_conflict(aysel):
    record = aysel.save("interests", topic="chess")
    edit(aysel, record, topic="go")

    with pytest.raises(ConflictError):
        edit(aysel, record, topic="shogi")
    with pytest.raises(ConflictError):
        aysel.records.delete(record.id, version=1)

    assert aysel.records.get(record.id).data == {"topic": "go"}


def test_of_two_edits_at_once_one_is_told_of_the_other(aysel):
    record = aysel.save("interests", topic="chess")

    def attempt(number):
        try:
            return edit(aysel, record, topic=f"topic {number}").data["topic"]
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [one for one in pool.map(attempt, range(8)) if one]

    assert [aysel.records.get(record.id).data["topic"]] == won


def test_an_edit_of_what_is_not_there_is_not_found(aysel):
    with pytest.raises(NotFoundError):
        aysel.records.save(Draft("interests", {"topic": "x"}, uuid4(), version=1))


def test_a_record_stays_in_its_collection(aysel):
    """Its key is its collection's: a form that names another one finds nothing."""
    record = aysel.save("identity", national_id="AZE12345678")

    with pytest.raises(NotFoundError):
        aysel.records.save(Draft("interests", {"topic": "x"}, record.id, 1))

    assert aysel.records.get(record.id).collection == "identity"


def test_a_deleted_record_leaves_a_tombstone_without_content(world, aysel):
    """P-21, P-22: readers are told; its owner sees it in its history."""
    record = aysel.save("interests", topic="chess")

    aysel.records.delete(record.id, version=1)

    (row,) = rows(world, Record)
    assert (row.deleted, row.version, row.merge_tag) == (True, 2, None)
    with pytest.raises(NotFoundError):
        aysel.records.get(record.id)
    with pytest.raises(NotFoundError):
        aysel.records.delete(record.id, version=2)
    assert aysel.records.counts()["interests"] == 0
    assert aysel.records.history(record.id)[0].data == {"topic": "chess"}


def test_a_deletion_is_undone_by_a_further_version(world, aysel):
    """P-21, P-22: the tombstone stays in the history, and readers are told of both."""
    shop = world.organisation()
    connected = world.connect(aysel, shop, shop.publish(required=["interests.topic"]))
    record = aysel.save("interests", topic="chess")
    gone = aysel.records.delete(record.id, version=1)
    first = connected.get("/v1/records").json()

    undone = world.services.deleted(aysel.visitor).undo(gone.seq, gone.seq)
    again = world.services.deleted(aysel.visitor).undo(gone.seq, gone.seq)
    then = connected.get("/v1/records", params={"cursor": first["next_cursor"]}).json()

    assert (undone.restored, again.restored) == (1, 0)
    found = aysel.records.get(record.id)
    assert (found.data, found.version, found.source.name) == ({"topic": "chess"}, 3, "1")
    history = aysel.records.history(record.id)
    assert [(each.version, each.data) for each in history] == [(2, {}), (1, {"topic": "chess"})]
    assert first["records"] == []
    assert [each["data"] for each in then["records"]] == [{"topic": "chess"}]


def test_there_is_one_of_a_singleton(aysel):
    """P-21."""
    aysel.save("profile", given_name="Aysel")

    with pytest.raises(ConflictError):
        aysel.save("profile", given_name="Another")


def test_a_singleton_is_blanked_and_filled_in_again(aysel):
    """P-21: never deleted, so that its readers know it again."""
    record = aysel.save("profile", given_name="Aysel")
    aysel.records.delete(record.id, version=1)

    blank = aysel.records.get(record.id)
    assert (blank.data, blank.version) == ({}, 2)
    assert edit(aysel, blank, given_name="Aysel").version == 3


def test_of_two_singletons_at_once_one_is_made(world, aysel):
    def attempt(number):
        try:
            return aysel.save("profile", given_name=f"Name {number}")
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(attempt, range(8)) if one]

    assert len(made) == 1
    assert len(rows(world, Record)) == 1


def test_writers_at_once_take_numbers_one_after_another(world, aysel):
    """P-5: no number is lost, none is given twice, and each write has its entry (LOG-23)."""
    before = sequence(world)

    def write(number):
        return [
            aysel.save("bookmarks", url=f"https://e.example/{number}/{n}").seq for n in range(5)
        ]

    with ThreadPoolExecutor(8) as pool:
        taken = sorted(seq for one in pool.map(write, range(8)) for seq in one)

    assert taken == list(range(before + 1, before + 41))
    assert sequence(world) == before + 40
    written = [event for event in rows(world, Event) if event.name == "record.written"]
    assert len(written) == 40
    with world.services.uow.read() as session:
        counted, last = session.execute(
            select(func.count(), func.max(Event.seq)).where(Event.stream.startswith("v."))
        ).one()
    assert counted == last


def test_a_reader_never_skips_a_write_that_commits_late(world, aysel):
    """P-5: whoever reads up to a number has seen everything below it."""
    shop = world.organisation()
    connected = world.connect(
        aysel,
        shop,
        shop.publish(
            required=["bookmarks.url"], access={"mode": "on_change", "fetches_per_day": 1440}
        ),
    )
    seen, cursor = set(), None

    def write(number):
        for n in range(4):
            aysel.save("bookmarks", url=f"https://e.example/{number}/{n}")

    def follow(cursor):
        where = {"cursor": cursor} if cursor else {}
        body = connected.get("/v1/records", params=where | {"limit": 500}).json()
        seen.update(record["data"]["url"] for record in body["records"])
        return body["next_cursor"]

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write, number) for number in range(6)]
        while not all(one.done() for one in writing):
            cursor = follow(cursor)
        for one in writing:
            one.result()
    follow(cursor)

    assert len(seen) == 24


def test_a_batch_is_written_wholly_or_not_at_all(world, aysel):
    good = Draft("interests", {"topic": "chess"})
    bad = Draft("interests", {"topic": "go"}, uuid4(), version=3)

    with pytest.raises(NotFoundError):
        aysel.records.save_all([good, bad], event="records.imported")

    assert rows(world, Record) == []
    assert sequence(world) == 0


def test_what_is_done_also_is_undone_with_the_rest(world, aysel):
    """The write and what settles it are one transaction."""

    def fails(_session):
        raise ConflictError

    with pytest.raises(ConflictError):
        aysel.records.save_all(
            [Draft("interests", {"topic": "chess"})], event="record.written", also=fails
        )

    assert rows(world, Record) == []
    assert sequence(world) == 0


def test_a_log_that_cannot_be_written_stops_the_write(world, aysel, monkeypatch):
    """LOG-20, SEC-S69: no entry, no change."""

    def fails(*_args, **_kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(type(world.services.sink), "append", fails)
    with pytest.raises(OSError, match="no space"):
        aysel.save("interests", topic="chess")
    monkeypatch.undo()

    assert rows(world, Record) == []
    assert aysel.save("interests", topic="chess").seq == 1


def test_records_are_paged_in_the_order_of_their_changes(aysel):
    for n in range(5):
        aysel.save("interests", topic=f"{n}")

    first, after = aysel.records.page("interests", limit=2)
    second, then = aysel.records.page("interests", after=after, limit=2)
    third, end = aysel.records.page("interests", after=then, limit=2)

    assert [one.data["topic"] for one in [*first, *second, *third]] == list("01234")
    assert end is None
    with pytest.raises(NotFoundError):
        aysel.records.page("nothing")


def test_the_change_map_remembers_what_is_gone(aysel):
    """P-22: so that readers are told of it."""
    record = aysel.save("interests", topic="chess", level="high")
    record = edit(aysel, record, topic="chess")

    assert record.changes["level"][:2] == [2, 2]
    assert record.changes["topic"][:2] == [1, 1]


def test_an_edit_that_changes_nothing_is_news_to_nobody(aysel):
    record = aysel.save("interests", topic="chess")

    again = edit(aysel, record, topic="chess")

    assert again.version == 2
    assert again.changes == record.changes


def test_a_box_tells_nothing_of_the_length_of_a_short_value(world, aysel):
    """TAK-23."""
    aysel.save("interests", topic="a")
    aysel.save("interests", topic="abcd")

    assert len({len(row.box) for row in rows(world, Record)}) == 1


def test_every_record_and_every_superseded_version_is_read_once_in_batches(aysel, monkeypatch):
    """GDPR Art. 20: what an export reads, in memory of one batch."""
    monkeypatch.setattr("pds.record_reading._EACH", 2)
    saved = [aysel.save("interests", topic=f"topic {number}") for number in range(5)]
    for each in saved[:3]:
        aysel.records.save(Draft("interests", {"topic": "new"}, each.id, 1))
    aysel.records.delete(saved[4].id, version=1)

    read = [each.id for each in aysel.records.each("interests")]
    superseded = list(aysel.records.each_superseded())

    assert sorted(read) == sorted(each.id for each in saved[:4])
    assert sorted(record_id for record_id, _ in superseded) == sorted(
        each.id for each in [*saved[:3], saved[4]]
    )
    assert {version.data["topic"] for _, version in superseded} == {
        f"topic {number}" for number in (0, 1, 2, 4)
    }


def test_a_read_in_batches_shows_each_record_as_it_stands_by_then(aysel, monkeypatch):
    monkeypatch.setattr("pds.record_reading._EACH", 1)
    first, second, third = (aysel.save("interests", topic=name) for name in "abc")
    reading = aysel.records.each("interests")
    assert next(reading).id == first.id
    aysel.records.save(Draft("interests", {"topic": "changed"}, second.id, 1))
    aysel.records.delete(third.id, version=1)
    aysel.save("interests", topic="later")

    assert [each.data["topic"] for each in reading] == ["changed"]
