"""What processors have to do about people: one task per person and processor, for months if it takes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence, append_many
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.keys import DataKey
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.request_models import RecipientOutcome, RecipientTask
from include.privacy.ledger.rows import RecipientTaskRow
from include.privacy.ledger.sealing import Sealer

MANUAL = "manual"
STILL_OPEN = ("queued", "pending", "failed", MANUAL)


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


@dataclass(frozen=True)
class TaskResult:
    """What became of a task. ``next_at``: when to go on; ``None`` settles it, unless it is ``manual``.

    ``outcomes``: per kind of object, codes and counts only. ``person`` replaces what is sealed.
    """

    id: UUID
    state: str
    until: datetime | None
    next_at: datetime | None
    outcomes: Sequence[Mapping[str, Any]]
    person: Mapping[str, Any] = field(default_factory=dict, repr=False)


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
        sealed = DataKey(key_id, secret).seal_json(dict(task.person), _context(task.id))
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
    _mirror(session, {(t.request_id, t.recipient) for t in opened if t.request_id})
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


def record_task_results(
    session: Session, sealer: Sealer, run_id: UUID, results: Sequence[TaskResult], at: datetime
) -> None:
    """Put results on record, in one transaction; a settled task's key is destroyed with it.

    Requests see the change in what is recorded of their recipients. A task that is settled stays so.
    """
    by_id = {result.id: result for result in results}
    query = (
        select(RecipientTask)
        .where(RecipientTask.id.in_(tuple(by_id)), RecipientTask.settled_at.is_(None))
        .order_by(RecipientTask.id)
        .with_for_update()
    )
    tasks = session.scalars(query, execution_options={"populate_existing": True}).all()
    keys = _keys(session, sealer, [t.key_id for t in tasks if t.key_id])
    shredded: list[UUID] = []
    changed: set[tuple[UUID, str]] = set()
    evidence: list[tuple[UUID | None, Mapping[str, Any]]] = []
    for task in tasks:
        result = by_id[task.id]
        outcomes = impersonal(list(result.outcomes))
        if (task.state, task.until, task.outcomes) != (result.state, result.until, outcomes):
            evidence.append(
                (
                    task.request_id,
                    {
                        "task": task.id,
                        "recipient": task.recipient,
                        "action": task.action,
                        "state": result.state,
                        "until": result.until,
                        "outcomes": outcomes,
                    },
                )
            )
            if task.request_id:
                changed.add((task.request_id, task.recipient))
        task.state, task.until, task.outcomes = result.state, result.until, outcomes
        task.attempts += 1
        task.next_at = result.next_at
        if result.next_at is None and result.state not in STILL_OPEN:
            shredded.append(task.key_id) if task.key_id else None
            task.settled_at, task.sealed, task.key_id = at, None, None
        elif task.key_id:
            task.sealed = keys[task.key_id].seal_json(dict(result.person), _context(task.id))
    session.flush()
    if shredded:
        session.execute(delete(SealingKey).where(SealingKey.id.in_(shredded)))
    append_many(session, "recipient_task", run_id, evidence)
    _mirror(session, changed)


def settle_by_hand(
    session: Session,
    request_id: UUID,
    recipient: str,
    state: str,
    proof: str,
    at: datetime,
    until: datetime | None = None,
) -> int:
    """What staff have seen to themselves; returns how many tasks that settled.

    ``proof``: the number under which the recipient's answer is filed. Raises :class:`NotInLedger` when
    nothing of this request waits for the recipient.
    """
    query = select(RecipientTask).where(
        RecipientTask.request_id == request_id,
        RecipientTask.recipient == recipient,
        RecipientTask.settled_at.is_(None),
    )
    tasks = session.scalars(query.with_for_update()).all()
    if not tasks:
        raise NotInLedger(f"request {request_id} does not wait for {recipient!r}")
    keys = [task.key_id for task in tasks if task.key_id]
    for task in tasks:
        task.state, task.until, task.next_at, task.settled_at = state, until, None, at
        task.sealed = task.key_id = None
    session.flush()
    session.execute(delete(SealingKey).where(SealingKey.id.in_(keys)))
    body = {"recipient": recipient, "state": state, "until": until, "proof": proof, "by": "staff"}
    append_evidence(session, "recipient_settled_by_hand", body, request_id=request_id)
    _mirror(session, {(request_id, recipient)})
    return len(tasks)


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


def _mirror(session: Session, changed: Collection[tuple[UUID, str]]) -> None:
    """What the requests' records say of the recipients: the task that weighs most, and all objects."""
    if not changed:
        return
    wanted = tuple({request_id for request_id, _ in changed})
    by_pair: dict[tuple[UUID, str], list[RecipientTask]] = defaultdict(list)
    for task in session.scalars(select(RecipientTask).where(RecipientTask.request_id.in_(wanted))):
        if task.request_id:
            by_pair[task.request_id, task.recipient].append(task)
    rows = []
    for request_id, recipient in sorted(changed, key=str):
        tasks = by_pair[request_id, recipient]
        heaviest = min(tasks, key=lambda task: _WEIGHT.index(task.state))
        rows.append(
            {
                "request_id": request_id,
                "recipient": recipient,
                "state": "pending" if heaviest.state == "queued" else heaviest.state,
                "until": max((t.until for t in tasks if t.until and t.state == heaviest.state), default=None),
                "detail": {"objects": [outcome for task in tasks for outcome in task.outcomes]},
            }
        )
    new = upsert(RecipientOutcome)
    values = {name: new.excluded[name] for name in ("state", "until", "detail")} | {"recorded_at": func.now()}
    session.execute(
        new.on_conflict_do_update(index_elements=["request_id", "recipient"], set_=values),
        rows,
        execution_options={"populate_existing": True},
    )


_WEIGHT = (
    "failed",
    "queued",
    "pending",
    "manual",
    "retained",
    "redacted",
    "erased",
    "corrected",
    "stopped",
    "not_held",
)


def _rows(session: Session, sealer: Sealer, ids: Collection[UUID]) -> list[RecipientTaskRow]:
    query = (
        select(RecipientTask)
        .where(RecipientTask.id.in_(tuple(ids)))
        .order_by(RecipientTask.opened_at, RecipientTask.id)
    )
    tasks = session.scalars(query, execution_options={"populate_existing": True}).all()
    keys = _keys(session, sealer, [t.key_id for t in tasks if t.key_id])
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
            keys[t.key_id].read_json(t.sealed, _context(t.id)) if t.key_id and t.sealed else None,
            t.settled_at,
        )
        for t in tasks
    ]


def _keys(session: Session, sealer: Sealer, ids: Sequence[UUID]) -> dict[UUID, DataKey]:
    query = select(SealingKey.id, SealingKey.wrapped).where(SealingKey.id.in_(tuple(ids)))
    return {id_: DataKey(id_, sealer.unwrap(id_, wrapped)) for id_, wrapped in session.execute(query)}


def _context(task_id: UUID) -> str:
    return f"recipient task {task_id}"
