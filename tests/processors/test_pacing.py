"""Pace and bounded concurrency towards a processor."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.processors.pacing import LONGEST_WAIT, Pace, spread
from include.privacy.processors.protocol import ProcessorUnavailableError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.integers(1, 200), st.floats(0.5, 60), st.integers(1, 300))
def test_no_window_ever_holds_more_calls_than_a_window_and_one_burst(
    calls: int, seconds: float, made: int
) -> None:
    clock = Clock()
    pace = Pace(calls, seconds, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(made):
        pace.wait()
        times.append(clock.now)
    burst = max(1.0, min(calls / seconds, calls / 2))
    for start in times:
        within = sum(start <= t < start + seconds for t in times)
        assert within <= calls + burst + 1


def test_a_processor_that_asks_us_to_stay_away_is_left_alone_until_then() -> None:
    clock = Clock()
    pace = Pace(100, 1.0, clock=clock, sleep=clock.sleep)
    pace.wait()
    pace.stay_away(30)
    pace.wait()
    assert clock.now >= 1_030.0


def test_a_pause_that_is_too_long_is_left_to_the_next_run() -> None:
    pace = Pace(100, 1.0)
    pace.stay_away(LONGEST_WAIT.total_seconds() + 60)
    with pytest.raises(ProcessorUnavailableError, match="stay away"):
        pace.wait()


def test_no_more_people_than_allowed_are_worked_on_at_once() -> None:
    lock, state = threading.Lock(), {"now": 0, "most": 0}
    gate = threading.Barrier(4, timeout=10)

    def work(n: int) -> int:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        gate.wait()
        with lock:
            state["now"] -= 1
        return n

    assert sorted(spread(range(20), work, at_once=4)) == list(range(20))
    assert state["most"] == 4


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_first_exception_ends_it_and_starts_nothing_more(at_once: int) -> None:
    begun: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ProcessorUnavailableError("down")
        return n

    with pytest.raises(ProcessorUnavailableError):
        list(spread(range(100), work, at_once=at_once))
    assert len(begun) < 12


def test_an_hour_of_few_calls_may_begin_with_a_burst_and_stays_below_its_limit() -> None:
    clock = Clock()
    pace = Pace(540, 3_600, burst=60, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(700):
        pace.wait()
        times.append(clock.now)
    assert times[59] == times[0], "a scan does not wait"
    assert max(sum(start <= t < start + 3_600 for t in times) for start in times) <= 600


@pytest.mark.parametrize("make", [lambda: Pace(0, 1), lambda: Pace(1, 0), lambda: Pace(1, 1, burst=0)])
def test_a_pace_without_numbers_is_refused(make: Callable[[], Pace]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make()
