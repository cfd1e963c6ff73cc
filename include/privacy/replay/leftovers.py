"""Working tables in the stores that no plan of ours works with any more."""

from __future__ import annotations

import logging
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

log = logging.getLogger(__name__)

OVER = frozenset({"rejected", "expired"})


def drop_leftovers(store: str, connection: str = "", *, dry_run: bool = False) -> int:
    """Drop the working tables of plans and batches that are over; returns of how many.

    ``connection``: where the database is, if not in the store's own place.
    """
    from include.privacy.stores.postgres.leftovers import Leftovers

    mapped = runtime().config().data_map[store]
    assert isinstance(mapped, DatabaseMap)
    found = Leftovers(runtime().dsn(connection or mapped.connection))
    over = [owner for owner in sorted(found.owners()) if not _in_use(owner)]
    for owner in () if dry_run else over:
        found.drop(owner)
    if over:
        log.info("store %s: working tables of %d plans that are over", store, len(over))
    return len(over)


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
