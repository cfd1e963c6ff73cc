"""The doorbell: an SQS queue that says "a request is waiting", read at least once.

A message carries an opaque request id and nothing else; the platform's inbox row is the truth. The
message is deleted from SQS only after Airflow has stored the asset event (shared-stream ack mode,
Airflow 3.3), so a crash of the triggerer redelivers it. A malformed message is moved to the
dead-letter queue when the connection names one (extra ``dead_letter_url``); otherwise it stays in
the queue for the queue's own redrive policy. Its text is never logged: it could hold anything.

The module is self-contained, because Airflow imports plugins under their bare file name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from airflow.plugins_manager import AirflowPlugin
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer, reject_shared_stream_event

log = logging.getLogger(__name__)

MAX_BODY = 4096  # bytes; a doorbell is some 60
EMPTY_RECEIVE_PAUSE = 0.5  # seconds; some queues ignore WaitTimeSeconds


def request_id_of(body: str) -> str:
    """The request id in a doorbell message.

    Raises ``ValueError`` (without quoting the message) unless it is exactly
    ``{"request_id": "<uuid>"}``.
    """
    if len(body) > MAX_BODY:
        raise ValueError("message too long for a doorbell")
    try:
        message = json.loads(body)
    except ValueError:
        raise ValueError("message is not JSON") from None
    if not isinstance(message, dict) or set(message) != {"request_id"}:
        raise ValueError('message must be {"request_id": "<uuid>"} and nothing else')
    try:
        return str(UUID(message["request_id"]))
    except (ValueError, AttributeError, TypeError):
        raise ValueError("request_id is not a UUID") from None


@dataclass
class Ring:
    """One message. ``judged``: its event is in Airflow's hands.

    Airflow 3.3 counts the message that a subscriber sits on as accepted when the subscriber leaves, even
    if no event came of it: a triggerer that is killed makes every write to its log fail, and would have
    deleted a message that nobody stored.
    """

    message_id: str
    receipt: str
    body: str
    judged: bool = False


class SqsDoorbellProducer(SharedStreamProducer):
    """Reads the queue, and deletes a message once its asset event is stored."""

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.conn_id: str = kwargs["conn_id"]
        self.wait_seconds: int = kwargs["wait_seconds"]
        self.visibility_seconds: int = kwargs["visibility_seconds"]
        self._manager: Any = None
        self._client: Any = None
        self._queue_url = ""
        self._dead_letter_url: str | None = None

    async def _connect(self) -> None:
        # Imported here: the provider costs half a second, which every DAG parse would pay.
        from airflow.providers.amazon.aws.hooks.sqs import SqsHook
        from airflow.sdk import Connection
        from asgiref.sync import sync_to_async

        connection = await Connection.async_get(self.conn_id)
        extra = connection.extra_dejson
        queue_url = extra.get("queue_url")
        if not queue_url:
            raise ValueError(
                f"connection {self.conn_id!r} has no extra 'queue_url': name the doorbell's queue there"
            )
        self._queue_url = queue_url
        self._dead_letter_url = extra.get("dead_letter_url")
        hook = await sync_to_async(SqsHook)(aws_conn_id=self.conn_id, region_name=extra.get("region_name"))
        self._manager = await hook.get_async_conn()
        self._client = await self._manager.__aenter__()

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield each message's body, with what is needed to delete it later."""
        await self._connect()
        log.info("Listening for doorbells on connection %s", self.conn_id)
        while True:
            answer = await self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=self.wait_seconds,
                VisibilityTimeout=self.visibility_seconds,
            )
            messages = answer.get("Messages", [])
            for message in messages:
                ring = Ring(message["MessageId"], message["ReceiptHandle"], message["Body"])
                yield ring, ring
            if not messages:
                await asyncio.sleep(EMPTY_RECEIVE_PAUSE)

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Messages are independent: none waits for another."""
        ring: Ring = broker_payload
        return ring.message_id

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Delete what is stored, dead-letter what is malformed, leave the rest for redelivery."""
        for item in batch:
            ring: Ring = item.broker_payload
            if item.outcome.rejected:
                if not self._dead_letter_url:
                    log.warning(
                        "Left a malformed doorbell to the queue's redrive policy (no dead_letter_url)"
                    )
                    continue
                await self._client.send_message(QueueUrl=self._dead_letter_url, MessageBody=ring.body)
            elif not (item.outcome.is_clean and ring.judged):
                continue
            await self._client.delete_message(QueueUrl=self._queue_url, ReceiptHandle=ring.receipt)

    async def aclose(self) -> None:
        """Close the connection to the queue."""
        if self._manager is not None:
            await self._manager.__aexit__(None, None, None)


class SqsDoorbell(BaseEventTrigger):
    """Rings an asset once per message. ``conn_id`` is an aws connection whose extra names ``queue_url``.

    ``visibility_seconds`` is longer than ``[triggerer] shared_stream_ack_timeout``, so that a
    message is not delivered again while its event is being stored.
    """

    def __init__(
        self, conn_id: str = "request_queue", wait_seconds: int = 5, visibility_seconds: int = 90
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.wait_seconds = wait_seconds
        self.visibility_seconds = visibility_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as the triggerer stores them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "wait_seconds": self.wait_seconds,
            "visibility_seconds": self.visibility_seconds,
        }

    def shared_stream_key(self) -> Hashable:
        """Watchers of one connection share one reader."""
        return ("privacy-doorbell", self.conn_id)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """The reader; having one switches Airflow to ack mode."""
        return SqsDoorbellProducer(kwargs)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """One event per well-formed message; only the opaque id goes into the asset event."""
        async for ring in shared_stream:
            try:
                request_id = request_id_of(ring.body)
            except ValueError as error:
                reject_shared_stream_event()
                log.warning("Rejected a doorbell: %s", error)
                continue
            yield TriggerEvent({"request_id": request_id})
            # Only now does Airflow hold the event: whatever ends the generator before leaves it in the queue.
            ring.judged = True

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Not used: without ack mode a message could be lost."""
        raise NotImplementedError(
            "SqsDoorbell works only as a watcher of an asset (Airflow 3.3 shared streams)"
        )
        yield  # pragma: no cover - makes this an async generator, as the base class declares


class PrivacyDoorbellPlugin(AirflowPlugin):
    """Makes the trigger known by its module name, ``privacy_doorbell``."""

    name = "privacy_doorbell"
