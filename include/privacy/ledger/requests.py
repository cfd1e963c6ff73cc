"""Requests of people: received, verified, moved, read. Claiming and closing have their own files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import LedgerError, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import text
from include.privacy.ledger.keys import create_key, opened, opened_json, unwrapped
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import Request, SealingKey
from include.privacy.ledger.rows import RequestRow
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import CLOSED, OPEN, check

SUBJECT = "subject"
"""Kind under which subject keys are matched and marked."""


def receive_request(
    session: Session,
    sealer: Sealer,
    external_id: str,
    right: str,
    subject_key: str,
    received_at: datetime,
    verified_at: datetime | None,
    channel: str,
    details: Mapping[str, Any],
    due_at: datetime,
) -> UUID:
    """Take a request in, once per ``external_id``; a later call may bring its verification.

    While the same person has an open request for the same right, a further one *joins* it and is
    closed with it. ``LedgerError`` when the external id already belongs to another person or right.
    """
    match = sealer.match(SUBJECT, subject_key)
    lock_for(session, "request", right, match.hex())
    known = session.scalar(select(Request).where(Request.external_id == external_id))
    if known is not None:
        if known.right != right or known.subject_match not in (None, match):
            raise LedgerError(
                f"external request id {external_id} was already used for another person or right"
            )
        if verified_at is not None:
            _verify_with_leader(session, known, verified_at)
        return known.id
    leader = session.scalar(
        select(Request)
        .where(Request.right == right, Request.subject_match == match, Request.state.in_(OPEN))
        .with_for_update()
    )
    request_id = uuid4()
    key = create_key(session, sealer, "request")
    new = Request(
        id=request_id,
        external_id=external_id,
        right=right,
        state="joined" if leader else "verified" if verified_at else "received",
        channel=channel,
        received_at=received_at,
        verified_at=verified_at,
        due_at=due_at,
        key_id=key.id,
        subject_match=match,
        subject_sealed=key.seal_text(subject_key, f"request {request_id} subject"),
        details_sealed=key.seal_json(dict(details), f"request {request_id} details"),
        joined_to=leader.id if leader else None,
    )
    session.add(new)
    session.flush()
    body = {
        "right": right,
        "channel": channel,
        "state": new.state,
        "due_at": due_at,
        "joined_to": new.joined_to,
    }
    append_evidence(session, "request_received", body, request_id=request_id)
    if leader is not None and verified_at is not None:
        _verify(session, leader, verified_at)
    return request_id


def verify_request(session: Session, external_id: str, verified_at: datetime) -> UUID:
    """The person has proved who they are; once is enough, later calls change nothing."""
    known = session.scalar(select(Request).where(Request.external_id == external_id))
    if known is None:
        raise NotInLedger(f"no request with external id {external_id}; receive it first")
    _verify_with_leader(session, known, verified_at)
    return known.id


def transition(session: Session, request_id: UUID, state: str, reason: str | None) -> None:
    """Move an open request; the same state again only renews the reason.

    :class:`IllegalTransition` when the state machine has no such step. Closing destroys the
    request's key and so goes through ``close_request``.
    """
    if state in CLOSED:
        raise ValueError(f"{state!r} closes a request: call close_request, which destroys its key too")
    request = load_request(session, request_id)
    move(session, request, state, reason)


def request(session: Session, sealer: Sealer, request_id: UUID) -> RequestRow:
    """The request, its details in plain as long as it is open."""
    return _only(session, sealer, select(Request).where(Request.id == request_id), str(request_id))


def find_request(session: Session, sealer: Sealer, external_id: str) -> RequestRow | None:
    """The request the platform knows by ``external_id``, if it came in."""
    found = read(session, sealer, select(Request).where(Request.external_id == external_id))
    return found[0] if found else None


def requests(
    session: Session, sealer: Sealer, states: Iterable[str], right: str | None = None
) -> list[RequestRow]:
    """Requests in these states, the earliest due first."""
    query = select(Request).where(Request.state.in_(tuple(states))).order_by(Request.due_at, Request.id)
    return read(session, sealer, query.where(Request.right == right) if right else query)


def read(session: Session, sealer: Sealer, query: Select[Request]) -> list[RequestRow]:
    """Rows of a query over requests, with their details unsealed."""
    joined = query.outerjoin(SealingKey, SealingKey.id == Request.key_id).add_columns(SealingKey.wrapped)
    return [_row(sealer, r, wrapped) for r, wrapped in session.execute(joined).all()]


def load_request(session: Session, request_id: UUID) -> Request:
    """The row itself, locked and fresh."""
    found = session.get(Request, request_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotInLedger(f"request {request_id} is not in the ledger")
    return found


def move(session: Session, request: Request, state: str, reason: str | None) -> None:
    """Change the state of a locked row, with evidence."""
    clean = text(reason) if reason else None
    if request.state == state:
        request.reason = clean
        return
    check("request", request.state, state)
    body = {"from": request.state, "to": state, "reason": clean}
    request.state, request.reason = state, clean
    session.flush()
    append_evidence(session, "request_state", body, run_id=request.run_id, request_id=request.id)


def _verify_with_leader(session: Session, request: Request, verified_at: datetime) -> None:
    # Always the leader's row first, as closing does, so that the two never wait for each other.
    if request.joined_to is not None:
        _verify(session, load_request(session, request.joined_to), verified_at)
    _verify(session, load_request(session, request.id), verified_at)


def _verify(session: Session, request: Request, verified_at: datetime) -> None:
    if request.state in CLOSED:
        return
    if request.verified_at is None:
        request.verified_at = verified_at
        session.flush()
    if request.state == "received":
        move(session, request, "verified", None)


def _only(session: Session, sealer: Sealer, query: Select[Request], what: str) -> RequestRow:
    found = read(session, sealer, query)
    if not found:
        raise NotInLedger(f"request {what} is not in the ledger")
    return found[0]


def _row(sealer: Sealer, r: Request, wrapped: bytes | None) -> RequestRow:
    key = unwrapped(sealer, r.key_id, wrapped)
    return RequestRow(
        id=r.id,
        external_id=r.external_id,
        right=r.right,
        state=r.state,
        reason=r.reason,
        channel=r.channel,
        received_at=r.received_at,
        verified_at=r.verified_at,
        due_at=r.due_at,
        subject_key=opened(key, r.subject_sealed, f"request {r.id} subject"),
        details=opened_json(key, r.details_sealed, f"request {r.id} details"),
        joined_to=r.joined_to,
        run_id=r.run_id,
        residual_until=r.residual_until,
        answer=r.answer,
        closed_at=r.closed_at,
    )
