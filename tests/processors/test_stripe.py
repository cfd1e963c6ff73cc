"""Stripe: every customer found, all of it exported, wound down, and gone in the end; what is kept is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.advancing import Work, advance
from include.privacy.processors.protocol import ObjectOutcome, Report, State
from include.privacy.processors.stripe.holdings import LISTS
from include.privacy.stores.objects.model import BucketError
from include.sandbox.processors import stripe_objects as objects
from include.sandbox.processors.stripe_store import DAY
from tests.processors.matrix import carry_out
from tests.processors.stripe_account import AS_OF, NOW, OLD, Account, account, add, email, person, shipped

ENDED = {"subscriptions": "canceled", "setup_intents": "canceled", "checkout_sessions": "expired"}


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path) as made:
        yield made


def outcome(report: Report, kind: str) -> ObjectOutcome:
    (found,) = [o for o in report.outcomes if o.kind == kind]
    return found


def texts(account: Account, customer_id: str) -> str:
    return json.dumps(account.about(customer_id))


def once(account: Account, *numbers: int, **more: Any) -> dict[str, Report]:
    people = [person(n, **more) for n in numbers]
    return {r.reference: r for r in account.connect().erase(people, as_of=AS_OF)}


def test_all_customers_are_found_by_every_spelling_and_by_stored_ids_and_no_others(stripe: Account) -> None:
    add(stripe.store, 1)
    add(stripe.store, 1, suffix="x")
    stripe.store.of["customers"]["cus_1x"]["email"] = email(1).upper()
    add(stripe.store, 2)
    add(stripe.store, 3)
    known = person(
        1, emails=(email(1).upper(), "former@mail.example"), ids={"stripe_customer_id": ("cus_3",)}
    )
    (found,) = stripe.connect().find([known])
    assert found.counts["customers"] == 3 and found.counts["charges"] == 3
    assert next(stripe.connect().find([person(9)])).counts == {}
    assert not list(stripe.connect().find([]))


def test_an_export_has_every_page_of_every_list_and_no_secret(stripe: Account) -> None:
    add(stripe.store, 1)
    for n in range(230):
        stripe.store.add("charges", objects.charge(f"ch_more{n}", "cus_1", "N", "e@x.example", OLD + n, 5))
    (exported,) = stripe.connect().export([person(1)])
    assert set(exported.collections) == {"customers", *LISTS} == set(shipped().collections)
    assert len({c["id"] for c in exported.collections["charges"]}) == 231
    assert exported.collections["customers"][0]["metadata"] == {"account_id": "1"}
    assert "secret" not in json.dumps(exported.collections)


def test_a_deleted_customer_is_exported_with_what_stripe_kept_of_it(stripe: Account) -> None:
    add(stripe.store, 1)
    stripe.store.delete_customer("cus_1", NOW)
    (exported,) = stripe.connect().export([person(1)])
    assert exported.collections["customers"] == [{"id": "cus_1", "object": "customer", "deleted": True}]
    assert exported.collections["invoices"] and "payment_methods" not in exported.collections


def test_erasure_redacts_everything_after_the_invoices_are_in_our_archive(stripe: Account) -> None:
    add(stripe.store, 1)
    add(stripe.store, 1, suffix="x")
    add(stripe.store, 2)
    other = stripe.about("cus_2")
    reports = carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)
    report = reports["req-1"]
    assert report.state is State.retained
    assert outcome(report, "customer") == ObjectOutcome("customer", State.redacted, 2)
    kept = outcome(report, "invoice")
    assert (kept.count, kept.basis) == (4, "legal_obligation")
    assert kept.until == datetime.fromtimestamp(OLD, UTC) + timedelta(days=3623)
    for customer in ("cus_1", "cus_1x"):
        assert email(1) not in texts(stripe, customer) and "Name1" not in texts(stripe, customer)
        for collection, status in ENDED.items():
            assert {o["status"] for o in stripe.about(customer)[collection]} == {status}
    assert "pm_1" in stripe.state()["redacted"], "a detached card is the person's still"
    # Voided first, archived then, whole; the draft was nobody's invoice.
    names = sorted(i for i, _ in stripe.invoices.stored)
    assert names == ["cn_1", "cn_1x", "in_1a", "in_1b", "in_1xa", "in_1xb"]
    voided = json.loads(stripe.invoices.stored["in_1b", datetime.fromtimestamp(OLD, UTC).date()])
    assert voided["status"] == "void" and voided["customer_email"] == email(1)
    assert stripe.about("cus_2") == other


def test_an_archived_invoice_has_all_its_lines(stripe: Account) -> None:
    add(stripe.store, 1)
    lines = [{"id": f"il_{n}", "object": "line_item", "amount": n} for n in range(23)]
    stripe.store.of["invoices"]["in_1a"]["lines"]["data"] = lines
    once(stripe, 1)
    stored = json.loads(stripe.invoices.stored["in_1a", datetime.fromtimestamp(OLD, UTC).date()])
    assert len(stored["lines"]["data"]) == 23 and stored["lines"]["has_more"] is False


def test_a_customer_known_by_nothing_but_the_address_is_erased_too(stripe: Account) -> None:
    add(stripe.store, 1)
    carry_out(stripe.connect(), "erase", [person(1, ids={})], as_of=AS_OF)
    assert email(1) not in texts(stripe, "cus_1")


def test_without_redaction_jobs_the_customer_is_scrubbed_and_deleted_and_the_rest_told(
    stripe: Account,
) -> None:
    stripe.standing.control.configure(redaction=False)
    add(stripe.store, 1)
    first = once(stripe, 1)["req-1"]
    assert first.state is State.pending and stripe.about("cus_1")["customers"][0]["email"] == email(1)
    frozen = person(1, ids={}, memo=first.memo)
    report = carry_out(stripe.connect(), "erase", [frozen], as_of=AS_OF)["req-1"]
    assert outcome(report, "customer").state is State.erased
    assert outcome(report, "payment_method").state is State.erased
    assert outcome(report, "subscription").state is State.stopped
    assert outcome(report, "charge").state is State.retained
    about = stripe.about("cus_1")
    assert about["customers"] == [{"id": "cus_1", "object": "customer", "deleted": True}]
    assert not about["tax_ids"] and about["subscriptions"][0]["status"] == "canceled"
    said = [e.request for e in stripe.standing.said if e.request.path == "/v1/customers/cus_1"]
    (scrubbed,) = (r.body for r in said if r.method == "POST")
    assert b"email=erased%40example.invalid" in scrubbed and b"metadata[account_id]=" in scrubbed
    assert [r.method for r in said][-2:] == ["POST", "DELETE"]


def test_a_debt_is_given_up_or_written_off_as_the_settings_say(stripe: Account) -> None:
    add(stripe.store, 1)
    carry_out(stripe.connect(open_invoices="uncollectible"), "erase", [person(1)], as_of=AS_OF)
    assert {i["status"] for i in stripe.about("cus_1")["invoices"]} == {"paid", "uncollectible"}
    assert email(1) not in texts(stripe, "cus_1")


@pytest.mark.parametrize("redaction", [True, False])
def test_nothing_is_erased_as_long_as_the_invoices_cannot_be_stored(stripe: Account, redaction: bool) -> None:
    stripe.standing.control.configure(redaction=redaction)
    add(stripe.store, 1)

    def full(*_: Any) -> bool:
        raise BucketError("the bucket is gone")

    stripe.invoices.put = full  # type: ignore[method-assign] # the bucket of this test is gone
    with pytest.raises(BucketError):
        list(stripe.connect().erase([person(1)], as_of=AS_OF))
    assert stripe.about("cus_1")["customers"][0]["email"] == email(1)
    assert not stripe.state()["redaction_jobs"] and not stripe.state()["redacted"]


def test_what_must_not_be_kept_any_longer_is_not_archived(stripe: Account) -> None:
    add(stripe.store, 1)
    for invoice in stripe.store.of["invoices"].values():
        invoice["status_transitions"]["finalized_at"] = NOW - 3624 * DAY
    stripe.store.of["credit_notes"].clear()
    report = carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)["req-1"]
    assert outcome(report, "invoice").state is State.redacted and report.state is State.redacted
    assert not stripe.invoices.stored


def test_without_redaction_an_old_copy_at_stripe_is_for_a_person_to_remove(stripe: Account) -> None:
    stripe.standing.control.configure(redaction=False)
    add(stripe.store, 1, paid=NOW - 3624 * DAY)
    report = carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)["req-1"]
    assert outcome(report, "charge") == ObjectOutcome("charge", State.manual, code="copy_at_stripe")


def test_a_young_charge_waits_for_its_day_restricted_and_costs_no_call_until_then(stripe: Account) -> None:
    add(stripe.store, 1, paid=NOW - 30 * DAY)
    report = once(stripe, 1)["req-1"]
    ripe = datetime.fromtimestamp(NOW + 60 * DAY, UTC)
    assert (report.state, report.until) == (State.pending, ripe)
    assert outcome(report, "charge").code == "too_young"
    about = stripe.about("cus_1")
    assert about["customers"][0]["metadata"] == {"account_id": "1", "processing_restricted": "1"}
    assert about["subscriptions"][0]["status"] == "canceled" and not about["payment_methods"]
    calls = len(stripe.standing.said)
    waiting = replace(person(1), memo=json.loads(json.dumps(report.memo)))
    adapter = stripe.connect()
    adapter.preflight(as_of=AS_OF)
    (again,) = adapter.settle([waiting], as_of=ripe - timedelta(seconds=1))
    asked = [
        e.request.path
        for e in stripe.standing.said[calls:]
        if "cus_" in e.request.path + str(e.request.query)
    ]
    assert again == report and not asked
    stripe.standing.control.configure(seconds=61 * DAY)
    done = carry_out(stripe.connect(), "erase", [waiting], as_of=ripe)["req-1"]
    assert outcome(done, "payment_method").state is State.redacted
    assert email(1) not in texts(stripe, "cus_1")


def test_an_open_dispute_is_looked_at_once_a_day_and_a_closed_one_is_no_obstacle(stripe: Account) -> None:
    add(stripe.store, 1, dispute="needs_response")
    add(stripe.store, 2, dispute="lost")
    reports = once(stripe, 1, 2)
    assert outcome(reports["req-1"], "dispute").code == "needs_response"
    assert reports["req-1"].until == AS_OF + timedelta(hours=24)
    assert outcome(reports["req-2"], "customer").code == "redaction_created"
    waiting = replace(person(1), memo=reports["req-1"].memo)
    (next_day,) = stripe.connect().settle([waiting], as_of=AS_OF + timedelta(hours=24))
    assert next_day.until == AS_OF + timedelta(hours=48)
    stripe.store.of["disputes"]["dp_1"]["status"] = "won"
    carry_out(stripe.connect(), "erase", [waiting], as_of=AS_OF + timedelta(hours=48))
    assert email(1) not in texts(stripe, "cus_1")


def test_a_dispute_that_comes_up_before_the_job_runs_stops_it(stripe: Account) -> None:
    add(stripe.store, 1)
    created = once(stripe, 1)["req-1"]
    stripe.connect().preflight(as_of=AS_OF)
    stripe.state()  # validated by now
    stripe.store.of["charges"]["ch_1"]["disputed"] = True
    stripe.store.add("disputes", objects.dispute("dp_1", "ch_1", NOW, 900, "under_review"))
    (stopped,) = stripe.connect().settle([replace(person(1), memo=created.memo)], as_of=AS_OF)
    assert (stopped.state, outcome(stopped, "customer").code) == (State.pending, "in_the_way")
    (waiting,) = stripe.connect().settle([replace(person(1), memo=stopped.memo)], as_of=AS_OF)
    assert outcome(waiting, "dispute").state is State.pending
    assert [j["status"] for j in stripe.state()["redaction_jobs"]] == ["canceled"]
    assert email(1) in texts(stripe, "cus_1")


def test_a_payment_under_way_at_a_bank_is_waited_for(stripe: Account) -> None:
    add(stripe.store, 1)
    stripe.store.of["payment_intents"]["pi_1b"]["status"] = "processing"
    report = once(stripe, 1)["req-1"]
    assert outcome(report, "payment_intent").code == "processing" and not stripe.state()["redaction_jobs"]


def test_nobody_at_stripe_is_not_held_and_again_erased_is_told_again(stripe: Account) -> None:
    assert once(stripe, 1)["req-1"].state is State.not_held
    add(stripe.store, 1)
    stripe.store.delete_customer("cus_1", NOW)
    report = once(stripe, 1)["req-1"]
    assert outcome(report, "customer").state is State.erased
    assert outcome(report, "invoice").state is State.retained
    assert len(stripe.invoices.stored) == 2


def test_identity_documents_are_waited_for(stripe: Account) -> None:
    add(stripe.store, 1)
    stripe.standing.control.configure(job_seconds=3600)
    created = once(stripe, 1)["req-1"]
    stripe.standing.control.configure(job_seconds=0)
    reports = carry_out(
        stripe.connect(), "erase", [replace(person(1), memo=created.memo)], as_of=AS_OF, calls=4
    )
    assert outcome(reports["req-1"], "identity.verification_session").state is State.pending
    stripe.store.of["verification_sessions"]["vs_1"]["redaction"]["status"] = "redacted"
    done = replace(person(1), memo=reports["req-1"].memo)
    report = carry_out(stripe.connect(), "erase", [done], as_of=AS_OF)["req-1"]
    assert outcome(report, "identity.verification_session").state is State.redacted


def test_a_job_takes_its_time_and_an_unknown_status_is_pending(stripe: Account) -> None:
    add(stripe.store, 1)
    stripe.standing.control.configure(job_seconds=600, odd=["pondering"])
    report = once(stripe, 1)["req-1"]
    seen, adapter = [], stripe.connect()
    for minutes in range(0, 75, 5):
        stripe.standing.control.configure(seconds=minutes * 60)
        stripe.store.of["verification_sessions"]["vs_1"]["redaction"] = {"status": "redacted"}
        (report,) = adapter.settle([replace(person(1), memo=report.memo)], as_of=AS_OF)
        seen.append((report.state, outcome(report, "customer").code))
    assert (State.pending, "pondering") in seen
    assert seen.index((State.pending, "redacting")) > seen.index((State.pending, "created"))
    assert seen[-1] == (State.retained, None)


def test_what_validation_finds_is_repaired_and_else_told_by_its_code(stripe: Account) -> None:
    add(stripe.store, 1)
    add(stripe.store, 2)
    created = once(stripe, 1)["req-1"]
    # Somebody opened it again at the till, after it was wound down.
    stripe.store.add("subscriptions", objects.subscription("sub_new", "cus_1", NOW, "active"))
    carry_out(stripe.connect(), "erase", [replace(person(1), memo=created.memo)], as_of=AS_OF)
    assert email(1) not in texts(stripe, "cus_1")
    assert {s["status"] for s in stripe.about("cus_1")["subscriptions"]} == {"canceled"}
    stripe.standing.control.configure(inject={"cus_2": ["invalid_file_purpose"]})
    refused = carry_out(stripe.connect(), "erase", [person(2)], as_of=AS_OF, calls=5)["req-2"]
    assert outcome(refused, "customer").code == "invalid_file_purpose"
    stripe.standing.control.configure(inject={})
    waiting = replace(person(2), memo=refused.memo)
    carry_out(stripe.connect(), "erase", [waiting], as_of=AS_OF)
    assert email(2) not in texts(stripe, "cus_2")


def test_a_job_of_a_crashed_try_is_given_up_for_one_on_record(stripe: Account) -> None:
    add(stripe.store, 1)
    once(stripe, 1)  # its report never came to be on record
    late = replace(person(1), memo={"attempt": 7})  # and Stripe has forgotten the key
    carry_out(stripe.connect(), "erase", [late], as_of=AS_OF)
    assert sorted(j["status"] for j in stripe.state()["redaction_jobs"]) == ["canceled", "succeeded"]


def test_a_job_of_somebody_else_is_waited_for(stripe: Account) -> None:
    add(stripe.store, 1)
    add(stripe.store, 2)
    for n in (1, 2):
        stripe.store.delete_customer(f"cus_{n}", NOW) if n == 2 else None
    theirs = stripe.standing.stand_in.jobs.create({"objects": {"customers": ["cus_1", "cus_2"]}})
    report = carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF, calls=5)["req-1"]
    assert outcome(report, "customer").code == "locked_by_other_job" and report.state is State.pending
    stripe.standing.stand_in.jobs.act(stripe.store.of["redaction_jobs"][theirs["id"]], "cancel", {})
    carry_out(stripe.connect(), "erase", [replace(person(1), memo=report.memo)], as_of=AS_OF)
    assert email(1) not in texts(stripe, "cus_1")


def test_too_many_objects_split_the_job_and_at_last_need_a_person(stripe: Account) -> None:
    add(stripe.store, 1)
    add(stripe.store, 1, suffix="x")
    stripe.standing.control.configure(inject={"cus_1": ["too_many_objects"]})
    report = carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)["req-1"]
    assert outcome(report, "customer") == ObjectOutcome("customer", State.manual, code="too_many_objects")
    assert {len(j["objects"]["customers"]) for j in stripe.state()["redaction_jobs"]} == {1, 2}


def test_more_than_ten_customers_of_one_person_are_more_than_one_job(stripe: Account) -> None:
    for n in range(13):
        add(stripe.store, 1, suffix=f"s{n}" if n else "")
    carry_out(stripe.connect(), "erase", [person(1)], as_of=AS_OF)
    state = stripe.state()
    assert sorted(len(j["objects"]["customers"]) for j in state["redaction_jobs"]) == [3, 10]
    assert email(1) not in json.dumps(state)


def test_the_feature_switched_off_under_way_falls_back_to_deletion(stripe: Account) -> None:
    add(stripe.store, 1)
    created = once(stripe, 1)["req-1"]
    stripe.standing.control.configure(redaction=False)
    waiting = replace(person(1), memo=created.memo)
    report = carry_out(stripe.connect(), "erase", [waiting], as_of=AS_OF)["req-1"]
    assert outcome(report, "customer").state is State.erased
    assert stripe.about("cus_1")["customers"][0] == {"id": "cus_1", "object": "customer", "deleted": True}


def test_a_broken_answer_under_an_idempotency_key_is_not_asked_for_for_ever(stripe: Account) -> None:
    add(stripe.store, 1)
    stripe.standing.control.configure(store_errors=3)
    report = once(stripe, 1)["req-1"]
    assert (report.state, outcome(report, "customer").code) == (State.failed, "http_500")
    carry_out(stripe.connect(), "erase", [replace(person(1), memo=report.memo)], as_of=AS_OF)
    assert email(1) not in texts(stripe, "cus_1")


def test_found_again_begins_anew(stripe: Account) -> None:
    add(stripe.store, 1)
    created = once(stripe, 1)["req-1"]
    works = Work(replace(person(1), memo=created.memo), "erase", begun=True)
    adapter = stripe.connect()
    (running,) = advance(adapter, [works], as_of=AS_OF)
    add(stripe.store, 1, suffix="late")
    (report,) = advance(
        adapter, [Work(replace(person(1), memo=running.memo), "erase", begun=True)], as_of=AS_OF
    )
    assert report.state is State.failed and report.outcomes[-1].code == "found_again"
    carry_out(adapter, "erase", [replace(person(1), memo=report.memo)], as_of=AS_OF)
    assert email(1) not in json.dumps(stripe.state())


def test_verify_counts_what_is_neither_deleted_nor_redacted(stripe: Account) -> None:
    for n in (1, 2, 3):
        add(stripe.store, n)
    stripe.store.delete_customer("cus_2", NOW)
    stripe.store.redact("cus_3")
    found = {
        f.reference: f.counts for f in stripe.connect().verify([person(n) for n in (1, 2, 3)], as_of=AS_OF)
    }
    assert found == {"req-1": {"customer": 1}, "req-2": {}, "req-3": {}}
