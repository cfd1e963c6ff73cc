"""Reminders about due dates, each once; and callbacks that a controller waits for, at least once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Callback, Reminder, Request
from include.privacy.ledger.rows import CallbackRow


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


def queue_callback(session: Session, request_id: UUID, url: str, status: str, at: datetime) -> None:
    """Have a controller told a status; the same one once per address."""
    session.execute(
        insert(Callback)
        .values(id=uuid4(), request_id=request_id, url=url, status=status, queued_at=at, next_at=at)
        .on_conflict_do_nothing()
    )


def due_callbacks(session: Session, as_of: datetime, limit: int = 100) -> list[CallbackRow]:
    """Callbacks that are to be tried now, the oldest first."""
    query = (
        select(Callback)
        .where(Callback.delivered_at.is_(None), Callback.given_up_at.is_(None), Callback.next_at <= as_of)
        .order_by(Callback.queued_at, Callback.id)
        .limit(limit)
    )
    return [
        CallbackRow(c.id, c.request_id, c.url, c.status, c.queued_at, c.next_at, c.attempts)
        for c in session.scalars(query)
    ]


def record_callback(
    session: Session,
    callback_id: UUID,
    *,
    delivered_at: datetime | None = None,
    next_at: datetime | None = None,
    given_up_at: datetime | None = None,
) -> None:
    """A try is over: delivered, to be repeated at ``next_at``, or given up."""
    values = {"delivered_at": delivered_at, "given_up_at": given_up_at, "attempts": Callback.attempts + 1}
    if next_at is not None:
        values["next_at"] = next_at
    request_id = session.scalar(
        update(Callback).where(Callback.id == callback_id).values(values).returning(Callback.request_id)
    )
    outcome = "delivered" if delivered_at else "given_up" if given_up_at else "to_be_repeated"
    append_evidence(session, "callback", {"callback": callback_id, "outcome": outcome}, request_id=request_id)
