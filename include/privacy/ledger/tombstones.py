"""Tombstones: keyed hashes by which a restored backup's people are recognised and erased again.

An epoch holds all tombstones that expire in one calendar month, under one key; when the last of
them has expired, the key is destroyed and not even a guess can be checked any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.journal_rows import JournalEntry
from include.privacy.ledger.keys import DataKey, create_key, destroy_key, open_key
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import SealingKey, Tombstone, TombstoneEpoch
from include.privacy.ledger.requests import SUBJECT
from include.privacy.ledger.sealing import Sealer, keyed_hash
from include.privacy.planning.models import Cohort, Member

_BATCH = 1000

_INSERT = text("""
    INSERT INTO ledger.tombstone (epoch, kind, mark, erased_at, expires_at)
    SELECT :epoch, kind, mark, :erased_at, :expires_at
    FROM unnest(CAST(:kinds AS text[]), CAST(:marks AS bytea[])) AS new (kind, mark)
    ORDER BY kind, mark
    ON CONFLICT (epoch, kind, mark) DO UPDATE
        SET expires_at = greatest(tombstone.expires_at, excluded.expires_at),
            erased_at = greatest(tombstone.erased_at, excluded.erased_at)
""")


def write_tombstones(
    session: Session, sealer: Sealer, cohort: Cohort, expires_at: datetime, erased_at: datetime
) -> int:
    """Mark every subject key (kind ``subject``) and frozen identifier of the cohort.

    Returns how many distinct marks each page had, summed; written again, they stay the same.
    ``ValueError`` when they would expire before they begin.
    """
    if expires_at <= erased_at:
        raise ValueError(
            f"expires_at {expires_at.isoformat()} is not after erased_at {erased_at.isoformat()}: "
            "with no backup left to replay, write no tombstones"
        )
    epoch = expires_at.astimezone(UTC).date().replace(day=1)
    lock_for(session, "tombstone_epoch", epoch)
    key = epoch_key(session, sealer, epoch, expires_at)
    total = 0
    for page in _pages(cohort.members()):
        marks = sorted({(kind, _mark(key, kind, value)) for m in page for kind, value in _identifiers(m)})
        session.execute(
            _INSERT,
            {
                "epoch": epoch,
                "kinds": [kind for kind, _ in marks],
                "marks": [mark for _, mark in marks],
                "erased_at": erased_at,
                "expires_at": expires_at,
            },
        )
        total += len(marks)
    body = {"cohort": cohort.id, "marks": total, "expires_at": expires_at, "erased_at": erased_at}
    append_evidence(session, "tombstones_written", body)
    return total


def match_tombstones(session: Session, sealer: Sealer, kind: str, values: Iterable[str]) -> set[str]:
    """Those of ``values`` that belonged to erased people."""
    return set(erasures_of(session, sealer, kind, values))


def erasures_of(session: Session, sealer: Sealer, kind: str, values: Iterable[str]) -> dict[str, datetime]:
    """Those of ``values`` that belonged to erased people, with the latest erasure of each."""
    keys = living_keys(session, sealer)
    found: dict[str, datetime] = {}
    stream = iter(values)
    while batch := list(islice(stream, _BATCH)):
        for epoch, key in keys:
            by_mark: dict[bytes, list[str]] = {}
            for value in batch:
                by_mark.setdefault(_mark(key, kind, value), []).append(value)
            hits = session.execute(
                select(Tombstone.mark, Tombstone.erased_at).where(
                    Tombstone.epoch == epoch, Tombstone.kind == kind, Tombstone.mark.in_(by_mark)
                )
            ).all()
            for mark, erased_at in hits:
                for value in by_mark[bytes(mark)]:
                    found[value] = max(erased_at, found.get(value, erased_at))
    return found


def expire_tombstones(session: Session, as_of: datetime) -> int:
    """Delete what has expired, journal included, and the keys of epochs that are empty.

    Returns how many marks went.
    """
    noted = session.scalars(
        delete(JournalEntry).where(JournalEntry.expires_at <= as_of).returning(JournalEntry.mark)
    ).all()
    expired = session.scalars(
        delete(Tombstone).where(Tombstone.expires_at <= as_of).returning(Tombstone.epoch)
    ).all()
    keys = 0
    for epoch in session.scalars(
        select(TombstoneEpoch.epoch).where(TombstoneEpoch.expires_at <= as_of)
    ).all():
        lock_for(session, "tombstone_epoch", epoch)
        left = session.scalar(select(func.count()).where(Tombstone.epoch == epoch))
        left = left or session.scalar(select(func.count()).where(JournalEntry.epoch == epoch))
        row = session.get(TombstoneEpoch, epoch, populate_existing=True)
        if row is None or left or row.expires_at > as_of:
            continue
        key_id = row.key_id
        session.delete(row)
        destroy_key(session, key_id)
        keys += 1
    if expired or noted or keys:
        counts = {"marks": len(expired), "journal": len(noted), "keys": keys, "as_of": as_of}
        append_evidence(session, "tombstones_expired", counts)
    return len(expired)


def epoch_key(session: Session, sealer: Sealer, epoch: date, expires_at: datetime) -> DataKey:
    """The key of an epoch, made at first use; call it under the epoch's lock."""
    row = session.get(TombstoneEpoch, epoch)
    if row is not None:
        row.expires_at = max(row.expires_at, expires_at)
        session.flush()
        return open_key(session, sealer, row.key_id, f"tombstone epoch {epoch}")
    key = create_key(session, sealer, "tombstone_epoch")
    session.execute(insert(TombstoneEpoch).values(epoch=epoch, key_id=key.id, expires_at=expires_at))
    return key


def living_keys(session: Session, sealer: Sealer) -> Sequence[tuple[date, DataKey]]:
    """The keys of all epochs that have not expired."""
    query = select(TombstoneEpoch.epoch, SealingKey.id, SealingKey.wrapped).join(
        SealingKey, SealingKey.id == TombstoneEpoch.key_id
    )
    rows = session.execute(query).all()
    return [(epoch, DataKey(key_id, sealer.unwrap(key_id, wrapped))) for epoch, key_id, wrapped in rows]


def _identifiers(member: Member) -> Iterator[tuple[str, str]]:
    yield SUBJECT, member.key
    for kind, values in member.identifiers.items():
        for value in values:
            yield kind, value


def _mark(key: DataKey, kind: str, value: str) -> bytes:
    return keyed_hash(key.secret, kind, _plain(kind, value))


def _plain(kind: str, value: str) -> str:
    # A restored row may spell an address in other letters than the one that was erased.
    return value.strip().casefold() if "email" in kind else value


def _pages(members: Iterator[Member]) -> Iterator[list[Member]]:
    while page := list(islice(members, _BATCH)):
        yield page
