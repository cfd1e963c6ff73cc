"""Fences: of two copies of a task, the one that started later goes on and the earlier one stops."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.models import Operation
from include.privacy.planning.models import Superseded


@dataclass(frozen=True)
class Fence:
    """This copy's right to carry out a step; ask :meth:`check` before every chunk."""

    sessions: sessionmaker[Session]
    plan_id: UUID
    step: str
    token: int

    def check(self) -> None:
        """Raise :class:`Superseded` when a later copy has taken over."""
        with self.sessions.begin() as session:
            current = session.scalar(
                select(Operation.token).where(Operation.plan_id == self.plan_id, Operation.step == self.step)
            )
        if current != self.token:
            raise Superseded(
                f"plan {self.plan_id}, step {self.step}: a later copy of this task has taken over"
            )


def take_over(sessions: sessionmaker[Session], plan_id: UUID, step: str) -> Fence:
    """Become the copy that carries out ``step`` of the plan; any earlier one stops at its next check."""
    with sessions.begin() as session:
        token = session.scalars(
            insert(Operation)
            .values(plan_id=plan_id, step=step, token=1)
            .on_conflict_do_update(
                index_elements=["plan_id", "step"],
                set_={"token": Operation.token + 1, "taken_at": func.now()},
            )
            .returning(Operation.token)
        ).one()
    return Fence(sessions, plan_id, step, token)
