"""Letters to people: claimed before they are handed to the provider, so that none is sent twice."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Request
from include.privacy.ledger.request_models import LetterRecord
from include.privacy.ledger.rows import LetterRow
from include.privacy.ledger.states import CLOSED


def claim_letter(session: Session, request_id: UUID, kind: str, at: datetime) -> LetterRow | None:
    """The right to send this letter, given once per request and kind; ``None`` when it was given before.

    Committed before the mail provider is called: whatever crashes then, nobody gets it twice.
    """
    reference = secrets.token_urlsafe(16)
    made = session.scalar(
        insert(LetterRecord)
        .values(request_id=request_id, kind=kind, state="claimed", reference=reference, claimed_at=at)
        .on_conflict_do_nothing()
        .returning(LetterRecord)
    )
    return _row(made) if made is not None else None


def claim_letter_again(session: Session, request_id: UUID, kind: str, at: datetime) -> LetterRow:
    """Another try, under the same reference, of a letter that is proven not to have been sent."""
    record = _load(session, request_id, kind)
    record.state, record.claimed_at, record.attempts = "claimed", at, record.attempts + 1
    session.flush()
    return _row(record)


def settle_letter(
    session: Session,
    request_id: UUID,
    kind: str,
    state: str,
    at: datetime,
    provider_id: str | None = None,
) -> None:
    """What became of it: ``sent``, ``not_sent`` (to be tried again), ``uncertain`` (to be reconciled),
    ``rejected`` or ``no_address``.
    """
    record = _load(session, request_id, kind)
    if record.state == state:
        return
    record.state, record.settled_at = state, at
    record.provider_id = provider_id or record.provider_id
    session.flush()
    body = {"letter": kind, "state": state, "attempt": record.attempts}
    append_evidence(session, "letter", body, request_id=request_id)


def letters(session: Session, request_id: UUID) -> list[LetterRow]:
    """Every letter of a request, the oldest first."""
    query = select(LetterRecord).where(LetterRecord.request_id == request_id)
    return [_row(r) for r in session.scalars(query.order_by(LetterRecord.claimed_at, LetterRecord.kind))]


def unsettled_letters(session: Session, before: datetime) -> list[LetterRow]:
    """Letters still to be settled since ``before``: not sent, uncertain, or claimed by a task that died."""
    query = select(LetterRecord).where(
        LetterRecord.state.in_(("claimed", "not_sent", "uncertain")), LetterRecord.claimed_at <= before
    )
    return [_row(r) for r in session.scalars(query.order_by(LetterRecord.claimed_at))]


def requests_without_letter(session: Session, kind: str) -> list[UUID]:
    """Open requests, joined ones too, that have no letter of that kind yet."""
    written = select(LetterRecord.request_id).where(LetterRecord.kind == kind)
    query = select(Request.id).where(Request.state.not_in(tuple(CLOSED)), Request.id.not_in(written))
    return list(session.scalars(query.order_by(Request.received_at, Request.id)))


def _load(session: Session, request_id: UUID, kind: str) -> LetterRecord:
    found = session.get(LetterRecord, (request_id, kind), with_for_update=True, populate_existing=True)
    if found is None:
        raise NotInLedger(f"request {request_id} has no letter {kind!r}; claim it first")
    return found


def _row(r: LetterRecord) -> LetterRow:
    return LetterRow(
        r.request_id, r.kind, r.state, r.reference, r.claimed_at, r.settled_at, r.provider_id, r.attempts
    )
