"""Lists of a collection: in sealed parts that follow what is written (P-5, P-21, UI-12)."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update

from pds import record_lists
from pds.models import ListPart
from pds.record_lists import Order
from pds.records import Draft


@pytest.fixture
def aysel(world, monkeypatch):
    monkeypatch.setattr(record_lists, "_FEWEST_IN_PART", 2)
    monkeypatch.setattr(record_lists, "_PART_RECORDS", 2)
    monkeypatch.setattr(record_lists, "SLICE_RECORDS", 4)
    return world.person()


def listed(world, person, query="", order=Order.TITLE):
    """Return the topics in an order, once all were looked through."""
    lists = world.services.lists(person.visitor)
    while not (listing := lists.of("interests", with_texts=True)).is_whole:
        pass
    ids = listing.at(listing.ordered(order, listing.found(query)))
    return [each.data["topic"] for each in person.records.some(ids)]


def parts(world):
    with world.services.uow.read() as session:
        query = select(ListPart).order_by(ListPart.after_seq)
        return [(each.after_seq, each.through_seq) for each in session.scalars(query)]


def test_a_list_follows_every_write_and_is_kept_in_parts(world, aysel):
    """P-5: what changed after a part was made has a higher number than all in it."""
    saved = [aysel.save("interests", topic=topic) for topic in "ebdac"]
    assert listed(world, aysel) == list("abcde")
    assert parts(world) == [(0, 2), (2, 4)]

    aysel.records.save(Draft("interests", {"topic": "f"}, saved[0].id, 1))
    gone = aysel.records.delete(saved[1].id, version=1)
    assert listed(world, aysel) == list("acdf")
    assert listed(world, aysel, order=Order.CHANGED) == list("fcad")
    assert listed(world, aysel, "b") == []

    world.services.deleted(aysel.visitor).undo(gone.seq, gone.seq)
    assert listed(world, aysel) == list("abcdf")
    assert listed(world, aysel, "b") == ["b"]


def test_a_slice_at_a_time_is_looked_through(world, aysel):
    for topic in "abcdefghij":
        aysel.save("interests", topic=topic)
    lists = world.services.lists(aysel.visitor)

    steps = [lists.of("interests") for _ in range(3)]

    assert [(each.done, each.total) for each in steps] == [(4, 10), (8, 10), (10, 10)]
    assert [len(each.ids) for each in steps] == [4, 8, 10]


@pytest.mark.tampers
@pytest.mark.parametrize("harm", ["swapped", "removed", "moved"])
def test_parts_that_were_tampered_with_are_made_anew(world, aysel, harm):
    """TAK-22: a part opens only in its place; the rows are the truth."""
    for topic in "dcba":
        aysel.save("interests", topic=topic)
    listed(world, aysel)
    with world.services.uow.read() as session:
        _, second = session.scalars(select(ListPart).order_by(ListPart.after_seq))
    change = {
        "swapped": update(ListPart).where(ListPart.after_seq == 0).values(keys_box=second.keys_box),
        "removed": delete(ListPart).where(ListPart.after_seq == 0),
        "moved": update(ListPart).where(ListPart.after_seq == 2).values(through_seq=3),
    }[harm]
    world.services.uow.write(lambda session: session.execute(change))

    assert listed(world, aysel) == list("abcd")
    assert parts(world) == [(0, 2), (2, 4)]


def test_a_list_of_mostly_dead_entries_is_made_anew(world, aysel):
    saved = [aysel.save("interests", topic=topic) for topic in "ab"]
    for number in range(8):
        saved = [
            aysel.records.save(Draft("interests", {"topic": f"{number}"}, each.id, each.version))
            for each in saved
        ]
        assert listed(world, aysel) == [f"{number}"] * 2

    assert len(parts(world)) < 5


def test_a_part_tells_nothing_without_the_key_of_the_vault(world, aysel):
    """P-20; what it finds, it finds however it is typed."""
    for topic in ("Şahmat", "Nərd"):
        aysel.save("interests", topic=topic)
    assert listed(world, aysel, "sahmat") == listed(world, aysel, "ŞAHMAT") == ["Şahmat"]

    with world.services.uow.read() as session:
        (part,) = session.scalars(select(ListPart))

    assert b"ahmat" not in part.keys_box + part.texts_box
