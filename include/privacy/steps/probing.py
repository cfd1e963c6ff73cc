"""Probing: after the deletion every frozen identifier is looked for again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypedDict
from uuid import UUID

from include.privacy.runtime import runtime
from include.privacy.steps.executing import finished, kept_back
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item

log = logging.getLogger(__name__)


class Probe(TypedDict):
    """One look into one store."""

    plan_id: str
    store: str


def probes(ledger_run: str, items: Iterable[Item] | None = None) -> list[Probe]:
    """A probe for each plan that was carried out; none in a dry run."""
    if read_run(ledger_run).dry_run:
        return []
    return [Probe(plan_id=i["plan_id"], store=i["store"]) for i in items or () if finished(i)]


def probe(ledger_run: str, plan_id: str, store: str) -> dict[str, int]:
    """Look again and put the result on record; returns how much is left and how many are held.

    What is left does not fail this task: the run's report names it, and each request is judged alone.
    """
    ledger = runtime().ledger()
    plan = ledger.plan(UUID(plan_id))
    cohort = ledger.cohort(plan.cohort_id) if plan.cohort_id else None
    held = kept_back([plan]) if cohort else frozenset()
    result = runtime().store(store).probe(plan, cohort, held_back=held)
    ledger.record_probe(plan.id, result, read_run(ledger_run).as_of)
    remaining = sum(result.remaining.values())
    if remaining:
        left = {name: count for name, count in result.remaining.items() if count}
        log.error("store %s: %d still found after the deletion: %s", store, remaining, left)
    return {"remaining": remaining, "held_people": result.held_subjects}
