"""When a request is due."""

from __future__ import annotations

from datetime import datetime

from include.privacy.clock import due_at

ANSWER_WITHIN_DAYS = 14
"""P6.6 promises 14 *business* days. Counted in calendar days the date is never later than that, nor
than the statutory month (Art. 12(3) GDPR) or 45 days (CCPA), whatever the company's calendar says."""


def answer_due(received_at: datetime) -> datetime:
    """The instant by which the person has an answer."""
    return due_at(received_at, ANSWER_WITHIN_DAYS)
