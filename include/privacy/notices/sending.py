"""Sending a campaign: provider after provider, by one task at a time, until nobody waits."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from include.privacy.notices.campaigns import campaign, changed_since_approval, settings
from include.privacy.notices.gathering import FIRST
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.notice_campaigns import CampaignRow

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=5)


def send(ledger_run: str, version: str) -> dict[str, int]:
    """Write to everybody who waits, until nobody does, somebody stops it, or a provider is down.

    Returns how many people each provider took over. Only one task sends a campaign at a time; another one
    leaves it to that. Raises :class:`FindingError` when the folder is not what was approved.
    """
    from include.privacy.ledger.turns import NotOurTurn

    run, ledger = read_run(ledger_run), runtime().ledger()
    if run.dry_run:
        return {}
    row = campaign(version)
    if problem := changed_since_approval(row):
        raise FindingError(problem)
    try:
        with ledger.turn(f"policy notice {row.id}", PATIENCE):
            left = ledger.doubt_batches(row.id, runs.current_instant())
            if left:
                log.warning(
                    "version %s: %d batches were left by a task that died; they are in doubt", version, left
                )
            return _send_all(row)
    except NotOurTurn:
        log.info("version %s: another task is sending it", version)
        return {}


def _send_all(row: CampaignRow) -> dict[str, int]:
    from include.privacy.notices.lanes import Lanes

    ledger, sent = runtime().ledger(), {}
    fallback = settings().fallback
    for provider in dict.fromkeys((FIRST, fallback)):
        # Those who are redirected while the first one sends are there when it is the second one's turn.
        if provider and ledger.waiting_by_provider(row.id).get(provider):
            lanes = Lanes(row, runtime().bulk_mail(provider))
            lanes.run()
            sent[provider] = lanes.accepted
            if provider == FIRST:
                _note_outage(row, down=lanes.down)
    return sent


def _note_outage(row: CampaignRow, *, down: bool) -> None:
    """Down for long: the other provider takes over those who wait."""
    ledger, now, how = runtime().ledger(), runs.current_instant(), settings()
    since = ledger.note_outage(row.id, now if down else None)
    if since is None or how.fallback is None:
        return
    if now - since >= timedelta(minutes=how.fallback_after_minutes):
        moved = ledger.redirect_queue(row.id, FIRST, how.fallback)
        log.warning(
            "%s is down since %s: %d people wait for %s", FIRST, since.isoformat(), moved, how.fallback
        )
    else:
        log.warning("%s is down since %s; it is tried again in the next run", FIRST, since)
