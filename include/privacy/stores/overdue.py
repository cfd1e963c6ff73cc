"""How far a rule is behind: the figure that every run reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Overdue:
    """Rows, people or objects past a limit at one instant.

    ``oldest`` is how long past the limit the oldest is. ``held`` ones are past it lawfully (legal
    hold) and not in ``count``. ``unclocked`` have no clock value and can never fall due;
    ``in_future`` carry a clock later than ``as_of``. Both are findings, not breaches.
    """

    count: int = 0
    oldest: timedelta | None = None
    held: int = 0
    unclocked: int = 0
    in_future: int = 0
