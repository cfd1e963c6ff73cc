"""Working days and months: against the holidays library, numpy, QuantLib, and the zones of the world."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import pytest
import QuantLib
from hypothesis import example, given
from hypothesis import strategies as st

from include.privacy.business_days import (
    SpecialDays,
    WorkingCalendar,
    add_days,
    add_months,
    country_calendar,
)

FIRST, LAST = date(2020, 1, 1), date(2035, 12, 31)
DAY = timedelta(days=1)
YEARS = range(FIRST.year - 1, LAST.year + 2)
PLACES = [
    ("DE", "BE", "Europe/Berlin"),
    ("DE", "BY", "Europe/Berlin"),
    ("GB", "ENG", "Europe/London"),
    ("US", "CA", "America/Los_Angeles"),
    ("FR", None, "Europe/Paris"),
    ("JP", None, "Asia/Tokyo"),
    ("IL", None, "Asia/Jerusalem"),
]

dates = st.dates(FIRST, LAST)
counts = st.integers(1, 40)
zones = st.timezone_keys(allow_prefix=False).map(ZoneInfo)


@cache
def place(country: str, subdivision: str | None, zone: str) -> WorkingCalendar:
    weekend = (4, 5) if country == "IL" else (5, 6)
    return country_calendar(zone, country, subdivision, weekend=weekend)


@cache
def listed(country: str, subdivision: str | None) -> np.ndarray:
    found = holidays.country_holidays(country, subdiv=subdivision, years=YEARS)
    return np.array(sorted(found), dtype="datetime64[D]")


def plain(zone: str = "UTC", *free: date) -> WorkingCalendar:
    """Saturdays, Sundays and the given days are free."""
    weekend, days = frozenset({5, 6}), frozenset(free)
    return WorkingCalendar(
        ZoneInfo(zone), weekend, weekend, frozenset(), lambda _: SpecialDays(days), "plain"
    )


@given(st.sampled_from(PLACES), dates, counts, st.sets(dates, max_size=8))
def test_working_days_are_those_of_numpy_given_the_same_free_days(
    where: tuple[str, str | None, str], day: date, n: int, closures: set[date]
) -> None:
    country, subdivision, zone = where
    weekend = {4, 5} if country == "IL" else {5, 6}
    ours = country_calendar(zone, country, subdivision, weekend=weekend, closures=closures)
    free = np.union1d(listed(country, subdivision), np.array(sorted(closures), dtype="datetime64[D]"))
    mask = [weekday not in weekend for weekday in range(7)]
    theirs = np.busday_offset(day, n, roll="preceding", weekmask=mask, holidays=free)
    assert ours.nth_working_day(day, n) == theirs.astype(date)
    assert ours.is_working_day(day) == np.is_busday(day, weekmask=mask, holidays=free)
    following = np.busday_offset(day, 0, roll="forward", weekmask=mask, holidays=free)
    assert ours.next_working_day(day) == following.astype(date)


@given(dates, counts)
@example(date(2026, 12, 18), 14)
@example(date(2023, 5, 5), 1)  # the coronation: a holiday proclaimed once
@example(date(2022, 6, 1), 1)  # the bank holiday of May moved to June
def test_working_days_are_those_of_quantlib_in_england(day: date, n: int) -> None:
    independent = QuantLib.UnitedKingdom(QuantLib.UnitedKingdom.Settlement)
    theirs = independent.advance(QuantLib.Date(day.day, day.month, day.year), n, QuantLib.Days)
    ours = place("GB", "ENG", "Europe/London").nth_working_day(day, n)
    assert (ours.year, ours.month, ours.day) == (theirs.year(), theirs.month(), theirs.dayOfMonth())


@given(dates, st.integers(0, 30))
def test_months_are_those_of_quantlib(day: date, n: int) -> None:
    theirs = QuantLib.Date(day.day, day.month, day.year) + QuantLib.Period(n, QuantLib.Months)
    ours = add_months(day, n)
    assert (ours.year, ours.month, ours.day) == (theirs.year(), theirs.month(), theirs.dayOfMonth())


@given(dates)
def test_a_saturday_that_hungary_works_counts(day: date) -> None:
    independent = holidays.country_holidays("HU")
    assert country_calendar("Europe/Budapest", "HU").is_working_day(day) == independent.is_working_day(day)


def test_a_swapped_saturday_is_worked_and_nothing_else_of_its_kind() -> None:
    hungary = country_calendar("Europe/Budapest", "HU")
    assert hungary.is_working_day(date(2026, 8, 8))
    assert not hungary.is_working_day(date(2026, 8, 15))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-01-30", 1, "2026-02-28"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-30", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2025-09-03", 1, "2025-10-03"),  # the example of the Information Commissioner's Office
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-01-31", 3, "2026-04-30"),  # three months from the start, not by way of February
        ("2026-05-31", 0, "2026-05-31"),
    ],
)
def test_a_month_ends_on_the_corresponding_date_or_the_last_of_the_month(
    day: str, months: int, expected: str
) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(expected)


@given(zones, st.datetimes(datetime(2020, 1, 1), datetime(2035, 12, 31)))  # noqa: DTZ001 - made aware below
def test_a_day_ends_with_its_last_second_in_every_zone_of_the_world(zone: ZoneInfo, moment: datetime) -> None:
    received = moment.replace(tzinfo=UTC)
    days = plain(zone.key)
    day = days.local_day(received)
    end = days.end_of_day(day)
    assert received.replace(microsecond=0) <= end
    assert end.astimezone(zone).date() == day == received.astimezone(zone).date()
    assert (end + timedelta(seconds=1)).astimezone(zone).date() == day + DAY


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Europe/Berlin", "2026-03-28", "2026-03-28T22:59:59+00:00"),  # the eve of summer time
        ("Europe/Berlin", "2026-03-29", "2026-03-29T21:59:59+00:00"),  # a day of 23 hours
        ("Europe/Berlin", "2026-10-25", "2026-10-25T22:59:59+00:00"),  # a day of 25 hours
        ("America/Havana", "2026-03-07", "2026-03-08T04:59:59+00:00"),  # clocks jump at midnight
        ("America/Havana", "2026-10-31", "2026-11-01T03:59:59+00:00"),  # midnight comes twice
        ("Pacific/Apia", "2011-12-29", "2011-12-30T09:59:59+00:00"),  # the next day never was
        ("America/Los_Angeles", "2026-11-25", "2026-11-26T07:59:59+00:00"),
    ],
)
def test_the_end_of_a_day_is_right_when_clocks_change(zone: str, day: str, expected: str) -> None:
    assert plain(zone).end_of_day(date.fromisoformat(day)) == datetime.fromisoformat(expected)


def test_a_receipt_belongs_to_the_day_on_the_companys_wall() -> None:
    berlin = plain("Europe/Berlin")
    assert berlin.local_day(datetime(2026, 11, 25, 22, 59, 59, tzinfo=UTC)) == date(2026, 11, 25)
    assert berlin.local_day(datetime(2026, 11, 25, 23, 0, tzinfo=UTC)) == date(2026, 11, 26)
    with pytest.raises(ValueError, match="without time zone"):
        berlin.local_day(datetime(2026, 11, 25))  # noqa: DTZ001 - the point of the test


def test_the_day_of_receipt_is_not_counted_and_a_free_one_costs_nothing() -> None:
    days = plain()
    friday, saturday, sunday, monday = (date(2026, 11, 27) + timedelta(days=n) for n in range(4))
    assert days.nth_working_day(friday, 1) == monday
    assert days.nth_working_day(saturday, 1) == monday
    assert days.nth_working_day(sunday, 1) == monday
    assert days.nth_working_day(monday, 1) == monday + DAY
    assert days.nth_working_day(saturday, 0) == saturday


@given(dates, st.integers(0, 60))
def test_counting_working_days_is_the_inverse_of_reaching_them(day: date, n: int) -> None:
    days = place("DE", "BE", "Europe/Berlin")
    assert days.working_days_between(day, days.nth_working_day(day, n)) == n


def test_the_state_and_the_companys_closures_add_free_days() -> None:
    womens_day = date(2027, 3, 8)  # a holiday in Berlin, not in Bavaria
    closed = date(2026, 12, 24)
    berlin = country_calendar("Europe/Berlin", "DE", "BE", closures=[closed])
    assert not berlin.is_working_day(womens_day)
    assert place("DE", "BY", "Europe/Berlin").is_working_day(womens_day)
    assert not berlin.is_working_day(closed)
    assert berlin.statutory().is_working_day(closed)


def test_the_law_sees_the_countrys_weekend_and_not_the_companys() -> None:
    four_days = country_calendar("Europe/Berlin", "DE", weekend=(4, 5, 6))
    friday = date(2026, 11, 27)
    assert not four_days.is_working_day(friday)
    assert four_days.statutory().is_working_day(friday)


def test_the_version_names_library_and_place_and_follows_what_the_company_says() -> None:
    closed = [date(2026, 12, 24), date(2026, 12, 31)]
    base = country_calendar("Europe/Berlin", "DE", "BE", closures=closed)
    assert f"holidays {holidays.__version__}, DE-BE, " in base.version
    assert country_calendar("Europe/Berlin", "DE", "BE", closures=reversed(closed)) == base
    others = [
        country_calendar("Europe/Berlin", "DE", "BE", closures=closed[:1]),
        country_calendar("Europe/Berlin", "DE", "BE", closures=closed, weekend=(4, 5, 6)),
        country_calendar("Europe/Paris", "DE", "BE", closures=closed),
        country_calendar("Europe/Berlin", "DE", closures=closed),
    ]
    assert len({base.version, *(c.version for c in others)}) == 5


def test_an_observed_holiday_on_the_last_day_of_a_year_is_known_when_that_year_is_asked_first() -> None:
    assert not country_calendar("America/New_York", "US").is_working_day(date(2021, 12, 31))


def test_the_ends_of_the_calendar_stop_nothing() -> None:
    days = place("DE", "BE", "Europe/Berlin")
    west = plain("America/Los_Angeles")
    assert days.nth_working_day(date.max, 14) == date.max
    assert add_months(date.max, 1) == add_days(date.max, 45) == date.max
    assert west.end_of_day(date.max).year == 9999
    assert west.local_day(datetime.min.replace(tzinfo=UTC)) == date.min
    assert days.nth_working_day(date.min, 14) > date.min


@pytest.mark.parametrize("n", [-1, 1.5, True, None])
def test_a_count_that_is_no_whole_number_from_zero_up_is_refused(n: object) -> None:
    for count in (plain().nth_working_day, add_days, add_months):
        with pytest.raises(ValueError, match="whole number"):
            count(date(2026, 1, 1), n)  # type: ignore[operator]
