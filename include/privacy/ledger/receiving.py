"""Receiving requests: taken in once, acknowledged, verified, extended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import LedgerError, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.keys import create_key
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import Request
from include.privacy.ledger.refusing import being_refused
from include.privacy.ledger.requests import SUBJECT, load_request, move, step
from include.privacy.ledger.sealing import Sealer
from include.privacy.ledger.states import CLOSED, OPEN


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
    *,
    due: Mapping[str, Any] | None = None,
    verification: Mapping[str, Any] | None = None,
    agent: Mapping[str, Any] | None = None,
    by: str = "platform",
) -> UUID:
    """Take a request in, once per ``external_id``; a later call may bring its verification.

    While the same person has an identical request open (same right, and the same content where the
    right has one), a further one *joins* it and is closed with it. ``due`` holds every clock,
    ``verification`` codes only, ``agent`` who asks for the person (sealed apart from them).
    ``LedgerError`` when the external id already belongs to another person or right.
    """
    match = sealer.match(SUBJECT, subject_key)
    content = sealer.match("content", _content(right, details))
    lock_for(session, "request", right, match.hex())
    known = session.scalar(select(Request).where(Request.external_id == external_id))
    if known is not None:
        if known.right != right or known.subject_match not in (None, match):
            raise LedgerError(
                f"external request id {external_id} was already used for another person or right"
            )
        if verified_at is not None:
            _verify_with_leader(session, known, verified_at, verification, by)
        return known.id
    leader = session.scalar(
        select(Request)
        .where(
            Request.right == right,
            Request.subject_match == match,
            Request.content_match == content,
            Request.state.in_(OPEN),
        )
        .with_for_update()
    )
    request_id = uuid4()
    key = create_key(session, sealer, "request")
    new = Request(
        id=request_id,
        external_id=external_id,
        right=right,
        state="joined" if leader else "received",
        channel=channel,
        received_at=received_at,
        verified_at=verified_at,
        due_at=due_at,
        key_id=key.id,
        subject_match=match,
        content_match=content,
        subject_sealed=key.seal_text(subject_key, f"request {request_id} subject"),
        details_sealed=key.seal_json(dict(details), f"request {request_id} details"),
        agent_sealed=key.seal_json(dict(agent), f"request {request_id} agent") if agent else None,
        verification=impersonal(verification or {}),
        due=impersonal(due or {}),
        joined_to=leader.id if leader else None,
    )
    session.add(new)
    session.flush()
    body = {
        **step(session, new, "", new.state, None, by),
        "channel": channel,
        "state": new.state,
        "due_at": due_at,
        "due": due or {},
        "joined_to": new.joined_to,
        "agent": bool(agent),
    }
    append_evidence(session, "request_received", body, request_id=request_id)
    if leader is not None and verified_at is not None:
        _verify(session, leader, verified_at, verification, by)
    return request_id


def acknowledge_request(session: Session, request_id: UUID, by: str = "engine") -> str:
    """The receipt is confirmed; next the identity is established, or already is. Returns the state."""
    request = load_request(session, request_id)
    if request.state == "received":
        move(session, request, "acknowledged", None, by=by)
    if request.state == "acknowledged":
        move(session, request, "assessing" if request.verified_at else "verifying", None, by=by)
    return request.state


def verify_request(
    session: Session,
    external_id: str,
    verified_at: datetime,
    verification: Mapping[str, Any] | None = None,
    by: str = "platform",
) -> UUID:
    """The person has proved who they are; once is enough, later calls change nothing."""
    known = session.scalar(select(Request).where(Request.external_id == external_id))
    if known is None:
        raise NotInLedger(f"no request with external id {external_id}; receive it first")
    _verify_with_leader(session, known, verified_at, verification, by)
    return known.id


def extend_request(
    session: Session, request_id: UUID, due_at: datetime, due: Mapping[str, Any], reason: str
) -> None:
    """A later due date, with its clocks and the reason; what waits is then ``extended``.

    Whether the law allows it is for the caller to know. ``LedgerError`` for an earlier date.
    """
    request = load_request(session, request_id)
    if due_at < request.due_at:
        raise LedgerError("an extension cannot bring the due date forward; give a later one")
    if request.due_at == due_at:
        return
    before, request.due_at, request.due = request.due_at, due_at, impersonal(due)
    session.flush()
    body = {"from": before, "to": due_at, "due": due, "reason": reason, "state": request.state}
    append_evidence(session, "request_extended", body, run_id=request.run_id, request_id=request_id)
    if request.state == "assessing":
        move(session, request, "extended", reason)


def _content(right: str, details: Mapping[str, Any]) -> str:
    # Access and erasure mean everything, whatever words come with them.
    if right in ("access", "erasure"):
        return ""
    return json.dumps(dict(details), sort_keys=True, default=str)


def _verify_with_leader(
    session: Session,
    request: Request,
    verified_at: datetime,
    verification: Mapping[str, Any] | None,
    by: str,
) -> None:
    # Always the leader's row first, as closing does, so that the two never wait for each other.
    if request.joined_to is not None:
        _verify(session, load_request(session, request.joined_to), verified_at, verification, by)
    _verify(session, load_request(session, request.id), verified_at, verification, by)


def _verify(
    session: Session,
    request: Request,
    verified_at: datetime,
    verification: Mapping[str, Any] | None,
    by: str,
) -> None:
    if request.state in CLOSED or being_refused(request):
        return
    if request.verified_at is None:
        request.verified_at = verified_at
        request.verification = impersonal(verification or {})
        session.flush()
        body = {"verified_at": verified_at, "how": verification or {}, "by": by}
        append_evidence(session, "request_verified", body, request_id=request.id)
    if request.state == "verifying":
        move(session, request, "assessing", None, by=by)
