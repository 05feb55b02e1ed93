"""The Merkle tree of RFC 6962; the algorithms of RFC 9162."""

from __future__ import annotations

import pytest

from consent.formats import merkle
from consent.formats.errors import MalformedError, VerificationError
from tests.support.vectors import load

VECTORS = load("merkle")
LEAVES = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ERRORS = {"verification": VerificationError, "malformed": MalformedError}
READ = merkle.leaves_reader(LEAVES)


def test_roots_agree_with_the_reference_vectors():
    roots = [merkle.root(LEAVES[:size]).hex() for size in range(1, 9)]

    assert roots == VECTORS["roots"]


def test_an_empty_tree_has_the_hash_of_nothing():
    assert merkle.root([]) == merkle.EMPTY_ROOT
    assert merkle.EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["name"])
def test_inclusion_vectors_hold(case):
    """RFC 9162 section 2.1.3.2."""
    arguments = {
        "index": case["index"],
        "size": case["size"],
        "proof": [bytes.fromhex(each) for each in case["proof"]],
        "root": bytes.fromhex(case["root"]),
    }
    leaf = bytes.fromhex(case["leaf_hash"])

    if case["expect"] == "ok":
        merkle.verify_inclusion(leaf, **arguments)
        made = merkle.inclusion_proof(READ, case["index"], case["size"])
        assert made == arguments["proof"]
    else:
        with pytest.raises(ERRORS[case["expect"]]):
            merkle.verify_inclusion(leaf, **arguments)


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["name"])
def test_consistency_vectors_hold(case):
    """RFC 9162 section 2.1.4.2."""
    arguments = {
        "old_size": case["old_size"],
        "new_size": case["new_size"],
        "old_root": bytes.fromhex(case["old_root"]),
        "new_root": bytes.fromhex(case["new_root"]),
        "proof": [bytes.fromhex(each) for each in case["proof"]],
    }

    if case["expect"] == "ok":
        merkle.verify_consistency(**arguments)
        made = merkle.consistency_proof(READ, case["old_size"], case["new_size"])
        assert made == arguments["proof"]
    else:
        with pytest.raises(ERRORS[case["expect"]]):
            merkle.verify_consistency(**arguments)


def test_every_proof_of_small_trees_verifies():
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(66)]
    read = merkle.leaves_reader(leaves)
    roots = [merkle.root(leaves[:size]) for size in range(67)]

    for size in range(1, 67):
        for index in range(size):
            proof = merkle.inclusion_proof(read, index, size)
            merkle.verify_inclusion(
                leaves[index], index=index, size=size, proof=proof, root=roots[size]
            )
        for old in range(size + 1):
            merkle.verify_consistency(
                old_size=old,
                old_root=roots[old],
                new_size=size,
                new_root=roots[size],
                proof=merkle.consistency_proof(read, old, size),
            )


def test_a_node_cannot_be_passed_off_as_a_leaf():
    """RFC 6962 section 2.1: the prefixes keep them apart."""
    node = LEAVES[0] + LEAVES[1]

    assert merkle.leaf_hash(node) != merkle.root(LEAVES[:2])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: merkle.inclusion_proof(READ, 8, 8),
        lambda: merkle.inclusion_proof(READ, -1, 8),
        lambda: merkle.inclusion_proof(READ, 0, 0),
        lambda: merkle.inclusion_proof(READ, 0, 9),
        lambda: merkle.inclusion_proof(READ, 0, 1000),
        lambda: merkle.consistency_proof(READ, 3, 2),
        lambda: merkle.consistency_proof(READ, -1, 2),
        lambda: merkle.root_at(READ, -1),
        lambda: merkle.root_at(READ, 2**63),
        lambda: READ(0, -1),
    ],
)
def test_what_is_not_in_the_tree_cannot_be_asked_for(ask):
    with pytest.raises(MalformedError):
        ask()
