"""What the adapters of both senders of mail have in common: connections, and answers nobody described."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.mail.sendgrid import SendGridMail
from include.privacy.policy.letters import Sender
from include.privacy.processors.protocol import Processor, ProcessorError, State
from include.privacy.runtime import Runtime
from include.sandbox.processors.exchange import Request, Response
from tests.processors import postmark_account, sendgrid_account
from tests.processors.matrix import carry_out
from tests.processors.standing import Standing

NAMES = ("sendgrid", "postmark")
MARKETING = sendgrid_account.MARKETING
WRONG: list[Any] = [
    None, {}, [], "text", 3, {"result": 3}, {"result": {"user1@practice.example": {"contact": {}}}},
    {"messages": [{}]}, {"messages": [{"sg_message_id": "m", "sg_message_id_created_at": "user1@practice"}]},
    [{"email": 3}], [{"id": "one", "name": "Newsletter"}], {"scopes": [1]}, {"job_id": {}},
    {"suppressions": [{"name": "x", "id": 1}]}, {"recipient_emails": [None]}, {"TotalCount": True},
    {"TotalCount": 10**6, "Messages": [], "Opens": [], "Clicks": []}, {"Bounces": [{}]},
    {"TotalCount": 1, "Messages": [{"MessageID": "m", "ReceivedAt": "user1@practice"}]},
    {"MessageStreams": [{"ID": 1}]}, {"Suppressions": [{"EmailAddress": "user1@practice.example"}]},
    {"ID": "one", "Status": 1},
]  # fmt: skip


@contextmanager
def started(name: str, folder: Path) -> Iterator[tuple[Standing, Processor]]:
    if name == "sendgrid":
        people = [sendgrid_account.account(n) for n in range(1, 6)]
        with sendgrid_account.sendgrid(folder, people) as running:
            yield running, sendgrid_account.adapter(running)
    else:
        with postmark_account.postmark(folder, 5) as running:
            yield running, postmark_account.adapter(running)


def refill(running: Standing) -> None:
    """Everybody is there again, as before any erasure."""
    stand_in = running.stand_in
    if hasattr(stand_in, "contacts"):
        running.control.seed([sendgrid_account.account(n) for n in range(1, 6)])
        for name in ("bounces", "unsubscribes"):
            stand_in.suppressions.put(name, "user1@practice.example")
        stand_in.suppressions.members[1001].add("user1@practice.example")
        return
    for n in range(1, 6):
        message = stand_in.server.send(
            f"user{n}@practice.example", postmark_account.now(), "Our terms change"
        )
        stand_in.server.bounce(message)
    stand_in.server.suppress("broadcast", "user1@practice.example", "ManualSuppression", "Customer")


def acts(processor: Processor) -> list[Callable[[], Any]]:
    """Everything that can be asked for, of one person and of many."""
    as_of, few = sendgrid_account.now(), [sendgrid_account.person(1)]
    many = [sendgrid_account.person(n) for n in range(1, 6)]
    values = {"request-1": {"email": "new@practice.example", "full_name": "Gwen Ogden"}}
    found: list[Callable[[], Any]] = [lambda: processor.preflight(as_of=as_of)]
    for people in (few, many):
        found += [
            lambda p=people: list(processor.export(p)),
            lambda p=people: list(processor.verify(p, as_of=as_of)),
            lambda p=people: list(processor.object_to(p, MARKETING, as_of=as_of)),
            lambda p=people: carry_out(processor, "rectify", p, as_of=as_of, values=values, calls=3),
            lambda p=people: carry_out(processor, "erase", p, as_of=as_of, calls=3),
        ]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_is_not_as_described_is_one_clear_error_and_says_nothing_of_anybody(
    tmp_path: Path, name: str
) -> None:
    """Each call of each right meets some of the wrong answers, all others answering as ever."""
    with started(name, tmp_path) as (running, processor):
        right, spoilt, told, met = running.stand_in.answer, None, [], set()

        def answer(request: Request) -> Response:
            response: Response = right(request)
            if spoilt and spoilt[0] == f"{request.method} {request.path}" and response.status < 300:
                response.body = json.dumps(spoilt[1]).encode()
                met.add(spoilt[0])
            return response

        running.stand_in.answer = answer
        number = 0
        for act in acts(processor):
            refill(running)
            running.said.clear()
            act()
            for path in sorted({f"{e.request.method} {e.request.path}" for e in running.said}):
                number += 1
                spoilt = (path, WRONG[number % len(WRONG)])
                refill(running)
                try:
                    act()
                except ProcessorError as error:
                    told.append(f"{error} {error.__cause__}")
                spoilt = None
        assert len(met) > 10
        assert len(told) > number / 4
        assert "user1@" not in " ".join(told)


@pytest.mark.parametrize("name", NAMES)
def test_the_runtime_makes_the_adapter_from_the_shipped_config_and_a_connection(name: str) -> None:
    runtime = Runtime(connect=lambda conn: ConnectionInfo(conn, "generic", password="a-key"))
    made: Any = runtime.processor(name)
    assert made.name == name
    if name == "postmark":
        made._calls.close()
    without = Runtime(connect=lambda conn: ConnectionInfo(conn, "generic"))
    with pytest.raises(UnusableConnectionError, match=f"connection '{name}'.*password"):
        without.processor(name)


def test_letters_that_were_sent_are_found_in_the_log_and_go_with_an_erasure(tmp_path: Path) -> None:
    from include.privacy.letters.letter import Letter

    with started("sendgrid", tmp_path) as (running, processor):
        sender = Sender(name="Privacy", address="privacy@practice-engine.example")
        port = SendGridMail(sendgrid_account.KEY, sender, endpoint_url=running.endpoint)
        letter = Letter("verify", "en", "Subject", "Text\n", "<p>Text</p>\n")
        port.send("user1@practice.example", letter, reference="an-opaque-token")
        [exported] = processor.export([sendgrid_account.person(1)])
        sent = [m for m in exported.collections["messages"] if m["from_email"] == sender.address]
        assert sent[0]["category"] == ["an-opaque-token"]
        reports = carry_out(processor, "erase", [sendgrid_account.person(1)], as_of=sendgrid_account.now())
        assert reports["request-1"].state is State.erased
        assert "user1@practice.example" not in sendgrid_account.mailed(running.control.state())
