"""What processors have to do about people: one task per person and processor, for months if it takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.keys import DataKey
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.recipient_results import MANUAL, mirror, task_context, task_keys
from include.privacy.ledger.request_models import RecipientTask
from include.privacy.ledger.rows import RecipientTaskRow
from include.privacy.ledger.sealing import Sealer


@dataclass(frozen=True)
class NewRecipientTask:
    """A task to be opened. ``id`` follows from person, recipient and action: opening twice changes nothing.

    ``person`` is JSON (who it is there, what is wanted), sealed until the task is settled.
    """

    id: UUID
    recipient: str
    action: str
    request_id: UUID | None
    person: Mapping[str, Any] = field(repr=False)


def open_recipient_tasks(
    session: Session, sealer: Sealer, run_id: UUID, tasks: Iterable[NewRecipientTask], at: datetime
) -> int:
    """Queue the tasks that do not exist yet; returns how many those are."""
    wanted = {task.id: task for task in tasks}
    known = set(session.scalars(select(RecipientTask.id).where(RecipientTask.id.in_(tuple(wanted)))))
    fresh = [task for id_, task in wanted.items() if id_ not in known]
    if not fresh:
        return 0
    keys, rows = [], []
    for task in fresh:
        key_id = uuid4()
        secret, wrapped = sealer.new_key(key_id)
        sealed = DataKey(key_id, secret).seal_json(dict(task.person), task_context(task.id))
        keys.append({"id": key_id, "purpose": "recipient_task", "wrapped": wrapped})
        rows.append(
            {
                "id": task.id,
                "recipient": task.recipient,
                "action": task.action,
                "request_id": task.request_id,
                "run_id": run_id,
                "state": "queued",
                "next_at": at,
                "opened_at": at,
                "key_id": key_id,
                "sealed": sealed,
            }
        )
    session.execute(insert(SealingKey), keys)
    made = set(
        session.scalars(upsert(RecipientTask).on_conflict_do_nothing().returning(RecipientTask.id), rows)
    )
    lost = [row["key_id"] for row in rows if row["id"] not in made]
    if lost:
        session.execute(delete(SealingKey).where(SealingKey.id.in_(lost)))
    opened = [task for task in fresh if task.id in made]
    mirror(session, {(t.request_id, t.recipient) for t in opened if t.request_id})
    counts = Counter(task.recipient for task in opened)
    append_evidence(session, "recipient_tasks", {"opened": counts}, run_id=run_id)
    return len(opened)


def claim_recipient_tasks(
    session: Session,
    sealer: Sealer,
    recipient: str,
    as_of: datetime,
    *,
    limit: int,
    lease: timedelta = timedelta(minutes=30),
) -> list[RecipientTaskRow]:
    """Tasks whose time has come, kept from others for ``lease``; the longest due first.

    After a crash they are due again when the lease is over.
    """
    query = (
        select(RecipientTask)
        .where(
            RecipientTask.recipient == recipient,
            RecipientTask.settled_at.is_(None),
            RecipientTask.state != MANUAL,
            RecipientTask.next_at <= as_of,
        )
        .order_by(RecipientTask.next_at, RecipientTask.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = session.scalars(query).all()
    ids = tuple(task.id for task in claimed)
    session.execute(
        update(RecipientTask).where(RecipientTask.id.in_(ids)).values(next_at=as_of + lease),
        execution_options={"synchronize_session": False},
    )
    return _rows(session, sealer, ids)


def due_recipients(session: Session, as_of: datetime) -> dict[str, int]:
    """Recipient → how many tasks are due."""
    query = (
        select(RecipientTask.recipient, func.count().label("tasks"))
        .where(
            RecipientTask.settled_at.is_(None),
            RecipientTask.state != MANUAL,
            RecipientTask.next_at <= as_of,
        )
        .group_by(RecipientTask.recipient)
        .order_by(RecipientTask.recipient)
    )
    return {row.recipient: row.tasks for row in session.execute(query)}


def recipient_tasks(
    session: Session, sealer: Sealer, request_id: UUID, *, open_only: bool = False
) -> list[RecipientTaskRow]:
    """The tasks of a request."""
    query = select(RecipientTask.id).where(RecipientTask.request_id == request_id)
    if open_only:
        query = query.where(RecipientTask.settled_at.is_(None))
    return _rows(session, sealer, tuple(session.scalars(query)))


def release_recipient_tasks(session: Session, task_ids: Collection[UUID], at: datetime) -> None:
    """Give claimed tasks back: they are due again at that instant, as they were."""
    session.execute(
        update(RecipientTask)
        .where(RecipientTask.id.in_(tuple(task_ids)), RecipientTask.settled_at.is_(None))
        .values(next_at=at),
        execution_options={"synchronize_session": False},
    )


def failing_recipients(session: Session) -> dict[str, int]:
    """Recipient → how many of its tasks did not go well the last time."""
    query = (
        select(RecipientTask.recipient, func.count().label("tasks"))
        .where(RecipientTask.settled_at.is_(None), RecipientTask.state == "failed")
        .group_by(RecipientTask.recipient)
        .order_by(RecipientTask.recipient)
    )
    return {row.recipient: row.tasks for row in session.execute(query)}


def _rows(session: Session, sealer: Sealer, ids: Collection[UUID]) -> list[RecipientTaskRow]:
    query = (
        select(RecipientTask)
        .where(RecipientTask.id.in_(tuple(ids)))
        .order_by(RecipientTask.opened_at, RecipientTask.id)
    )
    tasks = session.scalars(query, execution_options={"populate_existing": True}).all()
    keys = task_keys(session, sealer, [t.key_id for t in tasks if t.key_id])
    return [
        RecipientTaskRow(
            t.id,
            t.recipient,
            t.action,
            t.request_id,
            t.state,
            t.until,
            t.next_at,
            t.attempts,
            tuple(t.outcomes),
            keys[t.key_id].read_json(t.sealed, task_context(t.id)) if t.key_id and t.sealed else None,
            t.settled_at,
        )
        for t in tasks
    ]
