"""PayPal's REST calls that requests need: vault v3, subscriptions v1, invoicing v2.

Every call may be repeated: a second deletion is a 404, a second cancellation a 422 after which we look.
So no answer that was lost leaves a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from include.privacy.processors.http import Answer, Api

VAULT, SUBSCRIPTIONS, INVOICES = (
    "/v3/vault/payment-tokens",
    "/v1/billing/subscriptions",
    "/v2/invoicing/invoices",
)
SEARCH = "/v2/invoicing/search-invoices"
VAULT_PAGE, INVOICE_PAGE = 5, 100
MOST_PAGES = 1_000
"""Of a search for invoices."""
RUNNING = frozenset({"ACTIVE", "SUSPENDED"})
"""Subscriptions that can be cancelled; those never approved lapse by themselves."""
UNSENT = frozenset({"DRAFT", "SCHEDULED"})
OPEN = frozenset({"SENT", "UNPAID"})
"""Invoices that can be cancelled."""
UNREADABLE = "unreadable_answer"
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,63}\Z")


class RefusedCallError(Exception):
    """PayPal refuses one call with a 4xx: this concerns one person. ``code`` is PayPal's word for it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"PayPal refuses a call ({status}, {code})")
        self.status, self.code = status, code


def code_of(answer: Answer) -> str:
    """PayPal's own code of an error, or the status: never a text."""
    body = answer.body if isinstance(answer.body, dict) else {}
    details = body.get("details")
    first = details[0] if isinstance(details, list) and details else {}
    for word in (first.get("issue") if isinstance(first, dict) else None, body.get("name")):
        if isinstance(word, str) and _CODE.match(word):
            return word
    return f"http_{answer.status}"


class Client:
    """Typed calls over ``api``. All raise :class:`RefusedCallError` and what ``Api.call`` raises."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def payment_tokens(self, customer_id: str) -> list[dict[str, Any]]:
        """All payment methods that the vault holds of a customer; none for one it does not know."""
        found: list[dict[str, Any]] = []
        page = pages = 1
        while page <= pages:
            params = {
                "customer_id": customer_id,
                "page_size": VAULT_PAGE,
                "page": page,
                "total_required": "true",
            }
            answer = self.api.call("GET", VAULT, params=params)
            if answer.status == 404:
                break
            body = _body(answer)
            found += _objects(body.get("payment_tokens"))
            page, pages = page + 1, _pages(body)
        return found

    def delete_payment_token(self, token_id: str) -> None:
        """Delete a payment method; one that is not there is deleted."""
        self._done(self.api.call("DELETE", f"{VAULT}/{quote(token_id, safe='')}"), 404)

    def subscription(self, subscription_id: str) -> dict[str, Any] | None:
        """A subscription, or none of that id."""
        answer = self.api.call("GET", f"{SUBSCRIPTIONS}/{quote(subscription_id, safe='')}")
        return None if answer.status == 404 else _body(answer)

    def payments(self, subscription_id: str, start: str, end: str) -> list[dict[str, Any]]:
        """Payments of a subscription between two times, written as RFC 3339."""
        path = f"{SUBSCRIPTIONS}/{quote(subscription_id, safe='')}/transactions"
        answer = self.api.call("GET", path, params={"start_time": start, "end_time": end})
        return [] if answer.status == 404 else _objects(_body(answer).get("transactions"))

    def cancel_subscription(self, subscription_id: str) -> None:
        """End a subscription for good; one that has ended is left alone."""
        self._end(subscription_id, "cancel", {"CANCELLED", "EXPIRED"})

    def suspend_subscription(self, subscription_id: str) -> None:
        """Take no money until the subscription is activated again."""
        self._end(subscription_id, "suspend", {"CANCELLED", "EXPIRED", "SUSPENDED"})

    def _end(self, subscription_id: str, verb: str, ended: set[str]) -> None:
        path = f"{SUBSCRIPTIONS}/{quote(subscription_id, safe='')}"
        # The reason is shown to the subscriber: it says nothing of the request.
        answer = self.api.call(
            "POST", f"{path}/{verb}", json={"reason": "Ended at your request"}, repeatable=True
        )
        if answer.ok or answer.status == 404:
            return
        if answer.status == 422:
            now = self.subscription(subscription_id)
            if now is None or now.get("status") in ended:
                return
        raise RefusedCallError(answer.status, code_of(answer))

    def search(self, criteria: Mapping[str, Any], page: int) -> tuple[list[dict[str, Any]], int]:
        """One page of the invoices that match, and how many pages there are."""
        params = {"page": page, "page_size": INVOICE_PAGE, "total_required": "true"}
        wanted = {**criteria, "fields": ["additional_recipients_info"]}
        # A search changes nothing, though it is a POST.
        body = _body(self.api.call("POST", SEARCH, params=params, json=wanted, repeatable=True))
        return _objects(body.get("items")), _pages(body)

    def invoices_for(self, email: str) -> Iterator[dict[str, Any]]:
        """Invoices that the search finds for an address; it may find more than those of exactly that one."""
        page = pages = 1
        while page <= min(pages, MOST_PAGES):
            items, pages = self.search({"recipient_email": email}, page)
            yield from items
            page += 1

    def invoice(self, invoice_id: str) -> dict[str, Any] | None:
        """The whole invoice, or none of that id."""
        answer = self.api.call("GET", f"{INVOICES}/{quote(invoice_id, safe='')}")
        return None if answer.status == 404 else _body(answer)

    def replace_invoice(self, invoice_id: str, invoice: Mapping[str, Any]) -> None:
        """Put a draft in the place of another; nobody is written to."""
        params = {"send_to_recipient": "false", "send_to_invoicer": "false"}
        answer = self.api.call("PUT", f"{INVOICES}/{quote(invoice_id, safe='')}", params=params, json=invoice)
        self._done(answer, 404)

    def delete_invoice(self, invoice_id: str) -> None:
        """Delete a draft; one that is not there is deleted."""
        self._done(self.api.call("DELETE", f"{INVOICES}/{quote(invoice_id, safe='')}"), 404)

    def cancel_invoice(self, invoice_id: str) -> None:
        """Cancel a sent invoice; nobody is written to."""
        path = f"{INVOICES}/{quote(invoice_id, safe='')}/cancel"
        quiet = {"send_to_recipient": False, "send_to_invoicer": False}
        answer = self.api.call("POST", path, json=quiet, repeatable=True)
        if answer.status == 422 and code_of(answer) == "INVOICE_CANCELED_ALREADY":
            return
        self._done(answer, 404)

    def _done(self, answer: Answer, *also: int) -> None:
        if not answer.ok and answer.status not in also:
            raise RefusedCallError(answer.status, code_of(answer))


def _body(answer: Answer) -> dict[str, Any]:
    if not answer.ok or not isinstance(answer.body, dict):
        raise RefusedCallError(answer.status, code_of(answer))
    return answer.body


def _pages(body: Mapping[str, Any]) -> int:
    pages = body.get("total_pages", 1)
    if not isinstance(pages, int):
        raise RefusedCallError(200, UNREADABLE)
    return max(pages, 1)


def _objects(value: Any) -> list[dict[str, Any]]:
    """Objects that can be named in a later call; a list left out is an empty one."""
    objects = [] if value is None else value
    if not isinstance(objects, list) or not all(
        isinstance(each, dict) and each.get("id") for each in objects
    ):
        raise RefusedCallError(200, UNREADABLE)
    return objects
