"""Deadlines: exact at the boundary, blind to wall clocks, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.clock import cutoff, due_at, is_due, overdue_by, parse_instant, require_utc

instants = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.timezones(),
)
days = st.integers(min_value=0, max_value=4000)
MICROSECOND = timedelta(microseconds=1)


@given(instants, days)
def test_cutoff_and_due_date_agree_at_every_instant(start: datetime, n: int) -> None:
    as_of = due_at(start, n)
    assert cutoff(as_of, n) == require_utc(start)
    assert is_due(start, n, as_of)
    assert not is_due(start, n, as_of - MICROSECOND)


@given(instants, instants, days)
def test_a_start_is_due_exactly_when_not_after_the_cutoff(start: datetime, as_of: datetime, n: int) -> None:
    assert is_due(start, n, as_of) == (require_utc(start) <= cutoff(as_of, n))


@given(instants, days)
def test_nothing_is_overdue_until_the_limit_has_passed(start: datetime, n: int) -> None:
    limit = due_at(start, n)
    assert overdue_by(start, n, limit) is None
    assert overdue_by(start, n, limit - MICROSECOND) is None
    assert overdue_by(start, n, limit + MICROSECOND) == MICROSECOND


@given(instants)
def test_the_zone_in_which_an_instant_is_written_changes_nothing(moment: datetime) -> None:
    assert due_at(moment, 90) == due_at(moment.astimezone(ZoneInfo("Pacific/Apia")), 90)
    assert require_utc(moment).tzinfo is UTC


@given(instants)
def test_an_instant_survives_being_written_and_read(moment: datetime) -> None:
    assert parse_instant(require_utc(moment).isoformat()) == require_utc(moment)


def test_the_ninetieth_day_ends_at_the_microsecond() -> None:
    deleted = datetime(2026, 1, 1, 12, 30, 0, 1, tzinfo=UTC)
    assert due_at(deleted, 90) == datetime(2026, 4, 1, 12, 30, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-03-28T12:00:00+01:00", "2026-03-29T11:00:00Z"),  # clocks go forward that night
        ("2026-10-24T12:00:00+02:00", "2026-10-25T10:00:00Z"),  # clocks go back
    ],
)
def test_a_day_has_24_hours_when_the_clocks_change(start: str, expected: str) -> None:
    assert due_at(parse_instant(start), 1) == parse_instant(expected)


def test_a_leap_day_counts_as_a_day() -> None:
    assert due_at(datetime(2028, 2, 28, tzinfo=UTC), 2) == datetime(2028, 3, 1, tzinfo=UTC)
    assert due_at(datetime(2027, 2, 28, tzinfo=UTC), 2) == datetime(2027, 3, 2, tzinfo=UTC)
    assert due_at(datetime(2028, 2, 29, tzinfo=UTC), 365) == datetime(2029, 2, 28, tzinfo=UTC)


def test_month_ends_are_not_special() -> None:
    assert due_at(datetime(2026, 1, 31, tzinfo=UTC), 30) == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "call",
    [
        lambda naive: require_utc(naive),
        lambda naive: due_at(naive, 1),
        lambda naive: cutoff(naive, 1),
        lambda naive: overdue_by(datetime(2026, 1, 1, tzinfo=UTC), 1, naive),
    ],
)
def test_a_naive_datetime_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="without time zone"):
        call(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("n", [-1, 1.5, True, None])
def test_days_that_are_no_whole_number_from_zero_up_are_refused(n: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        cutoff(datetime(2026, 1, 1, tzinfo=UTC), n)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "2026-03-01", "2026-03-01T00:00:00", "yesterday", "2026-02-30T00:00:00Z", "1772323200"]
)
def test_an_instant_without_offset_or_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="2026-03-01T00:00:00Z"):
        parse_instant(text)


def test_an_instant_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        parse_instant("0001-01-01T00:00:00+14:00")


def test_an_offset_is_turned_into_utc() -> None:
    assert parse_instant(" 2026-03-01T01:30:00+05:30 ") == datetime(2026, 2, 28, 20, 0, tzinfo=UTC)
    assert require_utc(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))).hour == 22


def test_never_is_due_at_the_end_of_the_calendar_and_stops_nothing() -> None:
    never = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert due_at(never, 90).year == 9999
    assert overdue_by(never, 90, datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert cutoff(datetime(1, 1, 2, tzinfo=UTC), 90).year == 1
