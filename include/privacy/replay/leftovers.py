"""Working tables in the stores that no plan of ours works with any more."""

from __future__ import annotations

import logging
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime

log = logging.getLogger(__name__)

LIVE = frozenset({"planned", "awaiting_approval", "approved", "executing", "executed", "failed"})


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
    """Whether a plan in the ledger, or the corrections of a run that is open, may still need them."""
    from include.privacy.ledger.errors import NotInLedger

    try:
        return runtime().ledger().plan_state(owner) in LIVE
    except NotInLedger:
        return owner in _batches_under_way()


def _batches_under_way() -> set[UUID]:
    from include.privacy.ledger.states import OPEN

    requests = runtime().ledger().requests(OPEN, "rectification")
    return {UUID(str((r.details or {})["batch"])) for r in requests if (r.details or {}).get("batch")}
