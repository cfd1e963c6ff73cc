"""What a later run needs to go on with: plans not finished, their outcomes, the cohorts of requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from include.privacy.ledger.models import CohortHead, CohortRequest, OutcomeRecord, PlanRecord, Probe, Run
from include.privacy.ledger.rows import OutcomeRow, PlanRow
from include.privacy.planning.models import Outcome, Plan


def plans_in(session: Session, states: Iterable[str], *, kind: str) -> list[PlanRow]:
    """Plans of live runs of that kind in these states, the oldest first; not those of destroyed cohorts."""
    query = (
        select(PlanRecord)
        .join(Run, Run.id == PlanRecord.run_id)
        .outerjoin(CohortHead, CohortHead.id == PlanRecord.cohort_id)
        .where(
            Run.kind == kind,
            Run.dry_run.is_(False),
            PlanRecord.state.in_(tuple(states)),
            CohortHead.destroyed_at.is_(None),
        )
        .order_by(PlanRecord.saved_at, PlanRecord.id)
    )
    return [
        PlanRow(Plan.model_validate(r.body), r.run_id, r.state, r.reason, r.saved_at, r.decided_at)
        for r in session.scalars(query)
    ]


def plan_outcomes(session: Session, plan_id: UUID) -> list[OutcomeRow]:
    """What each shard of one plan reported last."""
    query = (
        select(OutcomeRecord, PlanRecord)
        .join(PlanRecord, PlanRecord.id == OutcomeRecord.plan_id)
        .where(PlanRecord.id == plan_id)
        .order_by(OutcomeRecord.shard)
    )
    return [
        OutcomeRow(p.id, p.store, p.action, p.rule, o.shard, Outcome(**o.body))
        for o, p in session.execute(query).all()
    ]


def cohorts_of_requests(session: Session, request_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Request → the living cohort in which an earlier run froze its person, the newest one."""
    rows = session.execute(
        select(CohortRequest.request_id, CohortRequest.cohort_id)
        .join(CohortHead, CohortHead.id == CohortRequest.cohort_id)
        .where(CohortRequest.request_id.in_(tuple(request_ids)), CohortHead.destroyed_at.is_(None))
        .order_by(CohortHead.frozen_at)
    )
    return {row.request_id: row.cohort_id for row in rows}


def cohorts_without_probes(session: Session) -> list[UUID]:
    """Living cohorts of live runs that were probed for the last time: all plans probed, no probe pending."""
    plans = select(PlanRecord.cohort_id).where(PlanRecord.cohort_id.is_not(None))
    unfinished = plans.where(PlanRecord.state != "probed")
    pending = plans.join(Probe, Probe.plan_id == PlanRecord.id).where(Probe.done_at.is_(None))
    probed_again = (
        plans.join(Probe, Probe.plan_id == PlanRecord.id)
        .group_by(PlanRecord.cohort_id, PlanRecord.id)
        .having(func.count(Probe.done_at) > 1)
    )
    second = select(CohortHead.id).where(CohortHead.origin.startswith("second_probe "))
    return list(
        session.scalars(
            select(CohortHead.id).where(
                CohortHead.destroyed_at.is_(None),
                or_(
                    and_(CohortHead.id.in_(probed_again), CohortHead.id.not_in(unfinished)),
                    and_(CohortHead.id.in_(second), CohortHead.id.in_(plans)),
                ),
                CohortHead.id.not_in(pending),
            )
        )
    )
