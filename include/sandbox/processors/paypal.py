"""PayPal's stand-in: OAuth 2.0 tokens, vault v3, subscriptions v1, invoicing v2, transaction search v1.

Modelled on PayPal's OpenAPI descriptions (2024-02). Tokens end; a deleted payment method is gone, a
cancelled subscription or invoice is there still, and payments cannot be deleted at all. There is no search
for people. Settings are those of :class:`Settings`.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from include.sandbox.processors import PAYPAL_CLIENT
from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from include.sandbox.processors.paypal_invoices import Invoicing
from include.sandbox.processors.paypal_objects import Objects, Refused, error
from include.sandbox.processors.paypal_reports import list_payments, list_transactions
from include.sandbox.processors.paypal_seeds import seed

SCOPES = {
    "vault": "https://uri.paypal.com/services/vault/payment-tokens/readwrite",
    "subscriptions": "https://uri.paypal.com/services/subscriptions",
    "invoicing": "https://uri.paypal.com/services/invoicing",
    "transaction_search": "https://uri.paypal.com/services/reporting/search/read",
}


@dataclass(frozen=True)
class Settings:
    """What tests and the demo change.

    ``now``: an instant in ISO 8601, or none for the real one. ``lag_seconds``: how long a payment is
    missing from the transaction search. ``result_limit``: more than so many are too many for one search.
    ``token_seconds`` and ``calls_per_token``: when a token ends. ``off``: features that our app has not.
    ``limit`` and ``per_seconds``: calls per window. ``unknown``: ids that are answered 422.
    """

    now: str | None = None
    lag_seconds: float = 0.0
    result_limit: int = 10_000
    token_seconds: float = 32_400.0
    calls_per_token: int = 0
    off: tuple[str, ...] = ()
    limit: int = 100_000
    per_seconds: float = 60.0
    unknown: tuple[str, ...] = ()


@dataclass
class Issued:
    """A token that was given out."""

    ends: float
    calls: int = 0


class PayPal:
    """One business account with one app."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self._key = api_key
        self._lock = threading.RLock()
        self._settings = Settings()
        self._limit = RateLimit(self._settings.limit, self._settings.per_seconds)
        self._tokens: dict[str, Issued] = {}
        self._objects = Objects()
        self._invoicing = Invoicing(self._objects)
        self._routes: tuple[tuple[str, re.Pattern[str], str, Callable[..., Response]], ...] = (
            ("GET", re.compile(r"/v3/vault/payment-tokens"), "vault", self._list_tokens),
            ("DELETE", re.compile(r"/v3/vault/payment-tokens/([^/]+)"), "vault", self._delete_token),
            ("GET", re.compile(r"/v1/billing/subscriptions/([^/]+)"), "subscriptions", self._subscription),
            (
                "GET",
                re.compile(r"/v1/billing/subscriptions/([^/]+)/transactions"),
                "subscriptions",
                self._payments,
            ),
            (
                "POST",
                re.compile(r"/v1/billing/subscriptions/([^/]+)/(cancel|suspend)"),
                "subscriptions",
                self._end,
            ),
            ("POST", re.compile(r"/v2/invoicing/search-invoices"), "invoicing", self._invoicing.search),
            ("GET", re.compile(r"/v2/invoicing/invoices/([^/]+)"), "invoicing", self._invoicing.get),
            ("PUT", re.compile(r"/v2/invoicing/invoices/([^/]+)"), "invoicing", self._replace),
            ("DELETE", re.compile(r"/v2/invoicing/invoices/([^/]+)"), "invoicing", self._invoicing.delete),
            ("POST", re.compile(r"/v2/invoicing/invoices/([^/]+)/cancel"), "invoicing", self._cancel),
            ("GET", re.compile(r"/v1/reporting/transactions"), "transaction_search", self._transactions),
        )

    def configure(self, settings: dict[str, Any]) -> None:
        """Fields of :class:`Settings`, and ``expire_tokens: true``, which ends all tokens at once."""
        settings = dict(settings)
        expire = settings.pop("expire_tokens", False)
        if unknown := settings.keys() - {f.name for f in fields(Settings)}:
            raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
        if strange := set(settings.get("off", ())) - SCOPES.keys():
            raise ValueError(f"off names no feature: {', '.join(sorted(strange))}")
        if settings.get("now") is not None and datetime.fromisoformat(settings["now"]).tzinfo is None:
            raise ValueError("now needs a zone")
        with self._lock:
            self._settings = replace(
                self._settings, **{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            )
            self._limit.change(self._settings.limit, self._settings.per_seconds)
            if expire:
                self._tokens.clear()

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Know those who pay through PayPal."""
        with self._lock:
            seed(self._objects, people, self._now())

    def describe(self) -> dict[str, Any]:
        """Everything that is stored, by kind and id."""
        with self._lock:
            return asdict(self._objects)

    def refusal(self, status: int) -> Response:
        """PayPal's own error document of that status."""
        return error(status)

    def answer(self, request: Request) -> Response:
        """Check rate, token and scope, then do what is asked; one call at a time."""
        if not self._limit.take()[0]:
            return error(429)
        if request.path == "/v1/oauth2/token":
            return self._token(request) if request.method == "POST" else error(404)
        with self._lock:
            if not self._authorized(request):
                return error(401)
            for method, pattern, feature, call in self._routes:
                found = pattern.fullmatch(request.path)
                if found is None or method != request.method:
                    continue
                if feature in self._settings.off:
                    return error(403)
                given = [unquote(each) for each in found.groups()]
                if any(each in self._settings.unknown for each in [*given, *request.query.values()]):
                    return error(422, "INVALID_RESOURCE_STATE")
                try:
                    return call(request, *given)
                except Refused as refused:
                    return error(refused.status, refused.issue, name=refused.name)
                except (ValueError, KeyError, TypeError):
                    return error(400, "MALFORMED_REQUEST_JSON")
            return error(404)

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._settings.now) if self._settings.now else datetime.now(UTC)

    def _token(self, request: Request) -> Response:
        expected = base64.b64encode(f"{PAYPAL_CLIENT}:{self._key}".encode()).decode()
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Basic {expected}".encode()):
            document = {"error": "invalid_client", "error_description": "Client Authentication failed"}
            return Response.of_json(document, 401)
        if dict(parse_qsl(request.body.decode())) != {"grant_type": "client_credentials"}:
            document = {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"}
            return Response.of_json(document, 400)
        value = "A21AA" + secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[value] = Issued(time.monotonic() + self._settings.token_seconds)
            scopes = [scope for name, scope in SCOPES.items() if name not in self._settings.off]
            lifetime = int(self._settings.token_seconds)
        return Response.of_json(
            {
                "scope": " ".join(scopes),
                "access_token": value,
                "token_type": "Bearer",
                "app_id": "APP-80W284485P519543T",
                "expires_in": lifetime,
            }
        )

    def _authorized(self, request: Request) -> bool:
        issued = self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if issued is None or time.monotonic() >= issued.ends:
            return False
        issued.calls += 1
        return not self._settings.calls_per_token or issued.calls <= self._settings.calls_per_token

    def _list_tokens(self, request: Request) -> Response:
        query = request.query
        known = {"customer_id", "page_size", "page", "total_required"}
        size, page = int(query.get("page_size", 5)), int(query.get("page", 1))
        if not query.get("customer_id") or query.keys() - known or not 1 <= size <= 5 or page < 1:
            raise Refused(400, "INVALID_PARAMETER_VALUE")
        customer = query["customer_id"]
        mine = [t for t in self._objects.payment_tokens.values() if t["customer"]["id"] == customer]
        body: dict[str, Any] = {
            "customer": {"id": customer},
            "payment_tokens": mine[(page - 1) * size : page * size],
        }
        if mine and query.get("total_required") == "true":
            body |= {"total_items": len(mine), "total_pages": -(-len(mine) // size)}
        return Response.of_json(body)

    def _delete_token(self, request: Request, token_id: str) -> Response:
        # A 404 is not described for this call; PayPal's guidelines give one for what is not there.
        return Response(204 if self._objects.payment_tokens.pop(token_id, None) else 404)

    def _subscription(self, request: Request, subscription_id: str) -> Response:
        return Response.of_json(self._found(subscription_id))

    def _payments(self, request: Request, subscription_id: str) -> Response:
        self._found(subscription_id)
        return list_payments(self._objects, subscription_id, request.query)

    def _end(self, request: Request, subscription_id: str, verb: str) -> Response:
        reason = request.json().get("reason", "")
        if not isinstance(reason, str) or not 1 <= len(reason) <= 128:
            raise Refused(400, "INVALID_PARAMETER_SYNTAX")
        subscription = self._found(subscription_id)
        if subscription["status"] not in (("ACTIVE", "SUSPENDED") if verb == "cancel" else ("ACTIVE",)):
            raise Refused(422, "SUBSCRIPTION_STATUS_INVALID")
        subscription["status"] = "CANCELLED" if verb == "cancel" else "SUSPENDED"
        subscription["status_update_time"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return Response(204)

    def _found(self, subscription_id: str) -> dict[str, Any]:
        if subscription_id not in self._objects.subscriptions:
            raise Refused(404, "INVALID_RESOURCE_ID")
        return self._objects.subscriptions[subscription_id]

    def _replace(self, request: Request, invoice_id: str) -> Response:
        return self._invoicing.replace(request, invoice_id, self._now())

    def _cancel(self, request: Request, invoice_id: str) -> Response:
        return self._invoicing.cancel(request, invoice_id, self._now())

    def _transactions(self, request: Request) -> Response:
        settings = self._settings
        return list_transactions(
            self._objects,
            request.query,
            now=self._now(),
            lag_seconds=settings.lag_seconds,
            result_limit=settings.result_limit,
        )
