"""Reminders about due dates, each once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Request
from include.privacy.ledger.request_models import Reminder
from include.privacy.ledger.rows import ReminderRow


def remind_once(session: Session, request_id: UUID, name: str, due_at: datetime) -> bool:
    """Whether this reminder is still to be given; true once per request, name and due date."""
    made = session.scalar(
        insert(Reminder)
        .values(request_id=request_id, name=name, due_at=due_at)
        .on_conflict_do_nothing()
        .returning(Reminder.name)
    )
    if made is None:
        return False
    state = session.scalar(select(Request.state).where(Request.id == request_id))
    append_evidence(
        session, "deadline", {"reminder": name, "due_at": due_at, "state": state}, request_id=request_id
    )
    return True


def reminders(session: Session, since: datetime | None = None) -> list[ReminderRow]:
    """Reminders about open requests that were given, all of them or those from ``since`` on."""
    query = (
        select(Reminder)
        .join(Request, Request.id == Reminder.request_id)
        .where(Request.closed_at.is_(None))
        .order_by(Reminder.due_at, Reminder.request_id, Reminder.name)
    )
    if since is not None:
        query = query.where(Reminder.reminded_at >= since)
    return [ReminderRow(r.request_id, r.name, r.due_at, r.reminded_at) for r in session.scalars(query)]
