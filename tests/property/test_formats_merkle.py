"""The tree and its tiles, at sizes and steps that nobody chose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.formats import merkle
from consent.formats.errors import VerificationError
from consent.formats.tiles import grow, tile_reader

LEAVES = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(1200)]
READ = merkle.leaves_reader(LEAVES)


def recursive_root(leaves):
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return merkle.node_hash(recursive_root(leaves[:k]), recursive_root(leaves[k:]))


@given(st.integers(1, 1200))
def test_the_root_is_the_definitions(size):
    assert merkle.root_at(READ, size) == recursive_root(LEAVES[:size])


@given(st.integers(1, 1200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_every_leaf_is_proved_and_no_other(case):
    size, index = case
    root = merkle.root_at(READ, size)
    proof = merkle.inclusion_proof(READ, index, size)

    merkle.verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root=root)

    other = LEAVES[(index + 1) % len(LEAVES)]
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(other, index=index, size=size, proof=proof, root=root)


@given(
    st.integers(1, 1200).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.data(), st.integers(0, 255))
    )
)
def test_growth_is_proved_and_a_changed_proof_is_not(case):
    new_size, old_size, data, bit = case
    sizes = {"old_size": old_size, "new_size": new_size}
    roots = {
        "old_root": merkle.root_at(READ, old_size),
        "new_root": merkle.root_at(READ, new_size),
    }
    proof = merkle.consistency_proof(READ, old_size, new_size)

    merkle.verify_consistency(**sizes, **roots, proof=proof)

    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = bytearray(proof[at])
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VerificationError):
            merkle.verify_consistency(
                **sizes, **roots, proof=[*proof[:at], bytes(changed), *proof[at + 1 :]]
            )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=4))
def test_tiles_grown_in_any_steps_give_the_trees_hashes(steps):
    tiles, bundles, size = {}, {}, 0

    def read_tile(tile):
        return tiles[tile.level, tile.index]

    def read_bundle(bundle):
        return bundles[bundle.index]

    for step in steps:
        entries = [number.to_bytes(2, "big") for number in range(size, size + step)]
        growth = grow(read_tile, read_bundle, size, entries)
        tiles |= {(tile.level, tile.index): data for tile, data in growth.tiles.items()}
        bundles |= {bundle.index: data for bundle, data in growth.bundles.items()}
        size = growth.new_size
    leaves = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(size)]

    read = tile_reader(read_tile, size)

    assert merkle.root_at(read, size) == merkle.root(leaves)
