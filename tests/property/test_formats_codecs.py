"""Write, read, write for each codec, and only its own errors for everything else (LOG-32)."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.formats.canonical import MAX_INTEGER, canonical_bytes, parse
from consent.formats.checkpoint import Checkpoint
from consent.formats.cosignature import CosignatureVerifier
from consent.formats.encoding import b64, b64_decode, b64u, b64u_decode
from consent.formats.errors import FormatError
from consent.formats.leaf import PublicOpening, PublicPart
from consent.formats.note import Signer, Verifier, open_note, sign
from consent.formats.proof import Proof
from consent.formats.tiles import BundleId, TileId, decode_bundle, encode_bundle, parse_path
from consent.formats.witness_policy import Policy
from consent.formats.witnessing import AddCheckpoint, parse_size_body
from tests.support.evidence import story

SIGNERS = [Signer.generate(f"key{number}.example") for number in range(4)]
HASHES = st.binary(min_size=32, max_size=32)
SIZES = st.integers(0, 2**63 - 1)
NO_CONTROLS = st.characters(min_codepoint=0x20, exclude_categories=["Cs"])
LINES = st.text(NO_CONTROLS, min_size=1, max_size=30)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
LABELS = st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True)
NAMES = st.text(NO_CONTROLS, min_size=1, max_size=30)
MINUTES = st.datetimes().map(lambda at: f"{at.year:04d}-" + at.strftime("%m-%dT%H:%M:00Z"))
PARTS = st.builds(
    PublicPart,
    event=LABELS,
    time=MINUTES,
    stream=NAMES,
    seq=st.integers(1, MAX_INTEGER),
    client=st.none() | NAMES,
    grant=st.none() | NAMES,
    collections=st.lists(NAMES, unique=True, max_size=4).map(tuple),
    purpose=st.none() | NAMES,
    agreement_sha256=st.none() | HASHES.map(bytes.hex),
    outcome=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    count=st.integers(0, MAX_INTEGER),
)
STORY = story()


@given(JSON)
def test_canonical_json_comes_back(value):
    written = canonical_bytes(value)

    assert parse(written, canonical=True) == value
    assert parse(json.dumps(value, indent=2).encode()) == value
    assert canonical_bytes(parse(written)) == written


@given(
    st.builds(
        AddCheckpoint,
        SIZES,
        st.lists(HASHES, max_size=63).map(tuple),
        st.text(NO_CONTROLS | st.just("\n"), max_size=50),
    )
)
def test_requests_to_witnesses_come_back(asked):
    text = asked.to_text()

    assert AddCheckpoint.from_text(text) == asked
    assert AddCheckpoint.from_text(text).to_text() == text


@given(st.binary(max_size=100))
def test_base64_comes_back(data):
    assert b64_decode(b64(data)) == data
    assert b64u_decode(b64u(data)) == data


@given(st.text(max_size=40))
def test_what_base64_accepts_is_what_it_writes(text):
    with suppress(FormatError):
        assert b64(b64_decode(text)) == text
    with suppress(FormatError):
        assert b64u(b64u_decode(text)) == text


@given(
    text=st.lists(st.text(NO_CONTROLS, max_size=20), max_size=5),
    signers=st.lists(st.sampled_from(SIGNERS), min_size=1, unique_by=lambda each: each.name),
)
def test_notes_come_back(text, signers):
    body = "\n".join(text) + "\n"

    note = sign(body, signers)
    opened = open_note(note, [signer.verifier for signer in SIGNERS])

    assert opened.text == body
    assert sign(opened.text, signers) == note
    assert [each.name for each in opened.signatures] == [signer.name for signer in signers]


@given(st.builds(Checkpoint, LINES, SIZES, HASHES, st.lists(LINES, max_size=3).map(tuple)))
def test_checkpoints_come_back(checkpoint):
    text = checkpoint.to_text()

    assert Checkpoint.from_text(text) == checkpoint
    assert Checkpoint.from_text(text).to_text() == text


@given(
    st.builds(
        Proof,
        st.integers(0, 2**63 - 2),
        st.lists(HASHES, max_size=63).map(tuple),
        st.text(NO_CONTROLS | st.just("\n"), max_size=50),
        st.none() | st.binary(max_size=50),
    )
)
def test_proofs_come_back(proof):
    text = proof.to_text()

    assert Proof.from_text(text) == proof
    assert Proof.from_text(text).to_text() == text


@given(
    st.builds(TileId, st.integers(0, 63), SIZES, st.integers(1, 256))
    | st.builds(BundleId, SIZES, st.integers(1, 256))
)
def test_paths_of_tiles_come_back(tile):
    assert parse_path(tile.path) == tile
    assert parse_path(tile.path).path == tile.path


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_of_entries_come_back(entries):
    data = encode_bundle(entries)

    assert decode_bundle(data) == entries
    assert encode_bundle(decode_bundle(data)) == data


@given(PARTS)
def test_public_parts_come_back(part):
    value = parse(canonical_bytes(part.to_dict()))

    assert PublicPart.from_dict(value) == part
    assert PublicPart.from_dict(value).to_dict() == value


@given(st.builds(PublicOpening, PARTS, HASHES, HASHES))
def test_openings_come_back(opening):
    value = parse(canonical_bytes(opening.to_dict()))

    assert PublicOpening.from_dict(value) == opening
    assert PublicOpening.from_dict(value).to_dict() == value


READERS = {
    "json": lambda data: parse(data, canonical=True),
    "note": lambda data: open_note(data.decode("utf-8", "surrogateescape"), [SIGNERS[0].verifier]),
    "vkey": lambda data: Verifier.from_text(data.decode("latin-1")),
    "skey": lambda data: Signer.from_text("PRIVATE+KEY+" + data.decode("latin-1")),
    "cosigner": lambda data: CosignatureVerifier.from_text(data.decode("latin-1")),
    "checkpoint": lambda data: Checkpoint.from_text(data.decode("latin-1")),
    "proof": lambda data: Proof.from_text(data.decode("utf-8", "surrogateescape")),
    "add-checkpoint": lambda data: AddCheckpoint.from_text(data.decode("utf-8", "surrogateescape")),
    "policy": Policy.from_bytes,
    "size-of-a-conflict": lambda data: parse_size_body(data.decode("latin-1")),
    "path": lambda data: parse_path(data.decode("latin-1")),
    "bundle": decode_bundle,
    "part": lambda data: PublicPart.from_dict(parse(data)),
    "opening": lambda data: PublicOpening.from_dict(parse(data)),
}
SEEDS = {
    "json": canonical_bytes(STORY.receipts[0]),
    "note": sign("text\n", SIGNERS).encode(),
    "vkey": SIGNERS[0].verifier.to_text().encode(),
    "skey": SIGNERS[0].to_text().encode(),
    "cosigner": SIGNERS[0].verifier.to_text().encode(),
    "checkpoint": Checkpoint("a", 5, bytes(32)).to_text().encode(),
    "proof": STORY.proof(4).encode(),
    "add-checkpoint": AddCheckpoint(3, (bytes(32),) * 2, STORY.proof(4)).to_text().encode(),
    "policy": f"log {SIGNERS[0].verifier.to_text()}\n# none\nquorum none\n".encode(),
    "size-of-a-conflict": b"13\n",
    "path": b"tile/0/x001/067.p/5",
    "bundle": encode_bundle([b"abc", b"d" * 300]),
    "part": canonical_bytes(STORY.events[1][0].pub.to_dict()),
    "opening": canonical_bytes(STORY.events[1][0].to_dict()),
}


@pytest.mark.parametrize("codec", READERS)
@given(data=st.data())
def test_malformed_input_raises_the_formats_own_error_only(codec, data):
    """Random bytes, and a valid input with a piece cut out and another put in."""
    seed = SEEDS[codec]
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 8)))
    mutated = seed[:start] + data.draw(st.binary(max_size=8)) + seed[end:]
    for value in (mutated, data.draw(st.binary(max_size=60))):
        with suppress(FormatError):
            READERS[codec](value)


@pytest.mark.parametrize("read", [PublicPart.from_dict, PublicOpening.from_dict])
@given(value=JSON)
def test_other_json_raises_the_formats_own_error_only(read, value):
    with pytest.raises(FormatError):
        read(value)
