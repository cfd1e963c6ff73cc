"""Closing: each request is judged alone, answered through the outbox, and closed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from include.privacy.evidence.certificates import note_carried_out
from include.privacy.planning.models import Member, Plan
from include.privacy.requests import notifying
from include.privacy.requests.erased import Erased, answer_erasure
from include.privacy.requests.retaining import kept_of
from include.privacy.runtime import runtime
from include.privacy.steps import recipients
from include.privacy.steps.concluding import conclude
from include.privacy.steps.executing import alone, kept_back
from include.privacy.steps.planning import find_plan
from include.privacy.steps.residue import residual_until
from include.privacy.steps.runs import FindingError, read_run
from include.privacy.steps.work import Item, cohort_ids, of_cohort

log = logging.getLogger(__name__)


class RequestsOpenError(FindingError):
    """Some requests could not be fulfilled in this run; the message has counts only."""


def close_requests(ledger_run: str, items: list[Item] | None = None) -> dict[str, int]:
    """Close every request of the run's cohorts that is done, conclude the cohorts, end the run.

    ``completed``: nothing is left. ``completed_with_retention``: what the map keeps is named, with
    basis and end. ``on_hold``: a hold came in between. Anything else stays open and makes the run
    red; the next one goes on with it.
    """
    undone = ["claim"] if items is None else []
    items = items or []
    counts: Counter[str] = Counter()
    run = read_run(ledger_run)
    undone += sorted(recipients.undone(ledger_run))
    for cohort_id in cohort_ids(items):
        counts.update(_close_cohort(cohort_id, of_cohort(items, cohort_id), run.as_of))
    conclude(ledger_run, items)
    open_ = counts["open"] + counts["failed"]
    summary = {
        "as_of": run.as_of.isoformat(),
        "requests": dict(counts),
        "undone": undone,
    }
    runtime().ledger().close_run(UUID(ledger_run), summary)
    log.info("requests: %s", dict(counts) or "none waited")
    if undone:
        raise RequestsOpenError(f"did not end well: {', '.join(undone)}; the next sweep tries again")
    if open_:
        raise RequestsOpenError(
            f"{open_} of {sum(counts.values())} requests are not fulfilled; they stay open and the next run "
            "goes on with them. The logs of execute and probe say which store stopped them."
        )
    return dict(counts)


def _close_cohort(cohort_id: UUID, items: list[Item], as_of: datetime) -> Counter[str]:
    from include.privacy.ledger.errors import KeyDestroyed

    ledger = runtime().ledger()
    try:
        cohort = ledger.cohort(cohort_id)
    except KeyDestroyed:
        return Counter()  # an earlier try of this task has closed and concluded it
    asked = ledger.cohort_requests(cohort_id)
    plans = [find_plan(i) for i in items]
    made = [p for p in plans if p is not None]
    counts: Counter[str] = Counter()
    if len(made) < len(items) or any(ledger.plan_state(p.id) not in ("executed", "probed") for p in made):
        return Counter(open=len(asked))
    clean = all(ledger.plan_state(p.id) == "probed" for p in made)
    kept = kept_back(made)
    residual = residual_until(as_of)
    for member in cohort.members():
        if member.key not in asked:
            continue
        try:
            counts[_close(asked[member.key], member, made, kept, clean, residual, as_of)] += 1
        except Exception as error:
            # One request must not stop the others; it stays open and the run turns red.
            log.exception("a request could not be closed: %s", type(error).__name__)
            counts["open"] += 1
    return counts


def _close(
    request_id: UUID,
    member: Member,
    plans: list[Plan],
    kept: frozenset[str],
    clean: bool,
    residual: datetime | None,
    as_of: datetime,
) -> str:
    ledger = runtime().ledger()
    request = ledger.request(request_id)
    if request.closed_at is not None or request.state == "on_hold":
        return request.state
    if member.key in kept:
        # Released in the meantime or not: on_hold is claimed again by the next run.
        state, reason = "on_hold", "a legal hold covers data of the person"
        if not _ever_held(plans):
            state, reason = "failed", "a store refused to remove something: locked or protected there"
        ledger.transition(request_id, state, reason)
        return state
    left = {} if clean else _left_of(member, plans, as_of)
    if left:
        log.error("a request stays open: still found %s", left)
        return "open"
    retained = kept_of(request_id, plans)
    notifying.settle_stores(request_id, plans, retained)
    note_carried_out(request, [p.id for p in plans], residual, retained)
    if waiting := notifying.open_recipients(request_id):
        log.info("request %s waits for %s", request_id, ", ".join(waiting))
        erased = Erased(as_of, residual, retained)
        ledger.note_details(request_id, {"erased": erased.as_json()})
        ledger.transition(request_id, "awaiting_recipients", f"waits for {', '.join(waiting)}")
        return "awaiting_recipients"
    return answer_erasure(request, Erased(as_of, residual, retained), as_of)


def _left_of(member: Member, plans: Iterable[Plan], as_of: datetime) -> dict[str, int]:
    """How much each store still has of one person; asked where the cohort's probe found something."""
    left: dict[str, int] = {}
    for plan in plans:
        store = runtime().store(plan.store)
        cohort = alone(member)
        own = store.plan_erasure(cohort, uuid4(), as_of=as_of)
        try:
            count = sum(store.probe(own, cohort).remaining.values())
        finally:
            store.finish(own)
        if count:
            left[plan.store] = count
    return left


def _ever_held(plans: Iterable[Plan]) -> bool:
    ledger = runtime().ledger()
    outcomes = [row.outcome for p in plans for row in ledger.plan_outcomes(p.id)]
    return any(o.held_subjects for o in outcomes) or any(
        "hold" in why for o in outcomes for why in o.kept.values()
    )
