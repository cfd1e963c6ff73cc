"""Everything that PayPal hands out about one person, by collection of ``config/processors/paypal.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.privacy.processors.paypal.client import Client
from include.privacy.processors.paypal.drafts import only
from include.privacy.processors.paypal.holdings import Holdings, Object
from include.privacy.processors.paypal.sweep import written
from include.privacy.processors.protocol import Person


def export_one(
    client: Client, person: Person, held: Holdings, until: datetime
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The objects as PayPal gives them; collections with none are left out. Raises what the client raises."""
    emails = {e.casefold() for e in person.emails}
    whole = (client.invoice(str(invoice["id"])) for invoice in held.invoices)
    payments: list[Mapping[str, Any]] = [
        {"subscription_id": subscription["id"], **_shown(payment)}
        for subscription in held.subscriptions
        for payment in client.payments(str(subscription["id"]), _began(subscription, until), written(until))
    ]
    collections: dict[str, Sequence[Mapping[str, Any]]] = {
        "payment_tokens": [{k: v for k, v in _shown(t).items() if k != "id"} for t in held.payment_tokens],
        "subscriptions": [_shown(s) for s in held.subscriptions],
        "subscription_payments": payments,
        "invoices": [only(invoice, emails) for invoice in whole if invoice is not None],
        "transactions": list(held.transactions),
    }
    return {name: objects for name, objects in collections.items() if objects}


def _shown(value: Object) -> dict[str, Any]:
    """Without links: they are calls of the interface, and hold the ids of payment methods."""
    return {k: v for k, v in value.items() if k != "links"}


def _began(subscription: Object, until: datetime) -> str:
    """From when payments are asked for; they reach further back than the search for transactions."""
    for field in ("create_time", "start_time"):
        try:
            return written(datetime.fromisoformat(str(subscription.get(field, ""))))
        except ValueError:
            continue
    return written(until.replace(year=until.year - 10, day=1))
