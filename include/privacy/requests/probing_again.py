"""The second probe, days later: what a trigger, a replica or a late write brought back is found."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from include.privacy.evidence.renewing import renew_all
from include.privacy.runtime import runtime
from include.privacy.steps.probing import Probe
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)


class CameBackError(FindingError):
    """Data of erased people were found again; the message has stores and counts only."""


def due_probes(ledger_run: str) -> list[Probe]:
    """The probes that are due."""
    found = runtime().ledger().due_probes(read_run(ledger_run).as_of)
    return [Probe(plan_id=str(p.plan_id), store=p.store) for p in found if p.cohort_id]


def probe_again(ledger_run: str, plan_id: str, store: str) -> dict[str, int]:
    """Look for everybody in the plan's cohort once more; returns how much is left."""
    ledger = runtime().ledger()
    plan = ledger.plan(UUID(plan_id))
    assert plan.cohort_id is not None
    adapter = runtime().store(store)
    try:
        result = adapter.probe(plan, ledger.cohort(plan.cohort_id))
    finally:
        adapter.finish(plan)
    ledger.record_probe(plan.id, result, read_run(ledger_run).as_of)
    remaining = sum(result.remaining.values())
    if remaining:
        log.error("store %s: %d found again", store, remaining)
    return {"remaining": remaining}


def report(ledger_run: str) -> dict[str, int]:
    """Destroy the cohorts that nothing needs any more, record what came back, renew the certificates that
    now have a second probe to tell of, end the run.
    """
    ledger = runtime().ledger()
    run = read_run(ledger_run)
    still_due = [p for p in ledger.due_probes(run.as_of) if p.cohort_id]
    back: dict[str, int] = {}
    for probe in still_due:
        back[probe.store] = back.get(probe.store, 0) + 1
    for store in dict.fromkeys(s.store for s in runtime().stores()):
        if store in back:
            oldest = max(run.as_of - p.due_at for p in still_due if p.store == store)
            note = "data of erased people came back, or could not be looked for"
            ledger.record_breach(
                UUID(ledger_run), "second_probe", store, back[store], max(oldest, timedelta(0)), note
            )
        else:
            ledger.resolve_breaches("second_probe", store, run.as_of)
    destroyed = 0
    for cohort_id in ledger.cohorts_without_probes():
        ledger.destroy_cohort(cohort_id)
        destroyed += 1
    certificates = renew_all(run.as_of)
    summary = {
        "as_of": run.as_of.isoformat(),
        "back": back,
        "cohorts_destroyed": destroyed,
        "certificates": certificates,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if back:
        raise CameBackError(f"second probe not clean (plans per store): {back}")
    return {"cohorts_destroyed": destroyed}
