"""The sequencer: gives every committed row of evidence its place in the log, once.

Rows are inserted without waiting for each other and get their ids before they commit, so a row may appear
after later ones were sequenced. The order of the log is the order in which the sequencer finds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.evidence_rows import EvidenceLeaf, EvidenceNode, EvidenceSettled
from include.privacy.ledger.leaves import GENESIS, chained, hash_of, leaf_of
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.merkle import tree_hash

TILE = 256
"""So many leaves, or subtrees, make the next stored subtree."""
BATCH = 5_000
"""Rows in one transaction: some hundred milliseconds under the lock."""

_NEWEST = text(
    "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.evidence', 'id')::regclass), 0)"
)
# Whoever inserts takes this lock before an id is drawn and keeps it until the transaction has ended.
_WRITING = text("""
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'ledger.evidence'::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pid IS DISTINCT FROM pg_backend_pid()
""")
_ROWS = text("""
    SELECT e.id, e.at, e.kind, e.run_id, e.request_id, e.body FROM ledger.evidence e
    WHERE e.id > :after AND NOT EXISTS (SELECT FROM ledger.evidence_leaf l WHERE l.evidence_id = e.id)
    ORDER BY e.id LIMIT :limit
""")


@dataclass(frozen=True)
class Sequenced:
    """What one call did: ``count`` rows, the last of them with the id ``last``; ``more`` may wait."""

    count: int
    last: int
    more: bool


def sequence(session: Session, after: int | None = None, limit: int = BATCH) -> Sequenced:
    """Put up to ``limit`` committed rows with an id above ``after`` into the log, in the order of their ids.

    By default ``after`` is the id up to which everything is settled. One sequencer works at a time;
    nobody who writes evidence waits for it.
    """
    lock_for(session, "evidence log")
    settled = session.scalars(select(EvidenceSettled.evidence_id)).one()
    # In this order: what had drawn an id by then has ended, or is seen as writing, or is read below.
    newest = int(session.scalar(_NEWEST) or 0)
    writing = bool(session.scalar(_WRITING))
    start = settled if after is None else after
    rows = session.execute(_ROWS, {"after": start, "limit": limit}).all()
    if rows:
        _append(session, [hash_of(leaf_of(*row)) for row in rows], [row.id for row in rows])
    more = len(rows) == limit
    up_to = rows[-1].id if more else newest
    if not writing and start <= settled < up_to:
        session.execute(update(EvidenceSettled).values(evidence_id=up_to))
    return Sequenced(len(rows), rows[-1].id if rows else start, more)


def sequence_all(sessions: sessionmaker[Session], *, full: bool = False, most: int | None = None) -> int:
    """Sequence until nothing is left, or ``most`` rows are done; returns how many.

    ``full`` asks every row whether it is in the log, whatever is said to be settled.
    """
    done, after = 0, 0 if full else None
    while most is None or done < most:
        with sessions.begin() as session:
            step = sequence(session, after)
        done += step.count
        if not step.more:
            break
        after = step.last
    return done


def log_size(session: Session) -> int:
    """How many leaves the log has."""
    newest = session.scalar(select(func.max(EvidenceLeaf.idx)))
    return 0 if newest is None else newest + 1


def _append(session: Session, hashes: list[bytes], ids: list[int]) -> None:
    size = log_size(session)
    chain = GENESIS if not size else session.get_one(EvidenceLeaf, size - 1).chain
    leaves = []
    for offset, (hash_, evidence_id) in enumerate(zip(hashes, ids, strict=True)):
        chain = chained(chain, hash_)
        leaves.append((size + offset, evidence_id, hash_, chain))
    _copy(session, "COPY ledger.evidence_leaf (idx, evidence_id, hash, chain) FROM STDIN", leaves)
    open_tile = size - size % TILE
    before = session.scalars(
        select(EvidenceLeaf.hash)
        .where(EvidenceLeaf.idx >= open_tile, EvidenceLeaf.idx < size)
        .order_by(EvidenceLeaf.idx)
    )
    _complete(session, 1, open_tile // TILE, [*before, *hashes])


def _complete(session: Session, level: int, position: int, below: list[bytes]) -> None:
    """Store the subtrees of this level that ``below``, from that position on, fills, and of those above."""
    full = len(below) // TILE
    if not full:
        return
    made = [tree_hash(below[n * TILE : (n + 1) * TILE]) for n in range(full)]
    rows = [(level, position + n, hash_) for n, hash_ in enumerate(made)]
    _copy(session, "COPY ledger.evidence_node (level, position, hash) FROM STDIN", rows)
    open_tile = position - position % TILE
    before = session.scalars(
        select(EvidenceNode.hash)
        .where(
            EvidenceNode.level == level, EvidenceNode.position >= open_tile, EvidenceNode.position < position
        )
        .order_by(EvidenceNode.position)
    )
    _complete(session, level + 1, open_tile // TILE, [*before, *made])


def _copy(session: Session, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    # SQLAlchemy types the driver's connection as Any-like; ours is always psycopg's.
    driver = cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
