"""Not faster than a processor allows, and no more at once than we may: pace and bounded concurrency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TypeVar

from include.privacy.processors.protocol import ProcessorUnavailableError

T = TypeVar("T")
R = TypeVar("R")

LONGEST_WAIT = timedelta(seconds=90)
"""A processor that wants us to stay away longer is asked again by a later run."""


class Pace:
    """At most ``calls`` in any ``seconds``, over all threads; stays away when the processor says so.

    One task per processor works at a time (Airflow pools of one slot), so that one pace in the process
    is the pace towards the processor. ``burst``: so many at once after an idle time.
    """

    def __init__(
        self,
        calls: int,
        seconds: float,
        *,
        burst: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if calls < 1 or seconds <= 0 or (burst is not None and burst < 1):
            raise ValueError("calls must be at least 1 and seconds above 0, and so must burst be at least 1")
        self._gap = seconds / calls
        # Default: a burst as large as a second's share; after that evenly spread.
        self._burst = burst or max(1.0, min(calls / seconds, calls / 2))
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._closed_until = 0.0

    def wait(self) -> None:
        """Return when the next call may be made.

        Raises :class:`ProcessorUnavailableError` when that is further away than :data:`LONGEST_WAIT`.
        """
        with self._lock:
            now = self._clock()
            # Slots are given out in order; those of an idle time are kept up to one burst.
            slot = max(self._free_at, now - (self._burst - 1) * self._gap, self._closed_until)
            pause = max(slot, self._closed_until) - now
            if pause > LONGEST_WAIT.total_seconds():
                raise ProcessorUnavailableError(
                    f"the processor asks us to stay away for {pause:.0f} s more; the next run goes on"
                )
            self._free_at = slot + self._gap
        if pause > 0:
            self._sleep(pause)

    def stay_away(self, seconds: float) -> None:
        """No call before so many seconds are over (an answer 429, or a window that is used up)."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)


def spread(people: Sequence[T], work: Callable[[T], R], *, at_once: int) -> Iterator[R]:
    """``work`` for each of the people, so many at once; results as they are ready.

    No more than ``at_once`` are under way, so that whoever stops listening stops the work. The first
    exception ends it, after those that are under way have ended.
    """
    if len(people) <= 1 or at_once <= 1:
        yield from (work(each) for each in people)
        return
    source = iter(people)
    with ThreadPoolExecutor(at_once, thread_name_prefix="processor") as pool:
        under_way: set[Future[R]] = set()
        try:
            for each in source:
                under_way.add(pool.submit(work, each))
                if len(under_way) < at_once:
                    continue
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in under_way:
                future.cancel()
