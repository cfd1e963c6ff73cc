from __future__ import annotations

import os
from uuid import uuid4

import pytest

from include.privacy.ledger import SealBroken
from include.privacy.ledger.sealing import Sealer, keyed_hash, seal, unseal


def test_a_sealed_value_opens_only_with_its_key_and_in_its_place() -> None:
    key = os.urandom(32)
    sealed = seal(key, b"Ada", "request 1 subject")
    assert unseal(key, sealed, "request 1 subject") == b"Ada"
    for other_key, value, context in [
        (os.urandom(32), sealed, "request 1 subject"),
        (key, sealed, "request 2 subject"),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), "request 1 subject"),
        (key, b"\x09" + sealed[1:], "request 1 subject"),
        (key, b"", "request 1 subject"),
    ]:
        with pytest.raises(SealBroken):
            unseal(other_key, value, context)


def test_equal_values_are_sealed_differently_and_matched_equally() -> None:
    key, sealer = os.urandom(32), Sealer(bytes(32))
    assert seal(key, b"Ada", "x") != seal(key, b"Ada", "x")
    assert sealer.match("subject", "42") == Sealer(bytes(32)).match("subject", "42")
    assert sealer.match("subject", "42") != sealer.match("email", "42")
    assert sealer.match("subject", "42") != Sealer(b"\x01" * 32).match("subject", "42")
    assert keyed_hash(key, "ab", "c") != keyed_hash(key, "a", "bc")


def test_a_wrapped_key_needs_the_master_key_it_was_made_with() -> None:
    key_id = uuid4()
    key, wrapped = Sealer(bytes(32)).new_key(key_id)
    assert Sealer(bytes(32)).unwrap(key_id, wrapped) == key
    with pytest.raises(SealBroken, match="PRIVACY_MASTER_KEY"):
        Sealer(b"\x01" * 32).unwrap(key_id, wrapped)
    with pytest.raises(SealBroken):
        Sealer(bytes(32)).unwrap(uuid4(), wrapped)


def test_a_short_master_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        Sealer(b"short")
