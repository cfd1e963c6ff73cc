"""Claiming: every open erasure request goes into one cohort; those that must wait are parked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.planning.models import Holds, Member
from include.privacy.requests import exceptions, order, restricting, telling
from include.privacy.requests.claimed import answer_not_held, existing
from include.privacy.requests.intake import request_ids
from include.privacy.requests.retaining import note_what_is_kept
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, cohort_ids, items_of_cohort, of_cohort

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

ORIGIN = "erasure_requests"
NOT_FOLLOWED = "former_identifiers_not_followed"
"""Evidence of a request: as many former identifiers of the person are somebody else's by now."""


def claim(ledger_run: str, *, params: Mapping[str, Any] | None = None) -> list[Item]:
    """Claim what waits, freeze the people of the new ones, and return the items of all cohorts.

    A request that an interrupted run had begun goes on with the cohort frozen then: what identified
    the person may be half erased by now. A held person waits for the release; an account that does
    not exist is answered at once.
    """
    ledger = runtime().ledger()
    claimed = ledger.claim_requests(
        UUID(ledger_run), "erasure", request_ids((params or {}).get("request_ids"))
    )
    begun = ledger.cohorts_of_requests([r.id for r in claimed])
    holds = ledger.holds()
    as_of = read_run(ledger_run).as_of
    new = [r for r in claimed if r.id not in begun]
    known = existing(new)
    for request in new:
        if request.subject_key not in known:
            answer_not_held(request, as_of)
    restricting.restrict(known, as_of)
    fresh = [r for r in new if not _parked(r, holds)]
    fresh = [r for r in fresh if r.subject_key in known and not _comes_later(r)]
    undecided = exceptions.park_undecided(fresh, as_of)
    fresh = [r for r in fresh if str(r.id) not in undecided]
    for request in fresh:
        note_contact(request)
    cohorts = list(dict.fromkeys(begun.values()))
    if fresh:
        keys = dict.fromkeys(str(r.subject_key) for r in fresh)
        left_out: dict[str, int] = {}
        cohort = ledger.freeze_cohort(
            _noting(members(keys), left_out), ORIGIN, UUID(ledger_run), [r.id for r in fresh]
        )
        cohorts.append(cohort.id)
        for request in fresh:
            if count := left_out.get(str(request.subject_key)):
                ledger.append_evidence(NOT_FOLLOWED, {"count": count}, UUID(ledger_run), request.id)
    log.info("claimed %d requests: %d new, %d resumed", len(claimed), len(fresh), len(begun))
    return [item for cohort_id in dict.fromkeys(cohorts) for item in items_of_cohort(cohort_id)]


def complete_cohorts(ledger_run: str, items: list[Item] | None = None) -> list[Item]:
    """The items of cohorts of which every store could be planned: of the others nothing is deleted.

    What the law keeps of each person is noted now, while their rows still lead to them.
    """
    items = items or []
    complete: list[Item] = []
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        plans = [p for i in mine if (p := find_plan(i))]
        missing = sorted({i["store"] for i in mine} - {p.store for p in plans})
        if missing:
            log.error("no plan for %s, so nothing is deleted", ", ".join(missing))
            continue
        if all(runtime().ledger().plan_state(p.id) == "planned" for p in plans):
            note_what_is_kept(ledger_run, cohort_id, plans)
        complete += mine
    return complete


def note_contact(request: RequestRow) -> None:
    """Seal where the last letter goes: after an erasure no store knows it."""
    if request.details is None or "contact" in request.details:
        return
    contact = telling.contact_of(request)
    found = {"email": contact.email, "language": contact.language} if contact else None
    runtime().ledger().note_details(request.id, {"contact": found})


def _noting(found: Iterable[Member], left_out: dict[str, int]) -> Iterator[Member]:
    for member in found:
        if member.not_followed:
            left_out[member.key] = member.not_followed
        yield member


def _comes_later(request: RequestRow) -> bool:
    if not order.waits_for_another(request):
        return False
    order.put_back(request)
    return True


def _parked(request: RequestRow, holds: Holds) -> bool:
    if request.subject_key not in holds.subjects:
        return False
    runtime().ledger().transition(request.id, "on_hold", "a legal hold covers the person")
    return True
