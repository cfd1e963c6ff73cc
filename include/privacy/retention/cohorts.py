"""What a retention run works on: cohorts frozen by the clock, and what earlier runs left."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from include.privacy.planning.models import Plan
from include.privacy.policy.policy import ObjectAgeRule, RecordAgeRule, SnapshotAgeRule, SubjectLifecycleRule
from include.privacy.retention.lifecycle import MARK
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, item_of_rule, items_of_cohort

log = logging.getLogger(__name__)

DECIDE_WITHIN = timedelta(days=5)
"""How long a parked plan waits. Then it expires and is asked anew with that day's count."""


def freeze_cohorts(ledger_run: str) -> list[Item]:
    """The items of a database run: interrupted and decided cohorts, then whoever is due now.

    People in a cohort that an earlier run left, or that waits for a decision, are not frozen again.
    """
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    items: list[Item] = []
    busy: set[str] = set()
    if not run.dry_run:
        _expire_stale(ledger_run)
        rows = ledger.plans_in(("awaiting_approval", "approved", "executing", "executed"), kind=run.kind)
        for cohort_id in dict.fromkeys(r.plan.cohort_id for r in rows if r.plan.cohort_id):
            busy |= {m.key for m in ledger.cohort(cohort_id).members()}
        items += _left_over(r.plan for r in rows if r.state != "awaiting_approval" and r.plan.params != MARK)
        waiting = {r.plan.rule for r in rows if r.state == "awaiting_approval" and r.plan.cohort_id is None}
    else:
        waiting = set()
    for rule in runtime().config().policy.rules:
        if isinstance(rule, SubjectLifecycleRule) and rule.action == "purge":
            items += _freeze(ledger_run, rule, busy)
        elif isinstance(rule, RecordAgeRule) and rule.id not in waiting:
            items.append(item_of_rule(UUID(ledger_run), rule.id, rule.store))
    return items


def list_backup_rules(ledger_run: str) -> list[Item]:
    """The items of a backup run: what was approved, then the rules on archives and snapshots not waiting."""
    run = read_run(ledger_run)
    items: list[Item] = []
    waiting: set[str | None] = set()
    if not run.dry_run:
        _expire_stale(ledger_run)
        rows = runtime().ledger().plans_in(("awaiting_approval", "approved", "executing"), kind=run.kind)
        items += _left_over(r.plan for r in rows if r.state != "awaiting_approval")
        waiting = {r.plan.rule for r in rows if r.state == "awaiting_approval"}
    for rule in runtime().config().policy.rules:
        if isinstance(rule, ObjectAgeRule | SnapshotAgeRule) and rule.id not in waiting:
            items.append(item_of_rule(UUID(ledger_run), rule.id, rule.store))
    return items


def _freeze(ledger_run: str, rule: SubjectLifecycleRule, busy: set[str]) -> list[Item]:
    run = read_run(ledger_run)
    root = runtime().database(rule.store)
    due = [key for key in root.due_keys(rule, as_of=run.as_of) if key not in busy]
    held = runtime().ledger().holds().subjects
    free = [key for key in due if key not in held]
    log.info("rule %s: %d people due, %d of them held", rule.id, len(due), len(due) - len(free))
    if not free:
        return []
    cohort = runtime().ledger().freeze_cohort(members(free), rule.id, UUID(ledger_run))
    return items_of_cohort(cohort.id, rule.id)


def _left_over(plans: Iterable[Plan]) -> list[Item]:
    items: list[Item] = []
    seen: set[UUID] = set()
    for plan in plans:
        cohort_id, rule = plan.cohort_id, plan.rule or ""
        if cohort_id is None:
            items.append(Item(plan_id=str(plan.id), cohort_id="", store=plan.store, rule=rule))
        elif cohort_id not in seen:
            seen.add(cohort_id)
            items += items_of_cohort(cohort_id, rule)
    return items


def _expire_stale(ledger_run: str) -> None:
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    for row in ledger.plans_in(("awaiting_approval",), kind=run.kind):
        if row.saved_at < run.started_at - DECIDE_WITHIN:
            ledger.move_plan(row.plan.id, "expired", "nobody decided in time; asked anew")
