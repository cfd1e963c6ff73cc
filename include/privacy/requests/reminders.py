"""How much of a request's time is gone, and whom to remind of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from include.privacy.clock import require_utc
from include.privacy.policy.calendar import Reminder


def fraction_elapsed(received_at: datetime, due_at: datetime, as_of: datetime) -> float:
    """The share of the time from receipt to due date that has passed at ``as_of``.

    0 up to the receipt, exactly 1 at the due date, more than 1 when overdue. Time passes at the same
    pace on free days. Raises ``ValueError`` for a naive datetime.
    """
    received_at, due_at, as_of = (require_utc(moment) for moment in (received_at, due_at, as_of))
    passed, whole = as_of - received_at, due_at - received_at
    if whole <= timedelta(0):
        return 1.0 if as_of <= due_at else 2.0
    return max(passed / whole, 0.0)


def reminders_due(
    received_at: datetime,
    due_at: datetime,
    as_of: datetime,
    reminders: Iterable[Reminder],
    sent: Collection[float] = (),
) -> list[Reminder]:
    """The reminders whose fraction is reached and not in ``sent``, the smallest first.

    A watch that was down for days gets several at once: send the last and note them all as sent. ``sent``
    belongs to one due date; an extension begins a new row of reminders. A reminder at 1 is due
    with the last second of the time, as a warning that the next one is too late.
    """
    elapsed = fraction_elapsed(received_at, due_at, as_of)
    return sorted((r for r in reminders if r.at <= elapsed and r.at not in sent), key=lambda r: r.at)
