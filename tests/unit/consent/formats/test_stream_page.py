"""A page of a stream: what an organisation looks up of its own reads (P-33)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.formats import merkle
from consent.formats.bundle import BundleEntry, ErasedEntry
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.errors import MalformedError, VerificationError
from consent.formats.note import Signer
from consent.formats.stream_page import StreamPage
from tests.support.evidence import GRANT_STREAM, story
from tests.support.receipt_samples import ORIGIN

LOG = story()
KEYS = [LOG.signer.verifier]


def reader():
    return merkle.leaves_reader([merkle.leaf_hash(entry) for entry in LOG.entries])


def known(size):
    """Return the tree that a reader of long ago verified."""
    return Checkpoint(ORIGIN, size, merkle.root_at(reader(), size))


def page_after(after=0, *, size=0):
    """Return what the log answers."""
    entries = [
        BundleEntry(
            index, tuple(merkle.inclusion_proof(reader(), index, len(LOG.entries))), opening
        )
        for index, (opening, _) in enumerate(LOG.events)
        if opening.pub.stream == GRANT_STREAM and opening.pub.seq > after
    ]
    proof = merkle.consistency_proof(reader(), size, len(LOG.entries))
    return StreamPage(GRANT_STREAM, LOG.checkpoint(), tuple(proof), tuple(entries), has_more=False)


def verify(page, *, after=0, size=0, stream=GRANT_STREAM, keys=KEYS):
    return page.verify(
        stream=stream, after=after, log_keys=keys, known=known(size) if size else None
    )


def test_what_is_written_is_read_again():
    page = page_after(size=3)

    assert StreamPage.from_dict(page.to_dict()) == page


@pytest.mark.parametrize("size", [0, 1, 3, len(LOG.entries)])
def test_a_page_verifies_and_hands_on_its_tree_p_33(size):
    verified = verify(page_after(size=size), size=size)

    assert verified == open_checkpoint(LOG.checkpoint(), log_keys=KEYS).checkpoint


def test_a_page_goes_on_after_a_number_p_33():
    assert verify(page_after(2), after=2).size == len(LOG.entries)


def erase(page, at):
    """Return the page once that entry was erased."""
    entry = page.entries[at]
    part = entry.event.pub
    gone = ErasedEntry(
        entry.index,
        merkle.leaf_hash(entry.event.entry()),
        entry.leaf_proof,
        part.stream,
        part.seq,
        "consent.public",
    )
    return replace(drop(page, at), erased=(gone,))


@pytest.mark.parametrize("at", range(len(page_after().entries)))
def test_an_erased_entry_is_told_by_its_rule_and_its_leaf_is_still_proved_aud_9(at):
    page = erase(page_after(), at)

    verify(page)

    assert StreamPage.from_dict(page.to_dict()) == page
    assert page.numbers == page_after().numbers


def test_an_entry_is_not_called_erased_with_another_leaf_or_number_p_33():
    page = erase(page_after(), 1)
    (gone,) = page.erased
    for wrong in (
        replace(gone, leaf_hash=bytes(32)),
        replace(gone, seq=gone.seq + 1),
        replace(gone, stream="g.1"),
    ):
        with pytest.raises(VerificationError):
            verify(replace(page, erased=(wrong,)))


def drop(page, at):
    return replace(page, entries=page.entries[:at] + page.entries[at + 1 :])


@pytest.mark.parametrize("at", range(len(page_after().entries) - 1))
def test_an_entry_that_was_left_out_is_named_p_33(at):
    with pytest.raises(VerificationError, match=f"{GRANT_STREAM}/{at + 1} is not in the log"):
        verify(drop(page_after(), at))


def test_entries_out_of_order_are_refused():
    page = page_after()

    with pytest.raises(VerificationError):
        verify(replace(page, entries=page.entries[::-1]))


def changed_count(page):
    first = page.entries[0]
    part = replace(first.event.pub, count=first.event.pub.count + 1)
    lying = replace(first, event=replace(first.event, pub=part))
    return replace(page, entries=(lying, *page.entries[1:]))


def moved(page):
    first = page.entries[0]
    return replace(page, entries=(replace(first, index=first.index + 1), *page.entries[1:]))


@pytest.mark.parametrize("lie", [changed_count, moved], ids=["count", "index"])
def test_an_entry_that_the_tree_does_not_hold_is_refused(lie):
    with pytest.raises(VerificationError):
        verify(lie(page_after()))


def test_a_tree_that_does_not_extend_the_known_one_is_refused():
    page = page_after(size=3)
    other = replace(known(3), root=bytes(32))

    with pytest.raises(VerificationError):
        page.verify(stream=GRANT_STREAM, after=0, log_keys=KEYS, known=other)


def test_a_tree_smaller_than_the_known_one_is_refused():
    later = Checkpoint(ORIGIN, len(LOG.entries) + 1, bytes(32))

    with pytest.raises(VerificationError, match="cannot extend"):
        page_after().verify(stream=GRANT_STREAM, after=0, log_keys=KEYS, known=later)


def test_another_logs_signature_is_refused_p_34():
    with pytest.raises(VerificationError):
        verify(page_after(), keys=[Signer.generate(ORIGIN).verifier])


def test_another_stream_than_the_one_asked_for_is_refused():
    with pytest.raises(VerificationError):
        verify(page_after(), stream="g." + "f" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"stream": 1},
        {"checkpoint": None},
        {"consistency": ["x"]},
        {"entries": [{}]},
        {"entries": {}},
        {"has_more": 1},
        {"more": 1},
    ],
    ids=["stream", "checkpoint", "consistency", "entry", "entries", "has_more", "unknown"],
)
def test_another_form_is_refused(change):
    with pytest.raises(MalformedError):
        StreamPage.from_dict(page_after().to_dict() | change)


@pytest.mark.parametrize("value", [None, [], "x", {}])
def test_what_is_no_page_is_refused(value):
    with pytest.raises(MalformedError):
        StreamPage.from_dict(value)
