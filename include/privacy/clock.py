"""Instants and deadlines counted in days: the only place where the project does time arithmetic.

Promises in *days* count from the instant, in UTC: a day is 24 hours, whatever the clocks on the
wall do (DESIGN §3). No function reads the current time; every caller says ``as_of``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def require_utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises ``ValueError`` for a naive datetime: nobody knows which instant it means.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(
            "a datetime without time zone was given where an instant is needed; "
            "make it aware, e.g. datetime(2026, 3, 1, tzinfo=UTC)"
        )
    return moment.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """The instant written as ISO 8601 with an offset, e.g. ``2026-03-01T00:00:00Z``, in UTC.

    Raises ``ValueError`` for anything else, a bare date and a time without offset included:
    guessing the zone would move a deadline by hours.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            f"{text!r} is not an instant; write date, time and offset, e.g. 2026-03-01T00:00:00Z"
        )
    try:
        return require_utc(moment)
    except OverflowError:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from None


def due_at(start: datetime, days: int) -> datetime:
    """The instant ``days`` times 24 hours after ``start``.

    A start near the end of the calendar (``9999-12-31`` is a common way of saying never) is due
    at its last instant: one odd row must not stop a run.
    """
    start = require_utc(start)
    _require_days(days)
    try:
        return start + timedelta(days=days)
    except OverflowError:
        return _LAST


def cutoff(as_of: datetime, days: int) -> datetime:
    """The latest start that is due at ``as_of``: a start is due exactly when it is not after the cutoff."""
    as_of = require_utc(as_of)
    _require_days(days)
    try:
        return as_of - timedelta(days=days)
    except OverflowError:
        return _FIRST


def is_due(start: datetime, days: int, as_of: datetime) -> bool:
    """Whether ``days`` have fully passed at ``as_of``. At the very instant it is due."""
    return due_at(start, days) <= require_utc(as_of)


def overdue_by(start: datetime, limit_days: int, as_of: datetime) -> timedelta | None:
    """How far ``as_of`` lies past the limit; ``None`` up to and including the limit itself.

    "Within 90 days" is kept at the last instant of the 90th day and broken after it.
    """
    late = require_utc(as_of) - due_at(start, limit_days)
    return late if late > timedelta(0) else None


def _require_days(days: int) -> None:
    if isinstance(days, bool) or not isinstance(days, int) or days < 0:
        raise ValueError(f"a number of days must be a whole number of at least 0, not {days!r}")
