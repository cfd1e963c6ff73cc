"""Not more people a minute than the operator allows, over all calls under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class PeoplePace:
    """Hands out time for people. The pace may change while a campaign runs; thread-safe."""

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock = threading.Lock()
        self._clock, self._sleep = clock, sleep
        self._per_second = per_minute / 60.0
        self._free_at = 0.0

    def change(self, per_minute: int) -> None:
        """Another pace, from the next call on. Raises ``ValueError`` for none: to stop is another thing."""
        if per_minute < 1:
            raise ValueError("people_per_minute must be at least 1; to stop a campaign, stop it")
        with self._lock:
            self._per_second = per_minute / 60.0

    def stay_away(self, seconds: float) -> None:
        """Nobody before so many seconds are over: the provider asks for it."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock() + max(0.0, seconds))

    def pause(self) -> float:
        """Seconds until the next call may be made; 0 when it may be now."""
        with self._lock:
            return max(0.0, self._free_at - self._clock())

    def took(self, people: int) -> None:
        """A call to so many people begins now."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock()) + people / self._per_second

    def wait(self, longest: float = 5.0) -> None:
        """Sleep until the next call may be made, ``longest`` seconds at most, so that a stop is noticed."""
        pause = self.pause()
        if pause > 0:
            self._sleep(min(pause, longest))
