"""Plans: saved, parked, decided; and the intent that precedes every destruction."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotExecutable, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import text
from include.privacy.ledger.models import PlanRecord, Run
from include.privacy.ledger.rows import PlanRow
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import check
from include.privacy.planning.models import Plan


def plan_digest(plan: Plan) -> str:
    """SHA-256 of what the plan will do: equal for equal plans, whatever their ids."""
    content = plan.model_dump(mode="json", exclude={"id", "cohort_id"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def save_plan(session: Session, plan: Plan, run_id: UUID) -> Plan:
    """Store a plan by its id and return the one in force.

    A retry may replace a plan nobody has acted on; once it is parked, decided or begun, the first
    one stands and is returned.
    """
    record = session.get(PlanRecord, plan.id, with_for_update=True)
    body, digest = plan.model_dump(mode="json"), plan_digest(plan)
    if record is None:
        session.add(
            PlanRecord(
                id=plan.id,
                run_id=run_id,
                cohort_id=plan.cohort_id,
                store=plan.store,
                action=plan.action,
                rule=plan.rule,
                digest=digest,
                body=body,
                state="planned",
            )
        )
        session.flush()
    elif record.state != "planned" or record.digest == digest:
        return Plan.model_validate(record.body)
    else:
        record.body, record.digest, record.cohort_id = body, digest, plan.cohort_id
    append_evidence(session, "plan_saved", _facts(plan, digest), run_id=run_id)
    return plan


def plan(session: Session, plan_id: UUID) -> Plan:
    """The plan; :class:`NotInLedger` when there is none."""
    return Plan.model_validate(load_plan(session, plan_id).body)


def plan_state(session: Session, plan_id: UUID) -> str:
    """``planned``, ``awaiting_approval``, ``approved``, … (:data:`states.PLAN`)."""
    return load_plan(session, plan_id).state


def plans(session: Session, run_id: UUID) -> list[PlanRow]:
    """All plans of a run, in the order in which they were saved."""
    return _rows(session, PlanRecord.run_id == run_id)


def parked_plans(session: Session) -> list[PlanRow]:
    """Plans that wait for a decision, the oldest first."""
    return _rows(session, PlanRecord.state == "awaiting_approval")


def approved_plans(session: Session) -> list[Plan]:
    """Plans that were approved and not begun, the oldest first."""
    return [row.plan for row in _rows(session, PlanRecord.state == "approved")]


def park_plan(session: Session, plan_id: UUID, reason: str) -> None:
    """Ask for approval. An older plan of the same rule and store that still waits expires:
    nobody shall approve yesterday's count.
    """
    record = load_plan(session, plan_id, lock=True)
    if record.state in ("awaiting_approval", "approved", "rejected"):
        return
    move_plan(session, plan_id, "awaiting_approval", reason)
    if record.rule is None:
        return
    older = select(PlanRecord.id).where(
        PlanRecord.rule == record.rule,
        PlanRecord.store == record.store,
        PlanRecord.action == record.action,
        PlanRecord.state == "awaiting_approval",
        PlanRecord.id != plan_id,
        PlanRecord.saved_at <= record.saved_at,
    )
    for old in session.scalars(older).all():
        move_plan(session, old, "expired", "a newer plan of the same rule waits for approval")


def decide_plan(session: Session, sealer: Sealer, plan_id: UUID, approved: bool, by: str) -> None:
    """Approve or reject a parked plan; the same decision again changes nothing.

    ``by`` is a staff member: sealed, and in evidence only as a keyed hash.
    """
    record = load_plan(session, plan_id, lock=True)
    state = "approved" if approved else "rejected"
    if record.state == state:
        return
    check("plan", record.state, state)
    record.decided_by_sealed = sealer.seal_note(by, f"plan {plan_id} decided by")
    record.decided_at = func.now()
    move_plan(session, plan_id, state, None)
    body = {
        "plan": plan_id,
        "decision": state,
        "digest": record.digest,
        "by": sealer.match("staff", by).hex()[:16],
    }
    append_evidence(session, "plan_decided", body, run_id=record.run_id)


def decided_by(session: Session, sealer: Sealer, plan_id: UUID) -> str | None:
    """Who approved or rejected the plan."""
    sealed = load_plan(session, plan_id).decided_by_sealed
    return sealer.read_note(sealed, f"plan {plan_id} decided by") if sealed else None


def record_intent(session: Session, plan_id: UUID) -> None:
    """Say, before anything is destroyed, that the plan now begins; again (a retry) adds nothing.

    :class:`NotExecutable` when it waits for approval, was rejected or has expired. In a dry run
    the plan stays as it is.
    """
    record = load_plan(session, plan_id, lock=True)
    if record.state in ("awaiting_approval", "rejected", "expired"):
        raise NotExecutable(f"plan {plan_id} is {record.state}: {record.reason or 'no reason given'}")
    if record.state == "executing" or _dry(session, record):
        return
    move_plan(session, plan_id, "executing", None)
    plan = Plan.model_validate(record.body)
    append_evidence(session, "intent", _facts(plan, record.digest), run_id=record.run_id)


def move_plan(session: Session, plan_id: UUID, state: str, reason: str | None = None) -> None:
    """Change a plan's state, with evidence; :class:`IllegalTransition` when there is no such step."""
    record = load_plan(session, plan_id, lock=True)
    clean = text(reason) if reason else None
    if record.state == state:
        record.reason = clean
        return
    check("plan", record.state, state)
    body = {"plan": plan_id, "from": record.state, "to": state, "reason": clean}
    record.state, record.reason = state, clean
    session.flush()
    append_evidence(session, "plan_state", body, run_id=record.run_id)


def load_plan(session: Session, plan_id: UUID, *, lock: bool = False) -> PlanRecord:
    """The row itself, locked if asked."""
    found = session.get(PlanRecord, plan_id, with_for_update=lock or None)
    if found is None:
        raise NotInLedger(f"plan {plan_id} is not in the ledger; save it first")
    return found


def _dry(session: Session, record: PlanRecord) -> bool:
    return bool(session.scalar(select(Run.dry_run).where(Run.id == record.run_id)))


def _facts(plan: Plan, digest: str) -> dict[str, object]:
    return {
        "plan": plan.id,
        "store": plan.store,
        "action": plan.action,
        "rule": plan.rule,
        "cohort": plan.cohort_id,
        "digest": digest,
        "subjects": plan.subjects,
        "matched": plan.matched,
        "population": plan.population,
    }


def _rows(session: Session, condition: ColumnElement[bool]) -> list[PlanRow]:
    query = select(PlanRecord).where(condition).order_by(PlanRecord.saved_at, PlanRecord.id)
    return [
        PlanRow(Plan.model_validate(r.body), r.run_id, r.state, r.reason, r.saved_at, r.decided_at)
        for r in session.scalars(query)
    ]
