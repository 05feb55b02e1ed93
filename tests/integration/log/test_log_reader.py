"""What the log says of itself, and the evidence that comes out of it (LOG-9, LOG-25, P-33)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from consent.formats import leaf, merkle
from consent.formats.bundle import PrivateOpening
from consent.formats.checkpoint import open_checkpoint
from consent.formats.proof import Proof
from consent.formats.tiles import BundleId, TileId, decode_bundle
from consent.formats.verify import verify_bundle, verify_receipt
from consent.log import evidence, reader
from consent.log.entries import EntryRef, grant_stream, open_private
from consent.models import Event, EventPayload, LogCheckpoint, LogEntry, LogState
from pds.errors import NotFoundError
from pds.events import vault_stream
from tests.support.events import START, log_many
from tests.support.logged_story import tell
from tests.support.stores import STORES


@pytest.fixture(scope="module", params=STORES)
def told(stores, request):
    """A story that the tests of this file only read."""
    with stores.migrated(request.param) as store:
        yield tell(store)


@pytest.fixture
def session(told):
    with told.store.uow.read() as session:
        yield session


@pytest.fixture
def story(store):
    """A story of a test's own, to be changed."""
    return tell(store)


def verdict(bundle, trust):
    report = verify_bundle(bundle.to_bytes(), trust)
    return report.verdict, [(one.where, one.rule) for one in report.failures]


def all_streams(session):
    return evidence.streams_of_period(session, START - timedelta(days=1), START + timedelta(days=9))


def test_an_unsigned_log_has_no_checkpoint_yet(store):
    with store.uow.read() as session, pytest.raises(NotFoundError):
        reader.checkpoint(session)


def test_the_checkpoint_is_the_newest(told, session):
    note = reader.checkpoint(session)

    opened = open_checkpoint(note, log_keys=[told.sequencer.signer.verifier])
    state = session.execute(select(LogState.size, LogState.root)).one()
    assert (opened.checkpoint.size, opened.checkpoint.root) == tuple(state)


def test_an_entry_is_proved_to_be_in_the_tree(told, session):
    shared = told.grants[0]
    reference = EntryRef(grant_stream(shared.grant_id), 3)

    proof = Proof.from_text(reader.prove(session, shared.bucket, reference).to_text())

    event = reader.find(session, shared.bucket, reference)
    proof.verify(event.opening.entry(), log_keys=[told.sequencer.signer.verifier])
    assert event.opening.pub.seq == 3


def test_a_receipt_verifies_with_the_proof_that_comes_later(told, session):
    """P-31: the receipt is immutable, its proof is a sidecar."""
    shared = told.grants[0]
    bundle = evidence.build_bundle(
        session, evidence.streams_of_grant(shared.bucket, shared.grant_id)
    )
    sidecar = reader.prove(session, shared.bucket, EntryRef(grant_stream(shared.grant_id), 1))

    given = next(one for one in bundle.receipts if one["log"]["seq"] == 1)
    report = verify_receipt(given, sidecar.to_text(), told.trust())

    assert (report.verdict, report.failures) == ("VERIFIED", ())


def test_an_entry_that_still_waits_has_no_proof_yet(store, story):
    shared = story.grants[1]
    reference = story.read(shared)

    with store.uow.read() as session:
        assert reader.prove(session, shared.bucket, reference) is None


@pytest.mark.parametrize("change", ["seq", "stream", "bucket"])
def test_an_entry_that_never_was_is_not_found(told, session, change):
    shared = told.grants[0]
    bucket = shared.bucket + 1 if change == "bucket" else shared.bucket
    stream = "g." + "0" * 32 if change == "stream" else grant_stream(shared.grant_id)
    reference = EntryRef(stream, 99 if change == "seq" else 1)

    with pytest.raises(NotFoundError):
        reader.prove(session, bucket, reference)


def test_every_tree_is_proved_to_extend_every_smaller_one(session):
    size = session.scalar(select(LogState.size))
    entries = decode_bundle(reader.tile(session, BundleId(0, size).path))
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    for old in range(size + 1):
        merkle.verify_consistency(
            old_size=old,
            old_root=merkle.root(hashes[:old]),
            new_size=size,
            new_root=merkle.root(hashes),
            proof=reader.extension(session, old, size),
        )


@pytest.mark.parametrize("sizes", [(-1, 1), (2, 1), (0, 1_000)])
def test_trees_that_never_were_have_no_proof(session, sizes):
    with pytest.raises(NotFoundError):
        reader.extension(session, *sizes)


def test_a_narrower_tile_is_the_beginning_of_the_stored_one(session):
    size = session.scalar(select(LogState.size))
    whole = reader.tile(session, TileId(0, 0, size).path)

    for width in range(1, size + 1):
        assert reader.tile(session, TileId(0, 0, width).path) == whole[: 32 * width]
        assert len(decode_bundle(reader.tile(session, BundleId(0, width).path))) == width


@pytest.mark.parametrize(
    "path",
    ["", "tile", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/0/0"],
)
def test_a_tile_that_is_not_there_is_not_found(session, path):
    with pytest.raises(NotFoundError):
        reader.tile(session, path)


def test_a_streams_events_come_in_order(told, session):
    shared = told.grants[0]
    stream = grant_stream(shared.grant_id)

    every = list(reader.stream_events(session, shared.bucket, stream))
    some = list(reader.stream_events(session, shared.bucket, stream, first=2, last=3))

    assert [event.ref.seq for event in every] == list(range(1, 8))
    assert [event.ref.seq for event in some] == [2, 3]
    assert every[0].name == "consent.given"


def test_an_owner_pages_through_their_activity_newest_first(told, session):
    person = told.people[0]
    found, before = [], None
    while page := reader.vault_events(
        session, person.ref.bucket, person.ref.id, before=before, limit=4
    ):
        found += page
        before = page[-1].id

    everything = session.scalars(select(Event.id).where(Event.vault_id == person.ref.id)).all()
    assert [event.id for event in found] == sorted(everything, reverse=True)
    assert {event.vault_id for event in found} == {person.ref.id}
    assert len(found) == 11


def test_another_persons_activity_is_not_shown(told, session):
    one, other = told.people

    mine = reader.vault_events(session, one.ref.bucket, one.ref.id)

    assert other.ref.id not in {event.vault_id for event in mine}
    assert not reader.vault_events(session, (one.ref.bucket + 1) % 1024, one.ref.id)


def test_the_whole_log_verifies(told, session):
    bundle = evidence.build_bundle(session, all_streams(session), hints=told.hints())

    assert len(bundle.entries) == session.scalar(select(LogState.size))
    assert (len(bundle.receipts), len(bundle.agreements)) == (4, 3)
    assert verdict(bundle, told.trust()) == ("VERIFIED", [])


def test_a_bundles_own_keys_vouch_for_nothing(told, session):
    """P-34."""
    bundle = evidence.build_bundle(session, all_streams(session), hints=told.hints())

    report = verify_bundle(bundle.to_bytes(), told.trust(log_keys=(), receipt_keys={}))

    assert report.verdict == "SELF_CONSISTENT_ONLY"


def test_the_same_evidence_has_the_same_bytes(told, session):
    """AUD-10."""
    streams = all_streams(session)

    one = evidence.build_bundle(session, streams, hints=told.hints())
    other = evidence.build_bundle(session, reversed(streams), hints=told.hints())

    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize(
    ("scope", "streams", "receipts"), [("grant", 1, 2), ("vault", 3, 3), ("organisation", 2, 3)]
)
def test_a_part_of_the_log_verifies_alone(told, session, scope, streams, receipts):
    shared = told.grants[0]
    chosen = {
        "grant": lambda: evidence.streams_of_grant(shared.bucket, shared.grant_id),
        "vault": lambda: evidence.streams_of_vault(session, shared.bucket, shared.vault_id),
        "organisation": lambda: evidence.streams_of_organisation(session, shared.organisation_id),
    }[scope]()

    bundle = evidence.build_bundle(session, chosen)

    assert (len(bundle.streams), len(bundle.receipts)) == (streams, receipts)
    assert verdict(bundle, told.trust()) == ("VERIFIED", [])


def test_an_auditors_bundle_tells_neither_persons_nor_private_parts(told, session):
    """P-32, AUD-1."""
    shared = told.grants[0]
    chosen = evidence.streams_of_organisation(session, shared.organisation_id)

    data = evidence.build_bundle(session, chosen).to_bytes()

    for secret in (str(shared.vault_id), shared.vault_id.hex, "192.0.2.7"):
        assert secret.encode() not in data


def test_an_owners_bundle_opens_the_private_parts(told, session):
    person, shared = told.people[0], told.grants[0]
    chosen = evidence.streams_of_vault(session, shared.bucket, shared.vault_id)

    def opened(event):
        key = bytes(32) if event.sealed.key_kind == "grant" else person.audit_private_key
        return PrivateOpening(*open_private(event.sealed, key))

    bundle = evidence.build_bundle(session, chosen, open_private=opened)

    assert all(entry.private.priv == {"address": "192.0.2.7"} for entry in bundle.entries)
    assert verdict(bundle, told.trust()) == ("VERIFIED", [])


def test_evidence_extends_a_tree_that_somebody_has_seen(told, session):
    notes = session.scalars(select(LogCheckpoint.note).order_by(LogCheckpoint.size)).all()
    size = open_checkpoint(notes[0], log_keys=[told.sequencer.signer.verifier]).checkpoint.size

    bundle = evidence.build_bundle(session, all_streams(session), pinned_sizes=[size])

    assert verdict(bundle, told.trust(pinned=notes[0])) == ("VERIFIED", [])


def test_what_still_waits_ends_the_evidence_without_a_gap(store, story):
    shared = story.grants[1]
    story.read(shared)
    story.read(shared)

    with store.uow.read() as session:
        bundle = evidence.build_bundle(session, all_streams(session))
        assert len(bundle.entries) == session.scalar(select(LogState.size))
    assert verdict(bundle, story.trust()) == ("VERIFIED", [])


def test_a_forbidden_read_is_found_by_whoever_checks(store, story):
    """LOG-26, AUD-6."""
    story.read(story.grants[0], day=6)
    story.read(story.grants[1], collections=("documents",))
    story.sequencer.run()

    with store.uow.read() as session:
        bundle = evidence.build_bundle(session, all_streams(session))

    found, failures = verdict(bundle, story.trust())
    assert found == "FAILED"
    assert {rule for _, rule in failures} == {"read-after-end", "read-outside-collections"}


def erase(store, *conditions):
    def job(session):
        found = select(Event.id).where(*conditions)
        session.execute(
            update(EventPayload).where(EventPayload.event_id.in_(found)).values(priv_box=None),
            execution_options={"synchronize_session": False},
        )

    store.uow.write(job)


def test_erased_private_parts_leave_the_evidence_whole(store, story):
    """LOG-9: what stays in the tree is noise that still verifies."""
    erase(store, Event.vault_id == story.people[0].ref.id)

    with store.uow.read() as session:
        bundle = evidence.build_bundle(session, all_streams(session))

    assert verdict(bundle, story.trust()) == ("VERIFIED", [])


def test_an_erased_public_part_is_no_longer_proved(store, story):
    """LOG-9: after the legal retention; its number stays, its leaf is noise."""
    shared = story.grants[0]
    reference = EntryRef(grant_stream(shared.grant_id), 3)
    with store.uow.read() as session:
        event = reader.find(session, shared.bucket, reference)
    store.uow.write(
        lambda session: session.execute(
            delete(EventPayload).where(EventPayload.event_id == event.id)
        )
    )

    with store.uow.read() as session:
        erased = reader.find(session, shared.bucket, reference)
        with pytest.raises(NotFoundError):
            reader.prove(session, shared.bucket, reference)
    assert (erased.opening, erased.index) == (None, event.index)


def test_an_event_taken_out_of_the_store_shows_as_a_gap(store, story):
    """LOG-10: what comes after it stays in the bundle."""
    stream = grant_stream(story.grants[0].grant_id)
    store.uow.write(
        lambda session: session.execute(delete(Event).where(Event.stream == stream, Event.seq == 3))
    )

    with store.uow.read() as session:
        bundle = evidence.build_bundle(session, all_streams(session))

    assert ("FAILED", [(f"{stream}/3", "stream-gap")]) == verdict(bundle, story.trust())


def test_an_event_whose_place_was_taken_away_shows_as_a_gap(store, story):
    """It does not wait for the integrator, so it does not end the evidence either."""
    shared = story.grants[0]
    reference = EntryRef(grant_stream(shared.grant_id), 3)
    with store.uow.read() as session:
        index = reader.find(session, shared.bucket, reference).index
    store.uow.write(
        lambda session: session.execute(delete(LogEntry).where(LogEntry.index == index))
    )

    with store.uow.read() as session:
        bundle = evidence.build_bundle(session, all_streams(session))

    assert verdict(bundle, story.trust())[0] == "FAILED"


def test_evidence_reaches_over_many_tiles(sqlite_store):
    story = tell(sqlite_store)
    with sqlite_store.uow.read() as session:
        before = len(reader.vault_events(session, *vault_key(story), limit=1_000))
    log_many(sqlite_store.uow, story.grants[1], story.events, 600, "token.refreshed")
    story.sequencer.run()

    with sqlite_store.uow.read() as session:
        chosen = evidence.streams_of_vault(session, *vault_key(story))
        bundle = evidence.build_bundle(session, chosen)

    assert len(bundle.entries) == before + 600
    assert verdict(bundle, story.trust()) == ("VERIFIED", [])


def vault_key(story):
    return story.people[0].ref.bucket, story.people[0].ref.id


def test_a_vaults_own_stream_is_part_of_its_evidence(told, session):
    person = told.people[0]
    chosen = evidence.streams_of_vault(session, person.ref.bucket, person.ref.id)

    bundle = evidence.build_bundle(session, chosen)

    assert vault_stream(person.ref.id) in {one.stream for one in bundle.streams}


def test_entries_are_read_as_they_were_committed(told, session):
    shared = told.grants[2]
    events = list(reader.stream_events(session, shared.bucket, grant_stream(shared.grant_id)))

    size = session.scalar(select(LogState.size))
    bundled = decode_bundle(reader.tile(session, BundleId(0, size).path))
    for event in events:
        assert event.opening.entry() == bundled[event.index]
        assert len(event.opening.entry()) == leaf.ENTRY_BYTES
