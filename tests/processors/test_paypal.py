"""PayPal's adapter: every outcome, what it refuses, and how few calls it makes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.privacy.connections import ConnectionInfo
from include.privacy.processors.paypal import PayPal, connect
from include.privacy.processors.paypal.notice import Evidence, evidence_of, to_paypal, to_person
from include.privacy.processors.paypal.settings import settings_of
from include.privacy.processors.paypal.sweep import windows
from include.privacy.processors.protocol import (
    Person,
    ProcessorRefusedError,
    Report,
    State,
)
from tests.processors.matrix import carry_out
from tests.processors.paypal_people import (
    AS_OF,
    SECRET,
    adapter,
    email,
    mapped,
    of,
    payer_id,
    paypal,
    person,
    platform_person,
)
from tests.processors.standing import Standing


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Standing]:
    with paypal(tmp_path, 6) as running:
        yield running


@pytest.fixture
def api(stand_in: Standing) -> PayPal:
    return adapter(stand_in.endpoint)


def states(report: Report) -> dict[tuple[str, str], int]:
    return {(o.kind, o.state.value): o.count for o in report.outcomes}


def erased(api: PayPal, someone: Person) -> Report:
    return carry_out(api, "erase", [someone], as_of=AS_OF)[someone.reference]


def test_the_shipped_map_is_one_the_adapter_takes() -> None:
    shipped = mapped()
    assert settings_of(shipped).days_back == 1_095
    assert (shipped.role, bool(shipped.privacy_url)) == ("controller", True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"at_once": 0}}, "settings.at_once"),
        ({"settings": {"speed": 1}}, "settings.speed"),
        ({"settings": {"vault_customer": "shoe_size"}}, "vault_customer"),
        ({"objection": {"essential.fraud_detection": "invoice"}}, "objection.essential.fraud_detection"),
        ({"keeps": {"payment_token": mapped().keeps["invoice"]}}, "keeps.payment_token"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings_of(mapped(**changes))


@pytest.mark.parametrize("info", [{"login": "x"}, {"password": "x"}])
def test_a_connection_without_id_or_secret_says_what_to_put_there(info: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="client id of a REST app as login"):
        connect(mapped(), ConnectionInfo("paypal", "generic", **info), None)


def test_an_endpoint_without_tls_elsewhere_is_refused() -> None:
    info = ConnectionInfo("paypal", "generic", login="a", password="b")
    with pytest.raises(ValueError, match="https"):
        connect(mapped(), info, "http://api-m.paypal.example")


def test_a_wrong_secret_concerns_everybody(stand_in: Standing) -> None:
    wrong = adapter(stand_in.endpoint, secret="another")
    with pytest.raises(ProcessorRefusedError, match="check"):
        list(wrong.erase([person(1)], as_of=AS_OF))


def test_preflight_names_the_features_that_are_off(stand_in: Standing, api: PayPal) -> None:
    assert api.preflight(as_of=AS_OF).problems == ()
    stand_in.control.configure(off=["transaction_search", "vault"], expire_tokens=True)
    found = api.preflight(as_of=AS_OF)
    assert found.features == {
        "vault": False,
        "subscriptions": True,
        "invoicing": True,
        "transaction_search": False,
    }
    assert [p.split("feature ")[1].split(" is")[0] for p in found.problems] == ["Vault", "Transaction Search"]
    assert not stand_in.calls("DELETE") and not stand_in.calls("PUT")


def test_everything_of_a_person_is_found(api: PayPal) -> None:
    found = {f.reference: f.counts for f in api.find([person(5), person(6)])}
    assert found == {
        "r-5": {"payment_token": 7, "subscription": 1, "invoice": 1, "transaction": 3},
        "r-6": {"payment_token": 1, "subscription": 1, "invoice": 3, "transaction": 3},
    }


def test_an_export_holds_all_but_ids_with_which_payments_could_be_made(
    stand_in: Standing, api: PayPal
) -> None:
    [exported] = api.export([person(2)])
    assert {k: len(v) for k, v in exported.collections.items()} == {
        "payment_tokens": 7,
        "subscriptions": 1,
        "subscription_payments": 3,
        "invoices": 2,
        "transactions": 3,
    }
    assert set(exported.collections) <= set(mapped().collections)
    text = str(exported.collections)
    assert not any(t["id"] in text for t in of(stand_in.control.state(), 2)["payment_tokens"])
    assert all("items" in invoice for invoice in exported.collections["invoices"]), "the whole invoice"


def test_nobody_elses_address_is_handed_out(stand_in: Standing, api: PayPal) -> None:
    share(stand_in, 2, "other@people.example", copy="third@people.example")
    [exported] = api.export([person(2)])
    assert "other@people.example" not in str(exported) and "third@people.example" not in str(
        exported.collections
    )


def test_an_erasure_deletes_what_is_ours_and_leaves_the_rest_to_paypal(
    stand_in: Standing, api: PayPal
) -> None:
    others = {n: of(stand_in.control.state(), n) for n in range(1, 6)}
    report = erased(api, person(6))
    assert states(report) == {
        ("payment_token", "erased"): 1,
        ("subscription", "stopped"): 1,
        ("invoice", "erased"): 1,
        ("invoice", "retained"): 2,
        ("transaction", "retained"): 3,
        ("payer", "manual"): 1,
    }
    assert report.state is State.manual
    left = of(stand_in.control.state(), 6)
    assert not left["payment_tokens"]
    assert [s["status"] for s in left["subscriptions"]] == ["CANCELLED"]
    assert sorted(i["status"] for i in left["invoices"]) == ["CANCELLED", "PAID"]
    assert len(left["transactions"]) == 3
    assert {n: of(stand_in.control.state(), n) for n in range(1, 6)} == others
    retained = [o for o in report.outcomes if o.state is State.retained]
    assert {o.basis for o in retained} == {"legal_obligation"} and all(o.until for o in retained)


def test_without_a_reason_to_keep_them_transactions_wait_for_paypal(stand_in: Standing) -> None:
    report = erased(adapter(stand_in.endpoint, keeps={}), person(1))
    assert ("transaction", "manual") in states(report) and ("invoice", "manual") in states(report)
    assert {o.code for o in report.outcomes if o.kind == "transaction"} == {"controller_decides"}


def test_what_is_older_than_its_reason_is_not_retained(stand_in: Standing) -> None:
    short = {k: v.model_copy(update={"days": 365}) for k, v in mapped().keeps.items()}
    report = erased(adapter(stand_in.endpoint, keeps=short), person(1))
    assert states(report)[("transaction", "retained")] == 2 and states(report)[("transaction", "manual")] == 1


@pytest.mark.parametrize("action", ["erase", "rectify"])
def test_nobody_there_is_not_held(api: PayPal, action: Any) -> None:
    nobody = Person("r-0", ("nobody@people.example",), {"gateway_subscription_id": ("sub_0",)})
    reports = carry_out(api, action, [nobody], as_of=AS_OF, values={"r-0": {"email": "new@people.example"}})
    assert reports["r-0"].state is State.not_held


def test_a_payer_of_long_ago_is_told_of_paypal_though_nothing_is_shown(api: PayPal) -> None:
    assert states(erased(api, person(77))) == {("payer", "manual"): 1}


def test_payments_by_a_former_address_or_another_account_are_found(stand_in: Standing, api: PayPal) -> None:
    by_address = Person("r-a", ("somebody@people.example", email(3).upper()))
    by_account = Person("r-b", (), {"paypal_payer_id": (payer_id(4),)})
    found = {f.reference: f.counts["transaction"] for f in api.find([by_address, by_account])}
    assert found == {"r-a": 3, "r-b": 3}


def test_a_second_erasure_repeats_nothing(stand_in: Standing, api: PayPal) -> None:
    first = erased(api, person(6))
    before, calls = stand_in.control.state(), stand_in.calls("POST", "/cancel") + stand_in.calls("DELETE")
    again = erased(api, person(6, memo=first.memo))
    assert stand_in.control.state() == before
    assert stand_in.calls("POST", "/cancel") + stand_in.calls("DELETE") == calls
    assert states(again) == states(first), "an earlier call's deeds are counted still"


def share(stand_in: Standing, number: int, other: str, copy: str | None = None) -> None:
    """Make somebody else a recipient of all of a person's invoices."""
    for invoice in stand_in.stand_in._objects.invoices.values():
        named = [r["billing_info"]["email_address"] for r in invoice["primary_recipients"]]
        if email(number) in named:
            invoice["primary_recipients"].append({"billing_info": {"email_address": other}})
            if copy:
                invoice["additional_recipients"] = [copy, email(number)]


def test_an_invoice_for_others_as_well_stays_theirs(stand_in: Standing, api: PayPal) -> None:
    share(stand_in, 6, "other@people.example")
    report = erased(api, person(6))
    assert ("invoice", "erased") in states(report) and states(report)[("invoice", "manual")] == 2
    invoices = stand_in.control.state()["invoices"].values()
    theirs = [i for i in invoices if "other@people.example" in str(i)]
    assert sorted(i["status"] for i in theirs) == ["DRAFT", "PAID", "SENT"]
    [draft] = [i for i in theirs if i["status"] == "DRAFT"]
    assert email(6) not in str(draft)
    assert draft["items"], "the rest of the draft is as it was"


def test_an_address_that_is_part_of_another_leads_to_nobody_else(stand_in: Standing, api: PayPal) -> None:
    stand_in.control.seed([platform_person(12)])
    erased(api, Person("r-x", (email(12).removeprefix("p"),)))
    assert len(of(stand_in.control.state(), 12)["invoices"]) == 3, "the search found it, we did not take it"


def test_a_draft_is_corrected_and_the_rest_is_for_the_payer(stand_in: Standing, api: PayPal) -> None:
    values = {"r-6": {"email": "new@people.example", "full_name": "Ada Newname", "address": "-"}}
    report = carry_out(api, "rectify", [person(6)], as_of=AS_OF, values=values)["r-6"]
    assert states(report) == {("invoice", "corrected"): 1, ("payer", "manual"): 1}
    [draft] = [i for i in stand_in.control.state()["invoices"].values() if "new@people.example" in str(i)]
    recipient = draft["primary_recipients"][0]
    assert (
        recipient["billing_info"]["name"]
        == recipient["shipping_info"]["name"]
        == {"full_name": "Ada Newname"}
    )
    assert (draft["status"], len(of(stand_in.control.state(), 6)["invoices"])) == ("DRAFT", 2)
    puts = stand_in.calls("PUT")
    again = carry_out(api, "rectify", [person(6)], as_of=AS_OF, values=values)["r-6"]
    assert states(again) == states(report) and stand_in.calls("PUT") == puts


def test_a_correction_that_does_not_reach_paypal_makes_no_call(stand_in: Standing, api: PayPal) -> None:
    values = {"r-1": {"locale": "de"}}
    assert carry_out(api, "rectify", [person(1)], as_of=AS_OF, values=values)["r-1"].state is State.not_held
    assert not stand_in.said


def test_an_objection_stops_what_the_map_names_and_no_more(stand_in: Standing) -> None:
    purpose = "functional.service.improve"
    ours = adapter(stand_in.endpoint, objection={purpose: "subscription+payment_token"})
    report = carry_out(ours, "object", [person(2)], as_of=AS_OF, purpose=purpose)["r-2"]
    assert states(report) == {("subscription", "stopped"): 1, ("payment_token", "stopped"): 7}
    left = of(stand_in.control.state(), 2)
    assert not left["payment_tokens"] and left["subscriptions"][0]["status"] == "CANCELLED"
    assert len(left["invoices"]) == 2
    none = carry_out(ours, "object", [person(3)], as_of=AS_OF, purpose="personalize.content")["r-3"]
    assert none.state is State.not_held and of(stand_in.control.state(), 3)["payment_tokens"]


def test_a_restriction_suspends_payments_only_where_the_settings_say_so(stand_in: Standing) -> None:
    assert carry_out(adapter(stand_in.endpoint), "restrict", [person(1)], as_of=AS_OF)["r-1"].state is (
        State.not_held
    )
    assert not stand_in.said
    suspending = adapter(stand_in.endpoint, settings={"suspend_when_restricted": True})
    for _ in range(2):
        report = carry_out(suspending, "restrict", [person(1)], as_of=AS_OF)["r-1"]
        assert states(report) == {("subscription", "stopped"): 1}
        assert of(stand_in.control.state(), 1)["subscriptions"][0]["status"] == "SUSPENDED"


def test_what_came_back_is_found_again_and_erased(stand_in: Standing, api: PayPal) -> None:
    report = erased(api, person(6))
    someone = person(6, memo=report.memo)
    assert [f.counts for f in api.verify([someone], as_of=AS_OF)] == [{}]
    objects = stand_in.stand_in._objects
    objects.payment_tokens["back"] = {"id": "back", "customer": {"id": payer_id(6)}, "payment_source": {}}
    for subscription in objects.subscriptions.values():
        subscription["status"] = "ACTIVE"
    [found] = api.verify([someone], as_of=AS_OF)
    assert found.counts == {"payment_token": 1, "subscription": 1}


def test_whoever_cannot_be_looked_up_does_not_count_as_gone(stand_in: Standing, api: PayPal) -> None:
    stand_in.control.configure(unknown=[payer_id(1)])
    assert [f.counts for f in api.verify([person(1)], as_of=AS_OF)] == [{"unverified": 1}]


def test_without_transaction_search_the_rest_is_done_and_the_request_stays_open(
    stand_in: Standing, api: PayPal
) -> None:
    stand_in.control.configure(off=["transaction_search"])
    [report] = api.erase([person(1)], as_of=AS_OF)
    assert report.state is State.failed
    assert {o.code for o in report.outcomes if o.state is State.failed} == {"transaction_search_refused"}
    assert not of(stand_in.control.state(), 1)["payment_tokens"]
    with pytest.raises(ProcessorRefusedError):
        list(api.export([person(1)]))
    stand_in.control.configure(off=[])
    done = erased(api, person(1, memo=report.memo))
    assert states(done)[("payment_token", "erased")] == 2, "what the first try deleted"
    assert of(stand_in.control.state(), 1)["subscriptions"][0]["status"] == "CANCELLED"


def test_a_payment_of_the_last_hours_is_not_shown_yet_and_the_evidence_says_so(
    stand_in: Standing, api: PayPal
) -> None:
    now = {"number": "PE-NOW", "amount_cents": 100, "currency": "EUR", "issued_at": AS_OF.isoformat()}
    recent = {**now, "paid_at": (AS_OF - timedelta(hours=1)).isoformat()}
    stand_in.control.seed([platform_person(9, invoices=[recent])])
    stand_in.control.configure(lag_seconds=3 * 3600)
    report = erased(api, person(9))
    assert evidence_of(report.memo).reported_until == "2026-11-25T07:00:00Z"
    assert not evidence_of(report.memo).transactions
    stand_in.control.configure(lag_seconds=0)
    assert evidence_of(erased(api, person(9)).memo).transactions


def test_windows_with_too_many_transactions_are_halved(tmp_path: Path) -> None:
    with paypal(tmp_path) as running:
        running.control.configure(result_limit=1, lag_seconds=30 * 60)
        people = []
        for n in range(20, 24):
            [invoice] = platform_person(n)["invoices"][:1]
            invoice["paid_at"] = (AS_OF - timedelta(minutes=n)).isoformat()
            people.append(platform_person(n, invoices=[invoice]))
        running.control.seed(people)
        api = adapter(running.endpoint)
        found = [f.counts.get("transaction", 0) for f in api.find([person(n) for n in range(20, 24)])]
        assert found == [0] * 4, "not reported yet"
        running.control.configure(lag_seconds=0)
        found = [f.counts.get("transaction", 0) for f in api.find([person(n) for n in range(20, 24)])]
        assert found == [1] * 4


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda d: d.year > 10), st.integers(1, 1_095))
def test_windows_cover_every_second_once(until: datetime, days: int) -> None:
    spans = list(windows(until, days))
    assert all(timedelta(0) <= b - a <= timedelta(days=31) for a, b in spans)
    assert all(later[0] - earlier[1] == timedelta(seconds=1) for later, earlier in pairwise(spans))
    assert spans[0][1] == until.replace(microsecond=0)
    assert spans[-1][0] <= until - timedelta(days=days) + timedelta(seconds=1)


def test_a_cohort_costs_one_pass_over_the_transactions(tmp_path: Path) -> None:
    with paypal(tmp_path, 200) as running:
        api = adapter(running.endpoint)
        people = [person(n) for n in range(1, 201)]
        assert len(list(api.find(people))) == 200
        # 36 windows of a few transactions; four pages hold the invoices of all; the vault gives five a page.
        assert running.calls("GET", "/v1/reporting") == 36
        assert running.calls("POST", "/search-invoices") == 4
        assert running.calls("GET", "/v3/vault") == 200 + 67
        assert running.calls("GET", "/subscriptions/") == 200
        assert len(running.said) == 36 + 4 + 267 + 200 + 1


def test_one_refused_person_of_a_cohort_stops_no_other(tmp_path: Path) -> None:
    with paypal(tmp_path, 120) as running:
        running.control.configure(unknown=[payer_id(50)])
        api = adapter(running.endpoint)
        reports = {r.reference: r for r in api.erase([person(n) for n in range(1, 121)], as_of=AS_OF)}
        assert len(reports) == 120
        assert [r for r, report in reports.items() if report.state is not State.manual] == ["r-50"]
        assert reports["r-50"].outcomes[0].code == "INVALID_RESOURCE_STATE"
        state = running.control.state()
        assert {t["customer"]["id"] for t in state["payment_tokens"].values()} == {payer_id(50)}


def test_a_refused_list_of_invoices_falls_back_to_one_search_each(stand_in: Standing, api: PayPal) -> None:
    people = [person(n) for n in range(1, 7)]
    expected = sorted((f.reference, f.counts) for f in api.find(people))
    assert stand_in.calls("POST", "/search-invoices") == 1
    stand_in.control.fail(kind="status", status=422, path="/search-invoices")
    assert sorted((f.reference, f.counts) for f in api.find(people)) == expected
    assert stand_in.calls("POST", "/search-invoices") == 1 + 6


def test_an_answer_that_makes_no_sense_fails_that_person(stand_in: Standing, api: PayPal) -> None:
    tokens = stand_in.stand_in._objects.payment_tokens
    tokens["odd"] = {"customer": {"id": payer_id(1)}}
    reports = {r.reference: r for r in api.erase([person(1), person(2)], as_of=AS_OF)}
    assert reports["r-1"].outcomes[0].code == "unreadable_answer"
    assert (reports["r-1"].state, reports["r-2"].state) == (State.failed, State.manual)


def test_one_refused_object_stops_no_other_of_the_same_person(stand_in: Standing, api: PayPal) -> None:
    [subscription] = of(stand_in.control.state(), 6)["subscriptions"]
    stand_in.control.fail(kind="status", status=422, method="POST", path="/cancel", count=1)
    [report] = api.erase([person(6)], as_of=AS_OF)
    assert report.state is State.failed and ("subscription", "failed") in states(report)
    assert not of(stand_in.control.state(), 6)["payment_tokens"]
    done = erased(api, person(6, memo=report.memo))
    assert done.state is State.manual and states(done)[("payment_token", "erased")] == 1
    assert stand_in.control.state()["subscriptions"][subscription["id"]]["status"] == "CANCELLED"


def test_a_cohort_interrupted_in_the_middle_is_finished_by_the_next_call(tmp_path: Path) -> None:
    with paypal(tmp_path, 60) as running:
        api = adapter(running.endpoint)
        people = [person(n) for n in range(1, 61)]
        begun = api.erase(people, as_of=AS_OF)
        known = {r.reference for r, _ in zip(begun, range(10), strict=False)}
        begun.close()  # type: ignore[attr-defined] # a generator
        left = [p for p in people if p.reference not in known]
        reports = {r.reference: r for r in api.erase(left, as_of=AS_OF)}
        assert len(reports) == 50 and {r.state for r in reports.values()} == {State.manual}
        state = running.control.state()
        assert not state["payment_tokens"]
        assert {s["status"] for s in state["subscriptions"].values()} == {"CANCELLED"}
        assert {i["status"] for i in state["invoices"].values()} == {"PAID", "CANCELLED"}


def test_nobody_is_written_to(stand_in: Standing, api: PayPal) -> None:
    share(stand_in, 6, "other@people.example")
    erased(api, person(6))
    erased(api, person(3))
    puts = [e.request for e in stand_in.said if e.request.method == "PUT"]
    assert [r.query for r in puts] == [{"send_to_recipient": "false", "send_to_invoicer": "false"}]
    [cancel] = [
        e.request.json() for e in stand_in.said if "/cancel" in e.request.path and "invoice" in e.request.path
    ]
    assert cancel == {"send_to_recipient": False, "send_to_invoicer": False}


def test_no_log_and_no_error_names_anybody_or_the_secret(
    stand_in: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api = adapter(stand_in.endpoint)
    stand_in.control.configure(unknown=[payer_id(3)])
    stand_in.control.fail(kind="reset", path="/v3/vault")
    list(api.find([person(2), person(3)]))
    list(api.erase([person(2), person(3)], as_of=AS_OF))
    stand_in.control.fail(kind="status", status=503, path="/v3/vault", count=50)
    with pytest.raises(Exception, match="next run") as caught:
        list(api.erase([person(1)], as_of=AS_OF))
    said = caplog.text + str(caught.value) + repr(caught.value)
    for secret in (SECRET, "@people", "Family", payer_id(2), payer_id(3), "Bearer", "A21AA"):
        assert secret not in said


def test_the_notice_to_paypal_names_ids_and_dates_only() -> None:
    evidence = replace(
        evidence_of(
            {
                "done": {"payment_token": ["a", "b"]},
                "subscriptions": ["I-1"],
                "transactions": [["T1", "2026-01-02T03:04:05Z"], ["T2", "?"]],
                "reported_until": "2026-11-25T10:00:00Z",
            }
        ),
        payer_ids=("PAYER1",),
    )
    text = to_paypal("case-7", "The Practice Engine GmbH", date(2026, 11, 20), evidence, right="erasure")
    for part in (
        "case-7",
        "2026-11-20",
        "PAYER1",
        "I-1",
        "T1, 2026-01-02",
        "T2, no date",
        ": 2.",
        "Article 17",
    ):
        assert part in text
    correction = to_paypal("c", "We", date(2026, 1, 1), Evidence(), right="rectification")
    assert "Article 16" in correction and "corrected" in correction and "no id is known" in correction


@pytest.mark.parametrize(("language", "word"), [("en", "decides itself"), ("de-AT", "entscheidet selbst")])
def test_the_person_is_told_that_paypal_decides_and_where_to_ask(language: str, word: str) -> None:
    for count in (0, 1, 5):
        text = to_person(
            language, Evidence(transactions=(("T", "2026-01-01"),) * count), url="https://ask.example"
        )
        assert word in text and "https://ask.example" in text and (str(count) in text) == (count == 5)
