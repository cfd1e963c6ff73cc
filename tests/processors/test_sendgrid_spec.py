"""Every call of the adapter and every answer of the stand-in against SendGrid's published descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.protocol import Person
from tests.processors.matrix import carry_out
from tests.processors.openapi import Description, needs
from tests.processors.sendgrid_account import MARKETING, account, adapter, now, person, sendgrid
from tests.processors.standing import Exchange, Standing

FILES = [
    f"sendgrid/tsg_{name}_v3.json"
    for name in (
        "mc_contacts", "mc_custom_fields", "suppressions", "recipients_data_erasure", "logs", "scopes",
    )
]  # fmt: skip
pytestmark = needs(*FILES)


def corrected(document: dict[str, Any]) -> None:
    """What the descriptions have wrong."""
    _each(document, _errors)
    paths = document["paths"]
    if "/v3/marketing/contacts" in paths:
        # Described as an object; the example beside it, and every client, has a string.
        answers = paths["/v3/marketing/contacts"]["delete"]["responses"]
        answers["202"]["content"]["application/json"]["schema"]["properties"]["job_id"] = {"type": "string"}
        # Ids of custom fields are the account's own; the description closes the list at its example.
        fields = document["components"]["schemas"]["ContactRequest"]["properties"]["custom_fields"]
        fields.pop("properties", None)
    if "/v3/asm/suppressions/global/{email}" in paths:
        # "An empty JSON object {} will be returned" says the text; the schema requires the address.
        answer = paths["/v3/asm/suppressions/global/{email}"]["get"]["responses"]["200"]
        answer["content"]["application/json"]["schema"].pop("required")
        # A group that does not exist, and a row that is not there, are told in words only.
        for path, method in (
            ("/v3/asm/groups/{group_id}", "get"),
            ("/v3/asm/suppressions/global/{email}", "delete"),
            ("/v3/asm/groups/{group_id}/suppressions/{email}", "delete"),
        ):
            errors = {"$ref": "#/components/schemas/ErrorResponse"}
            paths[path][method]["responses"]["404"] = {"content": {"application/json": {"schema": errors}}}
        for path in ("/v3/asm/suppressions/global", "/v3/asm/groups/{group_id}/suppressions"):
            errors = {"$ref": "#/components/schemas/ErrorResponse"}
            paths[path]["post"]["responses"]["400"] = {"content": {"application/json": {"schema": errors}}}
    if "/v3/scopes" in paths:
        # An enumeration that leaves scopes out which the other descriptions ask for.
        answer = paths["/v3/scopes"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer["properties"]["scopes"]["items"] = {"type": "string"}


def _errors(node: dict[str, Any]) -> None:
    # The rate-limit page shows `"field": null`; the descriptions say it now and then only.
    properties = node.get("properties")
    if isinstance(properties, dict) and properties.keys() >= {"message", "field"}:
        properties["field"] = {"type": ["string", "null"]}


def _each(node: Any, change: Any) -> None:
    if isinstance(node, dict):
        change(node)
    for value in list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else ():
        _each(value, change)


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    return [Description(name, corrected) for name in FILES]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Standing]:
    with sendgrid(tmp_path, [account(n) for n in range(1, 7)]) as started:
        for name in ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes"):
            started.stand_in.suppressions.put(name, "user1@practice.example")
        started.stand_in.suppressions.members[1001].add("user1@practice.example")
        yield started


def problems(descriptions: list[Description], said: list[Exchange]) -> list[str]:
    found = []
    for exchange in said:
        known = [d for d in descriptions if d.knows(exchange)]
        assert known, f"{exchange.request.method} {exchange.request.path} is not described"
        found += list(known[0].judge(exchange))
    return found


def test_everything_that_is_said_for_any_right_is_as_described(
    running: Standing, descriptions: list[Description]
) -> None:
    processor, everybody = adapter(running), [person(n) for n in range(1, 7)]
    processor.preflight(as_of=now())
    for people in (everybody[:1], everybody):
        list(processor.find(people))
        list(processor.export(people))
        list(processor.object_to(people, MARKETING, as_of=now()))
        list(processor.restrict(people, as_of=now()))
    values = {"request-1": {"email": "new@practice.example", "full_name": "Gwen Ogden"}}
    carry_out(processor, "rectify", everybody[:1], as_of=now(), values=values)
    unknown = [Person("request-0", ("nobody@practice.example",))]
    carry_out(processor, "erase", [*everybody[1:], *unknown], as_of=now())
    bad = [Person("request-bad", ("not an address",))]
    list(processor.erase(bad, as_of=now()))
    assert len({(e.request.method, e.request.path.split("/")[2:4][-1]) for e in running.said}) > 10
    assert {e.response.status for e in running.said} >= {200, 201, 202, 204, 400, 404}
    assert problems(descriptions, running.said) == []


def test_refusals_of_the_stand_in_are_as_described(
    running: Standing, descriptions: list[Description]
) -> None:
    from include.sandbox.processors.exchange import Request

    for path, method, body in (
        ("/v3/recipients/erasejob", "POST", b'{"email_addresses": ["x"]}'),
        ("/v3/scopes", "GET", b""),
        ("/v3/marketing/contacts", "DELETE", b""),
    ):
        for key in ("Bearer SG.a-key-for-tests", "Bearer other"):
            running.stand_in.answer(Request.of(method, path, {"Authorization": key}, body))
    bad = [Person("request-bad", ("not an address",))]
    list(adapter(running).object_to(bad, MARKETING, as_of=now()))
    wrong = [e for e in running.said if e.response.status >= 400]
    assert {e.response.status for e in wrong} == {400, 401}
    # What we ask on purpose wrongly is not judged, only how it is answered.
    assert [p for p in problems(descriptions, wrong) if ": request " not in p] == []


def test_the_judge_can_say_no(running: Standing, descriptions: list[Description]) -> None:
    from dataclasses import replace

    list(adapter(running).find([person(1)]))
    search = next(e for e in running.said if e.request.path.endswith("search/emails"))
    spoilt = replace(search, request=replace(search.request, body=b'{"emials": ["a@b.example"]}'))
    assert problems(descriptions, [spoilt])
