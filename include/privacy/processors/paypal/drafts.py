"""Invoices with more than one recipient: nobody else's part is touched, nobody else's data handed out."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from include.privacy.processors.paypal.holdings import address_of_copy, primary

_SET_BY_PAYPAL = ("id", "parent_id", "status", "links", "payments", "refunds", "due_amount")
_DETAIL_SET_BY_PAYPAL = ("metadata",)


def without(invoice: Mapping[str, Any], emails: Collection[str]) -> dict[str, Any]:
    """The invoice as a body for PUT, without these recipients. ``emails``: in lower case."""
    return _writable(invoice) | {
        "primary_recipients": [r for r in primary(invoice) if _email(r) not in emails],
        "additional_recipients": [
            c
            for c in invoice.get("additional_recipients") or ()
            if address_of_copy(c).casefold() not in emails
        ],
    }


def only(invoice: Mapping[str, Any], emails: Collection[str]) -> dict[str, Any]:
    """The invoice for an archive: without other recipients, and without links, which are of no use there."""
    shown = {k: v for k, v in invoice.items() if k != "links"}
    shown["primary_recipients"] = [r for r in primary(invoice) if _email(r) in emails]
    if "additional_recipients" in shown:
        shown["additional_recipients"] = [
            c for c in invoice["additional_recipients"] if address_of_copy(c).casefold() in emails
        ]
    return shown


def is_shared(invoice: Mapping[str, Any], emails: Collection[str]) -> bool:
    """Whether the invoice is for somebody else as well."""
    return any(_email(r) not in emails for r in primary(invoice))


def corrected(
    invoice: Mapping[str, Any], emails: Collection[str], values: Mapping[str, str]
) -> dict[str, Any] | None:
    """The draft with the new address and name as a body for PUT; ``None`` when it has them already.

    ``values``: ``email`` and ``full_name``, those that are corrected.
    """
    body = _writable(invoice)
    for recipient in body.get("primary_recipients", ()):
        if _email(recipient) not in emails:
            continue
        billing, shipping = recipient["billing_info"], recipient.get("shipping_info") or {}
        if "full_name" in values:
            if shipping.get("name") and shipping["name"] == billing.get("name"):
                shipping["name"] = {"full_name": values["full_name"]}
            billing["name"] = {"full_name": values["full_name"]}
        if "email" in values:
            billing["email_address"] = values["email"]
    return None if body == _writable(invoice) else body


def _writable(invoice: Mapping[str, Any]) -> dict[str, Any]:
    body = {k: copy.deepcopy(v) for k, v in invoice.items() if k not in _SET_BY_PAYPAL}
    if isinstance(detail := body.get("detail"), dict):
        body["detail"] = {k: v for k, v in detail.items() if k not in _DETAIL_SET_BY_PAYPAL}
    for item in body.get("items") or ():
        item.pop("id", None)
    return body


def _email(recipient: Mapping[str, Any]) -> str:
    return str((recipient.get("billing_info") or {}).get("email_address", "")).casefold()
