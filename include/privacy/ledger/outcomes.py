"""Outcomes per shard, and the batches of object stores."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.claims import renew_claims
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.models import Batch, OutcomeRecord, PlanRecord
from include.privacy.ledger.plans import load_plan, move_plan
from include.privacy.ledger.rows import BatchRow, OutcomeRow
from include.privacy.planning.models import Outcome, Plan


def record_outcome(session: Session, plan_id: UUID, shard: int, outcome: Outcome) -> None:
    """What a shard did; a retry replaces it, and every different report is evidence.

    When the last shard has reported, an executing plan becomes ``executed``.
    """
    record = load_plan(session, plan_id, lock=True)
    body = impersonal(asdict(outcome))
    known = session.get(OutcomeRecord, (plan_id, shard))
    if known is None or known.body != body:
        values = {"body": body, "recorded_at": func.now()}
        session.execute(
            insert(OutcomeRecord)
            .values(plan_id=plan_id, shard=shard, **values)
            .on_conflict_do_update(index_elements=["plan_id", "shard"], set_=values)
        )
        evidence = {"plan": plan_id, "shard": shard, "action": record.action, **body}
        append_evidence(session, "outcome", evidence, run_id=record.run_id)
    renew_claims(session, record.run_id)
    reported = session.scalar(select(func.count()).where(OutcomeRecord.plan_id == plan_id)) or 0
    if record.state == "executing" and reported >= Plan.model_validate(record.body).shards:
        move_plan(session, plan_id, "executed", None)


def outcomes(session: Session, run_id: UUID) -> list[OutcomeRow]:
    """Every shard's outcome of every plan of the run."""
    query = (
        select(OutcomeRecord, PlanRecord)
        .join(PlanRecord, PlanRecord.id == OutcomeRecord.plan_id)
        .where(PlanRecord.run_id == run_id)
        .order_by(PlanRecord.saved_at, PlanRecord.id, OutcomeRecord.shard)
    )
    return [
        OutcomeRow(p.id, p.store, p.action, p.rule, o.shard, Outcome(**o.body))
        for o, p in session.execute(query).all()
    ]


def record_batch_intent(session: Session, plan_id: UUID, batch: int, count: int) -> None:
    """A batch of ``count`` objects is about to be deleted; a retry renews it."""
    values = {"intended": count, "intended_at": func.now(), "removed": None, "failed": None, "done_at": None}
    session.execute(
        insert(Batch)
        .values(plan_id=plan_id, batch=batch, **values)
        .on_conflict_do_update(index_elements=["plan_id", "batch"], set_=values)
    )


def record_batch_done(session: Session, plan_id: UUID, batch: int, removed: int, failed: int = 0) -> None:
    """The batch came back: so many objects removed, so many refused by the store."""
    session.execute(
        update(Batch)
        .where(Batch.plan_id == plan_id, Batch.batch == batch)
        .values(removed=removed, failed=failed, done_at=func.now())
    )


def open_batches(session: Session, plan_id: UUID) -> list[BatchRow]:
    """Batches that were intended and never came back: what a crash left in doubt."""
    query = select(Batch).where(Batch.plan_id == plan_id, Batch.done_at.is_(None)).order_by(Batch.batch)
    return [BatchRow(b.plan_id, b.batch, b.intended, b.intended_at) for b in session.scalars(query)]
