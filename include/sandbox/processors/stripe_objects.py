"""Objects as Stripe shows them: as many of their fields as a person's data need, in Stripe's own shapes."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_ADDRESS: Json = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def customer(customer_id: str, name: str, email: str, created: int, metadata: Json) -> Json:
    """A customer."""
    return {
        "id": customer_id, "object": "customer", "created": created, "livemode": False, "name": name,
        "email": email, "phone": None, "description": None, "address": dict(_ADDRESS), "shipping": None,
        "metadata": metadata, "balance": 0, "currency": "eur", "preferred_locales": [],
    }  # fmt: skip


def payment_method(method_id: str, customer_id: str, name: str, email: str, created: int) -> Json:
    """A card."""
    card = {"brand": "visa", "country": "DE", "exp_month": 8, "exp_year": 2030, "last4": "4242"}
    return {
        "id": method_id, "object": "payment_method", "created": created, "customer": customer_id,
        "livemode": False, "metadata": {}, "type": "card", "card": card,
        "billing_details": {"address": dict(_ADDRESS), "email": email, "name": name, "phone": None},
    }  # fmt: skip


def charge(charge_id: str, customer_id: str, name: str, email: str, created: int, amount: int) -> Json:
    """A payment that went through."""
    return {
        "id": charge_id, "object": "charge", "created": created, "customer": customer_id, "livemode": False,
        "amount": amount, "amount_refunded": 0, "currency": "eur", "captured": True, "paid": True,
        "disputed": False, "refunded": False, "status": "succeeded", "metadata": {}, "receipt_email": email,
        "billing_details": {"address": dict(_ADDRESS), "email": email, "name": name, "phone": None},
        "payment_intent": f"pi_{charge_id[3:]}", "description": None,
    }  # fmt: skip


def payment_intent(intent_id: str, customer_id: str, created: int, amount: int, status: str) -> Json:
    """An attempt to pay; its secret is one that no archive may contain."""
    return {
        "id": intent_id, "object": "payment_intent", "created": created, "customer": customer_id,
        "livemode": False, "amount": amount, "currency": "eur", "status": status, "metadata": {},
        "client_secret": f"{intent_id}_secret_of_the_client", "receipt_email": None, "canceled_at": None,
    }  # fmt: skip


def setup_intent(intent_id: str, customer_id: str, created: int, status: str) -> Json:
    """An attempt to store a card."""
    return {
        "id": intent_id, "object": "setup_intent", "created": created, "customer": customer_id,
        "livemode": False, "status": status, "metadata": {}, "usage": "off_session",
        "client_secret": f"{intent_id}_secret_of_the_client",
    }  # fmt: skip


def invoice(invoice_id: str, of: Json, created: int, amount: int, status: str, number: str | None) -> Json:
    """An invoice with the snapshot of its customer; ``of`` is the customer."""
    moments = dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"))
    if status != "draft":
        moments["finalized_at"] = created
    if status == "paid":
        moments["paid_at"] = created
    return {
        "id": invoice_id, "object": "invoice", "created": created, "customer": of["id"], "livemode": False,
        "customer_name": of["name"], "customer_email": of["email"], "customer_address": dict(_ADDRESS),
        "number": number, "status": status, "status_transitions": moments, "currency": "eur",
        "amount_due": amount, "amount_paid": amount if status == "paid" else 0, "total": amount,
        "metadata": {}, "lines": {
            "object": "list", "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines", "data": [],
        },
    }  # fmt: skip


def subscription(subscription_id: str, customer_id: str, created: int, status: str) -> Json:
    """A subscription."""
    return {
        "id": subscription_id, "object": "subscription", "created": created, "customer": customer_id,
        "livemode": False, "status": status, "currency": "eur", "metadata": {},
        "canceled_at": None if status == "active" else created,
        "ended_at": None if status == "active" else created,
    }  # fmt: skip


def tax_id(tax_id_: str, customer_id: str, created: int) -> Json:
    """A tax number."""
    return {
        "id": tax_id_, "object": "tax_id", "created": created, "customer": customer_id, "livemode": False,
        "country": "DE", "type": "eu_vat", "value": "DE123456789",
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }  # fmt: skip


def balance_transaction(transaction_id: str, customer_id: str, created: int) -> Json:
    """A credit."""
    return {
        "id": transaction_id, "object": "customer_balance_transaction", "created": created,
        "customer": customer_id, "livemode": False, "amount": -500, "currency": "eur", "ending_balance": -500,
        "description": None, "metadata": {}, "type": "adjustment", "invoice": None, "credit_note": None,
    }  # fmt: skip


def credit_note(note_id: str, customer_id: str, invoice_id: str, created: int) -> Json:
    """A credit note."""
    return {
        "id": note_id, "object": "credit_note", "created": created, "customer": customer_id,
        "invoice": invoice_id, "livemode": False, "amount": 100, "currency": "eur", "memo": None,
        "metadata": {}, "number": f"{note_id}-CN-01", "status": "issued", "type": "pre_payment",
    }  # fmt: skip


def checkout_session(session_id: str, customer_id: str, email: str, created: int, status: str) -> Json:
    """A visit to the page where one pays."""
    return {
        "id": session_id, "object": "checkout.session", "created": created, "customer": customer_id,
        "livemode": False, "status": status, "mode": "subscription", "payment_status": "paid",
        "metadata": {}, "expires_at": created + 86_400, "customer_details": {"email": email, "name": None},
    }  # fmt: skip


def verification_session(session_id: str, customer_id: str, created: int) -> Json:
    """An identity check that has been passed."""
    return {
        "id": session_id, "object": "identity.verification_session", "created": created, "livemode": False,
        "related_customer": customer_id, "status": "verified", "type": "document", "metadata": {},
        "redaction": None, "client_secret": None, "url": None, "options": {},
    }  # fmt: skip


def dispute(dispute_id: str, charge_id: str, created: int, amount: int, status: str) -> Json:
    """A payment that the bank takes back, unless we answer."""
    return {
        "id": dispute_id, "object": "dispute", "created": created, "charge": charge_id, "livemode": False,
        "amount": amount, "currency": "eur", "reason": "general", "status": status, "metadata": {},
        "payment_intent": None,
    }  # fmt: skip


def redaction_job(job_id: str, created: int, customers: list[str], behaviour: str) -> Json:
    """A redaction job, of the preview."""
    return {
        "id": job_id, "object": "privacy.redaction_job", "created": created, "livemode": False,
        "status": "created", "validation_behavior": behaviour, "objects": {"customers": customers},
    }  # fmt: skip


_NAMING = ("name", "email", "phone", "description", "receipt_email", "customer_name", "customer_email")


def blank(thing: Json) -> None:
    """Take out of an object what names a person, as a redaction does."""
    for field in (
        "name",
        "email",
        "phone",
        "description",
        "receipt_email",
        "customer_name",
        "customer_email",
    ):
        if field in thing:
            thing[field] = None
    for field in ("billing_details", "customer_details", "address", "customer_address"):
        if thing.get(field):
            thing[field] = {k: blank_value(v) for k, v in thing[field].items()}
    if thing["object"] == "tax_id":
        thing["value"] = "REDACTED"
    thing["metadata"] = {}


def blank_value(value: Any) -> Any:
    """Nothing, in the shape that it had."""
    return dict.fromkeys(value) if isinstance(value, dict) else None
