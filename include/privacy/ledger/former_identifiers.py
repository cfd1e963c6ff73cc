"""Former identifiers: what led to a person before a correction, kept here because the platform forgets it.

A corrected address is in no database any more (P6.2); what is kept under it elsewhere is still to be erased
with its person (P6.3). Each value is sealed under a key of its own, found by keyed marks only, and destroyed
with the erasure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.former_rows import FormerIdentifier
from include.privacy.ledger.keys import DataKey, create_key
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.requests import SUBJECT
from include.privacy.ledger.sealing import Sealer

_BATCH = 1_000


def note_former_identifiers(
    session: Session,
    sealer: Sealer,
    key: str,
    values: Mapping[str, Iterable[str]],
    at: datetime,
    run_id: UUID | None = None,
) -> int:
    """Keep these values (by kind) of one person; returns how many are new.

    A value that is known already stays, its time beginning anew.
    """
    match = sealer.match(SUBJECT, key)
    lock_for(session, "former_identifiers", match.hex())
    new = 0
    for kind, value in dict.fromkeys((kind, value) for kind, found in values.items() for value in found):
        mark = sealer.match("former identifier", "\x1f".join((key, kind, value)))
        known = session.get(FormerIdentifier, mark)
        if known is not None:
            known.recorded_at = max(known.recorded_at, at)
            continue
        data_key = create_key(session, sealer, "former_identifier")
        session.add(
            FormerIdentifier(
                mark=mark,
                subject_match=match,
                recorded_at=at,
                key_id=data_key.id,
                sealed=data_key.seal_json({"kind": kind, "value": value}, _context(mark)),
            )
        )
        new += 1
    if new:
        append_evidence(session, "former_identifiers_noted", {"values": new}, run_id)
    return new


def former_identifiers(
    session: Session, sealer: Sealer, keys: Iterable[str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Subject key → kind → values, of those of ``keys`` who have any; the oldest first."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    source = iter(keys)
    while batch := list(islice(source, _BATCH)):
        people = {sealer.match(SUBJECT, key): key for key in batch}
        query = (
            select(FormerIdentifier, SealingKey.wrapped)
            .join(SealingKey, SealingKey.id == FormerIdentifier.key_id)
            .where(FormerIdentifier.subject_match.in_(list(people)))
            .order_by(FormerIdentifier.recorded_at, FormerIdentifier.mark)
        )
        for row, wrapped in session.execute(query):
            data_key = DataKey(row.key_id, sealer.unwrap(row.key_id, wrapped))
            body = data_key.read_json(row.sealed, _context(row.mark))
            mine = found.setdefault(people[row.subject_match], {})
            mine[body["kind"]] = (*mine.get(body["kind"], ()), body["value"])
    return found


def forget_former_identifiers(session: Session, sealer: Sealer, keys: Iterable[str]) -> int:
    """Destroy what was kept of these people, who are erased; returns how many values."""
    gone, source = 0, iter(keys)
    while batch := list(islice(source, _BATCH)):
        matches = [sealer.match(SUBJECT, key) for key in batch]
        gone += _destroy(session, FormerIdentifier.subject_match.in_(matches))
    if gone:
        append_evidence(session, "former_identifiers_forgotten", {"values": gone, "because": "erasure"})
    return gone


def purge_former_identifiers(session: Session, before: datetime) -> int:
    """Destroy what was corrected before that instant; returns how many values."""
    return _destroy(session, FormerIdentifier.recorded_at <= before)


def _destroy(session: Session, which: Any) -> int:
    keys = session.scalars(
        delete(FormerIdentifier).where(which).returning(FormerIdentifier.key_id),
        execution_options={"synchronize_session": False},
    ).all()
    if keys:
        session.execute(delete(SealingKey).where(SealingKey.id.in_(keys)))
    return len(keys)


def _context(mark: bytes) -> str:
    return f"former_identifier {mark.hex()}"
