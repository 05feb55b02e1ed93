"""A second implementation of RFC 9162 in Python agrees on roots and inclusion proofs (LOG-24)."""

from __future__ import annotations

import pytest
from pymerkle import InclusionProof, InmemoryTree, InvalidProof

from consent.formats import merkle

SIZES = [1, 2, 3, 5, 8, 13, 64, 100, 257]


@pytest.fixture(scope="module")
def other():
    tree = InmemoryTree(algorithm="sha256")
    for number in range(max(SIZES)):
        tree.append_entry(b"entry %d" % number)
    return tree


LEAVES = [merkle.leaf_hash(b"entry %d" % number) for number in range(max(SIZES))]
READ = merkle.leaves_reader(LEAVES)


@pytest.mark.parametrize("size", SIZES)
def test_the_roots_are_the_same(other, size):
    assert other.get_root(size) == merkle.root_at(READ, size)


@pytest.mark.parametrize("size", SIZES)
def test_its_inclusion_proofs_verify_here(other, size):
    root = merkle.root_at(READ, size)
    for index in {0, size // 2, size - 1}:
        # Its indices count from one, and its paths begin with the leaf itself.
        leaf, *path = other.prove_inclusion(index + 1, size).path

        merkle.verify_inclusion(leaf, index=index, size=size, proof=path, root=root)


@pytest.mark.parametrize("size", SIZES)
def test_our_inclusion_proofs_verify_there(other, size):
    for index in {0, size // 2, size - 1}:
        path = merkle.inclusion_proof(READ, index, size)
        form = other.prove_inclusion(index + 1, size).serialize()
        ours = form | {"path": [each.hex() for each in (LEAVES[index], *path)]}

        InclusionProof.deserialize(ours).verify(LEAVES[index], other.get_root(size))

        if path:
            changed = form | {"path": [LEAVES[index].hex(), *("00" * 32 for _ in path)]}
            with pytest.raises(InvalidProof):
                InclusionProof.deserialize(changed).verify(LEAVES[index], other.get_root(size))
