"""C2SP tlog-tiles: the tree as files of 256 hashes, and the entries as bundles.

    tile/<L>/<N>[.p/<W>]         up to 256 hashes: level L counts subtrees of 256^L leaves
    tile/entries/<N>[.p/<W>]     up to 256 entries, each: u16 big-endian length || entry
    N                            in three-digit elements, x001/x234/067; W only for partial ones

Growing reads the right edge only, one partial tile for each level, and writes what changed. A tile
is never altered, only replaced by a wider one, so a store may answer with the wider one when a
narrower is asked: it begins with the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from consent.formats.errors import MalformedError
from consent.formats.merkle import (
    HASH_BYTES,
    MAX_SIZE,
    ReadHash,
    leaf_hash,
    root_at,
    rows_of,
)

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF

_LENGTH_BYTES = 2
_PATH = re.compile(
    r"tile/(?P<level>0|[1-9][0-9]?|entries)"
    r"/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_CACHED_TILES = 64  # A proof touches one tile for each level; 64 levels are all there are.


@dataclass(frozen=True, slots=True)
class TileId:
    """One tile of hashes: `level`, `index` within it, and `width` in hashes (1 to 256)."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, without leading slash."""
        return f"tile/{self.level}/{_index_path(self.index)}{_width_path(self.width)}"


@dataclass(frozen=True, slots=True)
class BundleId:
    """One bundle of entries: `index`, and `width` in entries (1 to 256)."""

    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, without leading slash."""
        return f"tile/entries/{_index_path(self.index)}{_width_path(self.width)}"


ReadTile = Callable[[TileId], bytes]
ReadBundle = Callable[[BundleId], bytes]


@dataclass(frozen=True, slots=True)
class Growth:
    """What a log has to write, in one transaction, when it grows.

    `tiles` and `bundles` are the full ones that were completed and the partial ones at the new
    right edge; the partial ones of the old size may be deleted once these are durable.
    """

    new_size: int
    root: bytes
    tiles: dict[TileId, bytes] = field(default_factory=dict)
    bundles: dict[BundleId, bytes] = field(default_factory=dict)


def parse_path(path: str) -> TileId | BundleId:
    """Invert `TileId.path` and `BundleId.path`.

    Raises:
        MalformedError: it is not the one spelling of a tile's or bundle's path.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise MalformedError("not the path of a tile")
    index = int(match["index"].replace("/", "").replace("x", ""))
    width = int(match["width"] or TILE_WIDTH)
    level = match["level"]
    found = BundleId(index, width) if level == "entries" else TileId(int(level), index, width)
    # Leading x000 elements, a written-out full width, a width above 256: all spelled otherwise.
    too_far = index > MAX_SIZE or width > TILE_WIDTH
    if found.path != path or too_far or (isinstance(found, TileId) and found.level > MAX_LEVEL):
        raise MalformedError("not the path of a tile")
    return found


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of up to 256 entries, each at most 65,535 bytes.

    Raises:
        MalformedError: too many entries, none, or one that is too long.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise MalformedError(f"a bundle holds 1 to {TILE_WIDTH} entries")
    return b"".join(_length_prefixed(entry) for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """Invert `encode_bundle`.

    Raises:
        MalformedError: it is cut off, empty or holds more than 256 entries.
    """
    entries = []
    position = 0
    while position < len(data):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise MalformedError("the bundle is cut off")
        entries.append(data[start:position])
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise MalformedError(f"a bundle holds 1 to {TILE_WIDTH} entries")
    return entries


def tile_reader(read_tile: ReadTile, size: int) -> ReadHash:
    """Return a `merkle.ReadHash` over the tiles of a tree of `size` leaves.

    Args:
        read_tile: returns the bytes of a tile, or of a wider one with the same level and index.
        size: the tree that the tiles were published for.

    The reader raises MalformedError for a tile that is too short and for hashes outside the tree.
    It does not authenticate tiles: compare `root_at(reader, size)` with the checkpoint.
    """

    @lru_cache(maxsize=_CACHED_TILES)
    def rows(level: int, index: int) -> list[bytes]:
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        return rows_of(_hashes(read_tile(TileId(level, index, width)), width))

    def read(level: int, index: int) -> bytes:
        if index < 0 or (index + 1) << level > size:
            raise MalformedError("no such hash in a tree of this size")
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile, place = divmod(index << height, TILE_WIDTH)
        start = (place >> height) * HASH_BYTES
        return rows(tile_level, tile)[height][start : start + HASH_BYTES]

    return read


def grow(
    read_tile: ReadTile, read_bundle: ReadBundle, old_size: int, entries: Sequence[bytes]
) -> Growth:
    """Append entries to a log: return the tiles, bundles and root of the larger tree.

    Args:
        read_tile: returns an existing tile; asked for partial ones at the old right edge, and for
            full ones on the way to the new root.
        read_bundle: returns the partial entry bundle at the old right edge.
        old_size: leaves in the tree that those belong to.
        entries: the raw entries, in order; none is allowed and changes nothing.

    Raises:
        MalformedError: an existing tile or bundle does not fit `old_size`, or an entry is too long.
    """
    new_size = old_size + len(entries)
    bundles = dict(_new_bundles(read_bundle, old_size, entries))
    tiles: dict[TileId, bytes] = {}
    level, row = 0, [leaf_hash(entry) for entry in entries]
    while row:
        row = _grow_level(read_tile, tiles, level, old_size, row)
        level += 1

    def read(tile_id: TileId) -> bytes:
        known = tiles.get(tile_id)
        return read_tile(tile_id) if known is None else known

    return Growth(new_size, root_at(tile_reader(read, new_size), new_size), tiles, bundles)


def _grow_level(
    read_tile: ReadTile, tiles: dict[TileId, bytes], level: int, old_size: int, row: list[bytes]
) -> list[bytes]:
    # Adds this level's new tiles; returns the roots of those that became full, the next row.
    index, width = divmod(old_size >> (TILE_HEIGHT * level), TILE_WIDTH)
    edge = _hashes(read_tile(TileId(level, index, width)), width) if width else b""
    hashes = edge + b"".join(row)
    completed = []
    for start in range(0, len(hashes), TILE_WIDTH * HASH_BYTES):
        data = hashes[start : start + TILE_WIDTH * HASH_BYTES]
        tiles[TileId(level, index, len(data) // HASH_BYTES)] = data
        if len(data) == TILE_WIDTH * HASH_BYTES:
            completed.append(rows_of(data)[TILE_HEIGHT])
        index += 1
    return completed


def _new_bundles(
    read_bundle: ReadBundle, old_size: int, entries: Sequence[bytes]
) -> Iterator[tuple[BundleId, bytes]]:
    if not entries:
        return
    index, width = divmod(old_size, TILE_WIDTH)
    edge = decode_bundle(read_bundle(BundleId(index, width)))[:width] if width else []
    if len(edge) != width:
        raise MalformedError("the last bundle does not fit the tree's size")
    held = [*edge, *entries]
    for start in range(0, len(held), TILE_WIDTH):
        part = held[start : start + TILE_WIDTH]
        yield BundleId(index, len(part)), encode_bundle(part)
        index += 1


def _hashes(data: bytes, width: int) -> bytes:
    if len(data) < width * HASH_BYTES or len(data) % HASH_BYTES:
        raise MalformedError("a tile does not fit the tree's size")
    return data[: width * HASH_BYTES]


def _length_prefixed(entry: bytes) -> bytes:
    if len(entry) > MAX_ENTRY_BYTES:
        raise MalformedError(f"an entry of more than {MAX_ENTRY_BYTES} bytes")
    return len(entry).to_bytes(_LENGTH_BYTES, "big") + entry


def _index_path(index: int) -> str:
    path = f"{index % 1000:03d}"
    while index >= 1000:  # noqa: PLR2004 - three digits to an element
        index //= 1000
        path = f"x{index % 1000:03d}/{path}"
    return path


def _width_path(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
