"""What every store adapter offers; adding a store touches its own file, its map and its tests."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from include.privacy.planning.models import Cohort, HoldGate, Outcome, Plan, ProbeResult


class ErasureStore(Protocol):
    """A store that holds data of people."""

    name: str

    def plan_erasure(self, cohort: Cohort, plan_id: UUID, *, as_of: datetime) -> Plan:
        """Count and order what erasing the cohort means here.

        Raises ``PlanError`` when it cannot be done safely (unmapped restricting table, row
        security, missing privilege, missing column).
        """

    def execute(self, plan: Plan, cohort: Cohort, gate: HoldGate, *, shard: int = 0, dry_run: bool = False) -> Outcome:
        """Carry the plan out chunk by chunk; may be called again, also while another copy runs."""

    def probe(self, plan: Plan, cohort: Cohort) -> ProbeResult:
        """Look for every frozen identifier again."""

    def finish(self, plan: Plan) -> None:
        """Remove the plan's working data from the store."""
