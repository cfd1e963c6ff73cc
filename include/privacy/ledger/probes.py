"""Probes: what was looked for after deletion, at once and again days later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.models import PlanRecord, Probe
from include.privacy.ledger.plans import load_plan, move_plan
from include.privacy.ledger.rows import ProbeRow
from include.privacy.planning.models import ProbeResult


def schedule_probe(session: Session, plan_id: UUID, due_at: datetime) -> UUID:
    """Have the plan probed again at ``due_at``; scheduled twice, it is one probe."""
    load_plan(session, plan_id)
    new: UUID | None = session.scalar(
        insert(Probe)
        .values(id=uuid4(), plan_id=plan_id, due_at=due_at)
        .on_conflict_do_nothing()
        .returning(Probe.id)
    )
    if new is not None:
        return new
    return session.scalars(select(Probe.id).where(Probe.plan_id == plan_id, Probe.due_at == due_at)).one()


def due_probes(session: Session, as_of: datetime) -> list[ProbeRow]:
    """Scheduled probes whose time has come, the oldest first."""
    query = (
        select(Probe, PlanRecord)
        .join(PlanRecord, PlanRecord.id == Probe.plan_id)
        .where(Probe.done_at.is_(None), Probe.due_at <= as_of)
        .order_by(Probe.due_at, Probe.id)
    )
    return [
        ProbeRow(probe.id, plan.id, plan.cohort_id, plan.run_id, plan.store, probe.due_at)
        for probe, plan in session.execute(query).all()
    ]


def pending_probes(session: Session, cohort_id: UUID) -> int:
    """How many probes still need this cohort; at zero it can be destroyed."""
    query = (
        select(func.count())
        .select_from(Probe)
        .join(PlanRecord, PlanRecord.id == Probe.plan_id)
        .where(PlanRecord.cohort_id == cohort_id, Probe.done_at.is_(None))
    )
    return session.scalar(query) or 0


def record_probe(session: Session, plan_id: UUID, result: ProbeResult, as_of: datetime) -> None:
    """What a probe found. It completes the probe that was due by ``as_of``, or stands for itself.

    A clean one makes an executed plan ``probed``. One that finds something leaves a scheduled
    probe open, so that it is looked for again; the caller records the breach.
    """
    record = load_plan(session, plan_id, lock=True)
    body: Mapping[str, Any] = impersonal(
        {
            "plan": plan_id,
            "store": result.store,
            "as_of": as_of,
            "clean": result.clean,
            "checked_subjects": result.checked_subjects,
            "remaining": dict(result.remaining),
            "held_subjects": result.held_subjects,
        }
    )
    probe = session.scalar(
        select(Probe)
        .where(Probe.plan_id == plan_id, Probe.done_at.is_(None), Probe.due_at <= as_of)
        .order_by(Probe.due_at)
        .limit(1)
    ) or session.scalar(select(Probe).where(Probe.plan_id == plan_id, Probe.due_at == as_of))
    if probe is None:
        probe = Probe(id=uuid4(), plan_id=plan_id, due_at=as_of, done_at=as_of)
        session.add(probe)
    elif probe.body == body and record.state != "executed":
        return
    probe.clean, probe.body = result.clean, dict(body)
    probe.done_at = as_of if result.clean or probe.done_at is not None else None
    session.flush()
    append_evidence(session, "probe", body, run_id=record.run_id)
    if result.clean and record.state == "executed":
        move_plan(session, plan_id, "probed", None)
