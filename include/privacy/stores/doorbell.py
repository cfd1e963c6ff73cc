"""Ringing the queue that wakes the intake: a message with a request's id and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

from botocore.config import Config

from include.privacy.stores.aws import aws_session
from include.privacy.stores.endpoints import require_safe_endpoint

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient


class Doorbell:
    """One SQS queue. The ledger's or the inbox's row is the truth: a ring that is lost costs minutes."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def ring(self, request_id: UUID) -> None:
        """Send the id. Raises botocore's errors; the caller goes on, and the sweep finds the request."""
        self._client.send_message(
            QueueUrl=self._queue_url, MessageBody=json.dumps({"request_id": str(request_id)})
        )


def sqs_client(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> SQSClient:
    """A boto3 client that gives up after seconds. Without keys the usual chain applies."""
    session = aws_session(region, access_key, secret_key)
    return session.client(
        "sqs",
        endpoint_url=require_safe_endpoint(endpoint_url),
        config=Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 2}),
    )
