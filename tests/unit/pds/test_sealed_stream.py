"""Chunks of a file open in their place only (TAK-20, TAK-21, P-20)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pds.crypto.labels import FILE_STREAM, derive, lp
from pds.crypto.sealed_stream import CHUNK_BYTES, Stream
from pds.errors import DecryptionError

KEY = bytes(range(32))
FIELDS = (b"file", b"deployment", b"vault", b"id")
PARTS = (bytes([1]) * CHUNK_BYTES, bytes([2]) * CHUNK_BYTES, b"end")
STREAM = Stream.of(KEY, FIELDS)
SEALED = [STREAM.seal(number, part, is_last=number == 2) for number, part in enumerate(PARTS)]


def opened(boxes, stream=STREAM):
    """Open chunks as whoever reads a file of so many chunks does."""
    last = len(boxes) - 1
    return [stream.open(number, box, is_last=number == last) for number, box in enumerate(boxes)]


def test_what_was_sealed_opens():
    assert opened(SEALED) == list(PARTS)


def test_a_chunk_is_what_its_layout_says():
    """TAK-20: recomputed without the stream's code."""
    cipher = AESGCM(derive(KEY, FILE_STREAM, *FIELDS))

    assert cipher.decrypt(bytes(11) + b"\x00", SEALED[0], lp(FIELDS)) == PARTS[0]
    assert cipher.decrypt((2).to_bytes(11, "big") + b"\x01", SEALED[2], lp(FIELDS)) == PARTS[2]


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param(SEALED[:2], id="cut off after a chunk"),
        pytest.param(SEALED[:1], id="cut off after the first"),
        pytest.param([SEALED[1], SEALED[0], SEALED[2]], id="reordered"),
        pytest.param([SEALED[0], SEALED[0], SEALED[2]], id="repeated"),
        pytest.param([SEALED[0], SEALED[2]], id="one left out"),
        pytest.param([*SEALED, SEALED[2]], id="lengthened"),
        pytest.param([*SEALED[:2], SEALED[2][:-1]], id="cut within a chunk"),
        pytest.param([SEALED[0][:-1] + b"\x00", *SEALED[1:]], id="changed"),
        pytest.param([b"", *SEALED[1:]], id="emptied"),
        pytest.param([bytes(CHUNK_BYTES + 17), *SEALED[1:]], id="too long"),
    ],
)
def test_a_stream_that_was_cut_or_reordered_does_not_open(boxes):
    """TAK-21, P-20: STREAM binds each chunk to its place and to the end."""
    with pytest.raises(DecryptionError):
        opened(boxes)


@pytest.mark.parametrize("place", range(4))
def test_a_chunk_of_another_file_does_not_open(place):
    """TAK-21: the context is in key and data, whoever put the chunk there."""
    fields = [*FIELDS]
    fields[place] += b"2"

    with pytest.raises(DecryptionError):
        opened(SEALED, Stream.of(KEY, fields))
    with pytest.raises(DecryptionError):
        opened(SEALED, Stream.of(bytes(32), FIELDS))


def test_only_the_last_chunk_may_be_short():
    with pytest.raises(ValueError, match="a chunk of 3 bytes"):
        STREAM.seal(3, b"abc", is_last=False)
    with pytest.raises(ValueError, match="a chunk of"):
        STREAM.seal(3, bytes(CHUNK_BYTES + 1), is_last=True)


def test_no_key_shows_in_a_repr():
    assert KEY.hex() not in repr(STREAM)
