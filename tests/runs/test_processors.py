"""Rights at the processors, whole: what the stand-ins hold in the end, and what the person is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.mailbox import read_mailbox
from include.sandbox.processors.seeding import platform_people
from include.sandbox.rights import _files
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(300)
ALL = ("stripe", "paypal", "sendgrid", "postmark")
Known = Mapping[str, Any]


class Outside:
    """The processors of the world, and the people they have been told of."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self.control = {name: ProcessorControl(estate.world.processor_endpoints[name]) for name in ALL}
        self._people = {p["account_id"]: p for p in platform_people(estate.platform.dsn("accounts"))}

    def seed(self, *accounts: int) -> None:
        people = [self._people[account] for account in accounts]
        for control in self.control.values():
            control.seed(people)

    def text(self, name: str) -> str:
        return json.dumps(self.control[name].state(), ensure_ascii=False)

    def take(self, gateway: str, *, young: bool = False) -> Known:
        """Somebody active whom only that gateway knows; everybody once, for what is erased there stays so.

        ``young``: with a charge of the last 90 days at Stripe.
        """
        other = {"stripe_customer_id": "paypal_payer_id", "paypal_payer_id": "stripe_customer_id"}[gateway]
        with psycopg.connect(self._estate.platform.dsn("accounts")) as accounts:
            rows = accounts.execute("SELECT id FROM accounts WHERE status = 'active' ORDER BY id").fetchall()
        for (account,) in rows:
            person = self._people[account]
            if account in TAKEN or not person[gateway] or person[other] or not person["newsletter"]:
                continue
            self.seed(account)
            if gateway == "stripe_customer_id" and self._charged_lately(person) is not young:
                continue  # another kind, or in dispute
            if person["email"] in json.dumps(self.control["sendgrid"].state()["suppressions"]):
                continue  # SendGrid keeps that they want no mail
            TAKEN.add(account)
            return person
        raise AssertionError("the platform has nobody left of that kind")

    def _charged_lately(self, person: Known) -> bool | None:
        since = (self._estate.as_of - timedelta(days=90)).timestamp()
        charges = self.control["stripe"].state()["charges"]
        mine = [c for c in charges if c["customer"] == person["stripe_customer_id"]]
        return None if any(c["disputed"] for c in mine) else any(c["created"] > since for c in mine)


TAKEN: set[int] = set()


@pytest.fixture
def outside(estate: Estate) -> Iterator[Outside]:
    found = Outside(estate)
    yield found
    for control in found.control.values():
        control.clear_faults()


def outcomes(estate: Estate, external: str) -> dict[str, str]:
    row = estate.ledger.find_request(external)
    return {r.recipient: r.state for r in estate.ledger.recipients(row.id)}


def settled(estate: Estate, minutes: int = 30) -> Any:
    return estate.run("settle_recipients", as_of=estate.as_of + timedelta(minutes=minutes))


@pytest.mark.whole_dag
def test_an_erasure_ends_when_the_last_processor_has_erased(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id")
    external = estate.ask(person["account_id"])
    assert person["email"] in outside.text("stripe") and person["email"] in outside.text("sendgrid")
    assert estate.run("intake_subject_requests").state == "success"
    run = estate.run("fulfil_erasure_requests")
    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", person["account_id"]) == 0
    assert estate.ledger.find_request(external).state == "awaiting_recipients"
    twice = estate.run("fulfil_erasure_requests", as_of=estate.as_of + timedelta(minutes=15))
    assert twice.state == "success", "one that waits is not taken up again"

    for minutes in (20, 40, 60):
        assert settled(estate, minutes).state == "success"
    row = estate.ledger.find_request(external)
    assert row.state == "completed_with_retention", outcomes(estate, external)
    found = outcomes(estate, external)
    assert found["paypal"] == "not_held" and found["sendgrid"] == "erased"
    assert found["stripe"] == "retained", "invoices stay for the tax office"
    assert person["stripe_customer_id"] in outside.control["stripe"].state()["redacted"]
    assert person["email"] not in {c["email"] for c in outside.control["sendgrid"].state()["contacts"]}
    last = [mail for mail in read_mailbox(estate.world) if external in mail.text][-1]
    assert "Stripe" in last.text and "SendGrid" in last.text
    assert row.subject_key is None and row.details is None
    assert not [t for t in estate.ledger.recipient_tasks(row.id) if t.person is not None], "nobody is known"


def test_a_young_charge_is_told_in_time_with_its_day(
    estate: Estate, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.steps import runs

    person = outside.take("stripe_customer_id", young=True)
    external = estate.ask(person["account_id"])
    estate.fulfil("erasure")
    row = estate.ledger.find_request(external)
    assert row.state == "awaiting_recipients"
    (stripe,) = (r for r in estate.ledger.recipients(row.id) if r.recipient == "stripe")
    assert stripe.state == "pending" and stripe.until > row.due_at
    (letter,) = (x for x in estate.ledger.letters(row.id) if x.kind == "recipients_pending")
    assert letter.state == "sent"
    late = estate.run("watch_request_deadlines", as_of=row.due_at + timedelta(days=1))
    assert late.state == "success", "the person was answered in time"

    after = stripe.until + timedelta(hours=1)
    ahead = (after - estate.as_of).total_seconds()
    monkeypatch.setattr(runs, "current_instant", lambda: after + timedelta(days=1))
    outside.control["stripe"].configure(seconds=ahead)
    try:
        for hours in range(8):
            estate.run("settle_recipients", as_of=after + timedelta(hours=hours))
    finally:
        outside.control["stripe"].configure(seconds=0)
    closed = estate.ledger.find_request(external)
    assert closed.state.startswith("completed"), [
        r.detail for r in estate.ledger.recipients(row.id) if r.open
    ]
    assert person["stripe_customer_id"] in outside.control["stripe"].state()["redacted"]


def test_what_is_manual_waits_for_staff_and_their_proof(estate: Estate, outside: Outside) -> None:
    from include.privacy.requests.command_line import show_recipient

    person = outside.take("paypal_payer_id")
    external = estate.ask(person["account_id"])
    assert estate.run("intake_subject_requests").state == "success"
    assert estate.run("fulfil_erasure_requests").state == "success"
    for minutes in (20, 40):
        settled(estate, minutes)
    row = estate.ledger.find_request(external)
    assert outcomes(estate, external)["paypal"] == "manual"
    assert row.state == "awaiting_recipients"
    shown = show_recipient(row.id, "paypal")
    assert "Article 17 GDPR" in shown and person["paypal_payer_id"] in shown
    form = {"request_id": str(row.id), "recipient": "paypal", "outcome": "retained", "proof": "PP-2026/17"}
    assert estate.run("confirm_recipient", form).state == "failed", "kept until when?"
    assert estate.run("confirm_recipient", {**form, "until": "2036-11-20"}).state == "success"
    settled(estate, 60)
    assert estate.ledger.find_request(external).state == "completed_with_retention"
    last = [mail for mail in read_mailbox(estate.world) if external in mail.text][-1]
    assert "PayPal decides for itself" in last.text and "paypal.com" in last.text


def test_a_processor_that_is_down_delays_its_own_part_only(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id")
    external = estate.ask(person["account_id"])
    outside.control["postmark"].fail(kind="status", status=503, count=500)
    assert estate.run("intake_subject_requests").state == "success"
    run = estate.run("fulfil_erasure_requests")
    assert run.state == "failed", "it says so"
    found = outcomes(estate, external)
    assert found["postmark"] == "pending" and found["sendgrid"] in ("erased", "pending")
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", person["account_id"]) == 0
    assert settled(estate, 20).state == "failed"
    outside.control["postmark"].clear_faults()
    for minutes in (40, 60, 80):
        last = settled(estate, minutes)
    assert last.state == "success", estate.states(last)
    assert estate.ledger.find_request(external).state.startswith("completed")


def test_a_hold_placed_in_between_stops_the_processors_too(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id", young=True)
    account = str(person["account_id"])
    estate.ask(person["account_id"])
    assert estate.run("intake_subject_requests").state == "success"
    outside.control["sendgrid"].fail(kind="status", status=503, count=500)
    assert estate.run("fulfil_erasure_requests").state == "failed"
    outside.control["sendgrid"].clear_faults()
    estate.ledger.place_hold("2026-120", "litigation", "counsel", "subject", account)
    settled(estate, 20)
    assert person["email"] in {c["email"] for c in outside.control["sendgrid"].state()["contacts"]}
    (hold,) = estate.ledger.hold_rows()
    assert estate.run("release_legal_hold", {"hold_id": str(hold.id)}).state == "success"
    for minutes in (60, 80):
        settled(estate, minutes)
    assert person["email"] not in {c["email"] for c in outside.control["sendgrid"].state()["contacts"]}


def test_an_archive_has_what_each_processor_holds(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id")
    external = estate.ask(person["account_id"], "access")
    assert estate.fulfil("access").state == "success"
    (ready,) = (a for a in estate.answers() if a["request_id"] == external and a["kind"] == "access_ready")
    files = _files(ready["body"])
    stripe = {name for name in files if name.startswith("data/stripe/")}
    assert {"data/stripe/customers.json", "data/stripe/invoices.json"} <= stripe
    customers = json.loads(files["data/stripe/customers.json"])
    assert person["stripe_customer_id"] in {customer["id"] for customer in customers}
    assert "data/sendgrid/contacts.json" in files
    assert outcomes(estate, external)["stripe"] == "exported"
    assert outcomes(estate, external)["paypal"] == "not_held"


def test_a_correction_reaches_the_processors(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id")
    now = {"full_name": "Ottilie Windermere", "email": f"ottilie-{person['account_id']}@people.example"}
    external = estate.ask(person["account_id"], "rectification", details={"corrections": now})
    estate.fulfil("rectification")
    settled(estate, 60)
    assert estate.ledger.find_request(external).state == "completed", outcomes(estate, external)
    state = outside.control["stripe"].state()
    (customer,) = (c for c in state["customers"] if c["id"] == person["stripe_customer_id"])
    assert (customer["name"], customer["email"]) == (now["full_name"], now["email"])
    contacts = {c["email"] for c in outside.control["sendgrid"].state()["contacts"]}
    assert now["email"] in contacts and person["email"] not in contacts
    last = [mail for mail in read_mailbox(estate.world) if external in mail.text][-1]
    assert "Stripe" in last.text


def test_an_objection_to_marketing_stops_it_at_the_mailers(estate: Estate, outside: Outside) -> None:
    person = outside.take("stripe_customer_id")
    details = {"purposes": ["marketing.communications.email"]}
    external = estate.ask(person["account_id"], "objection", details=details)
    estate.fulfil("objection")
    assert estate.ledger.find_request(external).state == "completed"
    assert outcomes(estate, external)["sendgrid"] == "stopped"
    assert person["email"] in json.dumps(outside.control["sendgrid"].state()["suppressions"])


def test_who_is_purged_is_purged_at_the_processors(estate: Estate, outside: Outside) -> None:
    purged = estate.due()
    outside.seed(*purged)
    assert estate.run("enforce_database_retention").state == "success"
    for minutes in (20, 40, 60):
        settled(estate, minutes)
    contacts = {c["email"] for c in outside.control["sendgrid"].state()["contacts"]}
    assert not contacts & {outside._people[account]["email"] for account in purged}
    assert estate.ledger.failing_recipients() == {}


def test_a_dry_run_tells_no_processor_anything(estate: Estate, outside: Outside) -> None:
    purged = estate.due()
    outside.seed(*purged)
    before = {name: outside.text(name) for name in ("stripe", "paypal", "sendgrid")}
    assert estate.run("enforce_database_retention", {"dry_run": True}).state == "success"
    assert settled(estate, 20).state == "success"
    assert {name: outside.text(name) for name in before} == before
