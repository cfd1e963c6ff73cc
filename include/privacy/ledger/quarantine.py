"""Bad input from outside: kept, sealed, counted, stopping nothing else."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import text
from include.privacy.ledger.keys import create_key, unwrapped
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import Quarantined, SealingKey
from include.privacy.ledger.rows import QuarantineRow
from include.privacy.ledger.sealing import Sealer


def quarantine(
    session: Session, sealer: Sealer, source: str, external_id: str, reason: str, payload: Any = None
) -> UUID:
    """Keep bad input once per source and id; seen again, it is counted.

    ``external_id`` may be anything the sender sent (or a digest of the message): like ``payload``
    it is sealed. ``reason`` is a clear sentence about the fault, without the input.
    """
    match = sealer.match(f"quarantine {source}", external_id)
    lock_for(session, "quarantine", match.hex())
    known = session.scalar(
        select(Quarantined)
        .where(Quarantined.source == source, Quarantined.external_match == match)
        .with_for_update()
    )
    if known is not None:
        known.seen += 1
        known.last_seen_at = func.now()
        return known.id
    row_id, key = uuid4(), create_key(session, sealer, "quarantine")
    sealed = key.seal_json({"external_id": external_id, "payload": payload}, f"quarantine {row_id}")
    session.add(
        Quarantined(
            id=row_id,
            source=source,
            external_match=match,
            reason=text(reason),
            key_id=key.id,
            sealed=sealed,
        )
    )
    append_evidence(session, "quarantined", {"id": row_id, "source": source, "reason": reason})
    return row_id


def quarantined(session: Session, sealer: Sealer) -> list[QuarantineRow]:
    """Everything kept, newest first."""
    query = (
        select(Quarantined, SealingKey.wrapped)
        .join(SealingKey, SealingKey.id == Quarantined.key_id)
        .order_by(Quarantined.last_seen_at.desc())
    )
    return [_row(sealer, q, wrapped) for q, wrapped in session.execute(query)]


def _row(sealer: Sealer, q: Quarantined, wrapped: bytes) -> QuarantineRow:
    key = unwrapped(sealer, q.key_id, wrapped)
    plain = key.read_json(q.sealed, f"quarantine {q.id}") if key else {}
    return QuarantineRow(
        id=q.id,
        source=q.source,
        reason=q.reason,
        seen=q.seen,
        first_seen_at=q.first_seen_at,
        last_seen_at=q.last_seen_at,
        external_id=plain.get("external_id", ""),
        payload=plain.get("payload"),
    )
