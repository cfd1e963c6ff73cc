"""Closing requests: the answer is written, the key destroyed, those that joined follow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import IllegalTransition, NotInLedger
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.impersonal import impersonal
from include.privacy.ledger.keys import destroy_key
from include.privacy.ledger.models import Request
from include.privacy.ledger.requests import load_request, move, step
from include.privacy.ledger.states import CLOSED, check


def close_request(
    session: Session,
    request_id: UUID,
    state: str,
    residual_until: datetime | None,
    answer: Mapping[str, Any],
    at: datetime | None = None,
    *,
    reason: str | None = None,
    by: str = "engine",
    alone: bool = False,
) -> None:
    """Close for good and destroy the request's key; requests that joined it close alike.

    ``alone``: those that joined it go on instead, the first of them leading.

    Afterwards nothing in the ledger leads from the request to the person: tell the person first.
    ``answer`` holds counts, codes and dates, ``reason`` the code of a refusal. Closing again
    in the same state changes nothing; in another, or from a state that cannot close so,
    :class:`IllegalTransition`.
    """
    if state not in CLOSED:
        raise ValueError(f"{state!r} does not close a request; the closing states are {sorted(CLOSED)}")
    leader = load_request(session, request_id)
    followers = _followers(session, leader)
    closing = [leader] if alone else [leader, *followers]
    for request in closing:
        _close(
            session, request, state, residual_until, impersonal(answer), at or datetime.now(UTC), reason, by
        )
    if alone:
        _inherit(session, followers, f"leads since another was {state}")


def withdraw_request(
    session: Session, external_id: str, at: datetime | None = None, *, by: str = "platform"
) -> str:
    """The person takes the request back; returns the state it then is in.

    What is executing or closed stays as it is: destruction has begun and cannot be half undone.
    When others joined it, the first of them leads from now on.
    """
    request_id = session.scalar(select(Request.id).where(Request.external_id == external_id))
    if request_id is None:
        raise NotInLedger(f"no request with external id {external_id}")
    request = load_request(session, request_id)
    try:
        check("request", request.state, "withdrawn")
    except IllegalTransition:
        return request.state
    followers = _followers(session, request)
    _close(session, request, "withdrawn", None, {}, at or datetime.now(UTC), None, by)
    _inherit(session, followers, "leads since another was withdrawn")
    return "withdrawn"


def _inherit(session: Session, followers: list[Request], why: str) -> None:
    if not followers:
        return
    heir, *others = followers
    heir.joined_to = None
    for other in others:
        other.joined_to = heir.id
    session.flush()
    move(session, heir, "assessing" if heir.verified_at else "verifying", why)


def _followers(session: Session, leader: Request) -> list[Request]:
    query = (
        select(Request)
        .where(Request.joined_to == leader.id, Request.state == "joined")
        .order_by(Request.received_at, Request.id)
        .with_for_update()
    )
    return list(session.scalars(query))


def _close(
    session: Session,
    request: Request,
    state: str,
    residual_until: datetime | None,
    answer: Mapping[str, Any],
    at: datetime,
    reason: str | None,
    by: str,
) -> None:
    if request.state == state:
        return
    check("request", request.state, state)
    before, key_id = request.state, request.key_id
    request.state, request.reason = state, reason
    request.residual_until, request.answer, request.closed_at = residual_until, dict(answer), at
    request.key_id = request.subject_match = request.content_match = None
    request.subject_sealed = request.details_sealed = request.agent_sealed = None
    destroy_key(session, key_id)
    body = {
        **step(session, request, before, state, reason, by),
        "residual_until": residual_until,
        "answer": answer,
        "key": "destroyed",
    }
    append_evidence(session, "request_closed", body, run_id=request.run_id, request_id=request.id)
