"""Reminders: each fraction once, in order, and overdue is more than the whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.policy.calendar import Reminder
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.requests.reminders import fraction_elapsed, reminders_due

RECEIVED = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DUE = RECEIVED + timedelta(days=20)
SECOND = timedelta(seconds=1)
REMINDERS = [Reminder(at=a, to=("privacy_team",)) for a in (0.5, 0.75, 0.9, 1.0)]

moments = st.integers(-(10**7), 10**7).map(lambda s: RECEIVED + timedelta(seconds=s))


def test_the_fraction_runs_from_receipt_to_due_date_and_on() -> None:
    assert fraction_elapsed(RECEIVED, DUE, RECEIVED - SECOND) == 0
    assert fraction_elapsed(RECEIVED, DUE, RECEIVED) == 0
    assert fraction_elapsed(RECEIVED, DUE, RECEIVED + timedelta(days=5)) == 0.25
    assert fraction_elapsed(RECEIVED, DUE, DUE) == 1
    assert fraction_elapsed(RECEIVED, DUE, DUE + SECOND) > 1


@given(moments, moments, moments)
def test_more_than_the_whole_is_overdue_and_nothing_else_is(
    received: datetime, due: datetime, as_of: datetime
) -> None:
    if received < due:
        assert (fraction_elapsed(received, due, as_of) > 1) == (as_of > due)
    elif as_of > due:
        assert fraction_elapsed(received, due, as_of) > 1


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="without time zone"):
        fraction_elapsed(RECEIVED, DUE, datetime(2026, 12, 1))  # noqa: DTZ001 - the point of the test


def test_a_reminder_is_due_from_its_fraction_on_and_until_it_was_sent() -> None:
    half = RECEIVED + timedelta(days=10)
    assert reminders_due(RECEIVED, DUE, half - SECOND, REMINDERS) == []
    assert [r.at for r in reminders_due(RECEIVED, DUE, half, REMINDERS)] == [0.5]
    assert reminders_due(RECEIVED, DUE, half, REMINDERS, sent=[0.5]) == []
    late = RECEIVED + timedelta(days=19)
    assert [r.at for r in reminders_due(RECEIVED, DUE, late, REMINDERS, sent={0.5})] == [0.75, 0.9]


@given(st.lists(moments, min_size=1, max_size=20))
def test_whenever_the_watch_looks_each_reminder_is_sent_once_and_in_order(looks: list[datetime]) -> None:
    sent: list[float] = []
    for as_of in sorted(looks):
        sent += [r.at for r in reminders_due(RECEIVED, DUE, as_of, reversed(REMINDERS), sent)]
    reached = fraction_elapsed(RECEIVED, DUE, max(looks))
    assert sent == [r.at for r in REMINDERS if r.at <= reached]


def test_an_overdue_request_reaches_everybody_of_the_shipped_calendar() -> None:
    calendar = load_config(ROOT / "config").calendar
    reached = reminders_due(RECEIVED, DUE, DUE + SECOND, calendar.reminders)
    assert set(reached[-1].to) == set(calendar.roles)
