"""Requests of people: moved and read. Receiving, claiming and closing have their own files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import text
from include.privacy.ledger.keys import opened, opened_json, unwrapped
from include.privacy.ledger.models import Request, SealingKey
from include.privacy.ledger.rows import RequestRow
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import CLOSED, PROMISES, check

POLICY = "policy_version"
"""Under which a session records the version of the policy that is in force."""

SUBJECT = "subject"
"""Kind under which subject keys are matched and marked."""


def transition(
    session: Session, request_id: UUID, state: str, reason: str | None, by: str = "engine"
) -> None:
    """Move an open request; the same state again only renews the reason.

    :class:`IllegalTransition` when the state machine has no such step. Closing destroys the
    request's key and so goes through ``close_request``.
    """
    if state in CLOSED:
        raise ValueError(f"{state!r} closes a request: call close_request, which destroys its key too")
    move(session, load_request(session, request_id), state, reason, by=by)


def request(session: Session, sealer: Sealer, request_id: UUID) -> RequestRow:
    """The request, its details in plain as long as it is open."""
    return _only(session, sealer, select(Request).where(Request.id == request_id), str(request_id))


def find_request(session: Session, sealer: Sealer, external_id: str) -> RequestRow | None:
    """The request the platform knows by ``external_id``, if it came in."""
    found = read(session, sealer, select(Request).where(Request.external_id == external_id))
    return found[0] if found else None


def find_requests(session: Session, sealer: Sealer, external_ids: Iterable[str]) -> dict[str, RequestRow]:
    """Those of the platform's requests that came in, by their external id; one statement."""
    query = select(Request).where(Request.external_id.in_(tuple(external_ids)))
    return {row.external_id: row for row in read(session, sealer, query)}


def requests(
    session: Session, sealer: Sealer, states: Iterable[str], right: str | None = None
) -> list[RequestRow]:
    """Requests in these states, the earliest due first."""
    query = select(Request).where(Request.state.in_(tuple(states))).order_by(Request.due_at, Request.id)
    return read(session, sealer, query.where(Request.right == right) if right else query)


def requests_of(
    session: Session, sealer: Sealer, subject_key: str, rights: Iterable[str] | None = None
) -> list[RequestRow]:
    """The open requests of one person, the earliest due first. Closed ones no longer lead to anybody."""
    query = select(Request).where(Request.subject_match == sealer.match(SUBJECT, subject_key))
    if rights is not None:
        query = query.where(Request.right.in_(tuple(rights)))
    return read(session, sealer, query.order_by(Request.due_at, Request.id))


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


def move(session: Session, request: Request, state: str, reason: str | None, *, by: str = "engine") -> None:
    """Change the state of a locked row, with evidence: who or what, under which promise and policy."""
    clean = text(reason) if reason else None
    if request.state == state:
        request.reason = clean
        return
    check("request", request.state, state)
    body = step(session, request, request.state, state, clean, by)
    request.state, request.reason = state, clean
    session.flush()
    append_evidence(session, "request_state", body, run_id=request.run_id, request_id=request.id)


def step(
    session: Session, request: Request, before: str, after: str, reason: str | None, by: str
) -> dict[str, Any]:
    """The evidence of a step: from where to where, why, by whom, under which promise and policy."""
    return {
        "from": before,
        "to": after,
        "reason": reason,
        "right": request.right,
        "promise": PROMISES.get(request.right),
        "policy": session.info.get(POLICY),
        "by": by,
    }


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
        verification=r.verification,
        due=r.due,
        agent=opened_json(key, r.agent_sealed, f"request {r.id} agent"),
    )
