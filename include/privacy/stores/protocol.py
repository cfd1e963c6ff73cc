"""What every store adapter offers; adding a store touches its own file, its map and its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from include.privacy.planning.exporting import Extract
from include.privacy.planning.models import Cohort, HoldGate, Member, Outcome, Plan, ProbeResult


class ErasureStore(Protocol):
    """A store that holds data of people."""

    name: str

    def plan_erasure(self, cohort: Cohort, plan_id: UUID, *, as_of: datetime) -> Plan:
        """Count and order what erasing the cohort means here.

        Raises ``PlanError`` when it cannot be done safely (unmapped restricting table, row
        security, missing privilege, missing column).
        """

    def execute(
        self,
        plan: Plan,
        cohort: Cohort | None,
        gate: HoldGate,
        *,
        shard: int = 0,
        dry_run: bool = False,
        held_back: frozenset[str] = frozenset(),
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """Carry the plan out chunk by chunk; may be called again, also while another copy runs.

        ``held_back``: subject keys of people whom another store had to keep. ``progress`` is told
        how much of how much is done. The cohort is needed unless the plan acts on ages.
        """

    def probe(
        self, plan: Plan, cohort: Cohort | None, *, held_back: frozenset[str] = frozenset()
    ) -> ProbeResult:
        """Look for every frozen identifier again."""

    def deferred(self, plan: Plan) -> frozenset[str]:
        """Subject keys of those who were kept back, by a hold or a lock."""

    def finish(self, plan: Plan) -> None:
        """Remove the plan's working data from the store."""


class CohortExport(Protocol):
    """A cohort opened for reading; lasts as long as the context that opened it."""

    def of(self, ordinal: int, member: Member) -> Iterator[Extract]:
        """What the person has here. Ask in the order of the cohort, from ordinal 1; people, extracts
        and rows may be passed over, but not gone back to.
        """


class ExportStore(Protocol):
    """A store that can hand out what it holds of people (Art. 15 and 20 GDPR)."""

    name: str

    def export(self, cohort: Cohort, *, portable: bool = False) -> AbstractContextManager[CohortExport]:
        """Open everything that the store holds of the cohort, as of this instant where it can.

        ``portable``: only what was provided or observed. Raises ``PlanError`` when the archive would
        be incomplete (missing column or privilege, row security).
        """
