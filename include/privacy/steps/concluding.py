"""Concluding: tombstones, the second probe, and nothing of ours left in the stores."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID, uuid5

from include.privacy.clock import due_at
from include.privacy.planning.models import Cohort, Plan
from include.privacy.runtime import runtime
from include.privacy.steps.executing import DONE, kept_back
from include.privacy.steps.planning import find_plan
from include.privacy.steps.residue import residual_until, write_tombstones
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, cohort_ids, of_cohort

log = logging.getLogger(__name__)

BEGUN = frozenset({"executing", "executed", "probed", "failed"})
DECIDED_AGAINST = frozenset({"rejected", "expired"})


def conclude(ledger_run: str, items: Iterable[Item] | None = None) -> dict[str, int]:
    """Conclude every cohort of the run that can be; returns how many were, and how many stay open.

    Finished: tombstones are written, the second probe is scheduled, work tables dropped. Begun and
    not finished: everything stays as it is for the run that resumes it. Never begun: work tables go,
    and so does the cohort, unless it waits for a decision.
    """
    items = list(items or [])
    concluded = open_ = 0
    dry_run = read_run(ledger_run).dry_run
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        states = [_state(i) for i in mine]
        if dry_run or not BEGUN & set(states):
            _clean_up(mine)
            if dry_run or ("awaiting_approval" not in states and "approved" not in states):
                runtime().ledger().destroy_cohort(cohort_id)
        elif all(state == "probed" for state in states):
            _finish(ledger_run, cohort_id, [p for i in mine if (p := find_plan(i))])
            concluded += 1
        else:
            if DONE.issuperset(states):
                # Everything ran and something was found again: the next run starts over from here.
                _clean_up(mine)
            log.error("cohort %s is not finished; the next run goes on with it", cohort_id)
            open_ += 1
    _clean_up([i for i in items if not i["cohort_id"] and (dry_run or _state(i) != "executing")])
    return {"concluded": concluded, "open": open_}


def erased_of(cohort: Cohort, kept: frozenset[str]) -> Cohort:
    """The cohort without those who were kept back."""
    if not kept:
        return cohort
    return Cohort(
        id=cohort.id,
        size=sum(1 for m in cohort.members() if m.key not in kept),
        members=lambda: (m for m in cohort.members() if m.key not in kept),
    )


def _finish(ledger_run: str, cohort_id: UUID, plans: list[Plan]) -> None:
    ledger = runtime().ledger()
    run = read_run(ledger_run)
    kept = kept_back(plans)
    if not kept and any(row.outcome.held_subjects for p in plans for row in ledger.plan_outcomes(p.id)):
        return  # concluded before: the work tables, and with them the names of those kept back, are gone
    cohort = ledger.cohort(cohort_id)
    erased = erased_of(cohort, kept)
    write_tombstones(erased, run.as_of, residual_until(run.as_of))
    runtime().ledger().forget_hearers(member.key for member in erased.members())
    again_at = due_at(run.as_of, runtime().config().policy.probe_again_after_days)
    for plan in _plans_to_probe_again(ledger_run, cohort, erased, plans) if kept else plans:
        ledger.schedule_probe(plan.id, again_at)
    for plan in plans:
        runtime().store(plan.store).finish(plan)
    if kept:
        ledger.destroy_cohort(cohort_id)


def _plans_to_probe_again(ledger_run: str, cohort: Cohort, erased: Cohort, plans: list[Plan]) -> list[Plan]:
    """Plans over those who were erased: the others are lawfully still there when it is probed again."""
    if not erased.size:
        return []
    ledger = runtime().ledger()
    frozen = ledger.freeze_cohort(erased.members(), f"second_probe {cohort.id}", UUID(ledger_run))
    made = []
    for plan in plans:
        again = (
            runtime()
            .store(plan.store)
            .plan_erasure(frozen, uuid5(frozen.id, plan.store), as_of=read_run(ledger_run).as_of)
        )
        ledger.save_plan(again, UUID(ledger_run))
        runtime().store(plan.store).finish(again)
        made.append(again)
    return made


def _clean_up(items: Iterable[Item]) -> None:
    for item in items:
        plan = find_plan(item)
        if plan is not None:
            runtime().store(plan.store).finish(plan)


def _state(item: Item) -> str:
    return runtime().ledger().plan_state(UUID(item["plan_id"])) if find_plan(item) else "missing"
