"""The tree against the definitions of RFC 6962, written out naively."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.ledger.merkle import (
    EMPTY,
    Growing,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    tree_hash,
)


def mth(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


def test_the_published_roots_of_certificate_transparency_come_out() -> None:
    inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    hashes = [leaf_hash(bytes.fromhex(each)) for each in inputs]
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tree_hash(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree_hash(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.integers(1, 200))
def test_a_growing_tree_has_the_root_of_the_definition(count: int) -> None:
    assert tree_hash(leaves_of(count)) == mth(leaves_of(count))


@given(st.integers(1, 130), st.data())
def test_an_inclusion_proof_leads_from_the_leaf_to_the_root(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, lambda a, b: mth(leaves[a:b]))
    # RFC 9162, 2.1.3.2
    fn, sn, found = index, size - 1, leaves[index]
    for sibling in path:
        assert sn
        if fn & 1 or fn == sn:
            found = node_hash(sibling, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, sibling)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and found == mth(leaves)


@given(st.integers(1, 130), st.data())
def test_a_consistency_proof_rebuilds_both_roots(new: int, data: st.DataObject) -> None:
    leaves = leaves_of(new)
    old = data.draw(st.integers(1, new))
    path = consistency_path(old, new, lambda a, b: mth(leaves[a:b]))
    if old == new:
        assert path == []
        return
    # RFC 9162, 2.1.4.2
    if old & (old - 1) == 0:
        path = [mth(leaves[:old]), *path]
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for sibling in path[1:]:
        assert sn
        if fn & 1 or fn == sn:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, sibling)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and (first, second) == (mth(leaves[:old]), mth(leaves))


def test_perfect_subtrees_may_be_added_whole() -> None:
    leaves, tree = leaves_of(13), Growing()
    tree.add(mth(leaves[:8]), 8)
    tree.add(mth(leaves[8:12]), 4)
    tree.add(leaves[12])
    assert tree.root() == mth(leaves)


def test_there_is_no_proof_for_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_path(3, 3, lambda a, b: b"")
    with pytest.raises(ValueError, match="cannot be consistent"):
        consistency_path(4, 3, lambda a, b: b"")
