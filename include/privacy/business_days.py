"""Working days and calendar months in the company's zone: where a period of days or months ends.

A promise in *business days* and a statutory month are counted in whole days of the company's zone
(DESIGN §3): a receipt at 23:59 local time belongs to that day, the day of receipt is not counted, and
a period ends with its last day, at 23:59:59 local time. Everything here is pure but
:func:`country_calendar`, which reads the holidays of a country from the ``holidays`` library.
"""

from __future__ import annotations

import calendar
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from include.privacy.clock import require_utc

_DAY = timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC, microsecond=0)


class SpecialDays(NamedTuple):
    """What the law of a country says about one year: days off, and weekend days worked instead of others."""

    holidays: frozenset[date]
    worked: frozenset[date] = frozenset()


@dataclass(frozen=True)
class WorkingCalendar:
    """Which days count, and in which zone a day begins and ends.

    ``weekend`` holds the company's free weekdays (Monday is 0), ``public_weekend`` those of the country.
    ``closures`` are the company's own. ``special_days`` answers for a year. ``version`` names the library,
    the country and a digest of what the company added; it is stored beside every date made from it.
    """

    zone: ZoneInfo
    weekend: frozenset[int]
    public_weekend: frozenset[int]
    closures: frozenset[date]
    special_days: Callable[[int], SpecialDays] = field(compare=False, repr=False)
    version: str

    def statutory(self) -> WorkingCalendar:
        """The same calendar as the law sees it: the country's weekend and holidays alone.

        The end of a statutory period moves for public holidays, Saturdays and Sundays (Art. 3(4) of
        Regulation 1182/71), not because the company is closed.
        """
        return replace(self, weekend=self.public_weekend, closures=frozenset())

    def is_working_day(self, day: date) -> bool:
        """Whether the day counts as a business day."""
        special = self.special_days(day.year)
        if day in self.closures or day in special.holidays:
            return False
        return day.weekday() not in self.weekend or day in special.worked

    def next_working_day(self, day: date) -> date:
        """The day itself when it is a working day, else the next one."""
        while not self.is_working_day(day) and day < date.max:
            day += _DAY
        return day

    def nth_working_day(self, day: date, n: int) -> date:
        """The ``n``-th working day after ``day``, which is never counted itself.

        After a Saturday the first is Monday: a receipt on a free day costs the person nothing.
        Raises ``ValueError`` unless ``n`` is a whole number of at least 0; 0 is the day itself.
        """
        _require_count(n)
        for _ in range(n):
            day = self.next_working_day(add_days(day, 1))
        return day

    def working_days_between(self, start: date, end: date) -> int:
        """How many working days lie after ``start`` up to and including ``end``."""
        days = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
        return sum(self.is_working_day(day) for day in days)

    def local_day(self, moment: datetime) -> date:
        """The date on the company's wall at that instant. Raises ``ValueError`` for a naive datetime."""
        moment = require_utc(moment)
        try:
            return moment.astimezone(self.zone).date()
        except OverflowError:  # within a day of the calendar's first or last instant
            return moment.date()

    def end_of_day(self, day: date) -> datetime:
        """The last second of the day in the company's zone, in UTC.

        It is found from the beginning of the next day, so it is right when clocks change at midnight.
        """
        try:
            tomorrow = datetime.combine(day + _DAY, time.min, self.zone)
            return tomorrow.astimezone(UTC) - timedelta(seconds=1)
        except OverflowError:
            return _LAST


def add_days(day: date, n: int) -> date:
    """The date ``n`` days later, or the calendar's last day. Raises ``ValueError`` for a negative number."""
    _require_count(n)
    try:
        return day + timedelta(days=n)
    except OverflowError:
        return date.max


def add_months(day: date, n: int) -> date:
    """The corresponding date ``n`` months later, or the last day of that month where there is none.

    Art. 3(2)(c) of Regulation 1182/71: 31 August and one month is 30 September. Several months count
    from the first day at once: 31 January and three months is 30 April, whatever February does.
    Raises ``ValueError`` for a negative number.
    """
    _require_count(n)
    years, month = divmod(day.month - 1 + n, 12)
    year = day.year + years
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def country_calendar(
    zone: str,
    country: str,
    subdivision: str | None = None,
    *,
    weekend: Iterable[int] = (5, 6),
    closures: Iterable[date] = (),
) -> WorkingCalendar:
    """The calendar of a company: its country's public holidays, its own weekend and closures.

    ``country`` is an ISO 3166-1 code and ``subdivision`` one that the ``holidays`` library knows; the
    loading of ``config/calendar.yaml`` has checked both. Raises ``NotImplementedError`` for others.
    """
    import holidays

    public = holidays.country_holidays(country, subdiv=subdivision)
    free, closed = frozenset(weekend), frozenset(closures)
    own = json.dumps([zone, sorted(free), sorted(day.isoformat() for day in closed)])
    place = f"{country}-{subdivision}" if subdivision else country
    return WorkingCalendar(
        zone=ZoneInfo(zone),
        weekend=free,
        public_weekend=frozenset(public.weekend),
        closures=closed,
        special_days=lambda year: _special_days(country, subdivision, year),
        version=f"holidays {holidays.__version__}, {place}, {hashlib.sha256(own.encode()).hexdigest()[:12]}",
    )


@lru_cache(maxsize=512)
def _special_days(country: str, subdivision: str | None, year: int) -> SpecialDays:
    import holidays

    # A holiday that is observed in the year before is listed there: tried with all 250 countries.
    found = holidays.country_holidays(country, subdiv=subdivision, years=year)
    return SpecialDays(frozenset(found), frozenset(found.weekend_workdays))


def _require_count(n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"a number of days or months must be a whole number of at least 0, not {n!r}")
