"""One-time tokens: 32 random bytes, hashed at rest, single use, expiring, attempts limited (P6.7)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.models import Request
from include.privacy.ledger.receiving import verify_request
from include.privacy.ledger.request_models import VerificationAttempt, VerificationToken
from include.privacy.ledger.sealing import Sealer

TOKEN_BYTES = 32
MOST_ATTEMPTS = 5
"""Wrong tokens per request before right ones are refused too, until ``LOCKED_FOR`` has passed."""
LOCKED_FOR = timedelta(hours=1)


def issue_token(session: Session, request_id: UUID, at: datetime, valid_for: timedelta) -> str:
    """A fresh token for the request; those sent before are void. Only its hash is kept."""
    session.execute(
        update(VerificationToken)
        .where(VerificationToken.request_id == request_id, VerificationToken.used_at.is_(None))
        .values(expires_at=func.least(VerificationToken.expires_at, at))
    )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(
        VerificationToken(
            id=uuid4(),
            request_id=request_id,
            token_hash=_digest(token),
            created_at=at,
            expires_at=at + valid_for,
        )
    )
    append_evidence(session, "token_issued", {"valid_until": at + valid_for}, request_id=request_id)
    return token


def redeem_token(
    session: Session, sealer: Sealer, external_id: str, token: str, at: datetime, by: str = "api"
) -> bool:
    """Whether the token proves the identity of whoever opened the request; it does so once.

    A request that does not exist, a token that is wrong, used, expired or locked: all take the same
    steps and give the same ``False``. Wrong tokens are counted by the id they were given for.
    """
    match = sealer.match("verification", external_id)
    attempts = session.scalar(
        insert(VerificationAttempt)
        .values(request_match=match, failed=0, last_at=at)
        .on_conflict_do_update(
            index_elements=["request_match"],
            set_={"request_match": match},
        )
        .returning(VerificationAttempt)
    )
    assert attempts is not None
    session.refresh(attempts, with_for_update=True)
    if attempts.failed >= MOST_ATTEMPTS and at - attempts.last_at >= LOCKED_FOR:
        attempts.failed = 0
    found = session.scalar(
        select(VerificationToken)
        .join(Request, Request.id == VerificationToken.request_id)
        .where(
            VerificationToken.token_hash == _digest(token),
            Request.external_id == external_id,
            VerificationToken.used_at.is_(None),
            VerificationToken.expires_at > at,
        )
        .with_for_update(of=VerificationToken)
    )
    if found is None or attempts.failed >= MOST_ATTEMPTS:
        attempts.failed, attempts.last_at = attempts.failed + 1, at
        return False
    found.used_at = at
    attempts.failed = 0
    verify_request(session, external_id, at, {"method": "one_time_token"}, by)
    return True


def _digest(token: str) -> bytes:
    # A digest of 256 random bits cannot be guessed back; nothing slower or keyed is needed.
    return hashlib.sha256(token.encode()).digest()
