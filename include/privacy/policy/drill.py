"""Model of ``config/drill.yaml``: who plants the synthetic person, how often, how long a step may take."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from include.privacy.policy.map_model import MapModel

Hours = Annotated[int, Field(ge=1, le=24 * 30)]


_LIMITS = {
    "corrected": "backup",
    "asked_erasure": "erasure",
    "clearing": "erasure",
    "erased": "restore",
    "restored": "restore",
    "replayed": "restore",
}
"""State of a drill → which of the hours bounds it; ``answer`` bounds all others."""


class DrillHours(MapModel):
    """The deadlines of the steps. ``answer``: access and rectification. ``erasure``: until the request is
    closed, processors included. ``backup``: until one was made with the person in it. ``restore``: until it
    is back and replayed.
    """

    answer: Hours = 24
    erasure: Hours = 96
    backup: Hours = 48
    restore: Hours = 24


class DrillSettings(MapModel):
    """``planter``: ``module:Class`` of an :class:`include.privacy.drill.planter.Planter`; without one the
    drill is off.
    """

    planter: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    every_days: Annotated[int, Field(ge=1, le=31)] = 7
    hours: DrillHours = Field(default_factory=DrillHours)

    @property
    def every(self) -> timedelta:
        """From the beginning of one drill to that of the next."""
        return timedelta(days=self.every_days)

    def waits(self, state: str) -> timedelta:
        """How long a drill may stay in a state."""
        return timedelta(hours=getattr(self.hours, _LIMITS.get(state, "answer")))
