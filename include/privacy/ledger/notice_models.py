"""The tables of policy notices; see :mod:`.models`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base
from include.privacy.ledger.models import SealingKey


class NoticeCampaign(Base):
    """Everybody hears of one version. ``announced_on``: the effective date that people have been told."""

    __tablename__ = "notice_campaign"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(unique=True)
    previous: Mapped[str]
    digest: Mapped[str]
    announced_on: Mapped[date]
    effective_on: Mapped[date]
    effective_at: Mapped[datetime]
    dispatch_by: Mapped[datetime]
    state: Mapped[str]
    audience: Mapped[int | None] = mapped_column(BigInteger)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    proposed_at: Mapped[datetime]
    presented_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by_sealed: Mapped[bytes | None]
    frozen_at: Mapped[datetime | None]
    joined_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    people_per_minute: Mapped[int | None]
    proven_through: Mapped[datetime | None]
    outage_since: Mapped[datetime | None]
    report: Mapped[dict[str, Any] | None]


class PolicyInForce(Base):
    """A version that applies or has applied; at most one is ``current``."""

    __tablename__ = "policy_in_force"
    version: Mapped[str] = mapped_column(primary_key=True)
    entered: Mapped[str]
    campaign_id: Mapped[UUID | None]
    proven_through: Mapped[datetime | None]
    effective_at: Mapped[datetime]
    entered_at: Mapped[datetime]
    current: Mapped[bool]
    accepted_through: Mapped[datetime | None]


class NoticeBatch(Base):
    """One call to a provider of mail."""

    __tablename__ = "notice_batch"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey(NoticeCampaign.id))
    provider: Mapped[str]
    size: Mapped[int]
    state: Mapped[str]
    claimed_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]
    looks: Mapped[int] = mapped_column(server_default=text("0"))


class NoticeDelivery(Base):
    """One person of a campaign; who it is, is sealed. ``joined``: came after the audience was frozen."""

    __tablename__ = "notice_delivery"
    token: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey(NoticeCampaign.id))
    subject_mark: Mapped[bytes]
    subject_sealed: Mapped[bytes]
    language: Mapped[str]
    joined: Mapped[bool]
    state: Mapped[str]
    provider: Mapped[str]
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey(NoticeBatch.id))
    address_mark: Mapped[bytes | None]
    reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    dispatched_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
