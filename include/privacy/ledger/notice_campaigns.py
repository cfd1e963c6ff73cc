"""Campaigns of policy notices: proposed, approved, sending, proven, in force; and which version is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from include.privacy.ledger import states
from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.keys import create_key
from include.privacy.ledger.notice_models import NoticeCampaign
from include.privacy.ledger.sealing import Sealer

PROMISE = "P8.1"


@dataclass(frozen=True)
class CampaignRow:
    """A campaign; see :class:`NoticeCampaign`."""

    id: UUID
    version: str
    previous: str
    digest: str
    announced_on: date
    effective_on: date
    effective_at: datetime
    dispatch_by: datetime
    state: str
    audience: int | None
    proposed_at: datetime
    presented_at: datetime | None
    frozen_at: datetime | None
    joined_at: datetime | None
    stopped_at: datetime | None
    people_per_minute: int | None
    proven_through: datetime | None
    outage_since: datetime | None
    report: dict[str, Any] | None


def propose_notice(
    session: Session,
    run_id: UUID,
    *,
    version: str,
    previous: str,
    digest: str,
    effective_on: date,
    effective_at: datetime,
    dispatch_by: datetime,
    at: datetime,
) -> CampaignRow:
    """The campaign of the version, proposed at the first call.

    One that was rejected, or is proposed and reads differently by now, is proposed anew, to be asked about
    again; one that was approved keeps what was approved.
    """
    values = {
        "previous": previous,
        "digest": digest,
        "announced_on": effective_on,
        "effective_on": effective_on,
        "effective_at": effective_at,
        "dispatch_by": dispatch_by,
        "proposed_at": at,
    }
    new = session.scalar(
        upsert(NoticeCampaign)
        .values(id=uuid4(), version=version, state="proposed", **values)
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(NoticeCampaign.id)
    )
    row = _load(session, version, lock=True)
    again = new is None and row.state in ("proposed", "rejected")
    changed = again and (row.digest != digest or (row.decided_by_sealed is None and row.state == "rejected"))
    if changed:
        move(session, row, "proposed")
        for name, value in values.items():
            setattr(row, name, value)
        row.presented_at = row.decided_at = row.decided_by_sealed = None
        session.flush()
    if new is not None or changed:
        body = {"version": version, "effective_on": effective_on, "digest": digest}
        body |= {"promise": PROMISE, "dispatch_by": dispatch_by}
        append_evidence(session, "notice_proposed", body, run_id=run_id)
    return _row(row)


def notice_campaign(session: Session, version: str) -> CampaignRow | None:
    """The campaign of the version, if there is one."""
    found = session.scalar(select(NoticeCampaign).where(NoticeCampaign.version == version))
    return _row(found) if found else None


def notice_campaigns(session: Session) -> list[CampaignRow]:
    """Every campaign there has been, the oldest first."""
    return [_row(r) for r in session.scalars(select(NoticeCampaign).order_by(NoticeCampaign.proposed_at))]


def withdraw_notice(session: Session, campaign_id: UUID) -> bool:
    """Take back what was approved, while nothing has been sent; false when it is too late for that."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if row.state not in ("proposed", "approved"):
        return False
    move(session, row, "rejected")
    append_evidence(session, "notice_withdrawn", {"promise": PROMISE, "version": row.version})
    return True


def present_notice(session: Session, campaign_id: UUID, at: datetime | None) -> None:
    """The question whether it may be sent is before a person; ``None``: it is not any more."""
    session.execute(
        update(NoticeCampaign)
        .where(NoticeCampaign.id == campaign_id, NoticeCampaign.state == "proposed")
        .values(presented_at=at)
    )


def decide_notice(
    session: Session, sealer: Sealer, campaign_id: UUID, digest: str, approved: bool, by: str, at: datetime
) -> bool:
    """Write the decision about what has this digest; false when that has changed, or is decided already."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if row.state != "proposed" or row.digest != digest:
        return False
    row.decided_at, row.decided_by_sealed = at, sealer.seal_note(by, f"notice {campaign_id} decided_by")
    move(session, row, "approved" if approved else "rejected")
    body = {"promise": PROMISE, "version": row.version, "approved": approved, "digest": digest}
    append_evidence(session, "notice_decided", body)
    return True


def begin_sending(session: Session, sealer: Sealer, campaign_id: UUID) -> UUID:
    """An approved campaign gets its key; returns the key's id. Called again, changes nothing."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if row.key_id is None:
        row.key_id = create_key(session, sealer, "notice_campaign").id
        session.flush()
    return row.key_id


def steer_notice(
    session: Session, campaign_id: UUID, at: datetime, *, stopped: bool | None, people_per_minute: int | None
) -> None:
    """Stop or resume a campaign, or change its pace; ``None`` leaves that as it is. Takes effect at once."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if stopped is not None:
        row.stopped_at = (row.stopped_at or at) if stopped else None
    if people_per_minute is not None:
        row.people_per_minute = people_per_minute
    session.flush()
    body = {"version": row.version, "stopped": row.stopped_at is not None, "rate": row.people_per_minute}
    append_evidence(session, "notice_steered", body)


def sending_may_go_on(session: Session, campaign_id: UUID) -> tuple[bool, int | None]:
    """Whether the campaign is sending and nobody has stopped it, and the pace that was set while it runs."""
    state, stopped, pace = session.execute(
        select(NoticeCampaign.state, NoticeCampaign.stopped_at, NoticeCampaign.people_per_minute).where(
            NoticeCampaign.id == campaign_id
        )
    ).one()
    return state in ("sending", "proven", "in_force") and stopped is None, pace


def move_notice(
    session: Session,
    run_id: UUID,
    campaign_id: UUID,
    *,
    effective_on: date,
    effective_at: datetime,
    dispatch_by: datetime,
) -> bool:
    """The version applies later, because sending took too long; false when it does already. Never earlier."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if effective_at <= row.effective_at or row.state not in ("approved", "sending"):
        return False
    before = row.effective_on
    row.effective_on, row.effective_at, row.dispatch_by = effective_on, effective_at, dispatch_by
    session.flush()
    body = {"promise": PROMISE, "version": row.version, "from": before, "to": effective_on}
    append_evidence(session, "notice_date_moved", body, run_id=run_id)
    return True


def prove_notice(session: Session, run_id: UUID, campaign_id: UUID, through: datetime) -> None:
    """Everybody of the frozen audience is accounted for; the last one was written to at ``through``."""
    row = campaign_by_id(session, campaign_id, lock=True)
    if row.state != "sending":
        return
    row.proven_through = through
    move(session, row, "proven")
    body = {"promise": PROMISE, "version": row.version, "audience": row.audience, "through": through}
    append_evidence(session, "notice_proven", {**body, "effective_on": row.effective_on}, run_id=run_id)


def note_report(session: Session, campaign_id: UUID, report: Mapping[str, Any]) -> None:
    """Keep the newest report: counts, codes and dates."""
    row = campaign_by_id(session, campaign_id, lock=True)
    row.report = impersonal(report)
    session.flush()


def note_outage(session: Session, campaign_id: UUID, since: datetime | None) -> datetime | None:
    """Since when the first provider has been down: the first call's instant, until ``None`` ends it."""
    row = campaign_by_id(session, campaign_id, lock=True)
    row.outage_since = (row.outage_since or since) if since else None
    session.flush()
    return row.outage_since


def note_announced(session: Session, campaign_id: UUID, effective_on: date) -> None:
    """Everybody who had been told another date has been told this one."""
    row = campaign_by_id(session, campaign_id, lock=True)
    row.announced_on = effective_on
    session.flush()
    body = {"promise": PROMISE, "version": row.version, "effective_on": effective_on}
    append_evidence(session, "notice_date_announced", body)


def move(session: Session, row: NoticeCampaign, state: str) -> None:
    """Take the step; :class:`IllegalTransition` when there is none."""
    if row.state != state:
        states.check("notice", row.state, state)
        row.state = state
    session.flush()


def _load(session: Session, version: str, *, lock: bool = False) -> NoticeCampaign:
    query = select(NoticeCampaign).where(NoticeCampaign.version == version)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotInLedger(f"the ledger has no campaign for version {version}")
    return found


def campaign_by_id(session: Session, campaign_id: UUID | None, *, lock: bool = False) -> NoticeCampaign:
    """The row itself, locked if asked; :class:`NotInLedger`."""
    found = session.get(NoticeCampaign, campaign_id, with_for_update=lock or None) if campaign_id else None
    if found is None:
        raise NotInLedger(f"campaign {campaign_id} is not in the ledger")
    return found


def _row(r: NoticeCampaign) -> CampaignRow:
    return CampaignRow(**{name: getattr(r, name) for name in CampaignRow.__dataclass_fields__})
