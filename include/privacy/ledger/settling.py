"""Decisions on their way: to be put to a person, put again, and made but not yet carried out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.orm import Session

from include.privacy.ledger.decisions import decision_row
from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Evidence, Request
from include.privacy.ledger.request_models import Decision
from include.privacy.ledger.requests import load_request, move
from include.privacy.ledger.rows import DecisionRow
from include.privacy.ledger.sealing import Sealer

APPLIED = "decision_applied"
ASKED_AGAIN = "decision_asked_again"
PARKING = ("exception", "objection", "refusal")
"""Kinds for which the request waits; an extension is decided while the work goes on."""


def decisions_to_present(
    session: Session, sealer: Sealer, as_of: datetime, limit: int = 100
) -> list[tuple[DecisionRow, int]]:
    """Open questions of open requests that nobody sees yet, the most urgent first.

    With how often each had to be put again. What is to be answered by ``as_of`` is left to its default.
    """
    query = (
        select(Decision, _noted(ASKED_AGAIN).with_only_columns(func.count()).scalar_subquery())
        .join(Request, Request.id == Decision.request_id)
        .where(
            Decision.decided_at.is_(None),
            Decision.presented_at.is_(None),
            Decision.answer_by > as_of,
            Request.closed_at.is_(None),
        )
        .order_by(Decision.answer_by, Decision.id)
        .limit(limit)
    )
    return [(decision_row(sealer, record), again) for record, again in session.execute(query).all()]


def ask_again(session: Session, decision_id: UUID, why: str) -> bool:
    """Put the question once more, unless it was answered; true when it is to be put."""
    record = _load(session, decision_id)
    if record.answer is not None:
        return False
    if record.presented_at is not None:
        record.presented_at = None
        session.flush()
        body = {"decision": decision_id, "kind": record.kind, "why": why}
        append_evidence(session, ASKED_AGAIN, body, request_id=record.request_id)
    return True


def unapplied_decisions(session: Session, sealer: Sealer) -> list[DecisionRow]:
    """Decisions that were made on open requests and have not taken effect, the oldest first."""
    query = (
        select(Decision)
        .join(Request, Request.id == Decision.request_id)
        .where(Decision.decided_at.is_not(None), Request.closed_at.is_(None), ~_noted(APPLIED).exists())
        .order_by(Decision.decided_at, Decision.id)
    )
    return [decision_row(sealer, record) for record in session.scalars(query)]


def settle_decision(session: Session, decision_id: UUID, state: str | None, outcome: str) -> bool:
    """The decision has taken effect; a request that waited for it becomes ``state``. True once.

    The request goes on waiting while another question about it is open. One that is not waiting any more
    (taken back, closed) stays as it is.
    """
    record = _load(session, decision_id)
    applied = select(Decision.id).where(Decision.id == decision_id, _noted(APPLIED).exists())
    if session.scalar(applied) is not None:
        return False
    request = load_request(session, record.request_id)
    if state is not None and request.state == "awaiting_decision" and not _others(session, record):
        by = "default" if record.by_default else "staff"
        move(session, request, state, f"{record.kind}: {record.answer}", by=by)
    body = {"decision": decision_id, "kind": record.kind, "answer": record.answer, "outcome": outcome}
    append_evidence(session, APPLIED, body, request_id=record.request_id)
    return True


def _noted(kind: str) -> Select[Evidence]:
    """Evidence of that kind about the decision of the query around it."""
    return (
        select(Evidence)
        .where(
            Evidence.kind == kind,
            Evidence.request_id == Decision.request_id,
            Evidence.body["decision"].astext == cast(Decision.id, Text),
        )
        .correlate(Decision)
    )


def _others(session: Session, record: Decision) -> bool:
    query = select(Decision.id).where(
        Decision.request_id == record.request_id,
        Decision.id != record.id,
        Decision.kind.in_(PARKING),
        Decision.decided_at.is_(None),
    )
    return session.scalar(query.limit(1)) is not None


def _load(session: Session, decision_id: UUID) -> Decision:
    record = session.get(Decision, decision_id, with_for_update=True, populate_existing=True)
    if record is None:
        raise NotInLedger(f"decision {decision_id} is not in the ledger")
    return record
