"""How many rows a chunk takes, so that its transaction stays near a quarter of a second."""

from __future__ import annotations

from dataclasses import dataclass

TARGET_S = 0.15


@dataclass
class Pace:
    """Adapts to wide rows, slow disks and full caches; starts small.

    The target lies below the promised 250 ms because the next chunk may be slower than the last.
    """

    rows: int = 2_000
    least_rows: int = 200
    most_rows: int = 20_000

    def took(self, seconds: float, rows: int) -> None:
        """Learns from a chunk of ``rows`` rows; never more than doubles, halves when too slow."""
        wanted = rows * TARGET_S / max(seconds, 0.001)
        wanted = min(wanted, 2 * self.rows) if wanted > self.rows else max(wanted, self.rows / 2)
        # A small chunk at the end of a cohort says nothing about the speed of a full one.
        if wanted > self.rows or seconds > TARGET_S:
            self.rows = int(min(max(wanted, self.least_rows), self.most_rows))

    def back_off(self) -> None:
        """After a lock conflict: smaller chunks conflict less."""
        self.rows = max(self.least_rows, self.rows // 2)
