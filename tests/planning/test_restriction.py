"""Marks of contacts: equal for equal contacts, and worth nothing without the key."""

from __future__ import annotations

import pytest

from include.privacy.planning.restriction import MARK_BYTES, contact_mark
from include.sandbox.platform import jobs

KEY = bytes(range(32))


@pytest.mark.parametrize("spelling", ["ada@example.com", " Ada@Example.COM\n", "ADA@EXAMPLE.COM"])
def test_a_contact_has_one_mark_however_it_is_written(spelling: str) -> None:
    assert contact_mark(KEY, "email", spelling) == contact_mark(KEY, "email", "ada@example.com")


def test_composed_and_decomposed_letters_are_the_same_contact() -> None:
    assert contact_mark(KEY, "email", "zoë@example.com") == contact_mark(
        KEY, "email", "zoe\u0308@example.com"
    )


def test_another_contact_kind_or_key_has_another_mark() -> None:
    marks = {
        contact_mark(KEY, "email", "ada@example.com"),
        contact_mark(KEY, "email", "bob@example.com"),
        contact_mark(KEY, "phone", "ada@example.com"),
        contact_mark(bytes(32), "email", "ada@example.com"),
    }
    assert len(marks) == 4
    assert {len(mark) for mark in marks} == {MARK_BYTES}


def test_the_platform_reckons_as_the_contract_says() -> None:
    """The job has no code of ours; a difference would let suppressed people be written to."""
    for address in ("ada@example.com", "  Zoë@Example.COM ", "ZOE\u0308@EXAMPLE.COM", "İ@example.com"):
        assert jobs.mark(KEY, address) == contact_mark(KEY, "email", address)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="has 31 bytes and needs 32"):
        contact_mark(bytes(31), "email", "ada@example.com")
