"""The doorbell against the embedded SQS: nothing is lost, nothing malformed gets in."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.runs.conftest import ROOT

sys.path.append(str(ROOT / "plugins"))

GOOD = "7f9b1c1e-6c7e-4b52-9d53-0c3f5c9a2b11"


@pytest.fixture
def dead_letters(sqs_client: Any) -> Iterator[str]:
    """A queue of this test's own for what is malformed."""
    url = sqs_client.create_queue(QueueName=f"test-{uuid4().hex[:12]}")["QueueUrl"]
    yield url
    sqs_client.delete_queue(QueueUrl=url)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"request_id": 7}',
        '{"request_id": "jane@example.com"}',
        f'{{"request_id": "{GOOD}", "email": "jane@example.com"}}',
        f'{{"request_id": "{GOOD}"}}' + " " * 5000,
    ],
)
def test_a_malformed_message_is_refused_without_being_quoted(body: str) -> None:
    from privacy_doorbell import request_id_of

    with pytest.raises(ValueError, match=r"message|request_id") as refused:
        request_id_of(body)
    assert "jane" not in str(refused.value)


def test_a_message_is_deleted_only_once_its_event_is_stored(
    world: Any, sqs_client: Any, queue_url: str, dead_letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome
    from privacy_doorbell import SqsDoorbell

    connection = json.loads(world.env["AIRFLOW_CONN_REQUEST_QUEUE"])
    connection["extra"] |= {"queue_url": queue_url, "dead_letter_url": dead_letters}
    monkeypatch.setenv("AIRFLOW_CONN_REQUEST_QUEUE", json.dumps(connection))
    bodies = [
        json.dumps({"request_id": GOOD}),
        "malformed jane@example.com",
        json.dumps({"request_id": GOOD}),
    ]
    for body in bodies:
        sqs_client.send_message(QueueUrl=queue_url, MessageBody=body)
    trigger = SqsDoorbell(wait_seconds=1, visibility_seconds=2)
    assert SqsDoorbell(**trigger.serialize()[1]).shared_stream_key() == trigger.shared_stream_key()

    async def listen() -> None:
        producer = trigger.create_shared_stream_producer(trigger.serialize()[1])
        stream = producer.open_stream()
        received = [await anext(stream) for _ in bodies]
        outcomes = {bodies[1]: AdvanceOutcome(0, 0, 1)}
        stored = [AdvanceOutcome(1, 0, 0), AdvanceOutcome(0, 1, 0)]
        items = []
        for raw, payload in sorted(received, key=lambda pair: pair[0].body):
            raw.judged = raw.body not in outcomes
            items.append(AdvanceItem(payload, outcomes.get(raw.body) or stored.pop(0)))
        await producer.advance(items)
        await producer.aclose()

    asyncio.run(listen())
    attributes = sqs_client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    left = int(attributes["ApproximateNumberOfMessages"]) + int(
        attributes["ApproximateNumberOfMessagesNotVisible"]
    )
    assert left == 1, "the event that was not stored must be delivered again"
    [moved] = sqs_client.receive_message(QueueUrl=dead_letters)["Messages"]
    assert moved["Body"] == bodies[1]


def test_only_the_opaque_id_enters_the_asset_event(caplog: pytest.LogCaptureFixture) -> None:
    from privacy_doorbell import Ring, SqsDoorbell

    async def messages() -> Any:
        for body in ("jane@example.com", json.dumps({"request_id": GOOD})):
            yield Ring("id", "receipt", body)

    async def collect() -> list[Any]:
        return [event.payload async for event in SqsDoorbell().filter_shared_stream(messages())]

    with caplog.at_level(logging.INFO):
        assert asyncio.run(collect()) == [{"request_id": GOOD}]
    assert "jane" not in caplog.text


@pytest.mark.parametrize("body", [json.dumps({"request_id": GOOD}), "malformed"])
def test_a_message_that_a_dying_triggerer_sits_on_stays_in_the_queue(
    body: str,
    world: Any,
    sqs_client: Any,
    queue_url: str,
    dead_letters: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.triggers.shared_stream import SharedStreamManager
    from privacy_doorbell import SqsDoorbell

    connection = json.loads(world.env["AIRFLOW_CONN_REQUEST_QUEUE"])
    connection["extra"] |= {"queue_url": queue_url, "dead_letter_url": dead_letters}
    monkeypatch.setenv("AIRFLOW_CONN_REQUEST_QUEUE", json.dumps(connection))
    sqs_client.send_message(QueueUrl=queue_url, MessageBody=body)
    trigger = SqsDoorbell(wait_seconds=1, visibility_seconds=1)

    async def die_in_the_middle() -> None:
        manager, key = SharedStreamManager(ack_timeout=30), trigger.shared_stream_key()
        stream = manager.subscribe(trigger_id=1, trigger=trigger, key=key)
        # What the runner does with an event needs the supervisor's log, which is gone; so is the filter's.
        await anext(aiter(stream))
        await stream.aclose()  # type: ignore[attr-defined] # an async generator
        await manager.subscribe(trigger_id=2, trigger=trigger, key=key).aclose()  # type: ignore[attr-defined]
        manager._groups[key].unsubscribe(1)
        await asyncio.sleep(0.5)
        await manager.stop_all()

    asyncio.run(die_in_the_middle())
    found = sqs_client.receive_message(QueueUrl=queue_url, WaitTimeSeconds=5).get("Messages", [])
    assert [message["Body"] for message in found] == [body]
