"""What the processors' stand-ins hold of the demo's people, asked of them and not of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from include.sandbox.processors import PAYPAL, SENDGRID
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.rights import CORRECTED, Asked
from include.sandbox.verify import Check
from include.sandbox.world import World

STRIPE, POSTMARK = "stripe", "postmark"
YOUNG = timedelta(days=90)
"""Stripe redacts a charge no earlier."""


@dataclass(frozen=True)
class Known:
    """One person as the processors knew them before: afterwards nothing of the platform leads there."""

    account: int
    email: str
    customer: str | None


def payers(world: World, *, young: bool) -> list[int]:
    """Accounts with a customer at Stripe, and with a charge there of the last 90 days, or without."""
    state = _state(world, STRIPE)
    since = (datetime.now(UTC) - YOUNG).timestamp()
    late = {charge["customer"] for charge in state["charges"] if charge["created"] > since}
    disputed = {charge["customer"] for charge in state["charges"] if charge["disputed"]}
    return sorted(
        int(customer["metadata"]["account_id"])
        for customer in state["customers"]
        if "account_id" in customer["metadata"]
        and customer["id"] not in disputed
        and (customer["id"] in late) is young
    )


def know(world: World, accounts: Iterable[int]) -> list[Known]:
    """Who these people are, while the platform still says it."""
    with psycopg.connect(world.dsn("accounts")) as connection:
        rows = connection.execute(
            "SELECT a.id, a.email, g.stripe_customer_id FROM accounts a "
            "LEFT JOIN gateway_customers g ON g.account_id = a.id WHERE a.id = ANY(%s) ORDER BY a.id",
            [list(accounts)],
        )
        return [Known(*row) for row in rows]


def check(world: World, asked: Sequence[Asked], erased: Sequence[Known]) -> list[Check]:
    """The end states at the stand-ins: one pending with its date, one manual, the rest done."""
    stripe, sendgrid, postmark = (_state(world, name) for name in (STRIPE, SENDGRID, POSTMARK))
    outcomes = _outcomes(world, asked)
    emails = {known.email for known in erased}
    customers = {known.customer for known in erased if known.customer}
    done = {c for c in customers if c in stripe["redacted"]}
    waiting = {c["id"] for c in stripe["customers"] if c["id"] in customers - done and _restricted(c)}
    running = [s for s in stripe["subscriptions"] if s["customer"] in customers and s["status"] == "active"]
    contacts = {str(contact.get("email")) for contact in sendgrid["contacts"]}
    written = [json.dumps(message, ensure_ascii=False) for message in postmark["messages"]]
    return [
        Check(
            "P5.1",
            "Stripe: redacted, or restricted and pending until the charge is 90 days old",
            bool(waiting) and done | waiting == customers and not running,
            f"{len(done)} redacted, {len(waiting)} pending",
        ),
        Check(
            "P5.2",
            "PayPal: what is ours there is gone, the rest waits for staff as manual",
            any(o[PAYPAL][0] == "manual" for o in outcomes.values() if PAYPAL in o),
        ),
        Check("P5.5", "SendGrid has no contact of anybody erased", not emails & contacts),
        Check(
            "P5.6", "Postmark shows no message to anybody erased", not any(_names(written, e) for e in emails)
        ),
        Check(
            "P5.1",
            "a pending outcome says until when",
            any(o[STRIPE][0] == "pending" and o[STRIPE][1] for o in outcomes.values() if STRIPE in o),
        ),
        Check(
            "P6.2",
            "Stripe's customer has the corrected name and address",
            any(
                (c["name"], c["email"]) == (CORRECTED["full_name"], CORRECTED["email"])
                for c in stripe["customers"]
            ),
        ),
    ]


def _state(world: World, name: str) -> dict[str, Any]:
    return ProcessorControl(world.processor_endpoints[name]).state()


def _restricted(customer: Mapping[str, Any]) -> bool:
    return customer["metadata"].get("processing_restricted") == "1"


def _names(written: Iterable[str], email: str) -> bool:
    return any(email in each for each in written)


def _outcomes(world: World, asked: Sequence[Asked]) -> dict[str, dict[str, tuple[str, Any]]]:
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    with psycopg.connect(world.dsn("ledger")) as ledger:
        for request, recipient, state, until in ledger.execute(
            "SELECT q.external_id, r.recipient, r.state, r.until FROM ledger.recipient_outcome r "
            "JOIN ledger.request q ON q.id = r.request_id WHERE q.external_id = ANY(%s)",
            [[each.external_id for each in asked]],
        ):
            found.setdefault(request, {})[recipient] = (state, until)
    return found
