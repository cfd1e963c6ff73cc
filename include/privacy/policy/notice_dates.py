"""When a notice must be out: the arithmetic of P8.1, in one place. Pure; never asks for the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from include.privacy.clock import due_at, require_utc
from include.privacy.policy.notices import PROMISED_DAYS

SENDING_DAYS = 1
"""What sending to the last person may take; a campaign that begins later is not begun at all."""


@dataclass(frozen=True)
class NoticeDates:
    """What follows from an effective date.

    ``effective_at``: its first instant in the company's zone. ``dispatch_by``: when the last person must have
    been written to: 30 days of 24 hours before. ``last_day``: the last day on which sending can begin.
    ``launch_at``: when it should (the configured lead).
    """

    effective_on: date
    effective_at: datetime
    dispatch_by: datetime
    launch_at: datetime
    last_day: date


def notice_dates(effective_on: date, timezone: str, lead_days: int) -> NoticeDates:
    """The dates of a version that applies from the beginning of that day."""
    zone = ZoneInfo(timezone)
    effective_at = first_instant(effective_on, zone)
    dispatch_by = effective_at - timedelta(days=PROMISED_DAYS)
    latest_start = dispatch_by - timedelta(days=SENDING_DAYS)
    return NoticeDates(
        effective_on,
        effective_at,
        dispatch_by,
        effective_at - timedelta(days=lead_days),
        latest_start.astimezone(zone).date(),
    )


def earliest_effective(as_of: datetime, timezone: str) -> date:
    """The first day from which a version can lawfully apply whose sending begins at ``as_of``."""
    zone = ZoneInfo(timezone)
    ready = due_at(require_utc(as_of), PROMISED_DAYS + SENDING_DAYS)
    day = ready.astimezone(zone).date()
    return day if first_instant(day, zone) >= ready else day + timedelta(days=1)


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the day; where the clocks skip midnight, the first that exists."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def applies_from(dispatched_at: datetime, effective_at: datetime) -> datetime:
    """From when the version applies to somebody who was told then: never before 30 days have passed."""
    return max(require_utc(effective_at), due_at(dispatched_at, PROMISED_DAYS))
