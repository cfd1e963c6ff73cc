"""The erasures, once more: the same planner and executor as ever, in the restored stores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from include.privacy.replay.finding import find
from include.privacy.replay.targets import FOUND, Target, is_database, restored
from include.privacy.runtime import runtime
from include.privacy.steps import executing, planning, probing
from include.privacy.steps.leftovers import drop_leftovers
from include.privacy.steps.planning import find_plan
from include.privacy.steps.probing import Probe
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, Shard, cohort_ids, items_of_cohort, of_cohort

log = logging.getLogger(__name__)

UNFINISHED = ("planned", "executing", "executed", "failed")


def freeze(ledger_run: str, targets: list[Target]) -> list[Item]:
    """Find who came back and freeze them; returns one item for each store and cohort.

    An interrupted replay goes on first. Working tables that were restored with a database go: they name
    people, and no plan of today works with them.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    if not targets:
        return []
    with restored(targets):
        interrupted: dict[UUID, None] = {}
        busy: set[str] = set()
        if not run.dry_run:
            for target in targets:
                if is_database(target["store"]) and target["captured_at"]:
                    drop_leftovers(target["store"], target["connection"])
            stores = {t["store"] for t in targets}
            for row in ledger.plans_in(UNFINISHED, kind=run.kind):
                if row.plan.cohort_id is not None and row.plan.store in stores and row.run_id != run.id:
                    interrupted[row.plan.cohort_id] = None
            for cohort_id in interrupted:
                busy |= {member.key for member in ledger.cohort(cohort_id).members()}
        found = find(targets)
        counts = found.counts()
        log.info("came back: %s", counts)
        ledger.append_evidence(FOUND, {**counts, "resumed": len(interrupted)}, run.id)
        cohorts = list(interrupted)
        if found.people:
            cohorts.append(ledger.freeze_cohort(found.members(frozenset(busy)), run.kind, run.id).id)
        return [item for cohort_id in cohorts for item in _items(cohort_id, targets)]


def plan(
    ledger_run: str, targets: list[Target], plan_id: str, cohort_id: str, store: str, rule: str
) -> dict[str, int]:
    """See :func:`planning.plan`."""
    with restored(targets):
        return planning.plan(ledger_run, plan_id, cohort_id, store, rule)


def complete(items: list[Item] | None = None) -> list[Item]:
    """The items of cohorts of which every store could be planned: of the others nothing is deleted."""
    items = items or []
    cleared: list[Item] = []
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        if missing := [i["store"] for i in mine if find_plan(i) is None]:
            log.error("no plan for %s: nothing of the cohort is deleted", ", ".join(missing))
        else:
            cleared += mine
    return cleared


def release_roots(
    ledger_run: str, targets: list[Target] | None, items: list[Item] | None = None
) -> list[Shard]:
    """See :func:`executing.release_roots`."""
    with restored(targets):
        return executing.release_roots(ledger_run, items)


def execute(ledger_run: str, targets: list[Target], plan_id: str, store: str, shard: int) -> dict[str, int]:
    """See :func:`executing.execute`."""
    with restored(targets):
        return executing.execute(ledger_run, plan_id, store, shard)


def probe(ledger_run: str, targets: list[Target], plan_id: str, store: str) -> dict[str, int]:
    """See :func:`probing.probe`."""
    with restored(targets):
        return probing.probe(ledger_run, plan_id, store)


def probes(ledger_run: str, targets: list[Target] | None, items: list[Item] | None = None) -> list[Probe]:
    """See :func:`probing.probes`."""
    with restored(targets):
        return probing.probes(ledger_run, items)


def _items(cohort_id: UUID, targets: Sequence[Target]) -> list[Item]:
    stores = {t["store"] for t in targets}
    return [item for item in items_of_cohort(cohort_id) if item["store"] in stores]
