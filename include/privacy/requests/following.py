"""Following a request from outside: where it stands and when it is due; nothing of the person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from include.privacy.requests.due_dates import DueDates
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

MOST_ACCOUNTS = 20
"""Accounts that one request from outside may concern."""


@dataclass(frozen=True)
class Progress:
    """Where a request stands. ``reason`` is the code of a refusal: only a closed request shows one.

    ``due_at`` is the earliest date that binds, ``promise_at`` ours (P6.6), ``law_at`` the law's.
    """

    request_id: str
    right: str
    state: str
    reason: str | None
    verified: bool
    received_at: datetime
    due_at: datetime
    promise_at: datetime | None
    law_at: datetime | None
    extended: bool
    closed_at: datetime | None
    residual_until: datetime | None


def family(external_id: str) -> list[RequestRow]:
    """The request, and those of further accounts that were opened under its id; empty when unknown."""
    ids = list(family_ids(external_id))
    found = runtime().ledger().find_requests(ids)
    return [found[i] for i in ids if i in found] if external_id in found else []


def family_ids(external_id: str) -> Iterator[str]:
    """The id itself, for the first account, and those made from it for further accounts.

    Made from the place in the row, not from the account: a closed request must not lead to anybody.
    """
    yield external_id
    for place in range(2, MOST_ACCOUNTS + 1):
        yield str(uuid5(UUID(external_id), str(place)))


def progress_of(row: RequestRow) -> Progress:
    """What may be told about the request."""
    due = DueDates.model_validate(row.due) if row.due else None
    return Progress(
        request_id=row.external_id,
        right=row.right,
        state=shown_state(row),
        reason=row.reason if row.closed_at is not None else None,
        verified=row.verified_at is not None,
        received_at=row.received_at,
        due_at=row.due_at,
        promise_at=due.promise_at if due else None,
        law_at=due.law_at if due else None,
        extended=bool(due and due.extension),
        closed_at=row.closed_at,
        residual_until=row.residual_until,
    )


def shown_state(row: RequestRow) -> str:
    """The state; of a request that joined another one, that one's.

    Whoever is not verified is not told that the person has asked before.
    """
    if row.state != "joined":
        return row.state
    if row.verified_at is None or row.joined_to is None:
        return "verifying"
    return runtime().ledger().request(row.joined_to).state
