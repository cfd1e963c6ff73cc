"""Telling recipients (Art. 19 GDPR): each store and processor has an outcome of its own per request."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from include.privacy.planning.models import Plan
from include.privacy.runtime import runtime
from include.privacy.steps.executing import finished
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, cohort_ids, of_cohort

log = logging.getLogger(__name__)


def notify_recipients(ledger_run: str, items: list[Item] | None = None) -> dict[str, int]:
    """Record for every request what each store did; the probe, which is next, settles it per person."""
    items = items or []
    moved = 0
    if read_run(ledger_run).dry_run:
        return {"requests": 0}
    ledger = runtime().ledger()
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        if not all(finished(item) for item in mine):
            continue
        requests = list(ledger.cohort_requests(cohort_id).values())
        ledger.transition_all(requests, "notifying", None)
        outcomes = [_of_cohort(plan) for item in mine if (plan := find_plan(item)) is not None]
        ledger.record_recipients(requests, outcomes)
        moved += ledger.transition_all(requests, "verifying_absence", None)
    log.info("recipients told: %d requests", moved)
    return {"requests": moved}


def open_recipients(request_id: UUID) -> list[str]:
    """Recipients that have not settled the request: it cannot be complete before they have."""
    return [row.recipient for row in runtime().ledger().recipients(request_id) if row.open]


def told(request_id: UUID, *states: str) -> list[str]:
    """The processors, by the names that people know, that did this to something of the person."""
    known = runtime().config().processors
    rows = [row for row in runtime().ledger().recipients(request_id) if row.recipient in known]
    return [
        known[row.recipient].title
        for row in rows
        if row.state in states or any(o["state"] in states for o in row.detail.get("objects", ()))
    ]


def settle_stores(request_id: UUID, plans: Iterable[Plan], retained: Mapping[str, object]) -> None:
    """The person was looked for and nothing is left of them in these stores but what is ``retained``."""
    settled = []
    for plan in plans:
        _, state, detail = _of_cohort(plan)
        state = "retained" if plan.store in retained else "not_held" if state == "not_held" else "erased"
        settled.append((plan.store, state, detail))
    runtime().ledger().record_recipients([request_id], settled)


def _of_cohort(plan: Plan) -> tuple[str, str, dict[str, Any]]:
    outcomes = [row.outcome for row in runtime().ledger().plan_outcomes(plan.id)]
    detail = {
        "removed": _total(o.removed for o in outcomes),
        "anonymised": _total(o.anonymised for o in outcomes),
        "people": plan.subjects,
    }
    if not plan.matched:
        return plan.store, "not_held", detail
    return plan.store, "pending", detail


def _total(counts: Iterable[dict[str, int]]) -> int:
    return sum(sum(each.values()) for each in counts)
