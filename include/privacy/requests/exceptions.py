"""Exceptions to an erasure that a person must decide on, where the data map says so (Art. 17(3) GDPR)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.requests import decisions
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)


def park_undecided(requests: Sequence[RequestRow], as_of: datetime) -> set[str]:
    """Have a person asked about every request with rows to decide on; returns ids of those that wait now.

    A request that was decided on before goes ahead: what the hold kept back was released by somebody.
    """
    waiting: set[str] = set()
    for store in runtime().stores():
        if not isinstance(store, DatabaseMap) or not requests:
            continue
        found = runtime().database(store.store).rows_to_decide(str(r.subject_key) for r in requests)
        for request in requests:
            counts = found.get(str(request.subject_key))
            if not counts or decisions.answer_of(request.id, "exception"):
                continue
            facts = {
                "store": store.store,
                "rows": counts,
                "why": {name: _reason(store, name) for name in counts},
            }
            decisions.ask("exception", request, facts, as_of)
            waiting.add(str(request.id))
    if waiting:
        log.info("%d requests wait for a decision on an exception", len(waiting))
    return waiting


def _reason(store: DatabaseMap, table: str) -> str:
    decided = [s.erasure.decide for s in store.tables[table].subjects.values()]
    return "; ".join(d.reason for d in decided if d is not None)
