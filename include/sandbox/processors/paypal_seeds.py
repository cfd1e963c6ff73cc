"""The platform's people as PayPal knows them: whoever has a payer id there."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from include.sandbox.processors.paypal_objects import Objects
from include.sandbox.processors.paypal_reports import written


def seed(objects: Objects, people: list[dict[str, Any]], now: datetime) -> None:
    """Payment methods, a subscription, a payment for each paid invoice; for some a draft and an open invoice.

    A second time changes nothing, also where something was deleted since.
    """
    for person in people:
        payer = person.get("paypal_payer_id")
        if not payer or payer in objects.payers:
            continue
        objects.payers.append(payer)
        _payment_tokens(objects, person, payer)
        subscription_id = _subscription(objects, person, payer)
        _transactions(objects, person, payer, subscription_id)
        _invoices(objects, person, now)
    objects.transactions.sort(key=lambda t: t["transaction_info"]["transaction_initiation_date"])


def made(kind: str, payer: str, length: int) -> str:
    """An id that is the same whenever it is made."""
    return hashlib.sha256(f"{kind} {payer}".encode()).hexdigest()[:length].upper()


def _payment_tokens(objects: Objects, person: dict[str, Any], payer: str) -> None:
    given, surname = _name(person)
    wallet = {"email_address": person["email"], "name": {"given_name": given, "surname": surname}}
    card = {"last_digits": "1111", "brand": "VISA", "expiry": "2029-08"}
    sources: list[dict[str, Any]] = [{"paypal": wallet}]
    # The third has more methods than fit on a page.
    sources += [{"card": card}] * {0: 0, 1: 1, 2: 6}[person["account_id"] % 3]
    for number, source in enumerate(sources):
        token_id = made(f"token {number}", payer, 16).lower()
        objects.payment_tokens[token_id] = {
            "id": token_id,
            "customer": {"id": payer[:22]},
            "payment_source": source,
            "links": [_link(f"/v3/vault/payment-tokens/{token_id}")],
        }


def _subscription(objects: Objects, person: dict[str, Any], payer: str) -> str | None:
    subscription = person.get("subscription")
    if not subscription:
        return None
    given, surname = _name(person)
    stored = str(subscription["id"])
    # The platform keeps ids of several gateways; PayPal's own begin so.
    subscription_id = stored if stored.startswith("I-") else "I-" + made("subscription", payer, 12)
    began = written(datetime.fromisoformat(person["created_at"]))
    objects.subscriptions[subscription_id] = {
        "id": subscription_id,
        "plan_id": "P-5ML4271244454362WXNWU5NQ",
        "status": "ACTIVE" if subscription["active"] else "CANCELLED",
        "status_update_time": began,
        "start_time": began,
        "create_time": began,
        "quantity": "1",
        "subscriber": {
            "name": {"given_name": given, "surname": surname},
            "email_address": person["email"],
            "payer_id": payer,
        },
        "links": [_link(f"/v1/billing/subscriptions/{subscription_id}")],
    }
    return subscription_id


def _transactions(objects: Objects, person: dict[str, Any], payer: str, subscription: str | None) -> None:
    given, surname = _name(person)
    for invoice in person.get("invoices") or ():
        if not invoice.get("paid_at"):
            continue
        paid = written(datetime.fromisoformat(invoice["paid_at"]))
        info: dict[str, Any] = {
            "paypal_account_id": payer,
            "transaction_id": made(f"payment {invoice['number']}", payer, 17),
            "transaction_event_code": "T0002" if subscription else "T0006",
            "transaction_initiation_date": paid,
            "transaction_updated_date": paid,
            "transaction_amount": _money(invoice),
            "transaction_status": "S",
            "invoice_id": invoice["number"],
        }
        if subscription:
            info |= {"paypal_reference_id": subscription, "paypal_reference_id_type": "SUB"}
        objects.transactions.append(
            {
                "transaction_info": info,
                "payer_info": {
                    "account_id": payer,
                    "email_address": person["email"],
                    "payer_status": "Y",
                    "payer_name": {"given_name": given, "surname": surname},
                    "country_code": "DE",
                },
                "cart_info": {"item_details": [{"item_name": "Practice Engine", "item_quantity": "1"}]},
            }
        )


def _invoices(objects: Objects, person: dict[str, Any], now: datetime) -> None:
    """A paid one for everybody who has paid; a draft for every second, an unpaid one for every third."""
    number = person["account_id"]
    paid = next((i for i in person.get("invoices") or () if i.get("paid_at")), None)
    if paid:
        _invoice(objects, person, "PAID", paid, datetime.fromisoformat(paid["issued_at"]))
    soon = {"number": f"NEXT-{number}", "amount_cents": 1900, "currency": "EUR"}
    if number % 2 == 0:
        _invoice(objects, person, "DRAFT", soon, now)
    if number % 3 == 0:
        _invoice(objects, person, "SENT", {**soon, "number": f"OPEN-{number}"}, now - timedelta(days=9))


def _invoice(
    objects: Objects, person: dict[str, Any], status: str, invoice: dict[str, Any], issued: datetime
) -> None:
    given, surname = _name(person)
    text = made(f"invoice {invoice['number']}", str(person["account_id"]), 16)
    invoice_id = "INV2-" + "-".join(text[n : n + 4] for n in range(0, 16, 4))
    objects.invoices[invoice_id] = {
        "id": invoice_id,
        "status": status,
        "detail": {
            "invoice_number": str(invoice["number"]),
            "invoice_date": issued.date().isoformat(),
            "currency_code": invoice["currency"],
            "metadata": {"create_time": written(issued), "created_by": "app"},
        },
        "invoicer": {
            "business_name": "The Practice Engine GmbH",
            "email_address": "billing@practice-engine.example",
        },
        "primary_recipients": [
            {
                "billing_info": {
                    "name": {"given_name": given, "surname": surname},
                    "email_address": person["email"],
                },
                "shipping_info": {"name": {"given_name": given, "surname": surname}},
            }
        ],
        "items": [
            {"id": "ITEM-1", "name": "Plan", "quantity": "1", "unit_amount": _money(invoice)},
        ],
        "amount": _money(invoice),
        "links": [_link(f"/v2/invoicing/invoices/{invoice_id}")],
    }


def _name(person: dict[str, Any]) -> tuple[str, str]:
    given, _, surname = str(person["full_name"]).partition(" ")
    return given, surname or given


def _money(invoice: dict[str, Any]) -> dict[str, str]:
    return {"currency_code": invoice["currency"], "value": f"{invoice['amount_cents'] / 100:.2f}"}


def _link(path: str) -> dict[str, str]:
    return {"href": f"https://api-m.paypal.com{path}", "rel": "self", "method": "GET"}
