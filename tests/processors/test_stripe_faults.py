"""Stripe: every right × every fault × positions; what counts is the state in the end, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.advancing import Action
from include.privacy.processors.protocol import ProcessorRefusedError, State
from tests.processors.matrix import FAULTS, carry_out
from tests.processors.stripe_account import AS_OF, Account, account, add, email, person

VALUES = {"email": "new@mail.example", "full_name": "New Name"}
POSITIONS: dict[str, list[dict[str, Any]]] = {
    "erase": [
        {"method": "GET", "path": "/v1/customers$"},
        {"method": "DELETE", "path": "/v1/subscriptions"},
        {"method": "POST", "path": "/detach"},
        {"method": "POST", "path": "/redaction_jobs$"},
        {"method": "POST", "path": "/run"},
        {"method": "GET", "path": "/redaction_jobs/", "skip": 1},
    ],
    "delete": [
        {"method": "POST", "path": "/v1/customers/cus_1$"},
        {"method": "DELETE", "path": "/v1/customers/cus_1$"},
    ],
    "rectify": [
        {"method": "POST", "path": "/v1/payment_methods/pm_1$"},
        {"method": "POST", "path": "/v1/customers/cus_1$"},
    ],
    "object": [{"method": "POST", "path": "/v1/customers/cus_1$"}],
    "restrict": [{"method": "GET"}, {"method": "POST", "path": "/v1/customers/cus_1$"}],
}


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path) as made:
        add(made.store, 1)
        add(made.store, 2)
        yield made


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("right", POSITIONS)
def test_whatever_fails_the_right_is_carried_out_once_and_for_nobody_else(
    stripe: Account, right: str, fault: str
) -> None:
    stripe.standing.control.configure(redaction=right != "delete")
    action: Action = "erase" if right == "delete" else right  # type: ignore[assignment] # the keys are actions
    other = stripe.about("cus_2")
    first = {k: len(v) for k, v in stripe.about("cus_1").items()}
    adapter = stripe.connect()
    for n, where in enumerate(POSITIONS[right]):
        if n:
            _anew(stripe)
        stripe.standing.control.clear_faults()
        stripe.standing.control.fail(**FAULTS[fault], **where)
        reports = carry_out(
            adapter,
            action,
            [person(1)],
            as_of=AS_OF,
            values={"req-1": VALUES},
            purpose="essential.fraud_detection",
        )
        struck = [f["count"] < FAULTS[fault].get("count", 1) for f in stripe.standing.control.faults()]
        assert all(struck), where
        assert reports["req-1"].state in _DONE[right], (where, reports)
        _right(stripe, right, first)
        assert stripe.about("cus_2") == other, where


_DONE = {
    "erase": (State.retained,),
    "delete": (State.retained,),
    "rectify": (State.retained,),
    "object": (State.stopped,),
    "restrict": (State.stopped,),
}


def _right(stripe: Account, right: str, before: dict[str, int]) -> None:
    about, state = stripe.about("cus_1"), stripe.state()
    customer = about["customers"][0]
    if right == "erase":
        assert email(1) not in json.dumps(about) and "Name1" not in json.dumps(about)
        assert "cus_1" in state["redacted"] and "cus_2" not in state["redacted"]
        # At most one job ran: what an ambiguous creation left behind was taken over or given up.
        ended = [j["status"] for j in state["redaction_jobs"]]
        assert ended.count("succeeded") == 1 and set(ended) <= {"succeeded", "canceled"}
        assert {i for i, _ in stripe.invoices.stored} == {"in_1a", "in_1b", "cn_1"}
        assert all(email(1) in d.decode() for (i, _), d in stripe.invoices.stored.items() if i[:2] == "in")
    elif right == "delete":
        assert customer == {"id": "cus_1", "object": "customer", "deleted": True}
        assert not about["payment_methods"] and not about["tax_ids"]
        assert about["subscriptions"][0]["status"] == "canceled"
        assert {i for i, _ in stripe.invoices.stored} == {"in_1a", "in_1b", "cn_1"}
    elif right == "rectify":
        assert (customer["email"], customer["name"]) == (VALUES["email"], VALUES["full_name"])
        assert about["payment_methods"][0]["billing_details"]["email"] == VALUES["email"]
        assert customer["metadata"] == {"account_id": "1"}
        assert {k: len(v) for k, v in about.items()} == before
    else:
        assert customer["metadata"] == {"account_id": "1", "processing_restricted": "1"}
        assert about["subscriptions"][0]["status"] == "active"
        assert {k: len(v) for k, v in about.items()} == before


def _anew(stripe: Account) -> None:
    """The same two people as before, and an account that remembers nothing."""
    store = stripe.store
    for collection in store.of.values():
        collection.clear()
    store.redacted.clear()
    store.formerly.clear()
    stripe.standing.stand_in._replays.clear()
    stripe.standing.stand_in.jobs._since.clear()
    stripe.invoices.stored.clear()
    add(store, 1)
    add(store, 2)


@pytest.mark.parametrize("right", ["erase", "rectify", "object", "restrict"])
def test_a_key_that_expires_under_way_stops_everybody_and_a_new_one_goes_on(
    stripe: Account, right: str
) -> None:
    action: Action = right  # type: ignore[assignment] # the values are actions
    more: dict[str, Any] = {
        "as_of": AS_OF, "values": {"req-1": VALUES}, "purpose": "essential.fraud_detection",
    }  # fmt: skip
    skip = 3 if right in ("erase", "rectify") else 1
    stripe.standing.control.fail(kind="status", status=401, count=99, skip=skip)
    with pytest.raises(ProcessorRefusedError):
        _once(stripe, right)
    stripe.standing.control.clear_faults()
    reports = carry_out(stripe.connect(), action, [person(1)], **more)
    assert reports["req-1"].state in _DONE[right]
    assert "cus_2" not in stripe.state()["redacted"]


def _once(stripe: Account, right: str) -> None:
    adapter, people = stripe.connect(), [person(1)]
    if right == "rectify":
        list(adapter.rectify(people, {"req-1": VALUES}, as_of=AS_OF))
    elif right == "object":
        list(adapter.object_to(people, "essential.fraud_detection", as_of=AS_OF))
    elif right == "restrict":
        list(adapter.restrict(people, as_of=AS_OF))
    else:
        list(adapter.erase(people, as_of=AS_OF))


@pytest.mark.parametrize("errors", [1, 4, 9])
def test_answers_that_are_broken_and_replayed_for_a_day_are_got_past(stripe: Account, errors: int) -> None:
    stripe.standing.control.configure(store_errors=errors)
    carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF, calls=30)
    _right(stripe, "erase", {})
