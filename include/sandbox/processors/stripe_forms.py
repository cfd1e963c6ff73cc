"""Forms as Stripe reads them (``a[b]=c`` an object, ``a[0]=b`` a list), and what each call takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\]]*)\]")
_LIST = {"limit", "starting_after", "ending_before", "expand[]", "created"}
_OWNED = _LIST | {"customer"}


class BadRequestError(Exception):
    """An error document: status, type, code, and the parameter at fault."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error": {"message": message, "type": kind}}
        if code:
            self.document["error"]["code"] = code
        if param:
            self.document["error"]["param"] = param


def decode(text: str) -> dict[str, Any]:
    """A form as a nested value."""
    whole: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, _, _ = name.partition("[")
        keys = [head, *_PART.findall(name)]
        place: Any = whole
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise BadRequestError("Invalid object", param=head)
        place[keys[-1] or str(len(place))] = value
    return {k: _lists(v) for k, v in whole.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(k.isdigit() for k in value):
        return [_lists(value[k]) for k in sorted(value, key=int)]
    return {k: _lists(v) for k, v in value.items()}


TAKES: Mapping[str, frozenset[str]] = {
    name: frozenset(fields)
    for name, fields in {
        "GET /v1/customers": _LIST | {"email", "test_clock"},
        "GET /v1/charges": _OWNED | {"payment_intent", "transfer_group"},
        "GET /v1/payment_intents": _OWNED | {"customer_account"},
        "GET /v1/setup_intents": _OWNED | {"attach_to_self", "payment_method", "customer_account"},
        "GET /v1/invoices": _OWNED | {"status", "subscription", "collection_method", "due_date"},
        "GET /v1/subscriptions": _OWNED | {"status", "price", "plan", "collection_method"},
        "GET /v1/credit_notes": _OWNED | {"invoice"},
        "GET /v1/checkout/sessions": _OWNED | {"payment_intent", "status", "subscription", "payment_link"},
        "GET /v1/identity/verification_sessions": _LIST
        | {"related_customer", "client_reference_id", "status"},
        "GET /v1/disputes": _LIST | {"charge", "payment_intent"},
        "GET /v1/customers/payment_methods": _LIST | {"type", "allow_redisplay"},
        "GET /v1/customers/tax_ids": _LIST,
        "GET /v1/customers/balance_transactions": _LIST | {"invoice"},
        "GET /v1/privacy/redaction_jobs": _LIST | {"status"},
        "GET /v1/privacy/redaction_jobs/validation_errors": _LIST,
        "GET /v1/invoices/lines": _LIST,
        "POST /v1/customers": {
            "name", "email", "phone", "description", "address", "shipping", "metadata", "preferred_locales",
            "balance", "individual_name", "business_name",
        },
        "POST /v1/payment_methods": {"billing_details", "metadata", "card", "allow_redisplay"},
        "POST /v1/payment_intents/cancel": {"cancellation_reason"},
        "POST /v1/setup_intents/cancel": {"cancellation_reason"},
        "DELETE /v1/subscriptions": {"invoice_now", "prorate", "cancellation_details"},
        "POST /v1/privacy/redaction_jobs": {"objects", "validation_behavior"},
    }.items()
}  # fmt: skip
"""Method and path without ids → what may be said; a call that is not here takes nothing."""


def only_known(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a parameter that Stripe does not know."""
    for field in given:
        if field != "expand" and field not in TAKES.get(name, frozenset()):
            raise BadRequestError(
                f"Received unknown parameter: {field}", code="parameter_unknown", param=field
            )


def paged(found: list[dict[str, Any]], query: Mapping[str, Any], url: str) -> dict[str, Any]:
    """One page of a list, the newest first."""
    limit = str(query.get("limit", "10"))
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise BadRequestError("Invalid limit: it is between 1 and 100", param="limit")
    start = 0
    if after := query.get("starting_after"):
        ids = [o["id"] for o in found]
        if after not in ids:
            raise BadRequestError("No such object", code="resource_missing", param="starting_after")
        start = ids.index(after) + 1
    page = found[start : start + int(limit)]
    more = len(found) > start + int(limit)
    return {"object": "list", "url": url, "has_more": more, "data": page}
