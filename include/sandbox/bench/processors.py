"""Processors: the erasure of 5,000 people, in calls and seconds, against the best that interfaces allow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.loading import load_config
from include.privacy.processors import stripe
from include.privacy.processors.advancing import Work, advance
from include.privacy.processors.http import Api
from include.privacy.processors.pacing import Pace
from include.privacy.processors.paypal import PayPal
from include.privacy.processors.paypal.settings import settings_of as paypal_settings
from include.privacy.processors.paypal.token import Token
from include.privacy.processors.postmark.adapter import Postmark
from include.privacy.processors.postmark.calls import PostmarkCalls
from include.privacy.processors.postmark.settings import PostmarkSettings
from include.privacy.processors.protocol import Person, Processor, State
from include.privacy.processors.sendgrid.adapter import SendGrid
from include.privacy.processors.sendgrid.calls import SendGridCalls
from include.privacy.processors.sendgrid.settings import SendGridSettings
from include.privacy.processors.stripe.settings import settings_of as stripe_settings
from include.sandbox.bench.measure import Report, seconds
from include.sandbox.bench.processors_by_hand import BY_HAND
from include.sandbox.bench.processors_least import LEAST
from include.sandbox.processes import ProcessTable, wait_until
from include.sandbox.processors import PAYPAL_CLIENT, new_key, ready, start_processors
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.postmark import account_token
from include.sandbox.world import ROOT, World

# For a quick look: BENCH_PEOPLE=100 .venv/bin/python -m include.sandbox.bench processors
PEOPLE = int(os.environ.get("BENCH_PEOPLE", "5000"))
SEEDED_AT_ONCE = 1_000
NO_LIMIT = 10**9
MOST_ROUNDS = 20
Name = Literal["stripe", "paypal", "sendgrid", "postmark"]
# Everything at once: jobs are done when they are next asked for, and no window is ever used up.
SETTINGS: dict[Name, dict[str, Any]] = {
    "stripe": {"job_seconds": 0, "limit": NO_LIMIT},
    "paypal": {"limit": NO_LIMIT},
    "sendgrid": {"job_seconds": 0, "erase_seconds": 0, "limit": NO_LIMIT},
    "postmark": {"removal_seconds": 0, "limit": NO_LIMIT},
}


class Measured(NamedTuple):
    """What one contender took and made."""

    seconds: float
    calls: int
    least: int
    known: int


def erasures(world: World, report: Report) -> None:
    """The same people, each contender at a stand-in that has seen nobody else."""
    told = population(PEOPLE, datetime.now(UTC))
    people = [person_of(each) for each in told]
    for name in SETTINGS:
        ours = _measured(world, name, told, people, by_hand=False)
        bare = _measured(world, name, told, people, by_hand=True)
        report.add(
            f"erasure of {PEOPLE:,} people at {name}",
            known=ours.known,
            calls=ours.calls,
            least_calls=ours.least,
            calls_vs_least=ours.calls / ours.least,
            seconds=ours.seconds,
            by_hand_s=bare.seconds,
            seconds_vs_by_hand=ours.seconds / bare.seconds,
            by_hand_calls=bare.calls,
            ms_a_call=1000 * ours.seconds / ours.calls,
            by_hand_ms_a_call=1000 * bare.seconds / bare.calls,
        )


def population(count: int, now: datetime) -> list[dict[str, Any]]:
    """People of a platform, as :mod:`include.sandbox.processors.seeding` tells of them.

    A quarter pays through Stripe, a tenth through PayPal, a fifth gets news; whom Postmark knows (a
    quarter), its stand-in decides. The last invoice of everybody is open, so that no payment is too young
    and none disputed: whoever has to wait for a date is not done at any speed.
    """
    people = []
    for n in range(1, count + 1):
        lot, token = n % 20, f"{n:09X}"
        paypal, by_stripe = lot < 2, 2 <= lot < 7
        pays = paypal or by_stripe
        subscription = {"id": f"I-{token}" if paypal else f"sub_{token}", "active": n % 3 > 0}
        issued = [now - timedelta(days=120 + (n * 37 + 31 * k) % 600) for k in range(2)]
        paid = [_invoice(n, k, at, paid=True) for k, at in enumerate(sorted(issued))]
        people.append(
            {
                "account_id": n, "email": f"person{n}@bench.example", "full_name": f"Person Number{n}",
                "locale": "de", "created_at": (now - timedelta(days=800)).isoformat(), "former_emails": [],
                "newsletter": n % 5 == 0,
                "stripe_customer_id": f"cus_{token}" if by_stripe else None,
                "paypal_payer_id": f"PAYER{token}" if paypal else None,
                "subscription": subscription if pays else None,
                "invoices": [*paid, _invoice(n, 2, now - timedelta(days=9), paid=False)] if pays else [],
            }
        )  # fmt: skip
    return people


def person_of(told: dict[str, Any]) -> Person:
    """The person as our own databases know them."""
    ids = {
        "stripe_customer_id": told["stripe_customer_id"],
        "paypal_payer_id": told["paypal_payer_id"],
        "gateway_subscription_id": (told["subscription"] or {}).get("id"),
    }
    return Person(str(told["account_id"]), (told["email"],), {k: (v,) for k, v in ids.items() if v})


def erase(processor: Processor, people: Sequence[Person]) -> None:
    """As the sweeps of the DAGs do, round after round, but with no time between them."""
    known = {p.reference: p for p in people}
    works = [Work(p, "erase") for p in people]
    for _ in range(MOST_ROUNDS):
        if not works:
            return
        waiting = []
        for report in advance(processor, works, as_of=datetime.now(UTC)):
            if report.state is State.failed:
                raise RuntimeError(f"the benchmark's erasure failed at {processor.name}: {report.outcomes}")
            if report.state is State.pending:
                again = replace(known[report.reference], memo=report.memo)
                waiting.append(Work(again, "erase", begun=True))
        works = waiting
    raise RuntimeError(f"{len(works)} people are still pending at {processor.name}")


def adapter(name: Name, endpoint: str, key: str) -> tuple[Processor, int]:
    """Ours, and how many calls it makes at once. Its pace is lifted: seconds measure work, not politeness."""
    mapped = load_config().processors[name]
    pace = Pace(NO_LIMIT, 1.0)
    match name:
        case "stripe":
            info = ConnectionInfo(name, "generic", password=key)
            made = stripe.connect(mapped, info, endpoint, invoices=NoArchive(), pace=pace)
            return made, stripe_settings(mapped).at_once
        case "paypal":
            settings = paypal_settings(mapped)
            token = Token(endpoint, PAYPAL_CLIENT, key, pace)
            api = Api("PayPal", endpoint, pace, headers=token.headers, renew=token.renew)
            return PayPal(mapped, settings, api, token), settings.at_once
        case "sendgrid":
            mail = SendGridSettings.of(mapped)
            calls = SendGridCalls(key, endpoint, calls_per_minute=NO_LIMIT)
            return SendGrid(calls, mapped, mail), mail.at_once
        case "postmark":
            notices = PostmarkSettings.of(mapped)
            server = PostmarkCalls(key, account_token(key), endpoint, calls_per_minute=NO_LIMIT)
            return Postmark(server, mapped, notices), notices.at_once


class NoArchive:
    """Takes invoices and keeps none: writing them to S3 is measured elsewhere."""

    def put(self, invoice_id: str, issued: date, document: bytes) -> bool:
        """Nothing."""
        return True


def _invoice(person: int, number: int, at: datetime, *, paid: bool) -> dict[str, Any]:
    return {
        "number": f"B{person}-{number}", "amount_cents": 1900, "currency": "EUR",
        "issued_at": at.isoformat(), "paid_at": at.isoformat() if paid else None,
    }  # fmt: skip


def _measured(
    world: World, name: Name, told: list[dict[str, Any]], people: list[Person], *, by_hand: bool
) -> Measured:
    with stand_in(world, name) as (endpoint, key):
        control = ProcessorControl(endpoint)
        control.configure(**SETTINGS[name])
        for start in range(0, len(told), SEEDED_AT_ONCE):
            control.seed(told[start : start + SEEDED_AT_ONCE])
        least = LEAST[name](control.state(), people)
        processor, at_once = adapter(name, endpoint, key)
        control.reset_calls()
        if by_hand:
            took = seconds(lambda: BY_HAND[name](endpoint, key, people, at_once))
        else:
            took = seconds(lambda: erase(processor, people))
        calls = control.calls()
        if residue := _residue(name, control.state()):
            raise RuntimeError(f"the benchmark left {residue} objects of people at {name}")
    return Measured(took, calls, least.calls, least.known)


def _residue(name: Name, state: dict[str, Any]) -> int:
    """How many objects are there that should be gone."""
    match name:
        case "stripe":
            return len({c["id"] for c in state["customers"]} - set(state["redacted"]))
        case "paypal":
            running = sum(s["status"] == "ACTIVE" for s in state["subscriptions"].values())
            unpaid = sum(i["status"] in ("DRAFT", "SENT") for i in state["invoices"].values())
            return int(len(state["payment_tokens"]) + running + unpaid)
        case "sendgrid":
            return len(state["contacts"]) + len(state["log"]) + len(state["suppressions"]["bounces"])
        case "postmark":
            return len(state["messages"]) + len(state["bounces"])


@contextmanager
def stand_in(world: World, name: Name) -> Iterator[tuple[str, str]]:
    """A stand-in in a process of its own, with its key; ended afterwards."""
    folder = world.folder / f"bench-{name}-{uuid4().hex[:8]}"
    folder.mkdir()
    table, key = ProcessTable(folder), new_key(name)
    try:
        process, endpoints = start_processors(table, {name: key}, root=ROOT, tied=world.tied)
        wait_until(lambda: ready(endpoints), process=process, seconds=60)
        yield endpoints[name], key
    finally:
        table.stop()
