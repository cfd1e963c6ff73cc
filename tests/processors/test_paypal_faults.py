"""PayPal's fault matrix: every right, every fault, early and late in the work; what counts is the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from include.privacy.processors.advancing import Action
from include.privacy.processors.protocol import ProcessorError, Report, State
from tests.processors.matrix import FAULTS, carry_out
from tests.processors.paypal_people import AS_OF, adapter, of, paypal, person, platform_person
from tests.processors.standing import Standing

PURPOSE = "functional.service.improve"
MORE: Mapping[str, dict[str, Any]] = {
    "tokens end in the middle": {"calls_per_token": 7},
    "token lost": {"kind": "status", "status": 401},
}
WHERE = {
    "erase": ["/v1/oauth2", "/v1/reporting", "/v3/vault", "/subscriptions/I", "/v2/invoicing/invoices"],
    "rectify": ["/v1/reporting", "/v2/invoicing/invoices"],
    "object": ["/subscriptions/I", "/v3/vault"],
    "restrict": ["/subscriptions/I"],
}
TWICE = ("/v3/vault", "/subscriptions/I", "/v2/invoicing/invoices")
"""Where the first call reads and the second has an effect, or the first has one of two."""
VALUES = {"r-6": {"email": "new@people.example", "full_name": "Ada Newname"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with paypal(tmp_path_factory.mktemp("paypal"), 0) as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(running: Standing) -> Iterator[Standing]:
    """The same server with new people, without faults."""
    objects = running.stand_in._objects
    for each in (objects.payment_tokens, objects.subscriptions, objects.invoices):
        each.clear()
    objects.transactions.clear()
    objects.payers.clear()
    running.control.configure(calls_per_token=0, expire_tokens=True)
    running.control.seed([platform_person(n) for n in (5, 6)])
    running.said.clear()
    yield running
    running.control.clear_faults()


def end_of(stand_in: Standing, action: Action, report: Report) -> None:
    """The state that each right has to end in, whatever happened on the way."""
    state = stand_in.control.state()
    mine, moved = of(state, 6), [i for i in state["invoices"].values() if "new@" in str(i)]
    statuses = [s["status"] for s in mine["subscriptions"]]
    unpaid = sorted(i["status"] for i in mine["invoices"])
    if action == "erase":
        assert (mine["payment_tokens"], statuses, unpaid) == ([], ["CANCELLED"], ["CANCELLED", "PAID"])
        assert report.state is State.manual
    elif action == "rectify":
        assert (len(moved), unpaid) == (1, ["PAID", "SENT"])
        assert moved[0]["primary_recipients"][0]["billing_info"] == {
            "email_address": "new@people.example",
            "name": {"full_name": "Ada Newname"},
        }
        assert {o.state for o in report.outcomes} == {State.corrected, State.manual}
        assert len(mine["payment_tokens"]) == 1 and statuses == ["ACTIVE"]
    elif action == "object":
        assert (mine["payment_tokens"], statuses) == ([], ["CANCELLED"])
        assert len(mine["invoices"]) == 3
    else:
        assert (len(mine["payment_tokens"]), statuses) == (1, ["SUSPENDED"])
        assert report.state is State.stopped
    assert len(mine["transactions"]) == 3, "nothing erases a payment"


CASES = [
    (action, name, path, skip)
    for action, paths in WHERE.items()
    for path in paths
    for name in [*FAULTS, *MORE]
    for skip in ((0, 1) if path in TWICE and action == "erase" else (0,))
    if not (path == "/v1/oauth2" and name == "token lost")
    if not (name == "tokens end in the middle" and (skip or path != paths[-1]))
]


@pytest.mark.parametrize(("action", "name", "path", "skip"), CASES)
def test_every_right_ends_well_whatever_fails(
    stand_in: Standing, action: Action, name: str, path: str, skip: int
) -> None:
    fault = {**FAULTS, **MORE}[name]
    others = of(stand_in.control.state(), 5)
    if "kind" in fault:
        stand_in.control.fail(**fault, path=path, skip=skip)
    else:
        stand_in.control.configure(**fault)
    api = adapter(
        stand_in.endpoint,
        timeout=0.3,
        objection={PURPOSE: "subscription+payment_token"},
        # A short past keeps the matrix quick; that every window is read is proved elsewhere.
        settings={"suspend_when_restricted": True, "days_back": 100},
    )
    try:
        reports = carry_out(api, action, [person(6)], as_of=AS_OF, values=VALUES, purpose=PURPOSE)
    finally:
        api.close()
    assert not [f for f in stand_in.control.faults() if f["count"]], "the fault struck"
    end_of(stand_in, action, reports["r-6"])
    assert of(stand_in.control.state(), 5) == others, "nobody else's data changed"


READS = [("export", name, path) for path in ("/v3/vault", "search") for name in FAULTS]
READS += [("find", name, "/v1/reporting") for name in FAULTS]


@pytest.mark.parametrize(("method", "name", "path"), READS)
def test_a_read_is_whole_or_raises(stand_in: Standing, method: str, name: str, path: str) -> None:
    api = adapter(stand_in.endpoint, timeout=0.3, settings={"days_back": 100})
    expected = list(getattr(api, method)([person(6)]))
    stand_in.control.fail(**FAULTS[name], path=path)
    before = stand_in.control.state()
    for _ in range(6):
        try:
            found = list(getattr(api, method)([person(6)]))
            break
        except ProcessorError:
            continue
    assert found == expected
    assert stand_in.control.state() == before
    api.close()


def test_the_search_switched_off_in_between_keeps_the_request_open(stand_in: Standing) -> None:
    def change(call: int) -> None:
        stand_in.control.configure(off=["transaction_search"] if call < 2 else [])

    api = adapter(stand_in.endpoint, settings={"days_back": 100})
    reports = carry_out(api, "erase", [person(6)], as_of=AS_OF, before=change)
    end_of(stand_in, "erase", reports["r-6"])
    assert sum(o.count for o in reports["r-6"].outcomes if o.kind == "payment_token") == 1
