"""Corrections (P6.2, Art. 16 GDPR): a fact is corrected in every store that holds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.planning.rectification import Correction, plan_rectification
from include.privacy.requests import claimed, restricting
from include.privacy.runtime import runtime
from include.privacy.steps.freezing import members
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.planning.rectification import RectificationOutcome, RectificationPlan

log = logging.getLogger(__name__)


def prepare(ledger_run: str, request_ids: list[str] | None = None) -> list[str]:
    """Freeze what identifies the people, and let no job use them while their data are contested.

    Work tables of an interrupted run hold values of people: they go first.
    """
    as_of = read_run(ledger_run).as_of
    requests = claimed.open_requests(request_ids)
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


def root_first(request_ids: list[str] | None = None) -> list[dict[str, Any]]:
    """The root store, where an address that somebody else has is refused before any copy is changed."""
    return _items([runtime().config().data_map.root.store], request_ids)


def then_the_others(request_ids: list[str] | None = None) -> list[dict[str, Any]]:
    """Every other database."""
    root = runtime().config().data_map.root.store
    return _items([s for s in claimed.databases() if s != root], request_ids)


def correct(ledger_run: str, store: str, request_ids: list[str]) -> dict[str, int]:
    """Correct one store for everybody in the run; returns counts. May be run again, also at the same time.

    The values that go are sealed with the request before they are replaced: nothing else knows them.
    """
    ledger, database = runtime().ledger(), runtime().database(store)
    requests = claimed.open_requests(request_ids)
    batch, corrections = batch_of(ledger_run), _corrections(requests, store)
    if not corrections:
        return {"people": 0, "refused": 0}
    for key, replaced in database.replaced_values(batch, corrections).items():
        for request in _of(requests, key):
            _note_replaced(request, replaced)
    outcome = database.rectify(batch, corrections, ledger.hold_gate())
    for key, refused in outcome.refused.items():
        for request in _of(requests, key):
            _note(request, "refused", {store: dict(refused)})
    for key in outcome.held:
        for request in _of(requests, key):
            _note(request, "held", {store: True})
    _record(outcome, [r for c in corrections for r in _of(requests, c.subject)])
    log.info("store %s: %d people, %d refused", store, len(corrections), len(outcome.refused))
    return {"people": len(corrections), "refused": len(outcome.refused)}


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


def _items(stores: list[str], request_ids: list[str] | None) -> list[dict[str, Any]]:
    return [{"store": s, "request_ids": request_ids} for s in stores] if request_ids else []


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


def _note_replaced(request: RequestRow, replaced: Mapping[str, tuple[str, ...]]) -> None:
    fresh = runtime().ledger().request(request.id).details or {}
    merged: dict[str, list[str]] = {name: list(values) for name, values in fresh.get("replaced", {}).items()}
    for name, values in replaced.items():
        known = merged.setdefault(name, [])
        known += [v for v in values if v not in known]
    runtime().ledger().note_details(request.id, {"replaced": merged})


def _note(request: RequestRow, name: str, more: Mapping[str, Any]) -> None:
    fresh = runtime().ledger().request(request.id).details or {}
    runtime().ledger().note_details(request.id, {name: {**fresh.get(name, {}), **more}})


def _record(outcome: RectificationOutcome, requests: Sequence[RequestRow]) -> None:
    detail = {"changed": sum(outcome.changed.values()), "removed": sum(outcome.removed.values())}
    runtime().ledger().record_recipients(
        [r.id for r in requests], [(outcome.store, "corrected", {**detail, "people": len(requests)})]
    )
