"""How far a campaign is: counts and dates, nobody's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

FINAL = ("delivered", "silent", "told_in_app", "left")
"""Accounted for. ``silent``: the provider took it over, and in three days has said nothing of a failure."""


@dataclass(frozen=True)
class Coverage:
    """How many of the frozen audience are in which state, and when the first and last were written to."""

    states: dict[str, int]
    joined: dict[str, int]
    reasons: dict[str, int]
    first: datetime | None
    last: datetime | None
    curve: tuple[tuple[datetime, int], ...]

    @property
    def accounted(self) -> int:
        """How many of the frozen audience are in a final state."""
        return sum(self.states.get(state, 0) for state in FINAL)

    @property
    def complete(self) -> bool:
        """Whether nobody of the frozen audience is open."""
        return self.accounted == sum(self.states.values())


def coverage(session: Session, campaign_id: UUID) -> Coverage:
    """Counts only; ``curve``: written to by the end of each hour, summed up."""
    given = {"campaign": campaign_id}
    states: dict[bool, dict[str, int]] = {False: {}, True: {}}
    rows = session.execute(
        text(
            "SELECT joined, state, count(*) FROM ledger.notice_delivery WHERE campaign_id = :campaign "
            "GROUP BY joined, state ORDER BY state"
        ),
        given,
    )
    for joined, state, count in rows:
        states[joined][state] = count
    reasons = session.execute(
        text(
            "SELECT reason, count(*) FROM ledger.notice_delivery WHERE campaign_id = :campaign "
            "AND reason IS NOT NULL GROUP BY reason ORDER BY reason"
        ),
        given,
    )
    hours = session.execute(
        text("""
            SELECT date_bin('1 hour', dispatched_at, '2000-01-01Z') + interval '1 hour', count(*),
                   min(dispatched_at), max(dispatched_at)
            FROM ledger.notice_delivery WHERE campaign_id = :campaign AND NOT joined
                AND dispatched_at IS NOT NULL GROUP BY 1 ORDER BY 1
        """),
        given,
    ).all()
    total, curve = 0, []
    for hour, count, _, _ in hours:
        total += count
        curve.append((hour, total))
    return Coverage(
        states[False],
        states[True],
        {str(row[0]): int(row[1]) for row in reasons},
        hours[0][2] if hours else None,
        hours[-1][3] if hours else None,
        tuple(curve),
    )
