"""Which versions are announced, by when, and whether that may begin."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.privacy.policy.notice_dates import SENDING_DAYS, NoticeDates, earliest_effective, notice_dates
from include.privacy.policy.notices import NoticeSettings, PolicyNotice
from include.privacy.requests.events import add_event
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from uuid import UUID

    from include.privacy.ledger.notice_campaigns import CampaignRow

log = logging.getLogger(__name__)

PROPOSED = "proposed_policy_notices"
"""The asset whose event wakes the run in which somebody decides."""
ASK_AGAIN_AFTER = timedelta(days=5)
WORKING = frozenset({"sending", "proven", "in_force"})


def settings() -> NoticeSettings:
    """How notices are sent. Raises ``LookupError`` without ``config/notices/notices.yaml``."""
    found = runtime().config().notices.settings
    if found is None:
        raise LookupError("config/notices/notices.yaml does not exist; a version is announced only with it")
    return found


def dates_of(notice: PolicyNotice) -> NoticeDates:
    """What follows from the effective date that notice.yaml says."""
    policy = runtime().config().policy
    return notice_dates(notice.head.effective, policy.timezone, settings().lead_days)


def too_late(notice: PolicyNotice, as_of: datetime) -> str | None:
    """Why a version that nobody has begun to announce cannot apply when it says, if it cannot."""
    dates = dates_of(notice)
    if as_of <= dates.dispatch_by - timedelta(days=SENDING_DAYS):
        return None
    earliest = earliest_effective(as_of, runtime().config().policy.timezone)
    return (
        f"version {notice.head.version} cannot apply from {dates.effective_on.isoformat()}: sending had to "
        f"begin by {dates.last_day}. The earliest lawful date is {earliest.isoformat()}; write it into "
        "notice.yaml and policy.yaml of its folder"
    )


def campaign(version: str) -> CampaignRow:
    """The campaign of a version that is being announced."""
    found = runtime().ledger().notice_campaign(version)
    if found is None:
        raise LookupError(f"version {version} is not announced")
    return found


def take_up(ledger_run: str, outlet_events: Any = None) -> list[str]:
    """Propose what is new, and name the versions whose campaigns have something to do now.

    Wakes the run that asks, when a proposal is before nobody. A dry run proposes nothing and names what a
    live one would work on or propose.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    found: list[str] = []
    for notice in runtime().config().notices.versions:
        version = notice.head.version
        if not notice.head.material:
            continue
        row = ledger.notice_campaign(version)
        if row is None or row.state in ("proposed", "rejected"):
            if problem := too_late(notice, run.as_of):
                log.error("%s", problem)
                continue
            if run.dry_run:
                found.append(version)
                continue
            row = propose(notice, run.id, run.as_of)
        if row.state in WORKING or (row.state == "approved" and run.as_of >= dates_of(notice).launch_at):
            found.append(version)
        log.info(
            "version %s: %s, applies from %s; written to by %s",
            version,
            row.state,
            row.effective_on.isoformat(),
            row.dispatch_by.isoformat(),
        )
    if not run.dry_run and unasked(run.as_of):
        add_event(outlet_events, PROPOSED)
    return found


def propose(notice: PolicyNotice, run_id: UUID, at: datetime) -> CampaignRow:
    """Put the version before whoever decides; see :func:`notice_campaigns.propose_notice`."""
    dates = dates_of(notice)
    return (
        runtime()
        .ledger()
        .propose_notice(
            run_id,
            version=notice.head.version,
            previous=notice.head.previous,
            digest=notice.digest,
            effective_on=dates.effective_on,
            effective_at=dates.effective_at,
            dispatch_by=dates.dispatch_by,
            at=at,
        )
    )


def unasked(as_of: datetime) -> list[CampaignRow]:
    """Proposals that nobody has been asked about, or long ago."""
    rows = (
        runtime().ledger().notice_campaign(notice.head.version)
        for notice in runtime().config().notices.versions
    )
    return [
        row
        for row in rows
        if row is not None
        and row.state == "proposed"
        and (row.presented_at is None or as_of - row.presented_at > ASK_AGAIN_AFTER)
    ]


def changed_since_approval(row: CampaignRow) -> str | None:
    """Why nothing is sent, when the folder no longer is what was approved."""
    notice = runtime().config().notices.notice(row.version)
    if row.state == "in_force" or notice.digest == row.digest:
        return None
    return (
        f"version {row.version} reads differently from what was approved, so nothing is sent: restore its "
        "folder in config/notices/, or withdraw it with steer_policy_notice and have it approved anew"
    )
