"""Questions to the privacy team, and their answers. Plans beyond their guard have their own (``plans``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import LedgerError, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.request_models import Decision
from include.privacy.ledger.rows import DecisionRow
from include.privacy.ledger.sealing import Sealer


def ask_decision(
    session: Session,
    sealer: Sealer,
    kind: str,
    request_id: UUID,
    facts: Mapping[str, Any],
    options: Sequence[str],
    default_option: str,
    at: datetime,
    answer_by: datetime,
    asked_by: str | None = None,
) -> UUID:
    """Put a question, once while it is open; returns its id.

    ``facts`` are counts, rules and ids, nothing about the person. ``default_option`` is what silence
    means: it must never harm the person. ``asked_by``: the member of staff who wants it (sealed).
    """
    lock_for(session, "decision", kind, request_id)
    open_one = session.scalar(
        select(Decision.id).where(
            Decision.request_id == request_id, Decision.kind == kind, Decision.decided_at.is_(None)
        )
    )
    if open_one is not None:
        return open_one
    decision_id = uuid4()
    sealed = sealer.seal_note(asked_by, f"decision {decision_id} asked by") if asked_by else None
    session.add(
        Decision(
            id=decision_id,
            kind=kind,
            request_id=request_id,
            facts=impersonal(facts),
            options=list(options),
            default_option=default_option,
            asked_at=at,
            answer_by=answer_by,
            asked_by_sealed=sealed,
        )
    )
    session.flush()
    body = {"decision": decision_id, "kind": kind, "facts": facts, "answer_by": answer_by}
    append_evidence(session, "decision_asked", body, request_id=request_id)
    return decision_id


def answer_decision(
    session: Session,
    sealer: Sealer,
    decision_id: UUID,
    answer: str,
    reasons: str | None,
    decided_by: str | None,
    at: datetime,
) -> DecisionRow:
    """Write the answer down, once. ``decided_by`` is ``None`` when silence took the default.

    ``LedgerError`` when it was answered otherwise before, when the option does not exist, or when
    a refusal is confirmed by the very person who asked for it (two are needed).
    """
    record = session.get(Decision, decision_id, with_for_update=True, populate_existing=True)
    if record is None:
        raise NotInLedger(f"decision {decision_id} is not in the ledger")
    if record.answer is not None:
        if record.answer != answer:
            raise LedgerError(f"decision {decision_id} was already answered: {record.answer}")
        return decision_row(sealer, record)
    if answer not in record.options:
        raise LedgerError(f"answer one of: {', '.join(record.options)}")
    asked_by = _note(sealer, record.asked_by_sealed, f"decision {decision_id} asked by")
    if decided_by is not None and decided_by == asked_by and answer != record.default_option:
        raise LedgerError("whoever asked for this cannot also confirm it: a second person decides")
    record.answer, record.decided_at, record.by_default = answer, at, decided_by is None
    if reasons:
        record.sealed = sealer.seal_note(reasons, f"decision {decision_id} reasons")
    if decided_by:
        record.decided_by_sealed = sealer.seal_note(decided_by, f"decision {decision_id} decided by")
    session.flush()
    body = {
        "decision": decision_id,
        "kind": record.kind,
        "answer": answer,
        "by": "staff" if decided_by else "default",
        "reasons": bool(reasons),
    }
    append_evidence(session, "decision_made", body, request_id=record.request_id)
    return decision_row(sealer, record)


def present_decision(session: Session, decision_id: UUID, at: datetime) -> bool:
    """Whether this caller is the one to put the question to a person: true once per decision."""
    record = session.get(Decision, decision_id, with_for_update=True, populate_existing=True)
    if record is None or record.presented_at is not None or record.answer is not None:
        return False
    record.presented_at = at
    return True


def decision(session: Session, sealer: Sealer, decision_id: UUID) -> DecisionRow:
    """One decision, with the sealed reasons opened."""
    record = session.get(Decision, decision_id)
    if record is None:
        raise NotInLedger(f"decision {decision_id} is not in the ledger")
    return decision_row(sealer, record)


def decisions(
    session: Session, sealer: Sealer, *, request_id: UUID | None = None, open_only: bool = False
) -> list[DecisionRow]:
    """Decisions, the oldest first."""
    query = select(Decision).order_by(Decision.asked_at, Decision.id)
    if request_id is not None:
        query = query.where(Decision.request_id == request_id)
    if open_only:
        query = query.where(Decision.decided_at.is_(None))
    return [decision_row(sealer, r) for r in session.scalars(query)]


def decision_row(sealer: Sealer, r: Decision) -> DecisionRow:
    """What the ledger hands out of a decision."""
    return DecisionRow(
        id=r.id,
        kind=r.kind,
        request_id=r.request_id,
        facts=r.facts,
        options=tuple(r.options),
        default_option=r.default_option,
        asked_at=r.asked_at,
        answer_by=r.answer_by,
        presented_at=r.presented_at,
        answer=r.answer,
        decided_at=r.decided_at,
        by_default=r.by_default,
        reasons=_note(sealer, r.sealed, f"decision {r.id} reasons"),
        asked_by=_note(sealer, r.asked_by_sealed, f"decision {r.id} asked by"),
        decided_by=_note(sealer, r.decided_by_sealed, f"decision {r.id} decided by"),
    )


def _note(sealer: Sealer, sealed: bytes | None, context: str) -> str | None:
    return sealer.read_note(sealed, context) if sealed is not None else None
