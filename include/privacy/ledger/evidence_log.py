"""Reading the log: entries in order, roots, proofs, and an audit that computes everything anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence_rows import EvidenceCheckpoint, EvidenceLeaf, EvidenceNode
from include.privacy.ledger.leaves import GENESIS, chained, hash_of, leaf_of
from include.privacy.ledger.merkle import Growing, RangeHash, consistency_path, inclusion_path
from include.privacy.ledger.sequencing import TILE

PAGE = 5_000
"""Rows held in memory at a time."""
LONGEST_TRANSACTION = timedelta(hours=1)
"""A row is in the log within this time of its instant; our transactions end within minutes."""
_MOST_FINDINGS = 20

_ENTRIES = text("""
    SELECT l.idx, l.hash, l.chain, l.evidence_id, e.id, e.at, e.kind, e.run_id, e.request_id, e.body
    FROM ledger.evidence_leaf l LEFT JOIN ledger.evidence e ON e.id = l.evidence_id
    WHERE l.idx >= :start AND l.idx < :end ORDER BY l.idx
""")


class Entry(NamedTuple):
    """A leaf with its row; ``leaf`` is ``None`` when the row is gone."""

    idx: int
    evidence_id: int
    hash: bytes
    chain: bytes
    leaf: dict[str, Any] | None


@dataclass
class Audit:
    """What recomputing the log found. ``roots``: size → root, for the sizes asked for that exist."""

    size: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def entries(sessions: sessionmaker[Session], start: int, end: int) -> Iterator[Entry]:
    """The entries ``[start, end)`` in order; a page at a time, each in a short transaction."""
    for first in range(start, end, PAGE):
        with sessions.begin() as session:
            rows = session.execute(_ENTRIES, {"start": first, "end": min(first + PAGE, end)}).all()
        for idx, hash_, chain, evidence_id, id_, *rest in rows:
            leaf = None if id_ is None else leaf_of(id_, *rest)
            yield Entry(idx, evidence_id, bytes(hash_), bytes(chain), leaf)


def audit(
    sessions: sessionmaker[Session],
    size: int,
    roots_at: Iterable[int] = (),
    published: tuple[int, datetime] | None = None,
) -> Audit:
    """Recompute the first ``size`` entries from their rows: leaf hashes, chain, roots, and instants.

    ``published``: size and time of the last checkpoint outside; a row beyond that size whose instant lies
    well before that time was put in afterwards. Streams: flat memory, a few minutes for a million rows.
    """
    found, tree, chain, expected = Audit(), Growing(), GENESIS, 0
    wanted = set(roots_at)

    def note(what: str) -> None:
        if len(found.findings) < _MOST_FINDINGS:
            found.findings.append(what)

    for entry in entries(sessions, 0, size):
        if entry.idx != expected:
            note(f"entries {expected} to {entry.idx - 1} are missing")
        expected = entry.idx + 1
        if entry.leaf is None:
            note(f"entry {entry.idx}: its row of evidence, {entry.evidence_id}, is gone")
        elif hash_of(entry.leaf) != entry.hash:
            note(f"entry {entry.idx}: its row of evidence, {entry.evidence_id}, was changed")
        chain = chained(chain, entry.hash)
        if chain != entry.chain:
            note(f"entry {entry.idx}: the chain breaks here")
            chain = entry.chain
        if entry.leaf is not None and _back_dated(entry, published):
            note(f"entry {entry.idx}: its row of evidence, {entry.evidence_id}, is back-dated")
        tree.add(entry.hash)
        if tree.size in wanted:
            found.roots[tree.size] = tree.root()
    if expected < size:
        note(f"entries {expected} to {size - 1} are missing")
    found.size = tree.size
    return found


def _back_dated(entry: Entry, published: tuple[int, datetime] | None) -> bool:
    if published is None or entry.leaf is None or entry.idx < published[0]:
        return False
    return datetime.fromisoformat(entry.leaf["at"]) < published[1] - LONGEST_TRANSACTION


def range_hash(session: Session) -> RangeHash:
    """The hash of the subtree over ``[start, end)``, from as few stored hashes as there are."""

    def of(start: int, end: int) -> bytes:
        tree = Growing()
        width = TILE
        while width * TILE <= end - start:
            width *= TILE
        level, at = _level(width), start
        while level:
            # A subtree may begin only where its width divides; what RFC 6962 asks for always does.
            count = (end - at) // width if at % width == 0 else 0
            for hash_ in _nodes(session, level, at // width, count):
                tree.add(hash_, width)
            at, width, level = at + count * width, width // TILE, level - 1
        for hash_ in session.scalars(
            select(EvidenceLeaf.hash)
            .where(EvidenceLeaf.idx >= at, EvidenceLeaf.idx < end)
            .order_by(EvidenceLeaf.idx)
        ):
            tree.add(hash_)
        if start + tree.size != end:
            raise NotInLedger(f"the log has no complete entries {start} to {end - 1}")
        return tree.root()

    return of


def root_at(session: Session, size: int) -> bytes:
    """The root over the first ``size`` entries, from stored subtrees."""
    return range_hash(session)(0, size)


def inclusion(session: Session, index: int, size: int) -> list[bytes]:
    """The proof that entry ``index`` is in the log of that size."""
    return inclusion_path(index, size, range_hash(session))


def consistency(session: Session, old: int, new: int) -> list[bytes]:
    """The proof that the log of size ``new`` begins with that of size ``old``."""
    return consistency_path(old, new, range_hash(session))


def index_of(session: Session, evidence_id: int) -> int | None:
    """Where a row of evidence is in the log; ``None`` while it is not sequenced."""
    return session.scalar(select(EvidenceLeaf.idx).where(EvidenceLeaf.evidence_id == evidence_id))


def keep_checkpoint(session: Session, size: int, root: bytes, note: str, signed_at: datetime) -> str:
    """Keep a signed checkpoint; returns the note that is kept, an earlier one if that size has one."""
    row = {"size": size, "root": root, "note": note, "signed_at": signed_at}
    session.execute(insert(EvidenceCheckpoint).values(row).on_conflict_do_nothing())
    return checkpoint_note(session, size)


def checkpoint_note(session: Session, size: int) -> str:
    """The signed checkpoint of that size."""
    return session.scalars(select(EvidenceCheckpoint.note).where(EvidenceCheckpoint.size == size)).one()


def checkpoints(session: Session) -> list[EvidenceCheckpoint]:
    """All that were signed, the smallest first."""
    return list(session.scalars(select(EvidenceCheckpoint).order_by(EvidenceCheckpoint.size)))


def database_time(session: Session) -> datetime:
    """The clock that also dates the rows: a checkpoint's time is compared with theirs."""
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def _level(width: int) -> int:
    level = 0
    while width > 1:
        width //= TILE
        level += 1
    return level


def _nodes(session: Session, level: int, position: int, count: int) -> Iterable[bytes]:
    if not count:
        return ()
    return session.scalars(
        select(EvidenceNode.hash)
        .where(
            EvidenceNode.level == level,
            EvidenceNode.position >= position,
            EvidenceNode.position < position + count,
        )
        .order_by(EvidenceNode.position)
    )
