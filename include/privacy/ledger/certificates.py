"""Certificates of erasure as the ledger keeps them, and the records that they are made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence_rows import Certificate
from include.privacy.ledger.models import CohortHead, OutcomeRecord, PlanRecord, Probe, Request
from include.privacy.planning.models import Outcome, Plan

CARRIED_OUT = "erasure_carried_out"
"""Evidence that a request's plans were executed and probed; it names them."""


@dataclass(frozen=True)
class CertificateRow:
    """A version of a certificate; ``body`` is the whole document."""

    request_id: UUID
    version: int
    statement_digest: str
    body: Mapping[str, Any]
    issued_at: datetime


@dataclass(frozen=True)
class PlanRecords:
    """A plan, what its shards did, what its probes found (instant, clean), and when the next is ``due``."""

    plan: Plan
    digest: str
    outcomes: Sequence[Outcome]
    probes: Sequence[tuple[datetime, bool]] = ()
    due: datetime | None = None


@dataclass
class _Probes:
    done: list[tuple[datetime, bool]] = field(default_factory=list)
    due: datetime | None = None


def newest_certificate(session: Session, request_id: UUID) -> CertificateRow | None:
    """The version that is in force."""
    query = select(Certificate).where(Certificate.request_id == request_id)
    found = session.scalar(query.order_by(Certificate.version.desc()).limit(1))
    if found is None:
        return None
    return CertificateRow(
        found.request_id, found.version, found.statement_digest, found.body, found.issued_at
    )


def keep_certificate(session: Session, row: CertificateRow) -> bool:
    """Keep a version; false when another task has kept one under that number."""
    values = {
        "request_id": row.request_id,
        "version": row.version,
        "statement_digest": row.statement_digest,
        "body": dict(row.body),
        "issued_at": row.issued_at,
    }
    new = session.scalar(
        insert(Certificate).values(values).on_conflict_do_nothing().returning(Certificate.version)
    )
    return new is not None


def requests_to_certify(session: Session, closed_since: datetime) -> list[UUID]:
    """Requests for erasure that were carried out: without a certificate, or closed since that instant."""
    certified = select(Certificate.request_id)
    query = (
        select(Request.id)
        .where(
            Request.right == "erasure",
            Request.state.in_(("completed", "completed_with_retention")),
            Request.joined_to.is_(None),
            or_(Request.closed_at >= closed_since, Request.id.not_in(certified)),
        )
        .order_by(Request.closed_at, Request.id)
    )
    return list(session.scalars(query))


def plan_records(session: Session, plan_ids: Collection[UUID]) -> list[PlanRecords]:
    """Plans with outcomes and probes, in the order in which they were saved.

    Where somebody was kept back, the others are probed again under plans of their own; those count here too.
    """
    rows = session.scalars(
        select(PlanRecord)
        .where(PlanRecord.id.in_(tuple(plan_ids)))
        .order_by(PlanRecord.saved_at, PlanRecord.id)
    ).all()
    outcomes: dict[UUID, list[Outcome]] = defaultdict(list)
    shards = select(OutcomeRecord).where(OutcomeRecord.plan_id.in_(tuple(plan_ids)))
    for done in session.scalars(shards.order_by(OutcomeRecord.plan_id, OutcomeRecord.shard)):
        outcomes[done.plan_id].append(Outcome(**done.body))
    made = []
    for row in rows:
        probes = _probes(session, row)
        made.append(
            PlanRecords(
                Plan.model_validate(row.body), row.digest, outcomes[row.id], tuple(probes.done), probes.due
            )
        )
    return made


def _probes(session: Session, plan: PlanRecord) -> _Probes:
    again = select(CohortHead.id).where(CohortHead.origin == func.concat("second_probe ", plan.cohort_id))
    same = select(PlanRecord.id).where(
        or_(
            PlanRecord.id == plan.id,
            (PlanRecord.store == plan.store) & PlanRecord.cohort_id.in_(again),
        )
    )
    found = _Probes()
    for probe in session.scalars(select(Probe).where(Probe.plan_id.in_(same)).order_by(Probe.due_at)):
        if probe.done_at is None:
            found.due = found.due or probe.due_at
        else:
            found.done.append((probe.done_at, bool(probe.clean)))
    return found
