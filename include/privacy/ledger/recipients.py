"""Recipients of a request (Art. 19 GDPR): what each did, one outcome each, never one boolean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.request_models import RecipientOutcome
from include.privacy.ledger.rows import RecipientRow


def record_recipient(
    session: Session,
    request_id: UUID,
    recipient: str,
    state: str,
    until: datetime | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """What a recipient did about a request; every change is evidence. ``detail``: counts, codes, ids."""
    body = impersonal(detail or {})
    known = session.get(RecipientOutcome, (request_id, recipient), with_for_update=True)
    if known is not None and (known.state, known.until, known.detail) == (state, until, body):
        return
    values = {"state": state, "until": until, "detail": body, "recorded_at": func.now()}
    session.execute(
        insert(RecipientOutcome)
        .values(request_id=request_id, recipient=recipient, **values)
        .on_conflict_do_update(index_elements=["request_id", "recipient"], set_=values),
        execution_options={"populate_existing": True},
    )
    evidence = {"recipient": recipient, "state": state, "until": until, "detail": body}
    append_evidence(session, "recipient", evidence, request_id=request_id)


def record_recipients(
    session: Session, request_ids: Iterable[UUID], outcomes: Iterable[tuple[str, str, Mapping[str, Any]]]
) -> None:
    """The same outcomes ``(recipient, state, detail)`` for every request of a cohort, in one transaction."""
    told = list(outcomes)
    for request_id in request_ids:
        for recipient, state, detail in told:
            record_recipient(session, request_id, recipient, state, None, detail)


def recipients(session: Session, request_id: UUID) -> list[RecipientRow]:
    """What every recipient did about a request."""
    session.expire_all()
    query = select(RecipientOutcome).where(RecipientOutcome.request_id == request_id)
    return [
        RecipientRow(r.request_id, r.recipient, r.state, r.until, r.detail, r.recorded_at)
        for r in session.scalars(query.order_by(RecipientOutcome.recipient))
    ]
