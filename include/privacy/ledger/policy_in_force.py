"""Which version of the policy applies. The database decides whether one may (P8.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.notice_campaigns import PROMISE, campaign_by_id, move
from include.privacy.ledger.notice_models import NoticeCampaign, PolicyInForce


@dataclass(frozen=True)
class InForceRow:
    """The version that applies."""

    version: str
    entered: str
    campaign_id: UUID | None
    effective_at: datetime
    entered_at: datetime
    accepted_through: datetime | None


def note_accepted(session: Session, version: str, through: datetime) -> None:
    """First uses have been read up to that instant (P8.2)."""
    session.execute(
        update(PolicyInForce).where(PolicyInForce.version == version).values(accepted_through=through)
    )


def enter_into_force(
    session: Session,
    run_id: UUID,
    *,
    version: str,
    effective_at: datetime,
    at: datetime,
    entered: str,
    campaign_id: UUID | None = None,
) -> bool:
    """Make the version the one that applies; false when it is already, or has been.

    The database refuses an announced one whose campaign is not proven 30 days before (``IntegrityError``).
    """
    if session.get(PolicyInForce, version) is not None:
        return False
    row = campaign_by_id(session, campaign_id, lock=True) if campaign_id else None
    before = session.scalar(select(PolicyInForce).where(PolicyInForce.current).with_for_update())
    if before is not None:
        before.current = False
        if before.campaign_id and (old := session.get(NoticeCampaign, before.campaign_id)):
            move(session, old, "superseded")
        session.flush()
    session.execute(
        insert(PolicyInForce).values(
            version=version,
            entered=entered,
            campaign_id=campaign_id,
            proven_through=row.proven_through if row else None,
            effective_at=effective_at,
            entered_at=at,
            current=True,
        )
    )
    if row is not None:
        move(session, row, "in_force")
    body = {"promise": PROMISE, "version": version, "effective_at": effective_at, "entered": entered}
    append_evidence(session, "policy_in_force", body, run_id=run_id)
    return True


def policy_in_force(session: Session) -> InForceRow | None:
    """The version that applies, once one has been entered."""
    row = session.scalar(select(PolicyInForce).where(PolicyInForce.current))
    if row is None:
        return None
    return InForceRow(
        row.version, row.entered, row.campaign_id, row.effective_at, row.entered_at, row.accepted_through
    )
