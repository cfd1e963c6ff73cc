"""Letters that came back after the provider had called them delivered: known by their address only (P8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.notice_audience import address_mark, campaign_key
from include.privacy.ledger.notice_models import NoticeBatch, NoticeDelivery
from include.privacy.ledger.notice_proof import Record
from include.privacy.ledger.notice_sending import redirect
from include.privacy.ledger.sealing import Sealer

_WRITTEN_TO = ("accepted", "delivered", "silent")


def providers_used(session: Session, campaign_id: UUID) -> list[str]:
    """The providers through which anybody has been written to so far."""
    query = select(NoticeBatch.provider).where(NoticeBatch.campaign_id == campaign_id).distinct()
    return sorted(session.scalars(query))


def record_late_bounces(
    session: Session, sealer: Sealer, campaign_id: UUID, provider: str, records: Sequence[Record]
) -> int:
    """Whoever was written to through the provider before the bounce is undeliverable; returns how many.

    Addresses that are nobody's in the campaign, and bounces from before the person's call, are passed over.
    """
    if not records:
        return 0
    key = campaign_key(session, sealer, campaign_id)
    bounced = {address_mark(key, record.address): record for record in records if record.address}
    query = (
        select(NoticeDelivery.token, NoticeDelivery.address_mark, NoticeBatch.id, NoticeBatch.claimed_at)
        .join(NoticeBatch, NoticeBatch.id == NoticeDelivery.batch_id)
        .where(
            NoticeDelivery.campaign_id == campaign_id,
            NoticeDelivery.address_mark.in_(bounced),
            NoticeDelivery.state.in_(_WRITTEN_TO),
            NoticeBatch.provider == provider,
        )
        .order_by(NoticeBatch.id)
    )
    failed: dict[UUID, list[tuple[UUID, bool, str]]] = {}
    for row in session.execute(query):
        record = bounced[bytes(row.address_mark)]
        if record.failed is not None and record.at >= row.claimed_at:
            failed.setdefault(row.id, []).append((row.token, True, record.failed))
    for batch_id, people in failed.items():
        # As every writer of deliveries: the batch first.
        session.get(NoticeBatch, batch_id, with_for_update=True)
        redirect(session, batch_id, people, None)
    return sum(len(people) for people in failed.values())
