"""Moving many requests at once, and adding to what is sealed of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import LedgerError
from include.privacy.ledger.keys import open_key
from include.privacy.ledger.models import Request
from include.privacy.ledger.requests import move
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import MACHINES


def transition_all(session: Session, request_ids: Iterable[UUID], state: str, reason: str | None) -> int:
    """Move those of the requests that can become ``state``, in one transaction; returns how many.

    The others stay as they are: closed, parked or taken back in the meantime.
    """
    steps = MACHINES["request"]
    query = select(Request).where(Request.id.in_(tuple(request_ids))).order_by(Request.id).with_for_update()
    movable = [r for r in session.scalars(query) if state in steps.get(r.state, frozenset())]
    for request in movable:
        move(session, request, state, reason)
    return len(movable)


def note_details(session: Session, sealer: Sealer, request_id: UUID, more: Mapping[str, Any]) -> None:
    """Add to the sealed details of an open request; destroyed with the rest when it is closed."""
    request = session.get(Request, request_id, with_for_update=True, populate_existing=True)
    if request is None or request.details_sealed is None:
        raise LedgerError(f"request {request_id} is unknown or closed: nothing can be added to it")
    key = open_key(session, sealer, request.key_id, f"request {request_id}")
    context = f"request {request_id} details"
    details = dict(key.read_json(request.details_sealed, context)) | dict(more)
    request.details_sealed = key.seal_json(details, context)
