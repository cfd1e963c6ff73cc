"""Claiming the requests of a right: whoever is known goes on, the others are answered at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.requests.answering import refuse
from include.privacy.requests.intake import request_ids
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)


def claim(ledger_run: str, right: str, *, params: Mapping[str, Any] | None = None) -> list[str]:
    """Claim what waits for a right; returns the ids of the requests whose account exists.

    Of nobody else is anything held, and so they are told. In a dry run nothing is claimed or answered.
    """
    run = read_run(ledger_run)
    only = request_ids((params or {}).get("request_ids"))
    claimed = runtime().ledger().claim_requests(UUID(ledger_run), right, only)
    known = existing(claimed)
    if not run.dry_run:
        for request in claimed:
            if request.subject_key not in known:
                answer_not_held(request, run.as_of)
    log.info("claimed %d requests, %d of known people", len(claimed), len(known))
    return [str(r.id) for r in claimed if r.subject_key in known]


def answer_not_held(request: RequestRow, as_of: datetime) -> str:
    """The account does not exist: nothing is held. Told, recorded, closed."""
    from include.privacy.letters.reasons import RefusalReason

    return refuse(request, RefusalReason.no_such_account, as_of)


def existing(requests: list[RequestRow]) -> set[str]:
    """Subject keys of those whose account exists."""
    keys = [str(r.subject_key) for r in requests]
    return set(runtime().root().existing_keys(keys)) if keys else set()


def open_requests(request_ids: list[str] | None) -> list[RequestRow]:
    """The rows of these requests, as they are now, without those that were closed in the meantime."""
    rows = [runtime().ledger().request(UUID(each)) for each in request_ids or []]
    return [row for row in rows if row.closed_at is None and row.subject_key is not None]


def databases() -> list[str]:
    """The databases of the map, in the order of erasure."""
    return [s.store for s in runtime().stores() if isinstance(s, DatabaseMap)]
