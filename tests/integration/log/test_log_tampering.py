"""Whatever is changed in the store or in its evidence is found (LOG-29, REL-R12).

Five hundred random changes of rows, tiles, checkpoints and bundle files, by an attacker who may
write to the store but has no key. The seed is fixed, and each case names the change, so that one
that slips through can be repeated.
"""

from __future__ import annotations

import json
import random

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from consent.formats import merkle
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.checkpoint import open_checkpoint
from consent.formats.errors import FormatError
from consent.formats.tiles import BundleId, TileId, decode_bundle
from consent.formats.verify import verify_bundle
from consent.log import evidence, reader
from consent.models import (
    Event,
    EventPayload,
    LogCheckpoint,
    LogEntry,
    LogTile,
    Receipt,
)
from pds.errors import PDSError
from tests.support.events import START, timedelta
from tests.support.logged_story import tell

SEED = 20_260_301
ROWS, TILES, FILES = 200, 100, 200


@pytest.fixture(scope="module")
def told(stores):
    with stores.migrated("sqlite") as store:
        yield tell(store)


@pytest.fixture
def taken_back(told):
    """Give a session whose changes nobody keeps."""
    with Session(told.store.uow.engine) as session:
        yield session
        session.rollback()


def everything(session):
    streams = evidence.streams_of_period(session, START - timedelta(1), START + timedelta(9))
    return evidence.build_bundle(session, streams)


@pytest.fixture(scope="module")
def honest(told):
    """The evidence of the untouched store: what an auditor expects to be able to repeat."""
    with told.store.uow.read() as session:
        return everything(session)


def flip(generator, data):
    """Change one bit."""
    changed = bytearray(data)
    bit = generator.randrange(8 * len(changed))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flip_text(generator, found):
    at = generator.randrange(len(found))
    other = generator.choice([one for one in "0123456789abcdef" if one != found[at]])
    return found[:at] + other + found[at + 1 :]


def some(generator, session, model):
    """Pick a row at random."""
    keys = list(model.__table__.primary_key)
    every = session.execute(select(*keys).order_by(*keys)).all()
    chosen = generator.choice(every)
    return [key == value for key, value in zip(keys, chosen, strict=True)]


def change_bytes(generator, session, model, column):
    where = some(generator, session, model)
    value = session.execute(select(getattr(model, column)).where(*where)).scalar_one()
    if value is None:
        return change_bytes(generator, session, model, column)
    changed = flip_text(generator, value) if isinstance(value, str) else flip(generator, value)
    session.execute(update(model).where(*where).values({column: changed}))
    return f"{model.__tablename__}.{column} at {[str(one.right.value) for one in where]}"


def delete_row(generator, session, model):
    where = some(generator, session, model)
    session.execute(delete(model).where(*where))
    return f"row of {model.__tablename__} gone"


def swap_payloads(generator, session):
    ids = session.scalars(select(EventPayload.event_id).order_by(EventPayload.event_id)).all()
    one, other = generator.sample(ids, 2)
    found = {
        key: session.execute(
            select(EventPayload.pub, EventPayload.r_pub).where(EventPayload.event_id == key)
        ).one()
        for key in (one, other)
    }
    for key, source in ((one, other), (other, one)):
        pub, r_pub = found[source]
        values = {"pub": pub, "r_pub": r_pub}
        session.execute(update(EventPayload).where(EventPayload.event_id == key).values(values))
    return "two payloads swapped"


def rewrite_event(generator, session):
    """Tell another story with fresh commitments, as a clever attacker would."""
    where = some(generator, session, EventPayload)
    pub = parse(session.execute(select(EventPayload.pub).where(*where)).scalar_one())
    pub["count"] += 1
    session.execute(update(EventPayload).where(*where).values(pub=canonical_bytes(pub)))
    return "a count raised"


def swap_places(generator, session):
    one, other = generator.sample(session.scalars(select(LogEntry.index)).all(), 2)
    session.execute(
        text('UPDATE log_entries SET "index" = -1 - "index" WHERE "index" IN (:one, :other)'),
        {"one": one, "other": other},
    )
    for old, new in ((one, other), (other, one)):
        session.execute(update(LogEntry).where(LogEntry.index == -1 - old).values(index=new))
    return "two places swapped"


def roll_back(generator, session):
    """Take the log back to an earlier checkpoint, with its tree."""
    newest = session.scalar(select(func.max(LogCheckpoint.size)))
    session.execute(delete(LogCheckpoint).where(LogCheckpoint.size == newest))
    del generator
    return "rolled back to an earlier checkpoint"


ROW_CHANGES = [
    lambda g, s: change_bytes(g, s, EventPayload, "pub"),
    lambda g, s: change_bytes(g, s, EventPayload, "r_pub"),
    lambda g, s: change_bytes(g, s, Event, "c_priv"),
    lambda g, s: change_bytes(g, s, Receipt, "document"),
    lambda g, s: change_bytes(g, s, LogCheckpoint, "note"),
    lambda g, s: delete_row(g, s, EventPayload),
    lambda g, s: delete_row(g, s, Event),
    lambda g, s: delete_row(g, s, LogEntry),
    lambda g, s: delete_row(g, s, Receipt),
    swap_payloads,
    swap_places,
    rewrite_event,
    roll_back,
]


def is_found(told, session, honest):
    """Tell whether the evidence fails to verify, or is visibly not the evidence of before."""
    pinned = honest.checkpoint
    try:
        bundle = everything(session)
    except (FormatError, PDSError):
        return True
    report = verify_bundle(bundle.to_bytes(), told.trust(pinned=pinned))
    # Evidence that was pinned before names what it held (manifest): less is noticed too.
    return report.verdict != "VERIFIED" or bundle.manifest != honest.manifest


@pytest.mark.drill
@pytest.mark.parametrize("number", range(ROWS))
def test_a_changed_row_is_found(told, taken_back, honest, number):
    generator = random.Random(SEED + number)  # noqa: S311 - repeatable; it guards nothing
    change = ROW_CHANGES[number % len(ROW_CHANGES)]

    what = change(generator, taken_back)
    # An old checkpoint's note is not part of today's evidence; a mirror that kept it has its own.
    if what.startswith("log_checkpoints"):
        newest = honest.checkpoint != reader.checkpoint(taken_back)
        assert newest == is_found(told, taken_back, honest), what
        return

    assert is_found(told, taken_back, honest), what


@pytest.mark.drill
@pytest.mark.parametrize("number", range(TILES))
def test_a_changed_tile_is_found(told, taken_back, number):
    """By whoever mirrors the log: tiles and bundles lead to the signed root, or not."""
    generator = random.Random(SEED - number)  # noqa: S311 - repeatable; it guards nothing
    if number % 10 == 0:
        what = delete_row(generator, taken_back, LogTile)
    else:
        what = change_bytes(generator, taken_back, LogTile, "data")

    assert mirror(told, taken_back) is None, what


def mirror(told, session):
    """Read the log as a stranger does; None if it does not fit its checkpoint."""
    key = told.sequencer.signer.verifier
    checkpoint = open_checkpoint(reader.checkpoint(session), log_keys=[key]).checkpoint
    try:
        hashes = reader.tile(session, TileId(0, 0, checkpoint.size).path)
        entries = decode_bundle(reader.tile(session, BundleId(0, checkpoint.size).path))
    except (FormatError, PDSError):
        return None
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    fits = merkle.root(leaves) == checkpoint.root
    return entries if fits and [merkle.leaf_hash(entry) for entry in entries] == leaves else None


def test_an_untouched_log_is_mirrored(told, taken_back, honest):
    assert len(mirror(told, taken_back)) == len(honest.entries)
    assert not is_found(told, taken_back, honest)


def leaves_of(value, path=()):
    """Yield the path of every scalar in a JSON value, and of every list and object."""
    if isinstance(value, dict | list):
        yield path
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves_of(item, (*path, key))
    else:
        yield path


def mutate(generator, document):
    """Change one thing of a bundle file: a value, a member, or the order of a list."""
    paths = [path for path in leaves_of(document) if path and path[0] != "hints"]
    path = generator.choice(paths)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    old = holder[path[-1]]
    if isinstance(old, dict | list) or generator.random() < 0.2:
        del holder[path[-1]]
    elif isinstance(old, bool):
        holder[path[-1]] = not old
    elif isinstance(old, int):
        holder[path[-1]] = old + generator.choice([-1, 1, 7])
    elif isinstance(old, str) and old:
        holder[path[-1]] = flip_text(generator, old)
    else:
        holder[path[-1]] = "0"
    return ".".join(map(str, path))


@pytest.mark.drill
@pytest.mark.parametrize("number", range(FILES))
def test_a_changed_bundle_file_is_found(told, honest, number):
    generator = random.Random(SEED * number)  # noqa: S311 - repeatable; it guards nothing
    document = json.loads(honest.to_bytes())

    where = mutate(generator, document)

    report = verify_bundle(json.dumps(document).encode(), told.trust(pinned=honest.checkpoint))
    assert report.verdict != "VERIFIED", where
    assert report.failures, where
