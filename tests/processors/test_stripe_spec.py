"""Stripe: our requests and the stand-in's answers against what Stripe publishes, strictly.

Requests: the API description of 2023-08-16, closed, and the newest parameter lists, those of Stripe's
command line of 2026-08. Answers: Stripe's own fixtures, the preview's for redaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.stripe_forms import decode
from tests.processors.matrix import carry_out
from tests.processors.openapi import SPECS, Description, needs
from tests.processors.standing import Exchange
from tests.processors.stripe_account import AS_OF, NOW, Account, account, add, person

REQUESTS = "stripe/stripe_subset_requests.json"
NEWEST = "stripe/stripe_cli_operations_2026-08-21.json"
FIXTURES = "stripe/fixtures3.json"
PREVIEW = "stripe/fixtures3.beta.json"
pytestmark = needs(REQUESTS, NEWEST, FIXTURES, PREVIEW)

JOBS = "/v1/privacy/redaction_jobs"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Every call that every right makes, with and without redaction jobs, refusals too."""
    with account(tmp_path_factory.mktemp("stripe")) as made:
        _everything(made)
        yield made.standing.said


def _everything(stripe: Account) -> None:
    values = {f"req-{n}": {"email": "new@mail.example", "full_name": "New Name"} for n in range(9)}
    for n in range(1, 7):
        add(stripe.store, n, paid=NOW - 10_000 if n == 2 else NOW - 20_000_000)
    add(stripe.store, 4, suffix="d", dispute="under_review")
    stripe.store.of["invoices"]["in_1a"]["lines"]["data"] = [
        {"id": f"il_{n}", "object": "line_item", "amount": n, "currency": "eur"} for n in range(12)
    ]
    # A subscription's draft can be voided only.
    stripe.store.of["invoices"]["in_1c"]["billing_reason"] = "subscription_cycle"
    adapter = stripe.connect()
    adapter.preflight(as_of=AS_OF)
    list(adapter.find([person(1), person(8)]))
    list(adapter.export([person(1)]))
    carry_out(adapter, "rectify", [person(3)], as_of=AS_OF, values=values)
    carry_out(adapter, "object", [person(3)], as_of=AS_OF, purpose="essential.fraud_detection")
    carry_out(adapter, "restrict", [person(5)], as_of=AS_OF)
    stripe.standing.control.configure(inject={"cus_5": ["invalid_state"], "cus_6": ["locked_by_other_job"]})
    carry_out(adapter, "erase", [person(n) for n in (1, 2, 4, 5, 6)], as_of=AS_OF, calls=6)
    add(stripe.store, 7)
    carry_out(stripe.connect(open_invoices="uncollectible"), "erase", [person(7)], as_of=AS_OF)
    stripe.standing.control.configure(redaction=False, inject={})
    carry_out(stripe.connect(), "erase", [person(3)], as_of=AS_OF)


class Forms(Description):
    """The description, for bodies that are forms."""

    def decoded(self, exchange: Exchange) -> Any:
        """See above."""
        return decode(exchange.request.body.decode())


def corrected(document: dict[str, Any]) -> None:
    """``related_customer`` came after 2023; the list of 2026 and the library (16.1.0) have it."""
    sessions = document["paths"]["/v1/identity/verification_sessions"]["get"]
    sessions["parameters"].append({"in": "query", "name": "related_customer", "schema": {"type": "string"}})


def test_every_request_and_answer_is_as_described(said: list[Exchange]) -> None:
    described = Forms(REQUESTS, corrected)
    judged = [e for e in said if JOBS not in e.request.path]
    problems = {p for exchange in judged for p in described.judge(exchange)}
    assert not problems
    assert len({(e.request.method, _bare(e.request.path)) for e in judged}) >= 25


@pytest.mark.parametrize(
    ("method", "target", "body", "wrong"),
    [
        ("GET", "/v1/customers?emial=a%40b.example", b"", "emial"),
        ("POST", "/v1/customers/cus_1", b"naem=X", "naem"),
        ("POST", "/v1/customers/cus_1", b"address[citty]=X", "citty"),
        ("GET", "/v1/customer", b"", "not described"),
    ],
)
def test_the_judge_sees_what_is_wrong(method: str, target: str, body: bytes, wrong: str) -> None:
    exchange = Exchange(Request.of(method, target, {}, body), Response.of_json({}))
    assert wrong in " ".join(Forms(REQUESTS, corrected).judge(exchange))


def test_every_parameter_is_in_the_newest_lists(said: list[Exchange]) -> None:
    operations = json.loads((SPECS / NEWEST).read_text()).values()
    known = {(o["method"], _bare(o["path"])): o["params"] for o in operations}
    problems = set()
    for exchange in said:
        request = exchange.request
        name = (request.method, _bare(request.path))
        if JOBS in request.path:
            continue
        if name not in known:
            problems.add(f"{name}: no such operation")
            continue
        given = [*request.query, *_flat(decode(request.body.decode()))]
        # The command line takes metadata for every object that has them, apart from its lists.
        unknown = [g for g in given if g not in known[name] and not g.startswith("metadata.")]
        problems |= {f"{name}: {g}" for g in unknown}
    assert not problems


def test_jobs_are_asked_for_as_the_preview_has_them(said: list[Exchange]) -> None:
    """No description of the preview is published; its libraries (branch ``beta``) show these calls."""
    asked = [e.request for e in said if JOBS in e.request.path]
    names = {(r.method, _bare(r.path).removeprefix(JOBS).replace("*", "{job}")) for r in asked}
    assert names == {
        ("GET", ""), ("POST", ""), ("GET", "/{job}"), ("POST", "/{job}"), ("POST", "/{job}/run"),
        ("POST", "/{job}/cancel"), ("POST", "/{job}/validate"), ("GET", "/{job}/validation_errors"),
    }  # fmt: skip
    assert {r.headers["stripe-version"] for r in asked} == {"2026-09-30.preview"}
    forms = [decode(r.body.decode()) for r in asked if r.method == "POST"]
    for form in filter(None, forms):
        assert form.keys() <= {"objects", "validation_behavior"}
        assert form["validation_behavior"] in ("error", "fix")
        assert len(form.get("objects", {}).get("customers", ())) <= 10


def test_every_answer_has_the_shape_of_stripes_fixtures(said: list[Exchange]) -> None:
    fixtures = json.loads((SPECS / FIXTURES).read_text())["resources"]
    preview = json.loads((SPECS / PREVIEW).read_text())["resources"]
    preview = fixtures | preview
    # The customer's redaction is told of in the preview's pages, and the job's objects in its libraries;
    # the fixtures leave out what is not always there.
    preview["customer"]["redaction"] = {"status": "redacted"}
    preview["privacy.redaction_job"]["objects"] = {"customers": ["cus_123"]}
    problems, kinds = set(), set()
    for exchange in said:
        if exchange.response.status != 200:
            continue
        known = preview if exchange.request.headers["stripe-version"].endswith(".preview") else fixtures
        for thing in _objects(json.loads(exchange.response.body)):
            kinds.add(thing["object"])
            kind = f"deleted_{thing['object']}" if thing.get("deleted") else thing["object"]
            problems |= set(_unlike(thing, known[kind], kind))
    assert not problems
    assert len(kinds) >= 14


def _bare(path: str) -> str:
    """The path with ``*`` for ids."""
    return "/".join("*" if _is_id(part) else part for part in path.split("/"))


def _is_id(part: str) -> bool:
    return part.startswith("{") or ("_" in part and part.split("_")[0] in _IDS)


_IDS = ("cus", "ch", "pi", "seti", "in", "sub", "pm", "txi", "cs", "vs", "dp", "prj", "cn")


def _flat(form: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in form.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _objects(body: dict[str, Any]) -> list[dict[str, Any]]:
    return body["data"] if body.get("object") == "list" else [body]


def _unlike(value: Any, fixture: Any, where: str) -> Iterator[str]:
    """Fields that Stripe does not have, and values of another type; nothing fits everywhere."""
    if value is None or fixture is None or where.endswith("/metadata"):
        return
    if isinstance(fixture, dict) and isinstance(value, dict):
        for key, each in value.items():
            if key not in fixture and fixture:
                yield f"{where}: unknown field {key}"
            else:
                yield from _unlike(each, fixture.get(key), f"{where}/{key}")
    elif isinstance(fixture, list) and isinstance(value, list):
        for each in value:
            yield from _unlike(each, fixture[0] if fixture else None, f"{where}/0")
    elif type(value) is not type(fixture):
        yield f"{where}: {type(value).__name__} instead of {type(fixture).__name__}"


def test_a_misshapen_answer_would_be_seen() -> None:
    problems = list(_unlike({"a": "1", "c": {"d": 1}}, {"a": 1, "c": {"e": 1}}, "x"))
    assert problems == ["x/a: str instead of int", "x/c: unknown field d"]


def test_unknown_parameters_are_refused_by_the_stand_in_too(tmp_path: Path) -> None:
    with account(tmp_path) as made:
        add(made.store, 1)
        headers = {"Authorization": "Bearer rk_test_of_the_tests"}
        for method, target, body in [
            ("GET", "/v1/customers?emial=a", b""),
            ("GET", "/v1/customers?limit=101", b""),
            ("GET", "/v1/customers/cus_1?limit=1", b""),
            ("POST", "/v1/customers/cus_1", b"naem=X"),
            ("POST", "/v1/customers/cus_1", b"email=nowhere"),
            ("POST", "/v1/payment_methods/pm_1/detach", b"customer=cus_1"),
        ]:
            answer = made.standing.stand_in.answer(Request.of(method, target, headers, body))
            assert answer.status == 400, target


def test_a_key_replays_its_answer_and_takes_no_other_parameters(tmp_path: Path) -> None:
    with account(tmp_path, store_errors=1) as made:
        add(made.store, 1)

        def post(body: bytes, key: str) -> Response:
            headers = {"Authorization": "Bearer rk_test_of_the_tests", "Idempotency-Key": key}
            answer: Response = made.standing.stand_in.answer(
                Request.of("POST", "/v1/customers/cus_1", headers, body)
            )
            return answer

        assert [post(b"name=A", "k1").status for _ in range(2)] == [500, 500], "a 500 is replayed as well"
        assert made.store.of["customers"]["cus_1"]["name"] == "A"
        assert post(b"name=B", "k2").status == 200
        made.store.of["customers"]["cus_1"]["name"] = "C"
        again = post(b"name=B", "k2")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
        assert made.store.of["customers"]["cus_1"]["name"] == "C"
        mismatch = post(b"name=D", "k2")
        assert (mismatch.status, json.loads(mismatch.body)["error"]["type"]) == (400, "idempotency_error")
