"""P4.1: an account whose service ended a target ago becomes deleted."""

from __future__ import annotations

import logging
from uuid import UUID, uuid5

from include.privacy.planning.models import Outcome, Plan
from include.privacy.policy.policy import SubjectLifecycleRule
from include.privacy.retention.guard import exceeded
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

log = logging.getLogger(__name__)

MARK = {"step": "mark_deleted"}
"""``params`` of the plan that stands for marking: it acts on a clock, not on a frozen cohort."""


def mark_deleted(ledger_run: str) -> dict[str, int]:
    """Apply every ``mark_deleted`` rule; returns how many accounts were marked, and how many wait.

    Beyond the rule's guard nothing is marked: the plan is parked until somebody decides. What was
    approved is marked as of the instant it was approved for, so that nobody is added to it unseen.
    """
    marked = waiting = 0
    for rule in _rules():
        plan = _plan_in_force(ledger_run, rule)
        if plan is None:
            continue
        if runtime().ledger().plan_state(plan.id) == "awaiting_approval":
            waiting += plan.subjects
            continue
        marked += _mark(ledger_run, rule, plan)
    return {"marked": marked, "waiting": waiting}


def _rules() -> list[SubjectLifecycleRule]:
    rules = runtime().config().policy.rules
    return [r for r in rules if isinstance(r, SubjectLifecycleRule) and r.action == "mark_deleted"]


def _plan_in_force(ledger_run: str, rule: SubjectLifecycleRule) -> Plan | None:
    """An approved or waiting plan of an earlier run, or a new one; ``None`` when nobody is due."""
    ledger = runtime().ledger()
    run = read_run(ledger_run)
    if not run.dry_run:
        for row in ledger.plans_in(("approved", "executing", "awaiting_approval"), kind=run.kind):
            if row.plan.rule == rule.id:
                return row.plan
    store = runtime().database(rule.store)
    due = store.mark_deleted(rule, as_of=run.as_of, dry_run=True)
    if not due:
        return None
    plan = Plan(
        id=uuid5(UUID(ledger_run), rule.id),
        cohort_id=None,
        store=rule.store,
        action="erase",
        rule=rule.id,
        as_of=run.as_of,
        subjects=due,
        population=store.population(),
        matched=due,
        params=MARK,
    )
    plan = ledger.save_plan(plan, UUID(ledger_run))
    reason = exceeded(rule.guard, plan)
    if reason and not run.dry_run:
        ledger.park_plan(plan.id, reason)
    return plan


def _mark(ledger_run: str, rule: SubjectLifecycleRule, plan: Plan) -> int:
    ledger = runtime().ledger()
    dry_run = read_run(ledger_run).dry_run
    ledger.record_intent(plan.id)
    marked = runtime().database(rule.store).mark_deleted(rule, as_of=plan.as_of, dry_run=dry_run)
    log.info("rule %s: %s %d accounts deleted", rule.id, "would mark" if dry_run else "marked", marked)
    if not dry_run:
        ledger.record_outcome(plan.id, 0, Outcome(store=rule.store, anonymised={"marked_deleted": marked}))
        ledger.move_plan(plan.id, "probed", "marking is one statement: nothing is left to look for")
    return marked
