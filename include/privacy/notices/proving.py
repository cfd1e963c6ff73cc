"""Proof of dispatch: what the providers' records say, whom no letter reaches, and when everybody is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.notices.campaigns import WORKING, campaign, settings
from include.privacy.notices.gathering import find
from include.privacy.policy.notice_dates import earliest_effective, notice_dates
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.notice_campaigns import CampaignRow
    from include.privacy.ledger.notice_proof import BatchRow, Record
    from include.privacy.ledger.rows import RunRow
    from include.privacy.mail.bulk import Fated

log = logging.getLogger(__name__)

_BATCHES = 200
_PEOPLE = 1_000


def look(ledger_run: str, version: str) -> dict[str, int]:
    """Read the providers' records of every batch that is due for it; returns counts.

    A provider whose records cannot be read is asked again in the next run.
    """
    from include.privacy.mail.port import MailUnavailableError

    run, ledger, counts = read_run(ledger_run), runtime().ledger(), {"delivered": 0, "failed": 0, "unsent": 0}
    if run.dry_run:
        return counts
    row, now = campaign(version), runs.current_instant()
    if row.state not in WORKING:
        return counts
    while batches := ledger.batches_to_look_at(row.id, now, _BATCHES):
        for batch in batches:
            try:
                found = _look_at(batch, now)
            except MailUnavailableError as error:
                log.warning("%s", error)
                return counts
            for name, count in found.items():
                counts[name] += count
        log.info("version %s: %s", version, counts)
    counts["failed"] += _late_bounces(row, now)
    return counts


def _late_bounces(row: CampaignRow, now: datetime) -> int:
    """Read the providers' lists until the version applies: what bounces hours later is there only."""
    from include.privacy.mail.bulk import Fate
    from include.privacy.mail.port import MailUnavailableError

    if row.frozen_at is None or now >= row.effective_at:
        return 0
    found = 0
    for provider in runtime().ledger().providers_used(row.id):
        try:
            listed = runtime().bulk_mail(provider).suppressed(row.frozen_at, now, as_of=now)
            # A complaint is about a letter that has arrived.
            bounced = [as_record(each) for each in listed if each.fate is Fate.bounced and each.of_address]
        except MailUnavailableError as error:
            log.warning("%s", error)
            continue
        found += runtime().ledger().record_late_bounces(row.id, provider, bounced)
    if found:
        log.info("version %s: %d letters came back later", row.version, found)
    return found


def _look_at(batch: BatchRow, now: datetime) -> dict[str, int]:
    mail = runtime().bulk_mail(batch.provider)
    fates = mail.fates(batch.id.hex, batch.claimed_at, as_of=now)
    return (
        runtime()
        .ledger()
        .record_fates(
            batch.id,
            [as_record(each) for each in fates],
            now,
            fallback=settings().fallback,
            absent_means_unsent=mail.settled(batch.claimed_at, now),
            whole_calls=mail.whole_calls,
        )
    )


def as_record(fated: Fated) -> Record:
    """What the provider says, as the ledger keeps it."""
    from include.privacy.ledger.notice_proof import Record
    from include.privacy.mail.bulk import Fate

    return Record(
        at=fated.at,
        delivered=fated.fate is Fate.delivered,
        failed=(fated.reason or fated.fate.value) if fated.fate in (Fate.bounced, Fate.dropped) else None,
        of_address=fated.of_address,
        token=_token(fated.reference),
        address=fated.address,
    )


def _token(reference: str | None) -> UUID | None:
    try:
        return UUID(reference) if reference else None
    except ValueError:
        return None


def _tell_in_app(row: CampaignRow) -> int:
    """Whom no letter reaches finds the notice in the app, through the outbox; returns how many."""
    ledger, told = runtime().ledger(), 0
    if row.state not in WORKING:
        return 0
    body = {
        "version": row.version,
        "effective_on": row.effective_on.isoformat(),
        "url": settings().policy_url,
    }
    while people := ledger.undeliverable(row.id, _PEOPLE):
        there = find([key for _, key in people])
        left = [token for token, key in people if key in there and there[key].left]
        tell = [(token, key) for token, key in people if key in there and not there[key].left]
        # Whoever asked for erasure is restricted from then on: nothing new about them is written anywhere.
        ledger.erased_meanwhile(row.id, [token for token, key in people if key not in there])
        ledger.record_left(left, runs.current_instant())
        runtime().postbox().post("policy_notice", tell, body)
        ledger.record_told_in_app([token for token, _ in tell], runs.current_instant())
        told += len(tell)
    return told


def conclude(ledger_run: str, version: str) -> dict[str, Any]:
    """Put the notice into the app of whoever no letter reaches, and prove the campaign when nobody is open.

    If sending took too long the date moves, and everybody who was told the former one is told.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    if run.dry_run:
        return {}
    row = campaign(version)
    told = _tell_in_app(row)
    if row.state == "sending":
        now = runs.current_instant()
        reached = ledger.coverage(row.id)
        if reached.complete:
            last = reached.last or now
            if last > row.dispatch_by:
                _move(run, row, last)
            ledger.prove_notice(run.id, row.id, last)
        elif now > row.dispatch_by:
            _move(run, row, now)
        row = campaign(version)
    if row.announced_on != row.effective_on:
        _tell_of_the_new_date(row)
    return {"state": row.state, "effective_on": row.effective_on.isoformat(), "told_in_app": told}


def _move(run: RunRow, row: CampaignRow, since: datetime) -> None:
    policy = runtime().config().policy
    day = earliest_effective(since, policy.timezone)
    dates = notice_dates(day, policy.timezone, settings().lead_days)
    moved = (
        runtime()
        .ledger()
        .move_notice(
            run.id, row.id, effective_on=day, effective_at=dates.effective_at, dispatch_by=dates.dispatch_by
        )
    )
    if moved:
        log.error(
            "version %s applies from %s, not from %s: not everybody was written to in time",
            row.version,
            day.isoformat(),
            row.effective_on.isoformat(),
        )


def _tell_of_the_new_date(row: CampaignRow) -> None:
    """Everybody who was told the former date finds the new one in the app; nobody gets a second letter."""
    ledger = runtime().ledger()
    body = {
        "version": row.version,
        "effective_on": row.effective_on.isoformat(),
        "former_effective_on": row.announced_on.isoformat(),
        "url": settings().policy_url,
    }
    after: UUID | None = None
    while people := ledger.written_to(row.id, after, _PEOPLE):
        runtime().postbox().post("policy_notice_moved", _dated(people, row), body)
        after = people[-1][0]
    ledger.note_announced(row.id, row.effective_on)


def _dated(people: Iterable[tuple[UUID, str]], row: CampaignRow) -> list[tuple[UUID, str]]:
    """An id for each person and date, so that a repetition tells nobody twice."""
    return [(uuid5(token, row.effective_on.isoformat()), key) for token, key in people]
