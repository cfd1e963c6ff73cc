"""What one person has at Stripe: the customers, by every address and stored id, and all that is theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from include.privacy.processors.protocol import Person
from include.privacy.processors.stripe.client import CallRefusedError, Calls

IDENTIFIER = "stripe_customer_id"

LISTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "charges": ("/v1/charges", {}),
    "payment_intents": ("/v1/payment_intents", {}),
    "setup_intents": ("/v1/setup_intents", {}),
    "invoices": ("/v1/invoices", {}),
    "subscriptions": ("/v1/subscriptions", {"status": "all"}),
    "payment_methods": ("/v1/customers/{customer}/payment_methods", {}),
    "tax_ids": ("/v1/customers/{customer}/tax_ids", {}),
    "balance_transactions": ("/v1/customers/{customer}/balance_transactions", {}),
    "credit_notes": ("/v1/credit_notes", {}),
    "checkout_sessions": ("/v1/checkout/sessions", {}),
    "verification_sessions": ("/v1/identity/verification_sessions", {}),
}
"""Collection → path and what is asked besides the customer."""
_SECRETS = frozenset({"client_secret", "ephemeral_key_secret"})

Customer = dict[str, Any]


def spellings(emails: Iterable[str]) -> list[str]:
    """The addresses as given and in lower case: Stripe's filter is exact, letter by letter."""
    return list(dict.fromkeys(s for e in emails for s in (e, e.lower())))


def customers(calls: Calls, person: Person, *, version: str | None = None) -> list[Customer]:
    """Every customer with an address of the person's, and those of the stored ids, also deleted ones.

    The list is asked, not the search: it is never behind.
    """
    found: dict[str, Customer] = {}
    for email in spellings(person.emails):
        for customer in calls.pages("/v1/customers", version=version, email=email):
            found[customer["id"]] = customer
    for known in [*person.ids.get(IDENTIFIER, ()), *person.memo.get("customers", ())]:
        if known not in found and (one := customer_of(calls, known, version=version)):
            found[known] = one
    return list(found.values())


def customer_of(calls: Calls, customer_id: str, *, version: str | None = None) -> Customer | None:
    """One customer; none when Stripe never had it, or has it no more."""
    try:
        return calls.get(f"/v1/customers/{customer_id}", version=version)
    except CallRefusedError as error:
        if error.missing:
            return None
        raise


def is_gone(customer: Mapping[str, Any]) -> bool:
    """Deleted or redacted: Stripe answers for it still, but knows nothing of the person."""
    redaction = customer.get("redaction") or {}
    return bool(customer.get("deleted")) or redaction.get("status") == "redacted"


def listed(calls: Calls, collection: str, customer_id: str) -> list[dict[str, Any]]:
    """All objects of one collection; none where a customer that is gone has no such list."""
    path, more = LISTS[collection]
    nested = "{customer}" in path
    if nested:
        path, whose = path.format(customer=customer_id), {}
    else:
        field = "related_customer" if collection == "verification_sessions" else "customer"
        whose = {field: customer_id}
    try:
        return list(calls.pages(path, **whose, **more))
    except CallRefusedError as error:
        if error.missing and nested:
            return []
        raise


def holdings(calls: Calls, person: Person) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every collection with its objects, all pages; without secrets."""
    found = customers(calls, person)
    yield "customers", [without_secrets(c) for c in found]
    for collection in LISTS:
        objects = [o for c in found for o in listed(calls, collection, c["id"])]
        # A payment method of one customer never shows at another, but a list may move between two pages.
        yield collection, list({o["id"]: without_secrets(o) for o in objects}.values())


def without_secrets(value: Any) -> Any:
    """The same without what would let whoever reads it act (``client_secret``)."""
    if isinstance(value, dict):
        return {k: without_secrets(v) for k, v in value.items() if k not in _SECRETS}
    if isinstance(value, list):
        return [without_secrets(v) for v in value]
    return value
