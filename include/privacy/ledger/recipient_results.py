"""What became of processors' tasks, and what the records of requests say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence, append_many
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.keys import DataKey
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.request_models import RecipientOutcome, RecipientTask
from include.privacy.ledger.sealing import Sealer

MANUAL = "manual"
STILL_OPEN = ("queued", "pending", "failed", MANUAL)


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
    keys = task_keys(session, sealer, [t.key_id for t in tasks if t.key_id])
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
            task.sealed = keys[task.key_id].seal_json(dict(result.person), task_context(task.id))
    session.flush()
    if shredded:
        session.execute(delete(SealingKey).where(SealingKey.id.in_(shredded)))
    append_many(session, "recipient_task", run_id, evidence)
    mirror(session, changed)


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
    mirror(session, {(request_id, recipient)})
    return len(tasks)


def mirror(session: Session, changed: Collection[tuple[UUID, str]]) -> None:
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


def task_keys(session: Session, sealer: Sealer, ids: Sequence[UUID]) -> dict[UUID, DataKey]:
    """The keys of tasks, opened."""
    query = select(SealingKey.id, SealingKey.wrapped).where(SealingKey.id.in_(tuple(ids)))
    return {id_: DataKey(id_, sealer.unwrap(id_, wrapped)) for id_, wrapped in session.execute(query)}


def task_context(task_id: UUID) -> str:
    """What a sealed person belongs to."""
    return f"recipient task {task_id}"
