"""Every call of the adapter and every answer of the stand-in against Postmark's published description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.postmark import PostmarkCalls
from include.privacy.processors.protocol import Person, ProcessorRefusedError
from tests.processors.matrix import carry_out
from tests.processors.openapi import Description, needs
from tests.processors.postmark_account import KEY, MARKETING, adapter, address, now, person, postmark
from tests.processors.standing import Exchange, Standing

pytestmark = needs("postmark/server.json")
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
MAYBE = {"type": ["string", "null"]}


def shape(**properties: Any) -> dict[str, Any]:
    """An object with all of these fields and no other."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def listed(name: str, each: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An object with a list of such objects."""
    return shape(**{name: {"type": "array", "items": each}}, **more)


def json_of(schema: dict[str, Any]) -> dict[str, Any]:
    """A body or an answer of that schema."""
    return {"content": {"application/json": {"schema": schema}}}


ERROR = shape(ErrorCode=NUMBER, Message=TEXT)


def operation(answer: dict[str, Any], body: dict[str, Any] | None = None, *query: str) -> dict[str, Any]:
    """One that answers 200, or with the error document."""
    described: dict[str, Any] = {
        "parameters": [{"in": "query", "name": name, "schema": TEXT} for name in query],
        "responses": {"200": json_of(answer), **{s: json_of(ERROR) for s in ("401", "403", "404", "422")}},
    }
    return described | ({"requestBody": json_of(body)} if body else {})


def completed(document: dict[str, Any]) -> None:
    """The published description is older than three of the interfaces; these follow the reference pages.

    https://postmarkapp.com/developer/api: message-streams-api, suppressions-api, data-removals-api.
    """
    stream = shape(
        ID=TEXT, ServerID=NUMBER, Name=TEXT, Description=MAYBE, MessageStreamType=TEXT, CreatedAt=TEXT,
        UpdatedAt=MAYBE, ArchivedAt=MAYBE, ExpectedPurgeDate=MAYBE,
        SubscriptionManagementConfiguration={"type": "object"},
    )  # fmt: skip
    reasons = {"enum": ["HardBounce", "SpamComplaint", "ManualSuppression"]}
    row = shape(
        EmailAddress=TEXT,
        SuppressionReason=reasons,
        Origin={"enum": ["Recipient", "Customer", "Admin"]},
        CreatedAt=TEXT,
    )
    wanted = listed("Suppressions", shape(EmailAddress=TEXT))
    wanted["properties"]["Suppressions"] |= {"minItems": 1, "maxItems": 50}
    told = listed("Suppressions", shape(EmailAddress=TEXT, Status=TEXT, Message=MAYBE))
    removal = shape(ID=NUMBER, Status={"enum": ["Pending", "Done"]})
    asked = shape(RequestedBy=TEXT, RequestedFor=TEXT, NotifyWhenCompleted={"type": "boolean"})
    below = "/message-streams/{stream}/suppressions"
    document["paths"] |= {
        "/message-streams": {"get": operation(listed("MessageStreams", stream, TotalCount=NUMBER))},
        f"{below}/dump": {"get": operation(listed("Suppressions", row), None, "EmailAddress")},
        below: {"post": operation(told, wanted)},
        f"{below}/delete": {"post": operation(told, wanted)},
        "/data-removals": {"post": operation(removal, asked)},
        "/data-removals/{id}": {"get": operation(removal)},
    }
    for path in document["paths"].values():
        for each in path.values():
            if isinstance(each, dict) and "responses" in each:
                # A wrong token is told with 401 and the error document; the description leaves it out.
                each["responses"].setdefault("401", json_of(ERROR))


@pytest.fixture(scope="module")
def description() -> Description:
    return Description("postmark/server.json", completed)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Standing]:
    with postmark(tmp_path, 6) as started:
        server = started.stand_in.server
        server.open(server.messages[0], click=True)
        server.bounce(server.messages[0])
        server.suppress("broadcast", address(1), "SpamComplaint", "Recipient")
        server.suppress("outbound", address(2), "ManualSuppression", "Customer")
        yield started


def problems(description: Description, said: list[Exchange]) -> list[str]:
    return [line for exchange in said for line in description.judge(exchange)]


def test_everything_that_is_said_for_any_right_is_as_described(
    running: Standing, description: Description
) -> None:
    processor, everybody = adapter(running), [person(n) for n in range(1, 7)]
    processor.preflight(as_of=now())
    for people in (everybody[:1], everybody):
        list(processor.find(people))
        list(processor.export(people))
    values = {"request-2": {"email": "new@practice.example"}}
    carry_out(processor, "rectify", everybody, as_of=now(), values=values)
    list(processor.object_to(everybody, MARKETING, as_of=now()))
    list(processor.restrict(everybody, as_of=now()))
    unknown = [Person("request-0", ("nobody@practice.example",))]
    carry_out(processor, "erase", [*everybody, *unknown], as_of=now())
    running.control.configure(removals=False)
    list(processor.erase(everybody, as_of=now()))
    paths = {(e.request.method, e.request.path.split("/")[-1]) for e in running.said}
    assert {("GET", "details"), ("GET", "dump"), ("POST", "delete"), ("POST", "data-removals")} <= paths
    assert {e.response.status for e in running.said} >= {200, 403, 404}
    assert problems(description, running.said) == []


def test_refusals_of_the_stand_in_are_as_described(running: Standing, description: Description) -> None:
    bad = [Person("request-bad", ("not an address",))]
    list(adapter(running).erase(bad, as_of=now()))
    list(adapter(running).find(bad))
    running.stand_in._key = "another"
    with pytest.raises(ProcessorRefusedError):
        list(adapter(running).find([person(1)]))
    assert {e.response.status for e in running.said} >= {401, 422}
    assert problems(description, running.said) == []


def test_every_call_carries_the_token_that_it_needs_and_no_other(running: Standing) -> None:
    carry_out(adapter(running), "erase", [person(1)], as_of=now())
    for exchange in running.said:
        sent = {name for name in exchange.request.headers if name.startswith("x-postmark")}
        removing = exchange.request.path.startswith("/data-removals")
        assert sent == {f"x-postmark-{'account' if removing else 'server'}-token"}


def test_without_an_endpoint_it_is_postmark_itself_over_tls() -> None:
    calls = PostmarkCalls(KEY, None, None)
    assert str(calls._server._client.base_url) == "https://api.postmarkapp.com"
    calls.close()


def test_the_judge_can_say_no(running: Standing, description: Description) -> None:
    list(adapter(running).object_to([person(1)], MARKETING, as_of=now()))
    [exchange] = running.said
    for body in (b'{"Suppressions": [{"Email": "a@b.example"}]}', b'{"Suppressions": []}', b"{}"):
        assert problems(description, [replace(exchange, request=replace(exchange.request, body=body))])
