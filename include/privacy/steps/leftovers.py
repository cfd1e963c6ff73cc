"""Working tables in the stores that no plan of ours works with any more."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.stores.postgres.leftovers import Leftovers

log = logging.getLogger(__name__)

OVER = frozenset({"rejected", "expired"})


def leftovers_of(store: str, connection: str = "") -> set[UUID]:
    """The plans and batches that are over and have working tables left in the store.

    ``connection``: where the database is, if not in the store's own place.
    """
    return {owner for owner in _workspace(store, connection).owners() if not _in_use(owner)}


def drop_leftovers(store: str, connection: str = "", *, only: Collection[UUID] | None = None) -> int:
    """Drop the working tables of plans and batches that are over (of ``only`` these); returns of how many."""
    over = sorted(leftovers_of(store, connection))
    if only is not None:
        over = [owner for owner in over if owner in only]
    for owner in over:
        _workspace(store, connection).drop(owner)
    if over:
        log.info("store %s: working tables of %d plans that are over", store, len(over))
    return len(over)


def _workspace(store: str, connection: str) -> Leftovers:
    from include.privacy.stores.postgres.leftovers import Leftovers

    mapped = runtime().config().data_map[store]
    assert isinstance(mapped, DatabaseMap)
    return Leftovers(runtime().dsn(connection or mapped.connection))


def _in_use(owner: UUID) -> bool:
    """Whether a plan whose people are still known may need them, or the corrections of an open request."""
    from include.privacy.ledger.errors import KeyDestroyed, NotInLedger

    ledger = runtime().ledger()
    try:
        plan = ledger.plan(owner)
        if plan.cohort_id is not None:
            ledger.cohort(plan.cohort_id)
    except NotInLedger:
        return owner in _batches_under_way()
    except KeyDestroyed:
        return False
    return ledger.plan_state(owner) not in OVER


def _batches_under_way() -> set[UUID]:
    from include.privacy.ledger.states import OPEN

    requests = runtime().ledger().requests(OPEN, "rectification")
    return {UUID(str((r.details or {})["batch"])) for r in requests if (r.details or {}).get("batch")}
