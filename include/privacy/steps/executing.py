"""Executing: dependents first, the root store last, and only for what the dependents have finished."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from include.privacy.planning.models import Cohort, Member, Plan
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, Shard, cohort_ids, items_of_cohort, of_cohort, root_store

log = logging.getLogger(__name__)

DONE = frozenset({"executed", "probed"})


def shards(items: Iterable[Item]) -> list[Shard]:
    """The shards of everything but the root store's erasures."""
    return [s for i in items if not is_root(i) for s in _shards_of(i)]


def release_roots(ledger_run: str, items: list[Item] | None = None) -> list[Shard]:
    """The root store's shards of each cohort whose dependents have all finished.

    Where one has not, the root rows stay: they are what a later run finds the person by. A dry run
    executes nothing and so releases everything.
    """
    items = items or []
    released: list[Shard] = []
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        waiting = sorted(i["store"] for i in mine if not is_root(i) and not finished(i))
        if waiting and not read_run(ledger_run).dry_run:
            log.error("cohort %s: the root store waits for %s", cohort_id, ", ".join(waiting))
            continue
        released += [s for i in mine if is_root(i) for s in _shards_of(i)]
    return released


def execute(ledger_run: str, plan_id: str, store: str, shard: int) -> dict[str, int]:
    """Carry out one shard of a plan; returns totals. May be run again, also while another copy runs.

    Intent is on record before the first deletion. People whom a hold kept back in another store are
    left alone in the root store too, whatever has become of the hold since.
    """
    ledger = runtime().ledger()
    dry_run = read_run(ledger_run).dry_run
    plan = ledger.plan(UUID(plan_id))
    cohort = ledger.cohort(plan.cohort_id) if plan.cohort_id else None
    more: dict[str, Any] = {}
    if plan.action == "erase" and plan.store == root_store():
        more["held_back"] = frozenset() if dry_run else kept_back(_dependents(plan))
    if not dry_run:
        ledger.record_intent(plan.id)
    outcome = (
        runtime().store(store).execute(plan, cohort, ledger.hold_gate(), shard=shard, dry_run=dry_run, **more)
    )
    totals = {
        "removed": sum(outcome.removed.values()),
        "anonymised": sum(outcome.anonymised.values()),
        "held_people": outcome.held_subjects,
        "blocked": len(outcome.blocked),
    }
    log.info("store %s shard %d%s: %s", store, shard, ", dry run: would have" if dry_run else "", totals)
    for reason in outcome.blocked:
        log.error("store %s: not removed: %s", store, reason)
    if not dry_run:
        ledger.record_outcome(plan.id, shard, outcome)
    return totals


def finished(item: Item) -> bool:
    """Whether every shard of the item's plan has been carried out."""
    return find_plan(item) is not None and runtime().ledger().plan_state(UUID(item["plan_id"])) in DONE


def kept_back(plans: Iterable[Plan]) -> frozenset[str]:
    """Whom the stores of these executed plans could not erase completely: held, locked or refused."""
    keys: frozenset[str] = frozenset()
    for plan in plans:
        store = runtime().store(plan.store)
        keys |= store.deferred(plan) if plan.store in _databases() else _still_in_bucket(store, plan)
    return keys


def _still_in_bucket(bucket: Any, plan: Plan) -> frozenset[str]:
    """A bucket keeps no list of ours, so where something was kept back each person is looked at."""
    ledger = runtime().ledger()
    outcomes = [row.outcome for row in ledger.plan_outcomes(plan.id)]
    if plan.cohort_id is None or not any(o.held_subjects or o.blocked or o.kept for o in outcomes):
        return frozenset()
    found = set()
    for member in ledger.cohort(plan.cohort_id).members():
        if not bucket.probe(plan, alone(member)).clean:
            found.add(member.key)
    return frozenset(found)


def alone(member: Member) -> Cohort:
    """A cohort of one."""
    return Cohort(id=uuid4(), size=1, members=lambda: iter((member,)))


def _databases() -> frozenset[str]:
    return frozenset(s.store for s in runtime().stores() if isinstance(s, DatabaseMap))


def is_root(item: Item) -> bool:
    """Whether the item erases people from the root store."""
    return bool(item["cohort_id"]) and item["store"] == root_store()


def _dependents(root_plan: Plan) -> list[Plan]:
    if root_plan.cohort_id is None:
        return []
    plans = [find_plan(i) for i in items_of_cohort(root_plan.cohort_id) if i["store"] != root_plan.store]
    return [p for p in plans if p is not None]


def _shards_of(item: Item) -> list[Shard]:
    plan = find_plan(item)
    if plan is None:
        return []
    return [Shard(plan_id=item["plan_id"], store=item["store"], shard=n) for n in range(plan.shards)]
