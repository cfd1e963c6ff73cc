"""A Stripe account to test against: people with everything one may have there, and an adapter in a hurry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import stripe

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.loading import load_config
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.pacing import Pace
from include.privacy.processors.protocol import Person, Processor
from include.privacy.processors.stripe import connect
from include.sandbox.processors import stripe_objects as objects
from include.sandbox.processors.stripe_store import DAY, Store
from tests.processors.standing import Standing, standing

KEY = "rk_test_of_the_tests"
AS_OF = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOW = int(AS_OF.timestamp())
OLD = NOW - 200 * DAY


class Kept:
    """An invoice archive in memory, as strict as the real one about what is there already."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, date], bytes] = {}

    def put(self, invoice_id: str, issued: date, document: bytes) -> bool:
        new = (invoice_id, issued) not in self.stored
        self.stored.setdefault((invoice_id, issued), document)
        return new


@dataclass
class Account:
    """The stand-in, the store behind it, and what is needed to connect."""

    standing: Standing
    invoices: Kept = field(default_factory=Kept)

    @property
    def store(self) -> Store:
        store: Store = self.standing.stand_in.store
        return store

    def connect(self, **settings: Any) -> Processor:
        """A new adapter, as a new task has one: it gives up after half a second, and does not pause."""
        values = shipped().settings | {"timeout_seconds": 0.25, "at_once": 4} | settings
        return connect(
            shipped().model_copy(update={"settings": values}),
            ConnectionInfo("stripe", "generic", password=KEY),
            self.standing.endpoint,
            invoices=self.invoices,
            pace=Pace(100_000, 1.0, sleep=lambda _: None),
        )

    def state(self) -> dict[str, Any]:
        return self.standing.control.state()

    def about(self, customer_id: str) -> dict[str, list[dict[str, Any]]]:
        """All that is a customer's, collection by collection."""
        return {
            name: [o for o in found if customer_id in (o.get("customer"), o.get("related_customer"), o["id"])]
            for name, found in self.state().items()
            if isinstance(found, list) and name not in ("redacted", "redaction_jobs")
        }


@lru_cache
def shipped() -> ProcessorMap:
    """The map in config/processors/stripe.yaml."""
    return load_config().processors["stripe"]


@contextmanager
def account(folder: Path, **settings: Any) -> Iterator[Account]:
    """An empty account whose clock says :data:`AS_OF`."""
    with standing("stripe", folder, KEY) as running, pytest.MonkeyPatch.context() as patch:
        # The library waits between its tries; what is tested here does not.
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.0)
        patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.0)
        running.stand_in.now = lambda: NOW + running.stand_in._ahead
        running.stand_in.jobs._now = running.stand_in.now
        if settings:
            running.control.configure(**settings)
        yield Account(running)


def person(number: int, **more: Any) -> Person:
    """The n-th person as the platform knows them."""
    values = {"emails": (email(number),), "ids": {"stripe_customer_id": (f"cus_{number}",)}} | more
    return Person(f"req-{number}", **values)


def email(number: int) -> str:
    return f"person{number}@mail.example"


def add(store: Store, number: int, *, paid: int = OLD, suffix: str = "", dispute: str | None = None) -> str:
    """A customer with one of everything, some of it unfinished; returns its id."""
    tail, whose = f"{number}{suffix}", email(number)
    name, customer_id = f"Name{number} Sur", f"cus_{number}{suffix}"
    customer = objects.customer(customer_id, name, whose, OLD, {"account_id": str(number)})
    store.add("customers", customer)
    store.add("charges", objects.charge(f"ch_{tail}", customer_id, name, whose, paid, 900))
    store.add("payment_intents", objects.payment_intent(f"pi_{tail}", customer_id, paid, 900, "succeeded"))
    store.add(
        "payment_intents", objects.payment_intent(f"pi_{tail}b", customer_id, OLD, 900, "requires_action")
    )
    store.add("setup_intents", objects.setup_intent(f"seti_{tail}", customer_id, OLD, "requires_action"))
    for n, status in enumerate(("paid", "open", "draft")):
        number_ = None if status == "draft" else f"PE-{tail}-{n}"
        store.add("invoices", objects.invoice(f"in_{tail}{'abc'[n]}", customer, OLD, 900, status, number_))
    store.add("subscriptions", objects.subscription(f"sub_{tail}", customer_id, OLD, "active"))
    store.add("payment_methods", objects.payment_method(f"pm_{tail}", customer_id, name, whose, OLD))
    store.add("tax_ids", objects.tax_id(f"txi_{tail}", customer_id, OLD))
    store.add("balance_transactions", objects.balance_transaction(f"cbtxn_{tail}", customer_id, OLD))
    store.add("credit_notes", objects.credit_note(f"cn_{tail}", customer_id, f"in_{tail}a", OLD))
    store.add("checkout_sessions", objects.checkout_session(f"cs_{tail}", customer_id, whose, OLD, "open"))
    store.add("verification_sessions", objects.verification_session(f"vs_{tail}", customer_id, OLD))
    if dispute:
        store.of["charges"][f"ch_{tail}"]["disputed"] = True
        store.add("disputes", objects.dispute(f"dp_{tail}", f"ch_{tail}", paid, 900, dispute))
    return customer_id
