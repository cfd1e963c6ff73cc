"""Which version applies, and who has accepted it by using the service (P1.1, P8.1, P8.2)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.privacy.notices.campaigns import settings
from include.privacy.policy.notice_dates import applies_from, first_instant
from include.privacy.policy.notices import PROMISED_DAYS, PolicyNotice
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RunRow

log = logging.getLogger(__name__)

LATE = timedelta(hours=1)
"""How long after a session began its row may be written: read again, so that none is missed."""


def apply(ledger_run: str) -> dict[str, Any]:
    """Let versions apply whose time has come, and record who accepts the one that does; returns both."""
    return {"in_force": enter(ledger_run), "accepted": accept(ledger_run)}


def enter(ledger_run: str) -> str | None:
    """Let every version apply whose time has come; returns the one that applies now.

    The first that this installation knows needs no campaign, and neither does an editorial one. Every other
    is refused by the database unless its campaign is proven 30 days before.
    """
    run, ledger, config = read_run(ledger_run), runtime().ledger(), runtime().config()
    if config.notices.settings is None or run.dry_run:
        current = ledger.policy_in_force()
        return current.version if current else None
    if ledger.policy_in_force() is None:
        _enter_first(run)
    for notice in config.notices.versions:
        _enter(run, notice)
    current = ledger.policy_in_force()
    return current.version if current else None


def _enter_first(run: RunRow) -> None:
    """What config/policy.yaml says, unless it is announced and not in force: then what it follows."""
    config = runtime().config()
    policy = config.policy
    announced = {each.head.version for each in config.notices.versions if each.head.material}
    if policy.version in announced:
        log.error("config/policy.yaml is version %s, which is still to be announced", policy.version)
        return
    at = first_instant(policy.effective, ZoneInfo(policy.timezone))
    if at > run.as_of:
        log.error("config/policy.yaml is version %s, which does not apply yet", policy.version)
        return
    runtime().ledger().enter_into_force(
        run.id, version=policy.version, effective_at=at, at=run.as_of, entered="initial"
    )


def _enter(run: RunRow, notice: PolicyNotice) -> None:
    ledger, head = runtime().ledger(), notice.head
    current = ledger.policy_in_force()
    if current is None or current.version != head.previous:
        return
    if not head.material:
        at = first_instant(head.effective, ZoneInfo(runtime().config().policy.timezone))
        if at <= run.as_of:
            ledger.enter_into_force(
                run.id, version=head.version, effective_at=at, at=run.as_of, entered="editorial"
            )
        return
    row = ledger.notice_campaign(head.version)
    if row is not None and row.state == "proven" and row.effective_at <= run.as_of:
        ledger.enter_into_force(
            run.id,
            version=head.version,
            effective_at=row.effective_at,
            at=run.as_of,
            entered="announced",
            campaign_id=row.id,
        )
        log.info("version %s applies", head.version)


def accept(ledger_run: str) -> int:
    """Record who used the service since the version applies, once each; returns how many are new (P8.2).

    To somebody who joined late and was told late, it applies 30 days after they were told.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    current = ledger.policy_in_force()
    if run.dry_run or current is None or runtime().config().notices.settings is None:
        return 0
    where = settings().acceptances
    accounts, users = runtime().account_book(), runtime().account_book(where.use.store)
    zone = ZoneInfo(runtime().config().policy.timezone)
    accounts.publish_document(where, current.version, current.effective_at.astimezone(zone).date())
    since = current.effective_at
    if current.accepted_through is not None:
        since = max(since, current.accepted_through - LATE)
    late: dict[str, datetime] = {}
    if current.campaign_id is not None:
        told = ledger.told_late(current.campaign_id, current.effective_at - timedelta(days=PROMISED_DAYS))
        late = {key: applies_from(at, current.effective_at) for key, at in told.items()}
    accepted = 0
    for page in users.first_uses(where.use, since, run.as_of):
        uses = [(key, at) for key, at in page if key not in late]
        accepted += accounts.record_acceptances(where, current.version, uses)
    for key, begins in late.items():
        if begins < run.as_of:
            for page in users.first_uses(where.use, max(begins, since), run.as_of, only=key):
                accepted += accounts.record_acceptances(where, current.version, page)
    ledger.note_accepted(current.version, run.as_of)
    return accepted
