"""What the ledger hands out. Personal fields are left out of ``repr``, so that no log shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from include.privacy.planning.models import Outcome, Plan


@dataclass(frozen=True)
class RunRow:
    """A run; ``finished_at`` and ``summary`` are empty while it is open."""

    id: UUID
    kind: str
    key: str
    as_of: datetime
    dry_run: bool
    policy_version: str
    policy_digest: str
    started_at: datetime
    finished_at: datetime | None
    summary: Mapping[str, Any] | None


@dataclass(frozen=True)
class RequestRow:
    """A request; ``subject_key``, ``details`` and ``agent`` are ``None`` once it is closed.

    ``verification``: how the identity was established, as codes. ``due``: every clock that applies,
    with the calendar's version; ``due_at`` is the earliest of them.
    """

    id: UUID
    external_id: str
    right: str
    state: str
    reason: str | None
    channel: str
    received_at: datetime
    verified_at: datetime | None
    due_at: datetime
    subject_key: str | None = field(repr=False)
    details: Mapping[str, Any] | None = field(repr=False)
    joined_to: UUID | None
    run_id: UUID | None
    residual_until: datetime | None
    answer: Mapping[str, Any] | None
    closed_at: datetime | None
    verification: Mapping[str, Any]
    due: Mapping[str, Any]
    agent: Mapping[str, Any] | None = field(repr=False, default=None)


@dataclass(frozen=True)
class PlanRow:
    """A plan with its state and, where it was parked or failed, why."""

    plan: Plan
    run_id: UUID
    state: str
    reason: str | None
    saved_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True)
class OutcomeRow:
    """What one shard of a plan did."""

    plan_id: UUID
    store: str
    action: str
    rule: str | None
    shard: int
    outcome: Outcome


@dataclass(frozen=True)
class BatchRow:
    """A batch of objects that was intended and never reported done."""

    plan_id: UUID
    batch: int
    intended: int
    intended_at: datetime


@dataclass(frozen=True)
class HoldRow:
    """A legal hold. ``target`` is a subject key, ``store.collection`` or a store."""

    id: UUID
    scope: str
    placed_at: datetime
    released_at: datetime | None
    target: str | None = field(repr=False)
    matter: str | None = field(repr=False)
    reason: str | None = field(repr=False)
    placed_by: str | None = field(repr=False)


@dataclass(frozen=True)
class ProbeRow:
    """A probe that is due."""

    id: UUID
    plan_id: UUID
    cohort_id: UUID | None
    run_id: UUID
    store: str
    due_at: datetime


@dataclass(frozen=True)
class BreachRow:
    """Something personal past its limit, not yet resolved."""

    id: UUID
    rule: str
    store: str
    count: int
    oldest_overdue: timedelta | None
    note: str
    opened_at: datetime
    last_seen_at: datetime
    first_run_id: UUID
    last_run_id: UUID


@dataclass(frozen=True)
class QuarantineRow:
    """Bad input kept for a person to look at; ``payload`` as it came."""

    id: UUID
    source: str
    reason: str
    seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    external_id: str = field(repr=False)
    payload: Any = field(repr=False)


@dataclass(frozen=True)
class LetterRow:
    """A letter to the person of a request; the provider knows it by its opaque ``reference``."""

    request_id: UUID
    kind: str
    state: str
    reference: str
    claimed_at: datetime
    settled_at: datetime | None
    provider_id: str | None
    attempts: int


@dataclass(frozen=True)
class ArchiveRow:
    """An archive made for a request; without ``object_key`` it was begun and never finished."""

    id: UUID
    request_id: UUID
    store: str
    object_key: str | None
    object_version: str | None
    size: int | None
    sha256: str | None
    created_at: datetime
    expires_at: datetime
    deleted_at: datetime | None
    delete_reason: str | None


@dataclass(frozen=True)
class DecisionRow:
    """A question to the privacy team. ``facts``: counts, rules, ids; ``reasons`` were sealed."""

    id: UUID
    kind: str
    request_id: UUID
    facts: Mapping[str, Any]
    options: tuple[str, ...]
    default_option: str
    asked_at: datetime
    answer_by: datetime
    presented_at: datetime | None
    answer: str | None
    decided_at: datetime | None
    by_default: bool | None
    reasons: str | None = field(repr=False, default=None)
    asked_by: str | None = field(repr=False, default=None)
    decided_by: str | None = field(repr=False, default=None)


@dataclass(frozen=True)
class RecipientRow:
    """What one recipient did about a request; ``open`` while it is not settled."""

    request_id: UUID
    recipient: str
    state: str
    until: datetime | None
    detail: Mapping[str, Any]
    recorded_at: datetime

    @property
    def open(self) -> bool:
        """Whether the request still waits for this recipient."""
        return self.state in ("pending", "failed", "manual")


@dataclass(frozen=True)
class RecipientTaskRow:
    """What a processor has to do about one person; ``person`` is ``None`` once it is settled."""

    id: UUID
    recipient: str
    action: str
    request_id: UUID | None
    state: str
    until: datetime | None
    next_at: datetime | None
    attempts: int
    outcomes: tuple[Mapping[str, Any], ...]
    person: Mapping[str, Any] | None = field(repr=False)
    settled_at: datetime | None


@dataclass(frozen=True)
class ReminderRow:
    """A reminder that was given."""

    request_id: UUID
    name: str
    due_at: datetime
    reminded_at: datetime


@dataclass(frozen=True)
class CallbackAddress:
    """Where a controller wants to be told about a request, and which statuses were queued for it."""

    request_id: UUID
    url: str
    told: frozenset[str]
    last_queued_at: datetime


@dataclass(frozen=True)
class CallbackRow:
    """A status to be told to a controller."""

    id: UUID
    request_id: UUID
    url: str
    status: str
    queued_at: datetime
    next_at: datetime
    attempts: int
