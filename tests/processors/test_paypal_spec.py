"""Our requests and the stand-in's answers against PayPal's published API descriptions, where at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.protocol import State
from tests.processors.matrix import carry_out
from tests.processors.openapi import Description, needs
from tests.processors.paypal_people import AS_OF, adapter, of, payer_id, paypal, person
from tests.processors.standing import Exchange, Standing

NAMES = {
    "vault": "paypal/vault_payment_tokens_v3.json",
    "subscriptions": "paypal/billing_subscriptions_v1.json",
    "invoicing": "paypal/invoicing_v2.json",
    "reporting": "paypal/reporting_transactions_v1.json",
}
pytestmark = needs(*NAMES.values())
_ERROR = {
    "type": "object",
    "required": ["name", "message", "debug_id"],
    "properties": {
        "name": {"type": "string"},
        "message": {"type": "string"},
        "debug_id": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object", "required": ["issue"]}},
    },
}


def _errors(document: dict[str, Any]) -> None:
    """One error document for all statuses.

    The descriptions name an error in an allOf of two parts that are each open, which excludes itself when
    closed, list issues by example only, and leave out 401, 429 and, for deletions in the vault, 404
    (developer.paypal.com/api/rest/responses).
    """
    for item in document["paths"].values():
        for operation in item.values():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            answers = operation["responses"]
            answer = {"content": {"application/json": {"schema": _ERROR}}}
            described = [s for s in answers if s[0] in "45" or s == "default"]
            for status in (*described, "401", "422", "429", "500"):
                answers[status] = answer
            if "delete" in operation.get("operationId", ""):
                answers["404"] = {**answer, "description": "not there"}


def _reporting(document: dict[str, Any]) -> None:
    _errors(document)
    info = document["components"]["schemas"]["transaction_info"]["properties"]
    # Ids of subscriptions begin with I- in every other description.
    info["paypal_reference_id"]["pattern"] = "^[a-zA-Z0-9-]*$"


def _nested(document: dict[str, Any]) -> None:
    _errors(document)
    # Parts of an allOf inside another: each names some of the fields, so none may be closed by itself.
    _flatten(document["components"]["schemas"])


def _flatten(schemas: dict[str, Any]) -> None:
    """Put the fields of nested allOf into one object, so that the whole can be closed."""

    def fields(node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = schemas[node["$ref"].rpartition("/")[2]]
        found = dict(node.get("properties", {}))
        for part in node.get("allOf", ()):
            found |= fields(part)
        return found

    for name, schema in list(schemas.items()):
        if schema.get("allOf") and "error" not in name:
            schemas[name] = {"type": "object", "properties": fields(schema)}


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    return [
        Description(NAMES["vault"], _nested),
        Description(NAMES["subscriptions"], _nested),
        Description(NAMES["invoicing"], _nested),
        Description(NAMES["reporting"], _reporting),
    ]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Standing]:
    with paypal(tmp_path, 6) as running:
        yield running


def problems(descriptions: list[Description], said: list[Exchange]) -> list[str]:
    found = []
    for exchange in said:
        if exchange.request.path == "/v1/oauth2/token":
            continue  # OAuth 2.0 itself describes it
        known = [d for d in descriptions if d.knows(exchange)]
        found += list(known[0].judge(exchange)) if known else [f"{exchange.request.path}: not described"]
    return found


def test_every_right_speaks_as_described(stand_in: Standing, descriptions: list[Description]) -> None:
    purpose = "functional.service.improve"
    api = adapter(
        stand_in.endpoint,
        objection={purpose: "subscription+payment_token"},
        settings={"suspend_when_restricted": True},
    )
    people = [person(n) for n in range(1, 7)]
    values = {"r-6": {"email": "new@people.example", "full_name": "Ada Newname"}}
    assert api.preflight(as_of=AS_OF).problems == ()
    assert len(list(api.find(people))) == len(list(api.export(people))) == 6
    assert carry_out(api, "rectify", [person(6)], as_of=AS_OF, values=values)["r-6"].state is State.manual
    carry_out(api, "restrict", [person(1)], as_of=AS_OF)
    carry_out(api, "object", [person(2)], as_of=AS_OF, purpose=purpose)
    assert {r.state for r in carry_out(api, "erase", people, as_of=AS_OF).values()} == {State.manual}
    assert problems(descriptions, stand_in.said) == []
    verbs = {(e.request.method, e.request.path.rpartition("/")[2]) for e in stand_in.said}
    assert {("POST", "cancel"), ("POST", "suspend"), ("POST", "search-invoices")} <= verbs


def test_refusals_are_as_described_too(stand_in: Standing, descriptions: list[Description]) -> None:
    api = adapter(stand_in.endpoint)
    stand_in.control.configure(unknown=[payer_id(1)])
    list(api.erase([person(1)], as_of=AS_OF))
    stand_in.control.configure(off=["transaction_search"], unknown=[], expire_tokens=True)
    list(api.erase([person(2)], as_of=AS_OF))
    gone = [t["id"] for t in of(stand_in.control.state(), 3)["payment_tokens"]]
    stand_in.control.configure(off=[], limit=len(gone))
    stand_in.control.configure(limit=100_000)
    api._client.delete_payment_token(gone[0])
    api._client.delete_payment_token(gone[0])
    assert api._client.subscription("I-UNKNOWN00000") is None
    statuses = {e.response.status for e in stand_in.said}
    assert {401, 403, 404, 422} <= statuses
    assert problems(descriptions, stand_in.said) == []


@pytest.mark.parametrize(
    ("method", "path", "params", "body"),
    [
        ("GET", "/v1/reporting/transactions", {"email": "x@people.example"}, None),
        ("GET", "/v1/reporting/transactions", {"start_date": "2026-01-01T00:00:00Z"}, None),
        ("POST", "/v2/invoicing/search-invoices", {}, {"recipient": "x@people.example"}),
        ("GET", "/v3/vault/payment-tokens", {}, None),
    ],
)
def test_what_is_not_described_is_refused_by_judge_and_stand_in(
    stand_in: Standing, descriptions: list[Description], method: str, path: str, params: Any, body: Any
) -> None:
    api = adapter(stand_in.endpoint)
    answer = api._api.call(method, path, params=params, json=body, repeatable=True)
    assert answer.status == 400
    assert problems(descriptions, stand_in.said[-1:]) != []
