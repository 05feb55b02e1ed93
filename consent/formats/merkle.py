"""The Merkle tree of RFC 6962 section 2.1: hashes, roots, proofs, and their verification.

    leaf  = SHA-256(0x00 || entry)          node = SHA-256(0x01 || left || right)
    MTH() = SHA-256()                       MTH(D[n]) splits at the largest power of two below n

Proofs are made from a `ReadHash`, which names complete subtrees by level and index, so that a log
answers from a handful of tiles; they are verified with the algorithms of RFC 9162.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence

from consent.formats.errors import MalformedError, VerificationError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()
# Whole logs pass through these: a copy of a begun hash costs less than a new one.
_begun_node = hashlib.sha256(b"\x01").copy
_pairs = struct.Struct(f"{2 * HASH_BYTES}s").iter_unpack

ReadHash = Callable[[int, int], bytes]
"""`read(level, index)`: the root of the complete subtree D[index * 2^level : (index+1) * 2^level].

It is asked only for subtrees that lie wholly inside the tree.
"""


def leaf_hash(entry: bytes) -> bytes:
    """Hash a log entry; the 0x00 keeps leaves and nodes apart (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaves_reader(leaf_hashes: Sequence[bytes]) -> ReadHash:
    """Return a `ReadHash` over leaf hashes that are all at hand.

    The reader raises MalformedError for a subtree that is not complete in them.
    """
    rows = rows_of(b"".join(leaf_hashes))

    def read(level: int, index: int) -> bytes:
        if level >= len(rows) or not 0 <= index < len(rows[level]) // HASH_BYTES:
            raise MalformedError("no such hash in a tree of this size")
        return rows[level][index * HASH_BYTES : (index + 1) * HASH_BYTES]

    return read


def rows_of(hashes: bytes) -> list[bytes]:
    """Return neighbouring hashes of one level and, above them, the roots of 2, of 4, of 8 … .

    A row is its hashes one after the other, and holds the roots of complete subtrees only: a last
    one without a neighbour has none.
    """
    rows = [hashes]
    while len(below := rows[-1]) > HASH_BYTES:
        row = []
        # As `node_hash`, without a call for each.
        for (pair,) in _pairs(below[: len(below) & -2 * HASH_BYTES]):
            node = _begun_node()
            node.update(pair)
            row.append(node.digest())
        rows.append(b"".join(row))
    return rows


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the tree hash MTH over all leaf hashes (RFC 6962 section 2.1)."""
    return root_at(leaves_reader(leaf_hashes), len(leaf_hashes))


def root_at(read: ReadHash, size: int) -> bytes:
    """Return the tree hash of the first `size` leaves.

    Raises:
        MalformedError: the size is out of range.
    """
    _check_size(size)
    return _range_root(read, 0, size) if size else EMPTY_ROOT


def inclusion_proof(read: ReadHash, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` (RFC 6962 section 2.1.1).

    Raises:
        MalformedError: there is no such leaf in such a tree.
    """
    _check_size(size)
    if not 0 <= index < size:
        raise MalformedError(f"no leaf {index} in a tree of {size}")
    # Up to where the ways from this leaf and from the last one meet, every neighbour is complete;
    # there it is all that lies to the right; above, only what lies to the left is asked for.
    meets = (index ^ (size - 1)).bit_length()
    path = [read(level, index >> level ^ 1) for level in range(meets - 1)]
    if meets:
        path.append(_range_root(read, (index >> meets - 1 ^ 1) << meets - 1, size))
    above = range(meets, index.bit_length())
    return path + [read(level, (index >> level) - 1) for level in above if index >> level & 1]


def consistency_proof(read: ReadHash, old_size: int, new_size: int) -> list[bytes]:
    """Return the proof that the smaller tree is a prefix of the larger (RFC 6962 section 2.1.2).

    It is empty for an empty old tree and for equal sizes.

    Raises:
        MalformedError: the sizes are out of order or range.
    """
    _check_size(new_size)
    if not 0 <= old_size <= new_size:
        raise MalformedError(f"a tree of {new_size} cannot extend one of {old_size}")
    if old_size in {0, new_size}:
        return []
    path = []
    start, end = 0, new_size
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_root(read, middle, end))
            end = middle
        else:
            path.append(_range_root(read, start, middle))
            start = middle
    # Whoever verifies holds the old root already when it is itself a node of the new tree.
    if start > 0:
        path.append(_range_root(read, start, end))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf`, a leaf hash, is number `index` in the tree (RFC 9162 section 2.1.3.2).

    Raises:
        MalformedError: a hash is not 32 bytes, or the size is out of range.
        VerificationError: the proof does not lead from the leaf to the root.
    """
    _check_size(size)
    _check_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise VerificationError(f"no leaf {index} in a tree of {size}")
    # The algorithm's two loops apart, since its tests for the right edge cost as much as a hash:
    # below where the ways from this leaf and from the last one meet, and above.
    meets = (index ^ (size - 1)).bit_length()
    length = meets + (index >> meets).bit_count()
    if len(proof) != length:
        fault = "short" if len(proof) < length else "long"
        raise VerificationError(f"the inclusion proof is too {fault}")
    result = leaf
    for sibling in proof[:meets]:
        node = _begun_node()
        node.update(sibling + result if index & 1 else result + sibling)
        result, index = node.digest(), index >> 1
    for sibling in proof[meets:]:
        node = _begun_node()
        node.update(sibling + result)
        result = node.digest()
    if result != root:
        raise VerificationError("the inclusion proof does not lead to the root")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the old tree is a prefix of the new one (RFC 9162 section 2.1.4.2).

    Raises:
        MalformedError: a hash is not 32 bytes, or a size is out of range.
        VerificationError: the new tree is not proved to extend the old one.
    """
    _check_size(old_size)
    _check_size(new_size)
    _check_hashes(old_root, new_root, *proof)
    if old_size > new_size:
        raise VerificationError(f"a tree of {new_size} cannot extend one of {old_size}")
    if old_size in {0, new_size}:
        expected = new_root if old_size == new_size else EMPTY_ROOT
        if proof or old_root != expected:
            raise VerificationError("the trees are not consistent")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise VerificationError("the consistency proof is too short")
    seen_old, seen_new = _walk(path, old_size - 1, new_size - 1)
    if (seen_old, seen_new) != (old_root, new_root):
        raise VerificationError("the trees are not consistent")


def _walk(path: Sequence[bytes], node: int, last: int) -> tuple[bytes, bytes]:
    # RFC 9162 section 2.1.4.2, steps 4 to 7: both roots from one path.
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise VerificationError("the consistency proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise VerificationError("the consistency proof is too short")
    return old, new


def _range_root(read: ReadHash, start: int, end: int) -> bytes:
    # The range starts where a subtree of at least its size does: its complete subtrees, largest
    # first, are folded from the right.
    pieces = [read(level, index) for level, index in _complete_subtrees(start, end)]
    result = pieces.pop()
    while pieces:
        result = node_hash(pieces.pop(), result)
    return result


def _complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise MalformedError(f"{size} is no tree size")


def _check_hashes(*hashes: bytes) -> None:
    if {*map(len, hashes)} != {HASH_BYTES}:
        raise MalformedError(f"a hash has {HASH_BYTES} bytes")
