"""The blast-radius guard: beyond a rule's share or number nothing is deleted, and a person decides."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from include.privacy.planning.models import Plan
from include.privacy.policy.policy import Guard
from include.privacy.runtime import runtime
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, cohort_ids, of_cohort, root_store

log = logging.getLogger(__name__)

MAY_GO = frozenset({"planned", "approved", "executing", "executed", "probed"})


def exceeded(guard: Guard, plan: Plan) -> str | None:
    """Why the plan goes beyond the guard, in counts; ``None`` when it does not.

    A population of zero with something to delete is beyond any share: the count is not to be trusted.
    """
    count = plan.subjects if plan.action == "erase" else plan.matched
    if count == 0:
        return None
    if count > guard.max_count:
        return f"{count} are due, the rule allows {guard.max_count} in one run"
    if count > plan.population * guard.max_share:
        return (
            f"{count} of {plan.population} are due, the rule allows {guard.max_share:.0%} of them in one run"
        )
    return None


def guard(ledger_run: str, items: Iterable[Item] | None = None) -> list[Item]:
    """The items that may be carried out; parks the rest until somebody decides.

    A cohort goes as a whole: not at all when a plan of it is missing (a store could not be planned),
    and not before approval when it is too large.
    """
    items = list(items or [])
    cleared: list[Item] = []
    for unit in [
        *(of_cohort(items, c) for c in cohort_ids(items)),
        *([i] for i in items if not i["cohort_id"]),
    ]:
        plans = [find_plan(i) for i in unit]
        missing = [i["store"] for i, p in zip(unit, plans, strict=True) if p is None]
        if missing:
            log.error("rule %s: no plan for %s, so nothing is deleted", unit[0]["rule"], ", ".join(missing))
        elif _may_go(ledger_run, unit, [p for p in plans if p is not None]):
            cleared += unit
    return cleared


def decisions_needed(ledger_run: str) -> list[dict[str, Any]]:
    """What ``decide_guarded_plan`` is to be triggered with: one decision per cohort or plan parked now."""
    units: dict[str, list[str]] = {}
    for row in runtime().ledger().plans(UUID(ledger_run)):
        if row.state == "awaiting_approval":
            units.setdefault(str(row.plan.cohort_id or row.plan.id), []).append(str(row.plan.id))
    return [
        {"conf": {"plan_ids": plan_ids}, "trigger_run_id": f"guard__{unit}"}
        for unit, plan_ids in units.items()
    ]


def _may_go(ledger_run: str, unit: list[Item], plans: list[Plan]) -> bool:
    ledger = runtime().ledger()
    states = {ledger.plan_state(p.id) for p in plans}
    if states - MAY_GO:
        return False
    if states != {"planned"}:
        return True  # decided, or begun within its guard by an earlier run
    measured = next((p for p in plans if p.cohort_id and p.store == root_store()), plans[0])
    rule = runtime().config().policy.rule(unit[0]["rule"])
    reason = exceeded(rule.guard, measured)
    if reason is None:
        return True
    log.error("rule %s: %s; nothing is deleted before somebody decides", rule.id, reason)
    if not read_run(ledger_run).dry_run:
        for plan in plans:
            ledger.park_plan(plan.id, reason)
    return False
