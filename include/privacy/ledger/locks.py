"""Advisory locks of the ledger's database, all bound to the transaction that takes them."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from include.privacy.ledger.engine import STATEMENT_TIMEOUT_MS

HOLD_GATE = 0x686F6C645F67  # "hold_g"
"""Shared by every deletion chunk, exclusive for placing a hold."""

WAIT_MS = 15 * 60_000
"""How long to wait for a lock that another task may hold for a chunk or a whole freeze."""


def lock_for(session: Session | Connection, *names: object) -> None:
    """Take the lock of that name; whoever comes second waits for the first one's commit."""
    _wait(session, "pg_advisory_xact_lock", lock_key(*names))


def lock_key(*names: object) -> int:
    """The number under which PostgreSQL knows the lock of that name."""
    digest = hashlib.blake2b("\x1f".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def close_hold_gate(session: Session) -> None:
    """Wait until no chunk is running and let none begin before this transaction ends."""
    _wait(session, "pg_advisory_xact_lock", HOLD_GATE)


def enter_hold_gate(session: Session) -> None:
    """Keep holds from being placed until this transaction ends."""
    _wait(session, "pg_advisory_xact_lock_shared", HOLD_GATE)


def _wait(session: Session | Connection, function: str, key: int) -> None:
    session.execute(text(f"SET LOCAL statement_timeout = {WAIT_MS}"))
    session.execute(text(f"SELECT {function}(:key)"), {"key": key})
    session.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))
