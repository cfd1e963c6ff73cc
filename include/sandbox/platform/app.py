"""What the platform's own code does when a person clicks: the other side of docs/INTEGRATION.md.

Every function writes its rows in one transaction, commits, and only then rings the queue with the
request's id. When ringing fails the row is there all the same, and the sweep finds it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)

Right = Literal["access", "portability", "erasure", "rectification", "objection"]
Channel = Literal["app", "email", "support", "phone", "letter"]

_OPEN = """
INSERT INTO privacy_inbox
    (kind, request_id, account_id, "right", channel, received_at, verified_at, verification, details)
SELECT 'opened', %s, %s, %s, %s, t.at, CASE WHEN %s THEN t.at END, %s, %s
FROM (SELECT coalesce(%s::timestamptz, clock_timestamp()) AS at) t
"""
_FOLLOW_UP = """
INSERT INTO privacy_inbox
    (kind, request_id, account_id, "right", channel, received_at, verified_at, verification)
SELECT %s, request_id, account_id, "right", channel, t.at, CASE WHEN %s = 'verified' THEN t.at END, %s
FROM privacy_inbox, (SELECT coalesce(%s::timestamptz, clock_timestamp()) AS at) t
WHERE request_id = %s AND kind = 'opened'
"""
_DELIVER = """
UPDATE privacy_outbox SET delivered_at = clock_timestamp()
WHERE id IN (SELECT id FROM privacy_outbox WHERE delivered_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED)
RETURNING id, request_id, kind, body
"""


def request_erasure(
    accounts: psycopg.Connection[Any],
    sqs: SQSClient | None,
    queue_url: str,
    account_id: int,
    *,
    at: datetime | None = None,
) -> str:
    """The click on "Delete my account and data" in a signed-in session; returns the request's id.

    The session is the verification (P6.7). ``at`` is when; the database's clock when ``None``.
    """
    return open_request(accounts, sqs, queue_url, account_id, "erasure", session=True, at=at)


def open_request(
    accounts: psycopg.Connection[Any],
    sqs: SQSClient | None,
    queue_url: str,
    account_id: int,
    right: Right,
    *,
    channel: Channel = "app",
    session: bool = False,
    details: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    request_id: UUID | None = None,
) -> str:
    """Write an ``opened`` row and ring. ``session``: made while signed in, so verified at once."""
    request_id = request_id or uuid4()
    # A session states how strong it is and since when; the privacy project judges whether that suffices.
    begun = (at or datetime.now(UTC)) - timedelta(minutes=5)
    verification = (
        {"method": "session", "strength": "password", "authenticated_at": begun.isoformat()}
        if session
        else {}
    )
    with accounts.transaction():
        accounts.execute(
            _OPEN,
            (request_id, account_id, right, channel, session, Jsonb(verification), Jsonb(details or {}), at),
        )
    _commit_and_ring(accounts, sqs, queue_url, request_id)
    return str(request_id)


def verify_request(
    accounts: psycopg.Connection[Any],
    sqs: SQSClient | None,
    queue_url: str,
    request_id: str,
    *,
    method: Literal["one_time_token", "session", "letter"] = "one_time_token",
    at: datetime | None = None,
) -> None:
    """The person followed the one-time link: a ``verified`` row for a request opened before."""
    _follow_up(accounts, sqs, queue_url, request_id, "verified", {"method": method}, at)


def withdraw_request(
    accounts: psycopg.Connection[Any],
    sqs: SQSClient | None,
    queue_url: str,
    request_id: str,
    *,
    at: datetime | None = None,
) -> None:
    """The person changed their mind."""
    _follow_up(accounts, sqs, queue_url, request_id, "withdrawn", {}, at)


def deliver_answers(accounts: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Take what waits in the outbox, oldest first, and mark it delivered: what a mailer would do."""
    with accounts.transaction():
        rows = accounts.execute(_DELIVER).fetchall()
    return [
        {"request_id": str(request), "kind": kind, "body": body} for _, request, kind, body in sorted(rows)
    ]


def _follow_up(
    accounts: psycopg.Connection[Any],
    sqs: SQSClient | None,
    queue_url: str,
    request_id: str,
    kind: str,
    verification: Mapping[str, Any],
    at: datetime | None,
) -> None:
    with accounts.transaction():
        written = accounts.execute(
            _FOLLOW_UP,
            (kind, kind, Jsonb(verification), at, request_id),
        )
        if written.rowcount != 1:
            raise LookupError(f"request {request_id} was never opened here; open it first")
    _commit_and_ring(accounts, sqs, queue_url, UUID(request_id))


def _commit_and_ring(
    accounts: psycopg.Connection[Any], sqs: SQSClient | None, queue_url: str, request_id: UUID
) -> None:
    """The doorbell says nothing but the id, and only once the row can be seen."""
    if accounts.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
        accounts.commit()
    if sqs is None:
        return
    try:
        sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"request_id": str(request_id)}))
    except (BotoCoreError, ClientError) as error:
        log.warning("the doorbell did not ring (%s); the sweep will find the request", type(error).__name__)
