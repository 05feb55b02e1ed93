"""C2SP tlog-tiles."""

from __future__ import annotations

import pytest

from consent.formats import merkle
from consent.formats.errors import MalformedError
from consent.formats.tiles import (
    BundleId,
    TileId,
    decode_bundle,
    encode_bundle,
    grow,
    parse_path,
    tile_reader,
)

PATHS = {
    "tile/0/000": TileId(0, 0),
    "tile/0/000.p/5": TileId(0, 0, 5),
    "tile/0/x001/067.p/5": TileId(0, 1067, 5),
    "tile/63/x001/x234/067": TileId(63, 1234067),
    "tile/entries/000.p/255": BundleId(0, 255),
    "tile/entries/x123/x456/789": BundleId(123456789),
}


class Store:
    """Tiles by place; a wider one replaces a narrower, as in a database."""

    def __init__(self):
        self.tiles, self.bundles, self.size, self.entries = {}, {}, 0, []

    def grow(self, entries):
        growth = grow(self.read_tile, self.read_bundle, self.size, entries)
        self.tiles |= {(tile.level, tile.index): data for tile, data in growth.tiles.items()}
        self.bundles |= {bundle.index: data for bundle, data in growth.bundles.items()}
        self.size = growth.new_size
        self.entries += entries
        return growth

    def read_tile(self, tile):
        return self.tiles[tile.level, tile.index]

    def read_bundle(self, bundle):
        return self.bundles[bundle.index]

    def leaves(self):
        return [merkle.leaf_hash(entry) for entry in self.entries]


def numbered(count, start=0):
    return [b"entry %d" % number for number in range(start, start + count)]


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_written_and_read_as_the_specification_says(path):
    assert PATHS[path].path == path
    assert parse_path(path) == PATHS[path]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/05",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/001/002",
        "tile/-1/000",
        "tile/8/0/000",
        "tile/entries/\u0660\u0660\u0660",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000\n",
        "",
    ],
)
def test_other_spellings_of_paths_are_refused(path):
    with pytest.raises(MalformedError):
        parse_path(path)


def test_a_bundle_is_length_prefixed_entries():
    assert encode_bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert decode_bundle(b"\x00\x02ab\x00\x00") == [b"ab", b""]


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x02a", b"\x00\x00\x00", b"\x00\x00" * 257], ids=repr
)
def test_a_bundle_that_is_cut_off_or_too_large_is_refused(data):
    with pytest.raises(MalformedError):
        decode_bundle(data)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65536]], ids=["none", "many", "long"])
def test_entries_that_fit_no_bundle_are_refused(entries):
    with pytest.raises(MalformedError):
        encode_bundle(entries)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts():
    """tlog-tiles, "Partial Tiles"."""
    growth = Store().grow(numbered(70_000))

    widths = {(tile.level, tile.index): tile.width for tile in growth.tiles}
    assert sum(1 for level, _ in widths if level == 0) == 274
    assert widths[0, 273] == 112
    assert (widths[1, 0], widths[1, 1], widths[2, 0]) == (256, 17, 1)
    assert len(widths) == 274 + 2 + 1
    assert len(growth.bundles) == 274


def test_a_tree_of_256_has_one_full_tile_and_one_hash_above_it():
    growth = Store().grow(numbered(256))

    assert set(growth.tiles) == {TileId(0, 0), TileId(1, 0, 1)}
    assert set(growth.bundles) == {BundleId(0)}
    assert growth.tiles[TileId(1, 0, 1)] == growth.root


@pytest.mark.parametrize("steps", [[1] * 300, [255, 1, 1, 256, 511, 3], [0, 700, 0, 69]], ids=str)
def test_growing_in_steps_ends_where_growing_at_once_does(steps):
    stepwise, at_once = Store(), Store()
    for step in steps:
        growth = stepwise.grow(numbered(step, stepwise.size))
        assert growth.root == merkle.root(stepwise.leaves())

    at_once.grow(numbered(sum(steps)))

    assert stepwise.tiles == at_once.tiles
    assert stepwise.bundles == at_once.bundles
    bundled = [entry for data in stepwise.bundles.values() for entry in decode_bundle(data)]
    assert bundled == stepwise.entries


def test_only_the_right_edge_is_read_and_only_what_changed_is_written():
    store = Store()
    store.grow(numbered(70_000))
    asked = []

    def read_tile(tile):
        asked.append(tile)
        return store.read_tile(tile)

    growth = grow(read_tile, store.read_bundle, 70_000, [b"one more"])

    assert set(asked) == {TileId(0, 273, 112), TileId(1, 1, 17), TileId(2, 0, 1)}
    assert set(growth.tiles) == {TileId(0, 273, 113)}
    assert set(growth.bundles) == {BundleId(273, 113)}


def test_proofs_come_from_tiles_alone():
    store = Store()
    store.grow(numbered(1_000))
    store.grow(numbered(77, 1_000))
    read, leaves = tile_reader(store.read_tile, store.size), store.leaves()
    known = merkle.leaves_reader(leaves)

    for index in (0, 1, 255, 256, 1_000, 1_076):
        proof = merkle.inclusion_proof(read, index, store.size)
        assert proof == merkle.inclusion_proof(known, index, store.size)
        earlier = merkle.consistency_proof(read, index, store.size)
        assert earlier == merkle.consistency_proof(known, index, store.size)
    # The store has wider tiles than an older tree asks for; they begin with the same hashes.
    older = tile_reader(store.read_tile, 1_000)
    assert merkle.root_at(older, 1_000) == merkle.root(leaves[:1_000])


def test_a_hash_outside_the_tree_is_not_read():
    read = tile_reader(Store().read_tile, 5)

    for level, index in ((0, 5), (0, -1), (3, 0), (9, 0)):
        with pytest.raises(MalformedError):
            read(level, index)


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 64, b"x" * 97], ids=len)
def test_a_tile_that_does_not_fit_the_size_is_refused(data):
    with pytest.raises(MalformedError):
        grow(lambda _: data, lambda _: encode_bundle([b"a"] * 3), 3, [b"b"])


def test_a_bundle_that_does_not_fit_the_size_is_refused():
    with pytest.raises(MalformedError):
        grow(lambda _: b"x" * 96, lambda _: encode_bundle([b"a"] * 2), 3, [b"b"])
