"""Snapshots of whole databases as a store that expires: the same face for RDS and Cloud SQL (P4.3)."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from include.privacy.clock import cutoff, overdue_by, parse_instant, require_utc
from include.privacy.planning.models import (
    Cohort,
    HoldGate,
    Holds,
    Outcome,
    Plan,
    PlanError,
    ProbeResult,
    Step,
    Verb,
)
from include.privacy.policy.clouds import Snapshots
from include.privacy.policy.policy import SnapshotAgeRule
from include.privacy.stores.aws import CloudError
from include.privacy.stores.objects.model import BatchLog
from include.privacy.stores.overdue import Overdue

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot or backup. ``source``: the instance or cluster it was taken of.

    ``captured``: when the data are from; ``None`` while it is being made. ``copied``: it is a copy, and the
    cloud no longer tells when the original was taken, so that the age may be too low. ``kept_by``: why this
    interface cannot delete it, and who can.
    """

    source: str
    key: str
    kind: str
    captured: datetime | None
    copied: bool = False
    kept_by: str | None = None


class SnapshotService(Protocol):
    """What an adapter adds: listing and deleting. All raise :class:`CloudError`."""

    def snapshots(self) -> Iterator[Snapshot]:
        """Every snapshot of the account and region, of whatever source."""
        ...

    def delete(self, snapshot: Snapshot) -> str | None:
        """Have one deleted; harmless to repeat. Returns what stands in the way, if anything does."""
        ...

    def settle(self, snapshot: Snapshot) -> str | None:
        """Wait, for a while, until what :meth:`delete` began is over. Returns why it did not end well."""
        ...


class SnapshotStore:
    """Plans, executes and probes. ``batch_log`` (the ledger) gets each source's intent and result."""

    def __init__(
        self, snapshots: Snapshots, service: SnapshotService, batch_log: BatchLog | None = None
    ) -> None:
        self.map = snapshots
        self.name = snapshots.store
        self._service = service
        self._log = batch_log

    def plan_expiry(self, rule: SnapshotAgeRule, plan_id: UUID, *, as_of: datetime) -> Plan:
        """Counts what is due of the mapped sources; what cannot be judged or deleted is told in ``notes``."""
        as_of = require_utc(as_of)
        limit = cutoff(as_of, rule.target_days)
        try:
            everything = list(self._service.snapshots())
        except CloudError as error:
            raise PlanError(f"store {self.name!r}: {error}") from error
        ours = [s for s in everything if s.source in self.map.sources]
        due = Counter(s.source for s in ours if _due(s, limit))
        steps = [
            Step(table=source, role="snapshot", verb=Verb.delete, matched=due[source])
            for source in self.map.sources
        ]
        return Plan(
            id=plan_id,
            cohort_id=None,
            store=self.name,
            action="expire_objects",
            rule=rule.id,
            as_of=as_of,
            groups=tuple((step,) for step in steps),
            population=len(ours),
            matched=sum(due.values()),
            params={"cutoff": limit.isoformat()},
            notes=tuple(self._notes(everything)),
        )

    def _notes(self, everything: Iterable[Snapshot]) -> Iterator[str]:
        foreign = Counter(s.source for s in everything if s.source not in self.map.sources)
        for source, count in sorted(foreign.items()):
            yield (
                f"{count} snapshots of {source}, which config/clouds.yaml does not name under {self.name}: "
                "they are left alone; map the source, or delete them by hand"
            )
        copies = Counter(s.source for s in everything if s.copied and s.source in self.map.sources)
        for source, count in sorted(copies.items()):
            yield (
                f"{count} snapshots of {source} are copies, whose age counts from the copying; "
                "give them a tag captured-at with the original's time"
            )

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
        """Deletes what the plan's cutoff makes due, one by one, each under the hold gate.

        What the cloud refuses stops nothing else: it is counted by its reason in ``blocked``. Raises
        ``PlanError`` before, ``CloudError`` while deleting.
        """
        limit = self._cutoff(plan)
        began, outcome = time.monotonic(), Outcome(store=self.name)
        # Numbers of their own for every execution: a resumed run must not overwrite the first's evidence.
        number = secrets.randbelow(1 << 15) << 16
        found = [s for s in self._service.snapshots() if _due(s, limit)]
        for batch, step in enumerate(plan.steps):
            due = [s for s in found if s.source == step.table]
            outcome.matched[step.table] = len(due)
            outcome.removed[step.table] = 0
            if not due:
                continue
            if self._log and not dry_run:
                self._log.record_batch_intent(plan.id, number + batch, len(due))
            self._delete(step.table, due, gate, outcome, dry_run=dry_run)
            if self._log and not dry_run:
                removed = outcome.removed[step.table]
                self._log.record_batch_done(plan.id, number + batch, removed, len(due) - removed)
            if progress:
                progress(sum(outcome.matched.values()), plan.matched)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _delete(
        self, source: str, due: list[Snapshot], gate: HoldGate, outcome: Outcome, *, dry_run: bool
    ) -> None:
        blocked: Counter[str] = Counter()
        held = 0
        for snapshot in due:
            began = time.monotonic()
            with gate() as holds:
                if self._held(holds, source):
                    held += 1
                    continue
                refusal = snapshot.kept_by
                if refusal is None and not dry_run:
                    refusal = self._service.delete(snapshot)
            outcome.chunks += 1
            outcome.longest_transaction_s = max(outcome.longest_transaction_s, time.monotonic() - began)
            if refusal is None and not dry_run:
                # Outside the gate: a hold that somebody places now must not wait for a cloud.
                refusal = self._service.settle(snapshot)
                outcome.removed[source] += refusal is None
            if refusal is not None:
                blocked[refusal] += 1
        if held:
            outcome.kept[source] = f"legal hold: {held} snapshots"
        outcome.blocked += [f"{source}: {count} snapshots: {why}" for why, count in sorted(blocked.items())]

    def probe(
        self,
        plan: Plan,
        cohort: Cohort | None,
        *,
        held_back: frozenset[str] = frozenset(),
        holds: Holds | None = None,
    ) -> ProbeResult:
        """Lists everything anew; what is still being deleted is still there."""
        limit = self._cutoff(plan)
        left = Counter(s.source for s in self._service.snapshots() if _due(s, limit))
        remaining = {
            step.table: 0 if holds and self._held(holds, step.table) else left[step.table]
            for step in plan.steps
        }
        return ProbeResult(self.name, 0, remaining)

    def overdue(self, rule: SnapshotAgeRule, *, as_of: datetime, holds: Holds) -> Overdue:
        """What is past the limit. A cloud that cannot delete it is no excuse; a legal hold is."""
        as_of = require_utc(as_of)
        count = held = unclocked = future = 0
        oldest = None
        for snapshot in self._service.snapshots():
            if snapshot.source not in self.map.sources:
                continue
            if snapshot.captured is None:
                unclocked += 1
                continue
            future += snapshot.captured > as_of
            late = overdue_by(snapshot.captured, rule.limit_days, as_of)
            if not late:
                continue
            if self._held(holds, snapshot.source):
                held += 1
            else:
                count += 1
                oldest = max(oldest or late, late)
        return Overdue(count, oldest, held, unclocked, future)

    def newest_capture(self) -> datetime | None:
        """When the newest snapshot was taken: as long as it lasts, so may whoever is erased now."""
        captured = [s.captured for s in self._service.snapshots() if s.source in self.map.sources]
        return max((c for c in captured if c is not None), default=None)

    def oldest_capture(self) -> datetime | None:
        """When the oldest snapshot was taken: the claim to check against the promise."""
        captured = [s.captured for s in self._service.snapshots() if s.source in self.map.sources]
        return min((c for c in captured if c is not None), default=None)

    def deferred(self, plan: Plan) -> frozenset[str]:
        """Nobody: snapshots are nobody's in particular."""
        return frozenset()

    def finish(self, plan: Plan) -> None:
        """Nothing of ours is left in a cloud."""

    def _cutoff(self, plan: Plan) -> datetime:
        unknown = [s.table for s in plan.steps if s.table not in self.map.sources]
        if plan.store != self.name or plan.action != "expire_objects" or unknown:
            raise PlanError(
                f"plan {plan.id} is for other snapshots than those of {self.name!r}; nothing was deleted"
            )
        limit = parse_instant(plan.params["cutoff"])
        if limit >= plan.as_of:
            raise PlanError(f"plan {plan.id} would delete snapshots of today; nothing was deleted")
        return limit

    def _held(self, holds: Holds, source: str) -> bool:
        return holds.covers_store(self.name) or source in holds.tables(self.name)


def _due(snapshot: Snapshot, limit: datetime) -> bool:
    return snapshot.captured is not None and snapshot.captured <= limit
