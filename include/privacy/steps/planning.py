"""Planning: one plan per item, recorded before anything is done."""

from __future__ import annotations

import logging
from uuid import UUID

from include.privacy.planning.models import Plan
from include.privacy.policy.policy import ObjectAgeRule, RecordAgeRule, SnapshotAgeRule
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item

log = logging.getLogger(__name__)


def plan(ledger_run: str, plan_id: str, cohort_id: str, store: str, rule: str) -> dict[str, int]:
    """Make and record the plan of one item; returns its counts.

    A plan that is on record already stays as it is: an interrupted cohort goes on with the plan, and
    the progress, that it had. Raises ``PlanError`` when the store cannot be erased safely.
    """
    item = Item(plan_id=plan_id, cohort_id=cohort_id, store=store, rule=rule)
    made = find_plan(item)
    if made is None:
        made = _make(ledger_run, item)
        runtime().ledger().save_plan(made, UUID(ledger_run))
    for note in made.notes:
        log.warning("store %s: %s", made.store, note)
    log.info(
        "store %s%s: %d matched of %d, %d people, %d shards",
        made.store,
        f", rule {made.rule}" if made.rule else "",
        made.matched,
        made.population,
        made.subjects,
        made.shards,
    )
    return {"matched": made.matched, "population": made.population, "subjects": made.subjects}


def find_plan(item: Item) -> Plan | None:
    """The item's plan, if it was made."""
    from include.privacy.ledger.errors import NotInLedger

    try:
        return runtime().ledger().plan(UUID(item["plan_id"]))
    except NotInLedger:
        return None


def _make(ledger_run: str, item: Item) -> Plan:
    as_of = read_run(ledger_run).as_of
    plan_id = UUID(item["plan_id"])
    if item["cohort_id"]:
        cohort = runtime().ledger().cohort(UUID(item["cohort_id"]))
        made: Plan = runtime().store(item["store"]).plan_erasure(cohort, plan_id, as_of=as_of)
        return made.model_copy(update={"rule": item["rule"] or None})
    rule = runtime().config().policy.rule(item["rule"])
    if isinstance(rule, RecordAgeRule):
        return runtime().database(item["store"]).plan_record_age(rule, plan_id, as_of=as_of)
    if isinstance(rule, ObjectAgeRule):
        return runtime().bucket(item["store"]).plan_expiry(rule, plan_id, as_of=as_of)
    if isinstance(rule, SnapshotAgeRule):
        return runtime().snapshots(item["store"]).plan_expiry(rule, plan_id, as_of=as_of)
    raise TypeError(f"rule {rule.id!r} acts on people and needs a cohort")
