"""Merkle trees of RFC 6962, §2.1: root, inclusion and consistency proofs over leaf hashes.

Pure functions. What a proof needs is asked of ``range_hash(start, end)``, the hash of the subtree over the
leaves ``[start, end)``, so that a caller who stores subtrees reads a few dozen of them and never all leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

RangeHash = Callable[[int, int], bytes]

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(content: bytes) -> bytes:
    """SHA-256 over 0x00 and the content."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 over 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below ``size`` (two or more): where the tree of that size divides."""
    return 1 << ((size - 1).bit_length() - 1)


def tree_hash(leaves: list[bytes]) -> bytes:
    """The root over leaf hashes held in memory."""
    if not leaves:
        return EMPTY
    tree = Growing()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


class Growing:
    """A tree that grows from left to right and remembers only the perfect subtrees on its right edge.

    A million leaves cost twenty hashes of memory.
    """

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[tuple[int, bytes]] = []

    def add(self, subtree: bytes, leaves: int = 1) -> None:
        """Append a leaf hash, or the hash of a perfect subtree where one of that size may begin."""
        self.size += leaves
        while self._edge and self._edge[-1][0] == leaves:
            subtree, leaves = node_hash(self._edge.pop()[1], subtree), 2 * leaves
        self._edge.append((leaves, subtree))

    def root(self) -> bytes:
        """The root at the present size."""
        if not self._edge:
            return EMPTY
        *rest, (_, root) = self._edge
        for _, left in reversed(rest):
            root = node_hash(left, root)
        return root


def inclusion_path(index: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """PATH(index, D[size]): the siblings from the leaf up. ``ValueError`` for an index outside."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, range_hash: RangeHash) -> list[bytes]:
    """PROOF(old, D[new]): shows that the tree of ``new`` leaves begins with that of ``old``."""
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} leaves cannot be consistent with one of {old}")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(range_hash(start, end))
    return path[::-1]
