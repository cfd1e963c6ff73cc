"""Callbacks that controllers wait for (OpenDSR 2.0): a status once per address, until it is delivered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.request_models import Callback
from include.privacy.ledger.rows import CallbackAddress, CallbackRow


def queue_callback(session: Session, request_id: UUID, url: str, status: str, at: datetime) -> None:
    """Have a controller told a status; the same one once per address."""
    session.execute(
        insert(Callback)
        .values(id=uuid4(), request_id=request_id, url=url, status=status, queued_at=at, next_at=at)
        .on_conflict_do_nothing()
    )


def open_callback_addresses(session: Session, final: Collection[str]) -> list[CallbackAddress]:
    """Addresses that no status of ``final`` was queued for, with what was queued for each."""
    query = (
        select(
            Callback.request_id,
            Callback.url,
            func.array_agg(Callback.status),
            func.max(Callback.queued_at),
        )
        .group_by(Callback.request_id, Callback.url)
        .having(~func.bool_or(Callback.status.in_(tuple(final))))
        .order_by(Callback.request_id, Callback.url)
    )
    return [CallbackAddress(i, url, frozenset(s), at) for i, url, s, at in session.execute(query)]


def claim_callbacks(
    session: Session, as_of: datetime, lease: timedelta, limit: int = 100
) -> list[CallbackRow]:
    """Callbacks that are to be tried now, kept from others for ``lease``; the longest due first.

    An address hears of one status at a time, in their order: a later one waits until the earlier is
    delivered or given up. After a crash whatever was claimed is due again when the lease is over.
    """
    earlier = aliased(Callback)
    blocked = select(earlier.id).where(
        earlier.request_id == Callback.request_id,
        earlier.url == Callback.url,
        earlier.queued_at < Callback.queued_at,
        earlier.delivered_at.is_(None),
        earlier.given_up_at.is_(None),
    )
    query = (
        select(Callback)
        .where(
            Callback.delivered_at.is_(None),
            Callback.given_up_at.is_(None),
            Callback.next_at <= as_of,
            ~blocked.exists(),
        )
        .order_by(Callback.next_at, Callback.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Callback)
    )
    claimed = session.scalars(query).all()
    for callback in claimed:
        callback.next_at = as_of + lease
    return [
        CallbackRow(c.id, c.request_id, c.url, c.status, c.queued_at, c.next_at, c.attempts) for c in claimed
    ]


def record_callback(
    session: Session,
    callback_id: UUID,
    *,
    delivered_at: datetime | None = None,
    next_at: datetime | None = None,
    given_up_at: datetime | None = None,
) -> None:
    """A try is over: delivered, to be repeated at ``next_at``, or given up. Once delivered, it stays so."""
    values = {"delivered_at": delivered_at, "given_up_at": given_up_at, "attempts": Callback.attempts + 1}
    if next_at is not None:
        values["next_at"] = next_at
    request_id = session.scalar(
        update(Callback)
        .where(Callback.id == callback_id, Callback.delivered_at.is_(None))
        .values(values)
        .returning(Callback.request_id)
    )
    if request_id is None:
        return
    outcome = "delivered" if delivered_at else "given_up" if given_up_at else "to_be_repeated"
    append_evidence(session, "callback", {"callback": callback_id, "outcome": outcome}, request_id=request_id)
