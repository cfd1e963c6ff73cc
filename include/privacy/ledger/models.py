"""The ledger's tables. The migrations create them; a test compares the two."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, func, text
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base


class StateTransition(Base):
    """An allowed step of a state machine; written by ``migrate``, read by the trigger."""

    __tablename__ = "state_transition"
    machine: Mapped[str] = mapped_column(primary_key=True)
    from_state: Mapped[str] = mapped_column(primary_key=True)
    to_state: Mapped[str] = mapped_column(primary_key=True)


class SealingKey(Base):
    """A wrapped data key; deleting the row shreds everything it sealed."""

    __tablename__ = "sealing_key"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PolicyVersion(Base):
    """A configuration that runs have used: version of the policy and digest of all config files."""

    __tablename__ = "policy_version"
    version: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    effective: Mapped[date]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Run(Base):
    """One run of one use case."""

    __tablename__ = "run"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    key: Mapped[str]
    as_of: Mapped[datetime]
    dry_run: Mapped[bool]
    policy_version: Mapped[str]
    policy_digest: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    summary: Mapped[dict[str, Any] | None]


class Request(Base):
    """A person's request. What identifies the person is sealed; a closed one has nothing of it."""

    __tablename__ = "request"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True)
    right: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    channel: Mapped[str]
    received_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    subject_match: Mapped[bytes | None]
    subject_sealed: Mapped[bytes | None]
    details_sealed: Mapped[bytes | None]
    content_match: Mapped[bytes | None]
    agent_sealed: Mapped[bytes | None]
    verification: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    due: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    joined_to: Mapped[UUID | None] = mapped_column(ForeignKey("ledger.request.id", ondelete="SET NULL"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey(Run.id))
    claimed_at: Mapped[datetime | None]
    residual_until: Mapped[datetime | None]
    answer: Mapped[dict[str, Any] | None]
    closed_at: Mapped[datetime | None]


class Quarantined(Base):
    """Bad input from outside, sealed, with the reason in plain."""

    __tablename__ = "quarantine"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str]
    external_match: Mapped[bytes]
    reason: Mapped[str]
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    sealed: Mapped[bytes]
    seen: Mapped[int] = mapped_column(server_default=text("1"))
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CohortHead(Base):
    """A frozen set of people; ``key_id`` is null once it is destroyed."""

    __tablename__ = "cohort"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey(Run.id))
    origin: Mapped[str]
    size: Mapped[int]
    pages: Mapped[int]
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    frozen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    destroyed_at: Mapped[datetime | None]


class CohortPage(Base):
    """Up to a thousand members, sealed under the cohort's key."""

    __tablename__ = "cohort_page"
    cohort_id: Mapped[UUID] = mapped_column(ForeignKey(CohortHead.id), primary_key=True)
    page: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]


class CohortRequest(Base):
    """Which request asked for which member; the member's key is sealed under the cohort's key."""

    __tablename__ = "cohort_request"
    cohort_id: Mapped[UUID] = mapped_column(ForeignKey(CohortHead.id), primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"), primary_key=True)
    subject_sealed: Mapped[bytes]


class PlanRecord(Base):
    """A plan, whole, with its state."""

    __tablename__ = "plan"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey(Run.id))
    cohort_id: Mapped[UUID | None] = mapped_column(ForeignKey(CohortHead.id))
    store: Mapped[str]
    action: Mapped[str]
    rule: Mapped[str | None]
    digest: Mapped[str]
    body: Mapped[dict[str, Any]]
    state: Mapped[str]
    reason: Mapped[str | None]
    saved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_by_sealed: Mapped[bytes | None]
    decided_at: Mapped[datetime | None]


class OutcomeRecord(Base):
    """What one shard of a plan did; the latest attempt."""

    __tablename__ = "outcome"
    plan_id: Mapped[UUID] = mapped_column(ForeignKey(PlanRecord.id), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Batch(Base):
    """A batch of objects: intended, and (later) done."""

    __tablename__ = "batch"
    plan_id: Mapped[UUID] = mapped_column(ForeignKey(PlanRecord.id), primary_key=True)
    batch: Mapped[int] = mapped_column(primary_key=True)
    intended: Mapped[int]
    removed: Mapped[int | None]
    failed: Mapped[int | None]
    intended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]


class Operation(Base):
    """Who carries a step out at present: the copy with the highest token."""

    __tablename__ = "operation"
    plan_id: Mapped[UUID] = mapped_column(ForeignKey(PlanRecord.id), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[int]
    taken_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Hold(Base):
    """A legal hold. Matter, reason, staff and a subject's key are sealed."""

    __tablename__ = "hold"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    scope: Mapped[str]
    case_match: Mapped[bytes]
    target: Mapped[str | None]
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    sealed: Mapped[bytes]
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    released_at: Mapped[datetime | None]
    released_by_sealed: Mapped[bytes | None]


class HoldVersion(Base):
    """One row, counted up whenever a hold is placed or released, so that gates can cache."""

    __tablename__ = "hold_version"
    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger)


class TombstoneEpoch(Base):
    """The key of all tombstones that expire in one month."""

    __tablename__ = "tombstone_epoch"
    epoch: Mapped[date] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey(SealingKey.id))
    expires_at: Mapped[datetime]


class Tombstone(Base):
    """A keyed hash of one identifier of an erased person."""

    __tablename__ = "tombstone"
    epoch: Mapped[date] = mapped_column(ForeignKey(TombstoneEpoch.epoch), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[bytes] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Probe(Base):
    """A look, due or done, for what should be gone."""

    __tablename__ = "probe"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    plan_id: Mapped[UUID] = mapped_column(ForeignKey(PlanRecord.id))
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    clean: Mapped[bool | None]
    body: Mapped[dict[str, Any] | None]


class Breach(Base):
    """Something personal past its limit."""

    __tablename__ = "breach"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str]
    store: Mapped[str]
    first_run_id: Mapped[UUID] = mapped_column(ForeignKey(Run.id))
    last_run_id: Mapped[UUID] = mapped_column(ForeignKey(Run.id))
    count: Mapped[int] = mapped_column(BigInteger)
    oldest_overdue: Mapped[timedelta | None]
    note: Mapped[str]
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


class Evidence(Base):
    """What happened, for ever: insert-only. Its place in the log is in ``evidence_leaf``."""

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    run_id: Mapped[UUID | None]
    request_id: Mapped[UUID | None]
    body: Mapped[dict[str, Any]]
