"""Who hears of it: everybody with an account at launch, and whoever joins while the old text is shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from include.privacy.notices.campaigns import campaign, changed_since_approval
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.notice_audience import Hearer
    from include.privacy.ledger.notice_sending import Reached
    from include.privacy.policy.notices import PolicyNotice

log = logging.getLogger(__name__)

FIRST = "sendgrid"
JOINERS_EVERY = timedelta(days=1)


def gather(ledger_run: str, version: str) -> int:
    """Freeze the audience of a campaign that begins, or add who has joined since; returns how many are new.

    Raises :class:`FindingError` when the folder is not what was approved.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    notice = runtime().config().notices.notice(version)
    if run.dry_run:
        count = sum(1 for _ in hearers(notice))
        log.info("version %s would be announced to %d people", version, count)
        return count
    row = campaign(version)
    if problem := changed_since_approval(row):
        raise FindingError(problem)
    if row.state == "in_force":
        return 0  # who joins now has been shown what applies
    if row.joined_at is not None and run.as_of - row.joined_at < JOINERS_EVERY:
        return 0
    ledger.begin_sending(row.id)
    new = ledger.freeze_audience(run.id, row.id, hearers(notice), FIRST, run.as_of)
    log.info("version %s: %d people %s", version, new, "joined" if row.frozen_at else "are the audience")
    return new


def hearers(notice: PolicyNotice) -> Iterator[Hearer]:
    """Accounts that are active or within their retention, not the deleted, not the restricted."""
    from include.privacy.ledger.notice_audience import Hearer

    for account in runtime().account_book().audience():
        yield Hearer(account.key, notice.language(account.language))


def find(keys: Sequence[str]) -> dict[str, Reached]:
    """Where these people are written to now; whoever is missing has been erased."""
    from include.privacy.ledger.notice_sending import Reach, Reached

    found: dict[str, Reached] = {}
    for account in runtime().account_book().accounts(keys):
        if account.left:
            found[account.key] = Reached(Reach.left)
        elif account.email:
            found[account.key] = Reached(Reach.by_mail, account.email)
        else:
            found[account.key] = Reached(Reach.no_address)
    return found
