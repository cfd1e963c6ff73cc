"""Everything the stand-in stores, and what ends with what: deletion, redaction, seeds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zlib import crc32

from include.sandbox.processors import stripe_objects as objects
from include.sandbox.processors.stripe_forms import BadRequestError

Json = dict[str, Any]
DAY = 86_400
YOUNG = 90 * DAY
COLLECTIONS = (
    "customers", "charges", "payment_intents", "setup_intents", "invoices", "subscriptions",
    "payment_methods", "tax_ids", "balance_transactions", "credit_notes", "checkout_sessions",
    "verification_sessions", "disputes", "redaction_jobs",
)  # fmt: skip


class Store:
    """Objects by collection and id."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Json]] = {name: {} for name in COLLECTIONS}
        self.redacted: set[str] = set()
        self.formerly: dict[str, str] = {}
        """Detached payment methods and whose they were: they go with their customer all the same."""

    def add(self, collection: str, thing: Json) -> Json:
        """Store it."""
        self.of[collection][thing["id"]] = thing
        return thing

    def get(self, collection: str, object_id: str) -> Json:
        """One object, or 404."""
        try:
            return self.of[collection][object_id]
        except KeyError:
            word = collection.removesuffix("s")
            raise BadRequestError(
                f"No such {word}", status=404, code="resource_missing", param="id"
            ) from None

    def living(self, customer_id: str) -> Json:
        """A customer that is not deleted, or 404."""
        found = self.get("customers", customer_id)
        if found.get("deleted"):
            raise BadRequestError("No such customer", status=404, code="resource_missing", param="customer")
        return found

    def owned(self, collection: str, customer_id: str) -> list[Json]:
        """What a customer has in a collection and shows in its lists."""
        field = "related_customer" if collection == "verification_sessions" else "customer"
        return [o for o in self.of[collection].values() if o.get(field) == customer_id]

    def newest_first(self, found: list[Json]) -> list[Json]:
        """As lists are sorted."""
        return sorted(found, key=lambda o: (-o["created"], o["id"]))

    def delete_customer(self, customer_id: str, now: int) -> Json:
        """Subscriptions end, cards go; charges and invoices keep their copies, and so does the id."""
        self.living(customer_id)
        for subscription in self.owned("subscriptions", customer_id):
            end_subscription(subscription, now)
        for collection in ("payment_methods", "tax_ids"):
            for thing in self.owned(collection, customer_id):
                del self.of[collection][thing["id"]]
        for method in self._detached(customer_id):
            del self.of["payment_methods"][method["id"]]
        gone = {"id": customer_id, "object": "customer", "deleted": True}
        self.of["customers"][customer_id] = gone
        return gone

    def everything_of(self, customer_id: str) -> Iterator[Json]:
        """The customer and what hangs on it."""
        yield self.of["customers"][customer_id]
        for collection in COLLECTIONS[1:-2]:
            yield from self.owned(collection, customer_id)
        yield from self._detached(customer_id)

    def _detached(self, customer_id: str) -> list[Json]:
        mine = (m for m, owner in self.formerly.items() if owner == customer_id)
        return [self.of["payment_methods"][m] for m in mine if m in self.of["payment_methods"]]

    def unfit(self, customer_id: str, now: int) -> Iterator[tuple[str, Json]]:
        """What keeps a customer from being redacted: code and object."""
        for charge in self.owned("charges", customer_id):
            if charge["created"] + YOUNG > now or self.disputed(charge["id"]):
                yield "invalid_state", charge
        for collection, fine in _FINISHED.items():
            for thing in self.owned(collection, customer_id):
                if thing["status"] not in fine:
                    yield "invalid_state", thing
        for method in self.owned("payment_methods", customer_id):
            yield "invalid_cascading_source", method

    def disputed(self, charge_id: str) -> bool:
        """Whether a dispute of the charge is open."""
        open_ = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
        return any(d["charge"] == charge_id and d["status"] in open_ for d in self.of["disputes"].values())

    def redact(self, customer_id: str) -> None:
        """Take the person out of the customer and of everything that hangs on it."""
        for thing in self.everything_of(customer_id):
            objects.blank(thing)
            self.redacted.add(thing["id"])


_FINISHED = {
    "subscriptions": ("canceled", "incomplete_expired"),
    "invoices": ("paid", "void", "uncollectible"),
    "payment_intents": ("succeeded", "canceled"),
    "setup_intents": ("succeeded", "canceled"),
    "checkout_sessions": ("complete", "expired"),
}


def end_subscription(subscription: Json, now: int) -> None:
    """Cancel at once."""
    if subscription["status"] != "canceled":
        subscription |= {"status": "canceled", "canceled_at": now, "ended_at": now}


def know(store: Store, person: Json, now: int) -> None:
    """Somebody of the platform who pays through Stripe.

    By the account's id, the same at every seed: most have old charges only; of one in eight the last is
    young, one in twenty disputes one, and one in twelve has a second customer that the platform has lost.
    """
    first = person["stripe_customer_id"]
    if not first or first in store.of["customers"]:
        return
    lot = crc32(str(person["account_id"]).encode())
    _customer(store, person, first, lot, now)
    if lot % 12 == 5:
        created = _seconds(person["created_at"])
        second = objects.customer(f"{first}x2", person["full_name"], person["email"], created, {})
        store.add("customers", second)
        card = objects.payment_method(
            f"pm_{first[4:]}x2", second["id"], second["name"], second["email"], created
        )
        store.add("payment_methods", card)


def _customer(store: Store, person: Json, customer_id: str, lot: int, now: int) -> None:
    created, tail = _seconds(person["created_at"]), customer_id.removeprefix("cus_")
    name, email = person["full_name"], person["email"]
    metadata = {"account_id": str(person["account_id"])}
    customer = store.add("customers", objects.customer(customer_id, name, email, created, metadata))
    store.add("payment_methods", objects.payment_method(f"pm_{tail}", customer_id, name, email, created))
    store.add("setup_intents", objects.setup_intent(f"seti_{tail}", customer_id, created, "succeeded"))
    store.add(
        "checkout_sessions", objects.checkout_session(f"cs_{tail}", customer_id, email, created, "complete")
    )
    subscribed = person["subscription"]
    if subscribed:
        status = "active" if subscribed["active"] else "canceled"
        store.add("subscriptions", objects.subscription(f"sub_{tail}", customer_id, created, status))
    if lot % 5 == 0:
        store.add("tax_ids", objects.tax_id(f"txi_{tail}", customer_id, created))
    if lot % 16 == 3:
        store.add("verification_sessions", objects.verification_session(f"vs_{tail}", customer_id, created))
    last = len(person["invoices"]) - 1
    for n, billed in enumerate(person["invoices"]):
        issued, amount = _seconds(billed["issued_at"]), billed["amount_cents"]
        status = "paid" if billed["paid_at"] else "open"
        number = billed["number"]
        store.add("invoices", objects.invoice(f"in_{tail}{n}", customer, issued, amount, status, number))
        if status == "open":
            continue
        # A subscriber of today has a payment of this month: here few do, so that both ways can be seen.
        paid = now - 20 * DAY if lot % 8 == 0 and n == last else min(issued, now - YOUNG - 30 * DAY)
        charge = objects.charge(f"ch_{tail}{n}", customer_id, name, email, paid, amount)
        store.add("charges", charge)
        intent = objects.payment_intent(charge["payment_intent"], customer_id, paid, amount, "succeeded")
        store.add("payment_intents", intent)
        if lot % 20 == 7 and n == last:
            charge["disputed"] = True
            store.add(
                "disputes", objects.dispute(f"dp_{tail}{n}", charge["id"], paid, amount, "needs_response")
            )


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
