"""Stripe: corrections, objections, restrictions; whole cohorts; what no log and no message may say."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.privacy.connections import ConnectionInfo
from include.privacy.processors.protocol import (
    ObjectOutcome,
    Person,
    ProcessorRefusedError,
    ProcessorUnavailableError,
    State,
)
from include.privacy.processors.stripe import connect
from tests.processors.matrix import carry_out
from tests.processors.stripe_account import (
    AS_OF,
    KEY,
    NOW,
    Account,
    Kept,
    account,
    add,
    email,
    person,
    shipped,
)

NEW = {"email": "new@mail.example", "full_name": "New Name"}


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path) as made:
        yield made


def rectified(account: Account, who: Person, values: dict[str, str] = NEW) -> dict[str, ObjectOutcome]:
    (report,) = account.connect().rectify([who], {who.reference: values}, as_of=AS_OF)
    return {o.kind: o for o in report.outcomes}


def test_a_correction_reaches_customer_and_card_but_no_metadata_and_nobody_elses_card(
    stripe: Account,
) -> None:
    add(stripe.store, 1)
    add(stripe.store, 2)
    stripe.store.add("payment_methods", {**stripe.store.of["payment_methods"]["pm_1"], "id": "pm_of_an_aunt"})
    aunt = stripe.store.of["payment_methods"]["pm_of_an_aunt"]
    aunt["billing_details"] = {"name": "Aunt", "email": "aunt@mail.example"}
    other = stripe.about("cus_2")
    told = rectified(stripe, person(1))
    customer = stripe.store.of["customers"]["cus_1"]
    assert (customer["email"], customer["name"]) == (NEW["email"], NEW["full_name"])
    assert customer["metadata"] == {"account_id": "1"}
    assert stripe.store.of["payment_methods"]["pm_1"]["billing_details"]["email"] == NEW["email"]
    assert stripe.store.of["payment_methods"]["pm_1"]["billing_details"]["name"] == NEW["full_name"]
    assert aunt["billing_details"] == {"name": "Aunt", "email": "aunt@mail.example"}
    assert told["customer"].state is State.corrected and told["payment_method"].count == 1
    # Two issued invoices say what they said; the draft is no document yet.
    assert (told["invoice"].state, told["invoice"].count, told["invoice"].code) == (
        State.retained,
        2,
        "snapshot",
    )
    assert stripe.store.of["invoices"]["in_1a"]["customer_email"] == email(1)
    assert stripe.about("cus_2") == other


def test_a_correction_again_is_found_done_and_writes_nothing(stripe: Account) -> None:
    add(stripe.store, 1)
    rectified(stripe, person(1))
    for who in (person(1), person(1, ids={})):
        said = stripe.standing.calls("POST")
        assert rectified(stripe, who)["customer"].state is State.corrected
        assert stripe.standing.calls("POST") == said


def test_a_customer_of_somebody_else_under_the_new_address_is_not_touched(stripe: Account) -> None:
    add(stripe.store, 2)
    told = rectified(stripe, person(1), {"email": email(2), "full_name": "New Name"})
    assert told["customer"].state is State.not_held
    assert stripe.store.of["customers"]["cus_2"]["name"] == "Name2 Sur"


def test_fields_that_stripe_does_not_hold_are_not_held(stripe: Account) -> None:
    add(stripe.store, 1)
    assert rectified(stripe, person(1), {"locale": "de"})["customer"].state is State.not_held


def objecting(account: Account, purpose: str, **objection: str) -> list[ObjectOutcome]:
    mapped = shipped().model_copy(update={"objection": objection}) if objection else shipped()
    info = ConnectionInfo("stripe", "generic", password=KEY)
    adapter = connect(mapped, info, account.standing.endpoint, invoices=account.invoices)
    (report,) = adapter.object_to([person(1)], purpose, as_of=AS_OF)
    return list(report.outcomes)


def test_an_objection_marks_the_customer_cancels_or_asks_a_person_as_the_map_says(stripe: Account) -> None:
    add(stripe.store, 1)
    assert objecting(stripe, "analytics.reporting")[0].state is State.not_held
    assert stripe.store.of["customers"]["cus_1"]["metadata"] == {"account_id": "1"}
    assert objecting(stripe, "p", p="manual") == [ObjectOutcome("customer", State.manual, code="no_opt_out")]
    assert objecting(stripe, "essential.fraud_detection") == [ObjectOutcome("customer", State.stopped)]
    assert stripe.store.of["customers"]["cus_1"]["metadata"]["processing_restricted"] == "1"
    assert stripe.store.of["subscriptions"]["sub_1"]["status"] == "active"
    told = objecting(stripe, "p", p="cancel_subscriptions")
    assert {o.kind for o in told} == {"customer", "subscription"}
    assert stripe.store.of["subscriptions"]["sub_1"]["status"] == "canceled"


def test_a_restriction_is_a_mark_once_and_for_nobody_nothing(stripe: Account) -> None:
    add(stripe.store, 1)
    for _ in range(2):
        first, second = stripe.connect().restrict([person(1), person(2)], as_of=AS_OF)
        states = {r.reference: r.state for r in (first, second)}
        assert states == {"req-1": State.stopped, "req-2": State.not_held}
    assert stripe.store.of["customers"]["cus_1"]["metadata"] == {
        "account_id": "1",
        "processing_restricted": "1",
    }
    assert stripe.standing.calls("POST") == 1


def test_preflight_knows_the_feature_and_names_what_the_key_lacks(stripe: Account) -> None:
    assert stripe.connect().preflight(as_of=AS_OF).features == {"redaction_jobs": True}
    stripe.standing.control.configure(redaction=False)
    there = stripe.connect().preflight(as_of=AS_OF)
    assert there.features == {"redaction_jobs": False} and not there.problems
    stripe.standing.control.configure(forbid=["/v1/charges"])
    (problem,) = stripe.connect().preflight(as_of=AS_OF).problems
    assert "/v1/charges" in problem
    stripe.standing.control.configure(forbid=["/v1/privacy"], redaction=True)
    assert stripe.connect().preflight(as_of=AS_OF).features == {"redaction_jobs": False}
    assert not stripe.standing.calls("POST") and not stripe.standing.calls("DELETE")


def test_a_wrong_key_stops_everybody(stripe: Account) -> None:
    stripe.standing.stand_in._key = "another"
    with pytest.raises(ProcessorRefusedError, match="refuses our key"):
        list(stripe.connect().erase([person(1)], as_of=AS_OF))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"young_dayz": 3}}, "settings.young_dayz"),
        ({"settings": {"at_once": 0}}, "settings.at_once"),
        ({"objection": {"p": "pray"}}, "objection.p"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        connect(
            shipped().model_copy(update=change), ConnectionInfo("s", "g", password=KEY), None, invoices=Kept()
        )


def test_what_is_no_key_of_stripes_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="rk_live") as caught:
        connect(shipped(), ConnectionInfo("s", "g", password="hunter2"), None, invoices=Kept())
    assert "hunter2" not in str(caught.value)


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="https"):
        connect(shipped(), ConnectionInfo("s", "g", password=KEY), "http://stripe.example", invoices=Kept())


def test_the_librarys_own_log_to_stderr_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_LOG", "debug")
    with pytest.raises(ValueError, match="STRIPE_LOG"):
        connect(shipped(), ConnectionInfo("s", "g", password=KEY), None, invoices=Kept())


def test_one_person_whom_stripe_refuses_stops_no_other_in_a_cohort_with_few_calls(stripe: Account) -> None:
    people = [person(n) for n in range(100)]
    for n in range(100):
        stripe.store.add("customers", _bare(n))
    stripe.standing.control.configure(
        refuse={"cus_7": [422, "not_today"], "cus_8": [404, "resource_missing"]}
    )
    reports = carry_out(stripe.connect(at_once=8), "erase", people, as_of=AS_OF, calls=4)
    assert len(reports) == 100
    left = {reference for reference, r in reports.items() if r.state is not State.redacted}
    assert left == {"req-7", "req-8"} and reports["req-7"].state is State.failed
    assert reports["req-7"].outcomes[0].code == "not_today"
    # For each: two addresses less one, nine lists, create, look, charges, run, look, and verified by two.
    healthy = sum(
        e.request.path != "/v1/privacy/redaction_jobs" or e.request.method == "POST"
        for e in stripe.standing.said
    )
    assert healthy <= 120 * 17


def test_an_export_of_many_tells_in_the_end_how_many_were_refused(stripe: Account) -> None:
    for n in range(20):
        stripe.store.add("customers", _bare(n))
    stripe.standing.control.configure(refuse={"cus_7": [422, "not_today"]})
    exported = stripe.connect().export([person(n) for n in range(20)])
    out = {next(exported).reference for _ in range(19)}
    with pytest.raises(ProcessorUnavailableError, match=r"1 people \(not_today\)"):
        next(exported)
    assert len(out) == 19 and "req-7" not in out


def test_a_cohort_that_is_interrupted_goes_on_and_repeats_nothing(stripe: Account) -> None:
    people = [person(n) for n in range(30)]
    for n in range(30):
        add(stripe.store, n)
    reports = stripe.connect().erase(people, as_of=AS_OF)
    for _ in range(9):
        next(reports)
    reports.close()  # type: ignore[attr-defined] # it is a generator
    carry_out(stripe.connect(), "erase", people, as_of=AS_OF)
    state = stripe.state()
    assert [j["status"] for j in state["redaction_jobs"]] == ["succeeded"] * 30
    assert "mail.example" not in json.dumps(state)


def test_no_log_and_no_message_says_who_it_is(stripe: Account, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for n in range(3):
        add(stripe.store, n)
    stripe.standing.control.fail(kind="status", status=500, count=2)
    stripe.standing.control.fail(kind="malformed", count=2, skip=3)
    carry_out(stripe.connect(), "erase", [person(n) for n in range(3)], as_of=AS_OF)
    messages = []
    for fault in (
        {"kind": "malformed", "count": 99},
        {"kind": "reset", "count": 99},
        {"kind": "status", "count": 99},
    ):
        stripe.standing.control.clear_faults()
        stripe.standing.control.fail(**fault)
        with pytest.raises(ProcessorUnavailableError) as caught:
            list(stripe.connect().find([person(1)]))
        messages.append(str(caught.value))
        # What the library says quotes the answer: it must not be in a traceback either.
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    said = caplog.text + " ".join(messages)
    for secret in (KEY, "person1", "mail.example", "Name1", "cus_1"):
        assert secret not in said


def test_a_redirect_does_not_carry_the_key_away(stripe: Account) -> None:
    from include.sandbox.processors.exchange import Response

    stripe.standing.stand_in.answer = lambda request: Response(
        302, b"{}", {"Location": "http://127.0.0.1:1/"}
    )
    with pytest.raises((ProcessorRefusedError, ProcessorUnavailableError)):
        list(stripe.connect().find([person(1)]))


def test_every_post_has_a_key_from_the_reference_and_no_telemetry(stripe: Account) -> None:
    add(stripe.store, 1)
    carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)
    posts = [e.request for e in stripe.standing.said if e.request.method == "POST"]
    keys = [r.headers["idempotency-key"] for r in posts]
    assert posts and all(k.startswith("dsr-req-1-") and len(k) <= 255 for k in keys)
    assert len(set(keys)) == len(keys)
    for exchange in stripe.standing.said:
        assert "x-stripe-client-telemetry" not in exchange.request.headers
        assert "platform" not in exchange.request.headers["x-stripe-client-user-agent"]
        assert ("privacy" in exchange.request.path) <= exchange.request.headers["stripe-version"].endswith(
            ".preview"
        )


def _bare(number: int) -> dict[str, Any]:
    from include.sandbox.processors import stripe_objects as objects

    return objects.customer(f"cus_{number}", f"Name{number}", email(number), NOW - 10_000_000, {})


def test_two_copies_of_a_task_at_once_redact_each_person_once(stripe: Account) -> None:
    people = [person(n) for n in range(8)]
    for n in range(8):
        add(stripe.store, n)
    copies = [
        threading.Thread(target=carry_out, args=(stripe.connect(), "erase", people), kwargs={"as_of": AS_OF})
        for _ in range(2)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    state = stripe.state()
    assert "mail.example" not in json.dumps(state)
    done = [j["objects"]["customers"][0] for j in state["redaction_jobs"] if j["status"] == "succeeded"]
    assert sorted(done) == [f"cus_{n}" for n in range(8)]
    assert len(stripe.invoices.stored) == 24
