"""The ledger's own records of people expire too (a record-age rule of policy.yaml)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from include.privacy.ledger.cohorts import destroy_cohort
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import CohortHead, Hold, Quarantined, Request, SealingKey
from include.privacy.ledger.request_models import RecipientTask


def purge_records(session: Session, as_of: datetime, days: int) -> dict[str, int]:
    """Delete requests closed, holds released and quarantine last seen ``days`` before ``as_of``;
    destroy cohorts frozen before that and forgotten. Counts per kind. Evidence stays.
    """
    before = _before(as_of, days)
    cohorts = session.scalars(
        select(CohortHead.id).where(CohortHead.destroyed_at.is_(None), CohortHead.frozen_at <= before)
    ).all()
    for cohort_id in cohorts:
        destroy_cohort(session, cohort_id)
    requests = session.scalars(delete(Request).where(Request.closed_at <= before).returning(Request.id)).all()
    keys: list[UUID | None] = []
    holds = session.scalars(delete(Hold).where(Hold.released_at <= before).returning(Hold.key_id)).all()
    kept = session.scalars(
        delete(Quarantined).where(Quarantined.last_seen_at <= before).returning(Quarantined.key_id)
    ).all()
    keys += [*holds, *kept]
    session.execute(delete(SealingKey).where(SealingKey.id.in_([k for k in keys if k])))
    session.execute(delete(RecipientTask).where(RecipientTask.settled_at <= before))
    counts = {
        "requests": len(requests),
        "holds": len(holds),
        "quarantine": len(kept),
        "cohorts": len(cohorts),
    }
    if any(counts.values()):
        append_evidence(session, "records_purged", {**counts, "as_of": as_of, "days": days})
    return counts


def overdue_records(session: Session, as_of: datetime, days: int) -> tuple[int, timedelta | None]:
    """How many closed requests are older than ``days``, and how far the oldest is past that."""
    before = _before(as_of, days)
    count, oldest = session.execute(
        select(func.count(), func.min(Request.closed_at)).where(Request.closed_at <= before)
    ).one()
    return count, before - oldest if oldest is not None else None


def _before(as_of: datetime, days: int) -> datetime:
    if days <= 0:
        raise ValueError(f"days: {days} must be above zero, or every record would go")
    return as_of - timedelta(days=days)
