"""Corrections (P6.2, Art. 16 GDPR): a fact is corrected in every store that holds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.planning.models import Member
from include.privacy.planning.rectification import Correction, identifying_fields, plan_rectification
from include.privacy.requests import claimed, restricting
from include.privacy.runtime import runtime
from include.privacy.steps import recipients
from include.privacy.steps.freezing import members
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.planning.rectification import RectificationOutcome, RectificationPlan

log = logging.getLogger(__name__)


def claim(ledger_run: str, *, params: Mapping[str, Any] | None = None) -> list[str]:
    """Claim what waits, freeze what identifies the people, and let no job use them while it is contested.

    Work tables of an interrupted run hold values of people: they go first.
    """
    as_of = read_run(ledger_run).as_of
    requests = claimed.open_requests(claimed.claim(ledger_run, "rectification", params=params))
    restricting.restrict([str(r.subject_key) for r in requests], as_of)
    batch = str(batch_of(ledger_run))
    for old in {str((r.details or {}).get("batch", batch)) for r in requests} - {batch}:
        drop_work(UUID(old))
    frozen = {m.key: m.identifiers for m in members(dict.fromkeys(str(r.subject_key) for r in requests))}
    for request in requests:
        known = (request.details or {}).get("identifiers", {})
        found = frozen[str(request.subject_key)]
        both = {k: sorted({*known.get(k, ()), *found.get(k, ())}) for k in {*known, *found}}
        runtime().ledger().note_details(request.id, {"identifiers": both, "batch": batch})
    return [str(r.id) for r in requests]


def correct_root(ledger_run: str, request_ids: list[str]) -> list[dict[str, Any]]:
    """Correct the root store, where an address that somebody else has is refused before any copy is changed.

    Returns an item for every other database, to be corrected next.
    """
    root = runtime().config().data_map.root.store
    if not request_ids:
        return []
    correct(ledger_run, root, request_ids)
    return [{"store": s, "request_ids": request_ids} for s in claimed.databases() if s != root]


def correct(ledger_run: str, store: str, request_ids: list[str]) -> dict[str, int]:
    """Correct one store for everybody in the run; returns counts. May be run again, also at the same time.

    The values that go are sealed with the request before they are replaced: nothing else knows them. What
    identified the person stays in the ledger after it, until they are erased: others still know them by it.
    """
    ledger, database = runtime().ledger(), runtime().database(store)
    requests = claimed.open_requests(request_ids)
    batch, corrections = batch_of(ledger_run), _corrections(requests, store)
    if not corrections:
        return {"people": 0, "refused": 0}
    replaced = database.replaced_values(batch, corrections)
    _note_replaced(requests, replaced)
    _remember(ledger_run, replaced)
    # Read again: copies and traces in this very store are found by the values that were just sealed.
    corrections = _corrections(claimed.open_requests(request_ids), store)
    outcome = database.rectify(batch, corrections, ledger.hold_gate())
    _note_replaced(requests, outcome.replaced)
    _remember(ledger_run, outcome.replaced)
    for key, refused in outcome.refused.items():
        for request in _of(requests, key):
            _note(request, "refused", {store: dict(refused)})
    for key in outcome.held:
        for request in _of(requests, key):
            _note(request, "held", {store: True})
    _record(outcome, [r for c in corrections for r in _of(requests, c.subject)])
    log.info("store %s: %d people, %d refused", store, len(corrections), len(outcome.refused))
    return {"people": len(corrections), "refused": len(outcome.refused)}


def tell_processors(ledger_run: str, request_ids: list[str] | None = None) -> list[dict[str, str]]:
    """Queue the corrections at every processor, for those whom all stores have; returns who has work."""
    if read_run(ledger_run).dry_run:
        return []
    requests = claimed.open_requests(request_ids)
    left = corrections_left(ledger_run, requests) if requests else set()
    for request in requests:
        refused = refused_fields(request)
        values = {name: v for name, v in plan_of(request).values.items() if name not in refused}
        if request.subject_key in left or not values:
            continue
        details = request.details or {}
        known = {kind: [*found] for kind, found in details.get("identifiers", {}).items()}
        # The processors know the person by what was true so far.
        before = [*known.get("email", ()), *details.get("replaced", {}).get("email", ())]
        known["email"] = [a for a in dict.fromkeys(before) if a != values.get("email")]
        member = Member(str(request.subject_key), {kind: tuple(found) for kind, found in known.items()})
        recipients.open_tasks(
            ledger_run,
            [
                recipients.new_task(request.id, name, "rectify", member, request.id, values=values)
                for name in recipients.processors_for("rectification")
            ],
        )
    return recipients.due(ledger_run)


def plan_of(request: RequestRow) -> RectificationPlan:
    """What the request means by the map of today."""
    wanted = (request.details or {}).get("corrections", {})
    return plan_rectification(runtime().config().data_map, wanted)


def refused_fields(request: RequestRow) -> dict[str, str]:
    """Field → code of those that a store refused."""
    by_store: Mapping[str, Mapping[str, str]] = (request.details or {}).get("refused", {})
    return {name: code for refused in by_store.values() for name, code in refused.items()}


def corrections_left(ledger_run: str, requests: Sequence[RequestRow]) -> set[str]:
    """Subject keys of those for whom a store still says the old value."""
    left: set[str] = set()
    for store in claimed.databases():
        corrections = _corrections(requests, store)
        if corrections:
            found = runtime().database(store).check_rectified(batch_of(ledger_run), corrections)
            left |= found.subjects
            if not found.clean:
                log.error("store %s: still the old value in %s", store, dict(found.remaining))
    return left


def batch_of(ledger_run: str) -> UUID:
    """The work of one run in every store."""
    return uuid5(UUID(ledger_run), "rectification")


def drop_work(batch: UUID) -> None:
    """Drop the work tables of a batch in every database."""
    for store in claimed.databases():
        runtime().database(store).finish_rectification(batch)


def _corrections(requests: Sequence[RequestRow], store: str) -> list[Correction]:
    """One for each person with something to correct in the store; refused fields are left alone."""
    found: dict[str, Correction] = {}
    for request in requests:
        plan, details = plan_of(request), request.details or {}
        if store not in plan.stores:
            continue
        refused = refused_fields(request)
        values = {name: v for name, v in plan.values.items() if name not in refused}
        key = str(request.subject_key)
        earlier = found.get(key)
        if values:
            found[key] = Correction(
                key,
                {**(earlier.values if earlier else {}), **values},
                {k: tuple(v) for k, v in details.get("identifiers", {}).items()},
                {k: tuple(v) for k, v in details.get("replaced", {}).items()},
            )
    return list(found.values())


def _of(requests: Sequence[RequestRow], key: str) -> list[RequestRow]:
    """The requests of one person: there may be several, for different fields."""
    return [r for r in requests if r.subject_key == key]


def _note_replaced(
    requests: Sequence[RequestRow], by_key: Mapping[str, Mapping[str, tuple[str, ...]]]
) -> None:
    ledger = runtime().ledger()
    for key, replaced in by_key.items():
        for request in _of(requests, key):
            known = (ledger.request(request.id).details or {}).get("replaced", {})
            merged = {
                name: list(dict.fromkeys([*known.get(name, ()), *replaced.get(name, ())]))
                for name in {*known, *replaced}
            }
            if merged != known:
                ledger.note_details(request.id, {"replaced": merged})


def _remember(ledger_run: str, by_key: Mapping[str, Mapping[str, tuple[str, ...]]]) -> None:
    kinds, run = identifying_fields(runtime().config().data_map), read_run(ledger_run)
    for key, replaced in by_key.items():
        former = {kinds[name]: values for name, values in replaced.items() if name in kinds}
        if former:
            runtime().ledger().note_former_identifiers(key, former, run.as_of, run.id)


def _note(request: RequestRow, name: str, more: Mapping[str, Any]) -> None:
    fresh = runtime().ledger().request(request.id).details or {}
    runtime().ledger().note_details(request.id, {name: {**fresh.get(name, {}), **more}})


def _record(outcome: RectificationOutcome, requests: Sequence[RequestRow]) -> None:
    detail = {"changed": sum(outcome.changed.values()), "removed": sum(outcome.removed.values())}
    runtime().ledger().record_recipients(
        [r.id for r in requests], [(outcome.store, "corrected", {**detail, "people": len(requests)})]
    )
