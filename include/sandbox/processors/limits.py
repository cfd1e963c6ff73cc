"""Calls per window, and the headers that tell a client how many are left."""

from __future__ import annotations

import threading
import time


class RateLimit:
    """``limit`` calls in each window of ``seconds``, as ``X-RateLimit-*`` headers describe them."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._lock = threading.Lock()
        self.change(limit, seconds)

    def change(self, limit: int, seconds: float) -> None:
        """Other numbers; a new window begins with the next call."""
        if limit < 0 or seconds <= 0:
            raise ValueError("limit must not be negative and seconds above 0")
        with self._lock:
            self._limit, self._seconds = limit, seconds
            self._used, self._ends = 0, 0.0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether this call is allowed, and the headers of its answer."""
        with self._lock:
            now = time.time()
            if now >= self._ends:
                self._used, self._ends = 0, now + self._seconds
            allowed = self._used < self._limit
            self._used += allowed
            # Whole seconds, rounded up: who waits until then is in the next window.
            reset = int(self._ends) + (self._ends % 1 > 0)
            return allowed, {
                "X-RateLimit-Limit": str(self._limit),
                "X-RateLimit-Remaining": str(self._limit - self._used),
                "X-RateLimit-Reset": str(reset),
            }
