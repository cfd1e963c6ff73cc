"""Due dates: the law's arithmetic, the earliest wins, and nothing moves a date but what the law allows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import pytest
import QuantLib
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.privacy.business_days import SpecialDays, WorkingCalendar, country_calendar
from include.privacy.policy.calendar import ClockRegime
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.requests.due import (
    ExtensionRefusedError,
    PauseRefusedError,
    answer_due,
    compute_due,
    due_dates,
    extended,
    never_later,
    paused,
    recomputed,
)
from include.privacy.requests.due_dates import DueDates, Standing
from include.privacy.runtime import Runtime, use_runtime
from tests.policy import configs

SHIPPED = load_config(ROOT / "config").calendar
EVERYBODY, EU, UK, CALIFORNIA = (SHIPPED.regime(r) for r in ("everybody", "eu", "uk", "california"))
REGIMES = (EVERYBODY, EU, UK, CALIFORNIA)
BERLIN, LONDON = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")
CLOSURES = [date(2026, 12, 24), *(date(2026, 12, d) for d in range(28, 32))]
GERMANY = country_calendar("Europe/Berlin", "DE", "BE", closures=CLOSURES)
ENGLAND = country_calendar("Europe/London", "GB", "ENG")
SECOND = timedelta(seconds=1)
FREE = np.array(
    sorted({*holidays.country_holidays("DE", subdiv="BE", years=range(2019, 2038)), *CLOSURES}),
    dtype="datetime64[D]",
)

receipts = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2035, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
days = st.dates(date(2020, 1, 1), date(2036, 12, 31))
regimes = st.sampled_from(REGIMES)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def listed(free: set[date], version: str, zone: ZoneInfo = BERLIN) -> WorkingCalendar:
    """Saturdays, Sundays and the given holidays are free."""
    weekend, special = frozenset({5, 6}), SpecialDays(frozenset(free))
    return WorkingCalendar(zone, weekend, weekend, frozenset(), lambda _: special, version)


def last_days(due: DueDates, zone: ZoneInfo = BERLIN) -> dict[str, str]:
    """The day on which each clock ends, as it reads on the company's wall."""
    return {c.id: c.deadline.due_at.astimezone(zone).date().isoformat() for c in due.clocks}


# --- each clock against an independent calendar ------------------------------------------------------


@given(receipts)
def test_the_promise_ends_on_the_fourteenth_business_day_of_numpy(received: datetime) -> None:
    due = compute_due(received, GERMANY, EVERYBODY)
    local = received.astimezone(BERLIN).date()
    theirs = np.busday_offset(local, 14, roll="preceding", holidays=FREE).astype(date)
    assert last_days(due)["policy_promise"] == theirs.isoformat()


@given(receipts)
def test_promise_and_month_are_those_of_quantlib_in_the_united_kingdom(received: datetime) -> None:
    uk = QuantLib.UnitedKingdom(QuantLib.UnitedKingdom.Settlement)
    local = received.astimezone(LONDON).date()
    start = QuantLib.Date(local.day, local.month, local.year)
    month_on = uk.adjust(start + QuantLib.Period(1, QuantLib.Months), QuantLib.Following)
    quarter_on = uk.adjust(start + QuantLib.Period(3, QuantLib.Months), QuantLib.Following)
    due = compute_due(received, ENGLAND, UK)
    assert last_days(due, LONDON) == {
        "policy_promise": uk.advance(start, 14, QuantLib.Days).ISO(),
        "uk_gdpr": month_on.ISO(),
    }
    (law,) = (c for c in due.clocks if c.statutory)
    assert law.if_extended is not None
    assert law.if_extended.due_at.astimezone(LONDON).date().isoformat() == quarter_on.ISO()


@given(receipts)
def test_the_californian_clock_counts_every_day_and_moves_for_none(received: datetime) -> None:
    local = received.astimezone(BERLIN).date()
    due = compute_due(received, GERMANY, CALIFORNIA)
    assert last_days(due)["ccpa"] == (local + timedelta(days=45)).isoformat()
    assert last_days(due) == last_days(compute_due(received.astimezone(LONDON), GERMANY, CALIFORNIA))


# --- the law's own examples --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "last_day", "due_on"),
    [
        ("2026-01-30T10:00", "2026-02-28", "2026-03-02"),  # no 30 February; the 28th is a Saturday
        ("2026-01-31T10:00", "2026-02-28", "2026-03-02"),
        ("2028-01-30T10:00", "2028-02-29", "2028-02-29"),  # a leap year
        ("2028-02-29T10:00", "2028-03-29", "2028-03-29"),
        ("2026-08-31T10:00", "2026-09-30", "2026-09-30"),
        ("2026-11-25T10:00", "2026-12-25", "2026-12-28"),  # Friday is Christmas, then a weekend
        ("2025-09-03T10:00", "2025-10-03", "2025-10-06"),  # German Unity Day, a Friday
        ("2026-11-24T10:00", "2026-12-24", "2026-12-24"),  # our own closure moves no law
        ("2026-11-28T10:00", "2026-12-28", "2026-12-28"),  # received on a Saturday, closed that Monday
    ],
)
def test_the_month_ends_as_regulation_1182_71_says(received: str, last_day: str, due_on: str) -> None:
    due = compute_due(at(received), GERMANY, EU)
    (law,) = (c for c in due.clocks if c.statutory)
    assert law.deadline.last_day.isoformat() == last_day
    assert last_days(due)["gdpr"] == due_on
    assert due.law_at == law.deadline.due_at


def test_the_example_of_the_british_regulator() -> None:
    due = compute_due(at("2025-09-03T10:00", LONDON), ENGLAND, UK)
    assert last_days(due, LONDON)["uk_gdpr"] == "2025-10-03"


@pytest.mark.parametrize(
    ("received", "promise"),
    [
        ("2026-11-25T00:00:00", "2026-12-15"),
        ("2026-11-25T23:59:59", "2026-12-15"),  # late in the evening is still that day
        ("2026-11-26T00:00:00", "2026-12-16"),
        ("2026-11-28T12:00:00", "2026-12-17"),  # Saturday: Monday is the first day
        ("2026-11-29T12:00:00", "2026-12-17"),
        ("2026-12-10T12:00:00", "2027-01-08"),  # two holidays and five days on which nobody is in
    ],
)
def test_fourteen_business_days_of_a_company_with_closures(received: str, promise: str) -> None:
    assert last_days(compute_due(at(received), GERMANY, EU))["policy_promise"] == promise


@pytest.mark.parametrize(
    ("received", "due_at"),
    [
        ("2026-03-10T12:00", "2026-03-30T21:59:59+00:00"),  # summer time began in between
        ("2026-10-07T12:00", "2026-10-27T22:59:59+00:00"),  # and ended
    ],
)
def test_a_period_ends_with_the_day_of_the_company_when_clocks_change(received: str, due_at: str) -> None:
    assert compute_due(at(received), GERMANY, EU).due_at == datetime.fromisoformat(due_at)


# --- the earliest wins -------------------------------------------------------------------------------


@given(receipts, regimes, st.sets(days, max_size=30))
def test_the_earliest_date_is_due_and_says_whose_it_is(
    received: datetime, regime: ClockRegime, free: set[date]
) -> None:
    due = compute_due(received, listed(free, "v"), regime)
    ends = {c.id: c.deadline.due_at for c in due.clocks}
    assert ends.keys() == regime.clocks.keys()
    assert due.due_at == min(ends.values()) == ends[due.clock]
    assert due.regime == regime.id
    assert due.calendar == "v"
    assert due.received_at == received < due.due_at
    assert due.promise_at == ends["policy_promise"]
    assert due.law_at == min(v for k, v in ends.items() if k != "policy_promise")


def test_many_closures_cannot_push_the_due_date_beyond_the_law() -> None:
    closed = country_calendar("Europe/Berlin", "DE", "BE", closures=[date(2026, 12, d) for d in range(1, 32)])
    due = compute_due(at("2026-11-27T12:00"), closed, EVERYBODY)
    assert due.clock == "gdpr"
    assert due.promise_at is not None and due.promise_at > due.due_at
    assert not due.beyond_promise


# --- extension ---------------------------------------------------------------------------------------


def test_an_extension_counts_three_months_from_the_start_and_leaves_the_promise_where_it_was() -> None:
    due = compute_due(at("2026-01-31T12:00"), GERMANY, EU)
    longer = extended(due, at("2026-02-10T12:00"), "complexity")
    assert longer.due_at == at("2026-04-30T23:59:59")
    assert longer.clock == "gdpr"
    assert longer.promise_at == due.promise_at == due.due_at
    assert longer.beyond_promise and not due.beyond_promise
    assert longer.extension is not None and longer.extension.reason == "complexity"
    assert due.extension is None


def test_california_adds_forty_five_days_and_of_two_laws_the_earlier_binds() -> None:
    received = at("2026-11-25T12:00")
    west = extended(compute_due(received, GERMANY, CALIFORNIA), received, "number_of_requests")
    assert west.due_at == at("2027-02-23T23:59:59")
    both = extended(compute_due(received, GERMANY, EVERYBODY), received, "number_of_requests")
    assert (both.clock, both.due_at) == ("ccpa", west.due_at)


@given(receipts, regimes, st.integers(-5, 60 * 24 * 3600))
def test_an_extension_is_possible_exactly_until_the_first_laws_period_ends(
    received: datetime, regime: ClockRegime, seconds: int
) -> None:
    due = compute_due(received, GERMANY, regime)
    as_of = received + timedelta(seconds=seconds)
    assert due.law_at is not None
    if received <= as_of <= due.law_at:
        longer = extended(due, as_of, "complexity")
        assert longer.due_at > due.law_at
        assert longer.law_at == longer.due_at
    else:
        with pytest.raises(ExtensionRefusedError):
            extended(due, as_of, "complexity")


def test_the_window_closes_with_the_second_in_which_the_first_month_ends() -> None:
    due = compute_due(at("2026-08-31T12:00"), GERMANY, EU)
    end = at("2026-09-30T23:59:59")
    assert extended(due, end, "complexity").due_at == at("2026-11-30T23:59:59")
    with pytest.raises(ExtensionRefusedError, match="gdpr ended at 2026-09-30T21:59:59"):
        extended(due, end + SECOND, "complexity")


def test_an_extension_is_granted_once() -> None:
    received = at("2026-08-31T12:00")
    once = extended(compute_due(received, GERMANY, EU), received, "complexity")
    with pytest.raises(ExtensionRefusedError, match=r"extended on 2026-08-31.* once"):
        extended(once, received, "number_of_requests")


@pytest.mark.parametrize("reason", ["", " ", "we are busy", "Complexity"])
def test_an_extension_without_a_reason_that_the_law_knows_is_refused(reason: str) -> None:
    received = at("2026-08-31T12:00")
    with pytest.raises(ExtensionRefusedError, match="complexity or number_of_requests") as refused:
        extended(compute_due(received, GERMANY, EU), received, reason)
    assert "busy" not in str(refused.value)


def test_where_no_law_extends_nothing_does() -> None:
    received = at("2026-08-31T12:00")
    ours = ClockRegime("ours", {"policy_promise": EU.clocks["policy_promise"]})
    due = compute_due(received, GERMANY, ours)
    assert due.law_at is None
    with pytest.raises(ExtensionRefusedError, match="no law of regime ours"):
        extended(due, received, "complexity")


def test_an_answer_between_promise_and_law_has_a_standing_of_its_own() -> None:
    due = compute_due(at("2026-01-31T12:00"), GERMANY, EU)
    longer = extended(due, at("2026-02-10T12:00"), "complexity")
    assert due.promise_at and due.law_at and longer.law_at
    assert due.standing(due.promise_at) is Standing.IN_TIME
    assert due.standing(due.promise_at + SECOND) is Standing.PROMISE_MISSED
    assert due.standing(due.law_at + SECOND) is Standing.LAW_MISSED
    assert longer.standing(due.promise_at) is Standing.IN_TIME
    assert longer.standing(due.law_at + SECOND) is Standing.PROMISE_MISSED
    assert longer.standing(longer.law_at) is Standing.PROMISE_MISSED
    assert longer.standing(longer.law_at + SECOND) is Standing.LAW_MISSED


# --- pauses ------------------------------------------------------------------------------------------


def pause_uk(due: DueDates, start: str, until: str, reason: str = "clarification") -> DueDates:
    return paused(due, at(start, LONDON), at(until, LONDON), reason, calendar=ENGLAND, regime=UK)  # type: ignore[arg-type]


@pytest.mark.parametrize("regime", [EVERYBODY, EU, CALIFORNIA], ids=lambda r: r.id)
@pytest.mark.parametrize("reason", ["identity", "clarification"])
def test_no_clock_stands_still_where_the_regime_knows_no_pause(regime: ClockRegime, reason: str) -> None:
    due = compute_due(at("2026-08-31T12:00"), GERMANY, regime)
    with pytest.raises(PauseRefusedError, match=f"regime {regime.id} stands still for {reason}"):
        paused(
            due,
            at("2026-09-01T12:00"),
            at("2026-09-04T12:00"),
            reason,  # type: ignore[arg-type]
            calendar=GERMANY,
            regime=regime,
        )


def test_in_the_united_kingdom_the_days_of_a_clarification_do_not_count() -> None:
    due = compute_due(at("2026-09-03T10:00", LONDON), ENGLAND, UK)
    assert last_days(due, LONDON)["uk_gdpr"] == "2026-10-05"  # the 3rd is a Saturday
    later = pause_uk(due, "2026-09-07T15:00", "2026-09-10T09:00")
    assert last_days(later, LONDON)["uk_gdpr"] == "2026-10-06"  # three days from the 3rd, not from the 5th
    assert (later.promise_at, later.due_at) == (due.promise_at, due.due_at)
    again = pause_uk(later, "2026-09-10T09:00", "2026-09-14T09:00")
    assert last_days(again, LONDON)["uk_gdpr"] == "2026-10-12"  # the 10th is a Saturday
    assert [p.reason for p in again.pauses] == ["clarification", "clarification"]


def test_in_the_united_kingdom_the_month_begins_with_the_proof_of_identity() -> None:
    due = compute_due(at("2026-09-03T10:00", LONDON), ENGLAND, UK)
    later = pause_uk(due, "2026-09-03T10:05", "2026-09-21T18:00", "identity")
    assert last_days(later, LONDON)["uk_gdpr"] == "2026-10-21"
    assert later.promise_at == due.promise_at


def test_the_window_for_an_extension_moves_with_the_pause() -> None:
    due = compute_due(at("2026-09-01T10:00", LONDON), ENGLAND, UK)
    told = at("2026-10-02T12:00", LONDON)
    with pytest.raises(ExtensionRefusedError):
        extended(due, told, "complexity")
    later = pause_uk(due, "2026-09-07T15:00", "2026-09-10T09:00")
    assert extended(later, told, "complexity").due_at == at("2026-12-04T23:59:59", LONDON)


@given(
    receipts,
    st.integers(0, 20 * 86400),
    st.integers(1, 40 * 86400),
    st.sampled_from(["identity", "clarification"]),
)
def test_a_pause_lengthens_the_law_by_its_days_at_most_and_never_the_promise(
    received: datetime, after: int, length: int, reason: str
) -> None:
    due = compute_due(received, ENGLAND, UK)
    start = received + timedelta(seconds=after)
    until = start + timedelta(seconds=length)
    later = paused(due, start, until, reason, calendar=ENGLAND, regime=UK)  # type: ignore[arg-type]
    assert later.promise_at == due.promise_at
    assert due.law_at and later.law_at and due.law_at <= later.law_at
    if reason == "identity":
        assert later.law_at == compute_due(until, ENGLAND, UK).law_at
    else:
        before, now = due.clocks[1].deadline.last_day, later.clocks[1].deadline.last_day
        assert now - before <= timedelta(seconds=length) + timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "until", "why"),
    [
        ("2026-09-02T10:00", "2026-09-05T10:00", "begins after the receipt"),
        ("2026-09-10T10:00", "2026-09-10T10:00", "ends after it began"),
        ("2026-09-10T10:00", "2026-09-09T10:00", "ends after it began"),
        ("2026-10-07T10:00", "2026-10-09T10:00", "nothing is left to pause"),
    ],
)
def test_a_pause_that_cannot_have_been_is_refused(start: str, until: str, why: str) -> None:
    due = compute_due(at("2026-09-03T10:00", LONDON), ENGLAND, UK)
    with pytest.raises(PauseRefusedError, match=why):
        pause_uk(due, start, until)


def test_pauses_do_not_overlap_and_belong_to_the_requests_regime() -> None:
    due = compute_due(at("2026-09-03T10:00", LONDON), ENGLAND, UK)
    later = pause_uk(due, "2026-09-07T15:00", "2026-09-10T09:00")
    with pytest.raises(PauseRefusedError, match="the pause before it"):
        pause_uk(later, "2026-09-09T15:00", "2026-09-12T09:00")
    other = compute_due(at("2026-09-03T10:00", LONDON), ENGLAND, EU)
    with pytest.raises(PauseRefusedError, match="regime eu, not uk"):
        pause_uk(other, "2026-09-07T15:00", "2026-09-10T09:00")


def test_a_law_counted_in_business_days_pauses_in_business_days() -> None:
    rule = UK.clocks["uk_gdpr"].model_validate(
        {"law": "x", "business_days": 10, "pause": {"clarification": "days_added"}}
    )
    regime = ClockRegime("ten", {"ten": rule})
    due = compute_due(at("2026-11-02T10:00", LONDON), ENGLAND, regime)
    assert last_days(due, LONDON) == {"ten": "2026-11-16"}
    friday, tuesday = at("2026-11-06T10:00", LONDON), at("2026-11-10T10:00", LONDON)
    later = paused(due, friday, tuesday, "clarification", calendar=ENGLAND, regime=regime)
    assert last_days(later, LONDON) == {"ten": "2026-11-18"}


# --- recomputation -----------------------------------------------------------------------------------


def prepared(received: datetime, regime: ClockRegime, calendar: WorkingCalendar, how: str) -> DueDates:
    due = compute_due(received, calendar, regime)
    if "paused" in how and regime is UK:
        start, until = received + timedelta(days=2), received + timedelta(days=9)
        due = paused(due, start, until, "clarification", calendar=calendar, regime=regime)
    return extended(due, received + timedelta(days=1), "complexity") if "extended" in how else due


@given(
    receipts,
    regimes,
    st.sampled_from(["plain", "extended", "paused", "paused and extended"]),
    st.sets(days, max_size=20),
    st.data(),
)
def test_a_calendar_that_gains_a_holiday_moves_no_date_and_one_that_loses_it_moves_it_forward(
    received: datetime, regime: ClockRegime, how: str, free: set[date], data: st.DataObject
) -> None:
    near = st.sets(
        st.integers(0, 120).map(lambda n: received.date() + timedelta(days=n)), min_size=1, max_size=9
    )
    fewer, more = listed(free, "old"), listed(free | data.draw(near), "new")
    stored = prepared(received, regime, fewer, how)
    assert recomputed(stored, more, regime) == stored
    poorer = prepared(received, regime, more, how)
    better = recomputed(poorer, fewer, regime)
    assert better.due_at == stored.due_at <= poorer.due_at
    assert (better.pauses, better.extension) == (poorer.pauses, poorer.extension)
    assert better.calendar == ("new" if better.due_at == poorer.due_at else "old")
    assert recomputed(better, more, regime) == better


def test_a_holiday_proclaimed_after_the_receipt_changes_nothing_for_the_person() -> None:
    received = at("2026-11-25T10:00")
    stored = compute_due(received, listed(set(), "before"), EVERYBODY)
    proclaimed = listed({date(2026, 12, 7)}, "after")
    assert compute_due(received, proclaimed, EVERYBODY).due_at > stored.due_at
    assert recomputed(stored, proclaimed, EVERYBODY) == stored


def test_a_rule_that_no_longer_extends_takes_no_granted_extension_back() -> None:
    received = at("2026-08-31T12:00")
    granted = extended(compute_due(received, GERMANY, EU), received, "complexity")
    strict = EU.clocks["gdpr"].model_copy(update={"extension": None})
    now = ClockRegime("eu", {**EU.clocks, "gdpr": strict})
    assert recomputed(granted, GERMANY, now) == granted


def test_a_new_law_counts_for_open_requests_and_a_repealed_one_keeps_its_date() -> None:
    received = at("2026-08-31T12:00")
    short = EU.clocks["gdpr"].model_validate({"law": "a new law", "days": 10})
    stored = compute_due(received, GERMANY, EU)
    now = recomputed(stored, GERMANY, ClockRegime("eu", {"new": short}))
    assert (now.clock, now.due_at) == ("new", at("2026-09-10T23:59:59"))
    assert {c.id for c in now.clocks} == {"policy_promise", "gdpr", "new"}


def test_dates_of_different_requests_or_states_are_not_compared() -> None:
    received = at("2026-08-31T12:00")
    due = compute_due(received, GERMANY, EU)
    with pytest.raises(ValueError, match="received_at differ"):
        never_later(due, compute_due(received + SECOND, GERMANY, EU))
    with pytest.raises(ValueError, match="regime differ"):
        never_later(due, compute_due(received, GERMANY, CALIFORNIA))
    with pytest.raises(ValueError, match="extension differ"):
        never_later(extended(due, received, "complexity"), due)


# --- the record --------------------------------------------------------------------------------------


@given(receipts, regimes, st.sampled_from(["plain", "extended", "paused", "paused and extended"]))
def test_a_record_survives_the_ledgers_json(received: datetime, regime: ClockRegime, how: str) -> None:
    due = prepared(received, regime, GERMANY, how)
    stored = json.loads(json.dumps(due.model_dump(mode="json")))
    assert DueDates.model_validate(stored) == due
    assert stored["due_at"].endswith("Z")


@pytest.mark.parametrize("field", ["due_at", "clock", "calendar", "promise_at", "law_at", "beyond_promise"])
def test_a_record_that_was_altered_is_not_believed(field: str) -> None:
    stored = compute_due(at("2026-08-31T12:00"), GERMANY, EU).model_dump(mode="json")
    other = compute_due(at("2027-01-31T12:00"), ENGLAND, UK).model_dump(mode="json")
    stored[field] = True if field == "beyond_promise" else "gdpr" if field == "clock" else other[field]
    with pytest.raises(ValidationError, match=field):
        DueDates.model_validate(stored)


def test_a_naive_receipt_is_refused() -> None:
    with pytest.raises(ValueError, match="without time zone"):
        compute_due(datetime(2026, 1, 1), GERMANY, EU)  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("received", [datetime.min, datetime(1900, 2, 28), datetime(9999, 12, 31)])  # noqa: DTZ001, DTZ901
def test_a_receipt_in_no_sensible_year_stops_nothing(received: datetime) -> None:
    due = compute_due(received.replace(tzinfo=UTC), GERMANY, EVERYBODY)
    assert due.due_at > due.received_at


def test_the_project_answers_by_its_own_configuration(tmp_path: Path) -> None:
    received = at("2026-12-10T12:00")
    config = load_config(configs.write(tmp_path))
    with use_runtime(Runtime(load=lambda: config)):
        due = due_dates(received)
        assert answer_due(received) == due.due_at == at("2027-01-07T23:59:59")
        assert (due.regime, due.calendar) == ("everybody", config.working_calendar().version)
        assert due_dates(received, "uk").regime == "uk"
        with pytest.raises(KeyError, match="everybody"):
            due_dates(received, "mars")
