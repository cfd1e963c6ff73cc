"""What the log has of a row of evidence: a leaf, its canonical bytes (RFC 8785), leaf hash and chain hash.

The bytes are not stored: they follow from the row, so a row that somebody changes no longer fits its hash.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import rfc8785

from include.privacy.ledger.merkle import leaf_hash

GENESIS = bytes(32)
"""The chain before the first leaf."""

_EXACT = 2**53 - 1
"""Beyond it a JSON number is not the same in every language."""


def leaf_of(
    evidence_id: int,
    at: datetime,
    kind: str,
    run_id: UUID | None,
    request_id: UUID | None,
    body: Mapping[str, Any],
) -> dict[str, Any]:
    """The row as JSON: instants in UTC with microseconds, ids as text, numbers that are exact everywhere."""
    return {
        "at": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "body": _exact(body),
        "id": evidence_id,
        "kind": kind,
        "request_id": str(request_id) if request_id else None,
        "run_id": str(run_id) if run_id else None,
    }


def canonical(value: Any) -> bytes:
    """RFC 8785: one sequence of bytes for one value.

    Without fractions, and with names in ASCII, Python's own encoder writes the same bytes much faster.
    """
    if _simple(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    return rfc8785.dumps(value)


def hash_of(leaf: Mapping[str, Any]) -> bytes:
    """The leaf hash."""
    return leaf_hash(canonical(leaf))


def chained(before: bytes, leaf: bytes) -> bytes:
    """The chain hash of a leaf hash that follows ``before``."""
    return hashlib.sha256(before + leaf).digest()


def _exact(value: Any) -> Any:
    """Numbers that JSON cannot carry exactly, as text: a row must never stop the log."""
    if isinstance(value, Mapping):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _simple(value: Any) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _simple(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_simple, value))
    return value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= _EXACT)
