"""Refusing what nobody verified: settled before it is told, so that no verification can come in between."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Request
from include.privacy.ledger.request_models import VerificationToken
from include.privacy.ledger.requests import load_request, move
from include.privacy.ledger.states import UNVERIFIED

UNVERIFIED_REASON = "insufficient_verification"


def begin_refusal(session: Session, request_id: UUID, at: datetime) -> bool:
    """Settle that the request ends unverified; true also when that was settled before.

    From now on no verification counts, and one-time links are void: the person is about to be told that
    nothing will be done. False when somebody has verified it, or it is closed.
    """
    request = load_request(session, request_id)
    if being_refused(request):
        return True
    if request.state not in UNVERIFIED or request.verified_at is not None:
        return False
    if request.state == "received":
        move(session, request, "acknowledged", None)
    if request.state == "acknowledged":
        move(session, request, "verifying", None)
    request.reason = UNVERIFIED_REASON
    session.flush()
    session.execute(
        update(VerificationToken)
        .where(VerificationToken.request_id == request_id, VerificationToken.used_at.is_(None))
        .values(expires_at=func.least(VerificationToken.expires_at, at))
    )
    body = {"reason": UNVERIFIED_REASON, "due_at": request.due_at}
    append_evidence(session, "refusal_begun", body, request_id=request_id)
    return True


def being_refused(request: Request) -> bool:
    """Whether :func:`begin_refusal` has settled it."""
    return request.state == "verifying" and request.reason == UNVERIFIED_REASON
