"""PayPal's invoicing (v2): search, read, replace, delete drafts, cancel what was sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.paypal_objects import Objects, Refused

_UNSENT = ("DRAFT", "SCHEDULED")
_CANCEL = {
    "DRAFT": "CANNOT_CANCEL_DRAFT_INVOICE",
    "SCHEDULED": "CANNOT_CANCEL_SCHEDULED_INVOICE",
    "CANCELLED": "INVOICE_CANCELED_ALREADY",
    "REFUNDED": "CANNOT_CANCEL_REFUNDED_INVOICE",
    "PAID": "CANNOT_CANCEL_PAID_INVOICE",
}
_SETTABLE = frozenset(
    {
        "detail",
        "invoicer",
        "primary_recipients",
        "additional_recipients",
        "items",
        "configuration",
        "amount",
        "gratuity",
    }
)


class Invoicing:
    """The calls on invoices. A cancelled one is there still."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def search(self, request: Request) -> Response:
        """By part of an address, without regard to case: more may be found than those of one address."""
        body, query = request.json(), request.query
        if body.keys() - {"recipient_email", "fields"} or query.keys() - {
            "page",
            "page_size",
            "total_required",
        }:
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        size, page = int(query.get("page_size", 20)), int(query.get("page", 1))
        if not (1 <= size <= 100 and 1 <= page <= 1000):
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        wanted = str(body.get("recipient_email", "")).casefold()
        found = [i for i in self._objects.invoices.values() if any(wanted in e for e in _primary(i))]
        left_out = {"items", "payments"}
        if "additional_recipients_info" not in body.get("fields", ()):
            left_out.add("additional_recipients")
        shown = [
            {k: v for k, v in i.items() if k not in left_out} for i in found[(page - 1) * size : page * size]
        ]
        answer: dict[str, Any] = {"items": shown}
        if query.get("total_required") == "true":
            answer |= {"total_items": len(found), "total_pages": -(-len(found) // size)}
        return Response.of_json(answer)

    def get(self, request: Request, invoice_id: str) -> Response:
        """The whole invoice."""
        return Response.of_json(self._found(invoice_id))

    def replace(self, request: Request, invoice_id: str, now: datetime) -> Response:
        """Put another in its place; what PayPal sets itself stays."""
        invoice, body = self._found(invoice_id), request.json()
        if body.keys() - _SETTABLE or "detail" not in body or not body.get("primary_recipients"):
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        if request.query.keys() - {"send_to_recipient", "send_to_invoicer"}:
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        if invoice["status"] not in _UNSENT:
            raise Refused(422, "CANNOT_UPDATE_INVOICE")
        for name in _SETTABLE - {"amount"}:
            invoice.pop(name, None)
        invoice.update(body)
        return Response.of_json(invoice)

    def delete(self, request: Request, invoice_id: str) -> Response:
        """Drafts and scheduled ones only."""
        if self._found(invoice_id)["status"] not in _UNSENT:
            raise Refused(400, "CANT_DELETE_INVOICE")
        del self._objects.invoices[invoice_id]
        return Response(204)

    def cancel(self, request: Request, invoice_id: str, now: datetime) -> Response:
        """Sent ones only."""
        if request.json().keys() - {
            "subject",
            "note",
            "send_to_invoicer",
            "send_to_recipient",
            "additional_recipients",
        }:
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        invoice = self._found(invoice_id)
        if issue := _CANCEL.get(invoice["status"]):
            raise Refused(422, issue)
        invoice["status"] = "CANCELLED"
        invoice["detail"].setdefault("metadata", {})["cancel_time"] = now.astimezone(UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        return Response(204)

    def _found(self, invoice_id: str) -> dict[str, Any]:
        if invoice_id not in self._objects.invoices:
            raise Refused(404)
        return self._objects.invoices[invoice_id]


def _primary(invoice: dict[str, Any]) -> list[str]:
    return [r["billing_info"]["email_address"].casefold() for r in invoice["primary_recipients"]]
