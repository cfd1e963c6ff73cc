"""Reminders about due dates, each once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Reminder, Request


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
