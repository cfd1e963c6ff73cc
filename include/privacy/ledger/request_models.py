"""Tables of what a request carries with it: tokens, letters, archives, decisions, recipients, reminders."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base
from include.privacy.ledger.models import Request


class VerificationToken(Base):
    """A one-time token that was sent out; only its hash is kept."""

    __tablename__ = "verification_token"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class VerificationAttempt(Base):
    """Wrong tokens, counted by a keyed hash of the id they were given for."""

    __tablename__ = "verification_attempt"
    request_match: Mapped[bytes] = mapped_column(primary_key=True)
    failed: Mapped[int]
    last_at: Mapped[datetime]


class LetterRecord(Base):
    """A letter of one kind to the person of a request: claimed, then sent or not."""

    __tablename__ = "letter"
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    reference: Mapped[str] = mapped_column(unique=True)
    claimed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    provider_id: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("1"))


class ArchiveRecord(Base):
    """An archive made for a request. No foreign key: it outlives the record of the request."""

    __tablename__ = "archive"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID]
    store: Mapped[str]
    object_key: Mapped[str | None]
    object_version: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    delete_reason: Mapped[str | None]


class Decision(Base):
    """A question to a person of the privacy team, and the answer; silence takes the default."""

    __tablename__ = "decision"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"))
    facts: Mapped[dict[str, Any]]
    options: Mapped[list[str]] = mapped_column(ARRAY(Text))
    default_option: Mapped[str]
    asked_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    presented_at: Mapped[datetime | None]
    answer: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    by_default: Mapped[bool | None]
    sealed: Mapped[bytes | None]
    asked_by_sealed: Mapped[bytes | None]
    decided_by_sealed: Mapped[bytes | None]


class RecipientOutcome(Base):
    """What one recipient did about a request."""

    __tablename__ = "recipient_outcome"
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"), primary_key=True)
    recipient: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    until: Mapped[datetime | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RecipientTask(Base):
    """What one processor has to do about one person; of a request, or of a retention rule's cohort."""

    __tablename__ = "recipient_task"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    action: Mapped[str]
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"))
    run_id: Mapped[UUID]
    state: Mapped[str]
    until: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    outcomes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    opened_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    key_id: Mapped[UUID | None]
    sealed: Mapped[bytes | None]


class Reminder(Base):
    """A reminder about a due date that was given."""

    __tablename__ = "reminder"
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    reminded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Callback(Base):
    """A change of state to be told to a controller's address (OpenDSR 2.0)."""

    __tablename__ = "callback"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(ForeignKey(Request.id, ondelete="CASCADE"))
    url: Mapped[str]
    status: Mapped[str]
    queued_at: Mapped[datetime]
    next_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
