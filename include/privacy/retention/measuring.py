"""What a policy's rules would do now: the same plans and the same executors as a live run, in dry mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from include.privacy.planning.models import Cohort, Holds, Outcome, Plan, PlanError
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.policy import (
    ObjectAgeRule,
    Policy,
    RecordAgeRule,
    Rule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.retention.guard import exceeded
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.work import erasure_stores, root_store

Gate = Callable[[], AbstractContextManager[Holds]]


@dataclass
class Figures:
    """What one rule would do in one store. ``removed`` and ``anonymised``: rows or objects by collection.

    ``kept``: steps of a plan that keep rows, by table. ``people``: how many it is about. ``held``: of them
    under a legal hold. ``refused``: why it would do nothing before somebody decides, or could not be planned.
    """

    rule: str
    store: str
    matched: int = 0
    population: int = 0
    people: int = 0
    held: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    anonymised: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    blocked: int = 0
    refused: str | None = None

    @property
    def deletes(self) -> int:
        """Rows or objects that a run would remove without being asked."""
        return 0 if self.refused else sum(self.removed.values())

    @property
    def changes(self) -> int:
        """Rows that it would anonymise."""
        return 0 if self.refused else sum(self.anonymised.values())


def measure(policy: Policy, as_of: datetime) -> list[Figures]:
    """What a live run of every rule would do at ``as_of``; deletes nothing and leaves nothing behind.

    Accounts that the run itself would mark as deleted are purged with the rest when their time is over too. A
    row that two rules reach is counted with the people it belongs to. Nobody knows what a lock or a cloud
    refuses before it is tried.
    """
    purged: frozenset[str] = frozenset()
    found: list[Figures] = []
    marking = next((r for r in policy.rules if _marks(r)), None)
    for rule in sorted(policy.rules, key=lambda r: not isinstance(r, SubjectLifecycleRule)):
        try:
            if isinstance(rule, SubjectLifecycleRule) and rule.action == "purge":
                figures, purged = _purge(rule, marking, found, as_of)
                found += figures
            elif isinstance(rule, SubjectLifecycleRule):
                found.append(_mark(rule, as_of))
            else:
                found.append(_aged(rule, as_of, purged))
        except PlanError as error:
            found.append(Figures(rule.id, rule.store, refused=f"could not be planned: {error}"))
        except Exception as error:  # noqa: BLE001 - one store that is down must not hide the others
            reason = f"could not be planned ({type(error).__name__}); check {rule.store} and its connection"
            found.append(Figures(rule.id, rule.store, refused=reason))
    order = [r.id for r in policy.rules]
    return sorted(found, key=lambda f: order.index(f.rule))


def _marks(rule: Rule) -> bool:
    return isinstance(rule, SubjectLifecycleRule) and rule.action == "mark_deleted"


def _mark(rule: SubjectLifecycleRule, as_of: datetime) -> Figures:
    store = runtime().database(rule.store)
    due = store.mark_deleted(rule, as_of=as_of, dry_run=True)
    plan = Plan(
        id=uuid4(),
        cohort_id=None,
        store=rule.store,
        action="erase",
        rule=rule.id,
        as_of=as_of,
        subjects=due,
        matched=due,
        population=store.population(),
    )
    found = _of_plan(rule, plan)
    found.anonymised = {"marked_deleted": due}
    return found


def _purge(
    rule: SubjectLifecycleRule, marking: Rule | None, before: list[Figures], as_of: datetime
) -> tuple[list[Figures], frozenset[str]]:
    """Figures of every store, and whom the run would purge."""
    root = runtime().database(rule.store)
    due = dict.fromkeys(root.due_keys(rule, as_of=as_of))
    waits = any(f.refused for f in before if marking is not None and f.rule == marking.id)
    if isinstance(marking, SubjectLifecycleRule) and not waits:
        # Marked at the instant at which it fell due, an account may be past the purge's target at once.
        late = as_of - timedelta(days=rule.target_days)
        due |= dict.fromkeys(root.due_keys(marking, as_of=late))
    held = runtime().ledger().holds().subjects
    free = [key for key in due if key not in held]
    frozen = list(members(free))
    cohort = Cohort(uuid4(), len(frozen), lambda: iter(frozen))
    planned: list[tuple[Any, Plan]] = []
    try:
        for name in erasure_stores() if frozen else ():
            adapter = runtime().store(name)
            planned.append((adapter, adapter.plan_erasure(cohort, uuid4(), as_of=as_of)))
        measured = next((p for _, p in planned if p.store == root_store()), None)
        refused = exceeded(rule.guard, measured) if measured else None
        found = []
        kept_back: frozenset[str] = frozenset()
        for adapter, plan in planned:  # the root store last
            figures = _of_plan(rule, plan, refused=refused)
            figures.held = len(due) - len(free)
            kept_back |= _would_erase(figures, adapter, plan, cohort, kept_back)
            found.append(figures)
    finally:
        # Planning leaves the cohort in work tables; nobody will execute these plans.
        for adapter, plan in planned:
            adapter.finish(plan)
    if not found:
        found = [Figures(rule.id, rule.store, held=len(due) - len(free), population=root.population())]
    return found, frozenset() if refused else frozenset(free) - kept_back


def _would_erase(
    figures: Figures, adapter: Any, plan: Plan, cohort: Cohort, kept_back: frozenset[str]
) -> frozenset[str]:
    """Adds what would happen in one store, and returns of whom a hold keeps something there."""
    gate = runtime().ledger().hold_gate()
    back = kept_back if plan.store == root_store() else frozenset()
    for shard in range(plan.shards):
        outcome = adapter.execute(plan, cohort, gate, shard=shard, dry_run=True, held_back=back)
        _add(figures, outcome)
    if isinstance(runtime().config().data_map[plan.store], DatabaseMap):
        figures.removed, keys = adapter.count_removals(plan, cohort, gate, held_back=back)
        figures.held += len(keys)
        return frozenset(keys)
    deferred: frozenset[str] = adapter.deferred(plan)
    figures.held += len(deferred)
    return deferred


def _aged(
    rule: RecordAgeRule | ObjectAgeRule | SnapshotAgeRule, as_of: datetime, purged: frozenset[str]
) -> Figures:
    adapter = runtime().store(rule.store)
    plan_it = adapter.plan_record_age if isinstance(rule, RecordAgeRule) else adapter.plan_expiry
    plan: Plan = plan_it(rule, uuid4(), as_of=as_of)
    figures = _of_plan(rule, plan)
    gate: Gate = runtime().ledger().hold_gate()
    try:
        if isinstance(rule, RecordAgeRule) and purged:
            gate = _apart_from(gate, purged)
        _add(figures, adapter.execute(plan, None, gate, dry_run=True))
    finally:
        adapter.finish(plan)
    return figures


def _apart_from(gate: Gate, purged: frozenset[str]) -> Gate:
    """The gate, with these people's rows left out: they are counted with the people."""

    @contextmanager
    def closed() -> Iterator[Holds]:
        with gate() as holds:
            yield replace(holds, subjects=holds.subjects | purged)

    return closed


def _of_plan(rule: Rule, plan: Plan, refused: str | None = None) -> Figures:
    kept: dict[str, int] = {}
    for step in plan.steps:
        if step.kept_because:
            kept[step.table] = kept.get(step.table, 0) + step.matched
    return Figures(
        rule.id,
        plan.store,
        matched=plan.matched,
        population=plan.population,
        people=plan.subjects,
        kept=kept,
        refused=refused or exceeded(rule.guard, plan) if plan.cohort_id is None else refused,
    )


def _add(figures: Figures, outcome: Outcome) -> None:
    # Buckets and clouds count as removed only what is gone; in dry mode all that is not kept would go.
    going = outcome.removed if any(outcome.removed.values()) else outcome.matched
    for collection, count in going.items():
        if collection not in outcome.kept:
            figures.removed[collection] = figures.removed.get(collection, 0) + count
    for collection, count in outcome.anonymised.items():
        figures.anonymised[collection] = figures.anonymised.get(collection, 0) + count
    figures.blocked += len(outcome.blocked)
