"""Stripe's stand-in: customers and all that hangs on them, idempotency keys, redaction jobs of the preview.

Modelled on Stripe's OpenAPI description (2023-08-16), the parameter lists of its CLI (2026-08) and its
pages on redaction; strict: an unknown parameter is a 400. A key replays the first answer, 500s too; a deleted
customer can still be retrieved; DELETE ends subscriptions. Settings:

``limit``, ``per_seconds``: calls per window. ``redaction``: whether the account has redaction jobs.
``job_seconds``: how long each of their steps takes. ``inject``: customer → error codes of validation.
``odd``: statuses of jobs shown once each. ``store_errors``: so many POSTs are carried out and answered 500,
as their key is from then on. ``refuse``: object id → [status, code] for every call about it.
``forbid``: paths the key has no permission for. ``seconds``: how far the clock is ahead.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from include.sandbox.processors.stripe_forms import BadRequestError, decode, only_known, paged
from include.sandbox.processors.stripe_jobs import Jobs
from include.sandbox.processors.stripe_store import Store, end_subscription, know

Json = dict[str, Any]
_OPEN_INTENTS = (
    "requires_payment_method", "requires_confirmation", "requires_action", "requires_capture",
)  # fmt: skip
_PLACES = {
    "customers": "customers", "charges": "charges", "payment_intents": "payment_intents",
    "setup_intents": "setup_intents", "invoices": "invoices", "subscriptions": "subscriptions",
    "payment_methods": "payment_methods", "credit_notes": "credit_notes", "disputes": "disputes",
    "checkout/sessions": "checkout_sessions", "identity/verification_sessions": "verification_sessions",
    "privacy/redaction_jobs": "redaction_jobs",
}  # fmt: skip
_PATH = re.compile(
    r"/v1/(?P<place>" + "|".join(_PLACES) + r")(/(?P<id>[^/]+)(/(?P<more>\w+)(/(?P<sub>[^/]+))?)?)?"
)
_NESTED = ("payment_methods", "tax_ids", "balance_transactions")


class Stripe:
    """One account with one key."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self._key = api_key
        # One call at a time: Stripe answers 409 where two use one idempotency key, and we need not.
        self._lock = threading.RLock()
        self.store = Store()
        self.jobs = Jobs(self.store, self.now)
        self._ahead = 0
        self._redaction = True
        self._limit = RateLimit(10_000, 1.0)
        self._store_errors = 0
        self._refuse: dict[str, tuple[int, str]] = {}
        self._forbid: list[str] = []
        self._replays: dict[str, tuple[str, int, bytes]] = {}

    def now(self) -> int:
        """Seconds since 1970 on the stand-in's clock."""
        return int(time.time()) + self._ahead

    def configure(self, settings: dict[str, Any]) -> None:
        """See the module."""
        known = {
            "limit", "per_seconds", "redaction", "job_seconds", "inject", "odd", "store_errors", "refuse",
            "forbid", "seconds",
        }  # fmt: skip
        if unknown := settings.keys() - known:
            raise ValueError(
                f"unknown settings {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        with self._lock:
            if settings.keys() & {"limit", "per_seconds"}:
                self._limit.change(settings.get("limit", 10_000), settings.get("per_seconds", 1.0))
            self._redaction = bool(settings.get("redaction", self._redaction))
            self.jobs.seconds = int(settings.get("job_seconds", self.jobs.seconds))
            self.jobs.inject = dict(settings.get("inject", self.jobs.inject))
            self.jobs.odd = list(settings.get("odd", self.jobs.odd))
            self._store_errors = int(settings.get("store_errors", self._store_errors))
            self._refuse = {k: (int(s), str(c)) for k, (s, c) in settings.get("refuse", self._refuse).items()}
            self._forbid = list(settings.get("forbid", self._forbid))
            self._ahead = int(settings.get("seconds", self._ahead))

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Whoever has a customer id; see :func:`.stripe_store.know`."""
        with self._lock:
            for person in people:
                know(self.store, person, self.now())

    def describe(self) -> dict[str, Any]:
        """Every collection, object by object, and which are redacted."""
        with self._lock:
            self.jobs.move_all()
            whole = {name: list(found.values()) for name, found in self.store.of.items()}
            # Through JSON: whoever compares states must not see later changes.
            copied: dict[str, Any] = json.loads(
                json.dumps(whole | {"redacted": sorted(self.store.redacted), "keys": len(self._replays)})
            )
            return copied

    def refusal(self, status: int) -> Response:
        """Stripe's error document."""
        kind = "invalid_request_error" if status < 500 else "api_error"
        code = {"code": "rate_limit"} if status == 429 else {}
        return Response.of_json(
            {"error": {"type": kind, "message": f"refused with {status}", **code}}, status
        )

    def answer(self, request: Request) -> Response:
        """Check key, rate and idempotency key, then do what is asked."""
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
            return self.refusal(401)
        if not self._limit.take()[0]:
            return self.refusal(429)
        if any(request.path.startswith(path) for path in self._forbid):
            return self.refusal(403)
        with self._lock:
            return self._once(request)

    def _once(self, request: Request) -> Response:
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key is None:
            return self._try(request)
        said = hashlib.sha256(request.path.encode() + b"?" + request.body).hexdigest()
        if key in self._replays:
            before, status, body = self._replays[key]
            if before != said:
                message = "This key was first used with other parameters"
                return Response.of_json({"error": {"type": "idempotency_error", "message": message}}, 400)
            return Response(status, body, {"Content-Type": "application/json", "Idempotent-Replayed": "true"})
        response = self._try(request)
        if self._store_errors > 0 and response.status == 200:
            self._store_errors -= 1
            response = self.refusal(500)
            response.headers["Stripe-Should-Retry"] = "false"
        self._replays[key] = (said, response.status, response.body)
        return response

    def _try(self, request: Request) -> Response:
        try:
            return Response.of_json(self._call(request))
        except BadRequestError as error:
            return Response.of_json(error.document, error.status)

    def _call(self, request: Request) -> Json:
        match = _PATH.fullmatch(request.path)
        preview = request.headers.get("stripe-version", "").endswith(".preview")
        if not match or ("privacy/" in request.path and not (preview and self._redaction)):
            raise BadRequestError("Unrecognized request URL", status=404)
        place, object_id, more, sub = match["place"], match["id"], match["more"], match["sub"]
        for word in (object_id, request.query.get("customer"), request.query.get("email")):
            if word in self._refuse:
                status, code = self._refuse[word]
                raise BadRequestError("refused by a setting", status=status, code=code)
        name = f"{request.method} /v1/{place}" + (f"/{more}" if more else "")
        if request.method == "GET":
            only_known(name if not object_id or more else "", request.query)
            return self._read(place, object_id, more, request, preview)
        form = decode(request.body.decode()) if request.body else {}
        only_known(name, form)
        return self._write(request.method, place, object_id, more, sub, form)

    def _read(
        self, place: str, object_id: str | None, more: str | None, request: Request, preview: bool
    ) -> Json:
        collection = _PLACES[place]
        self.jobs.move_all()
        if object_id is None:
            found = self._listed(collection, request.query)
            page = paged(found, request.query, request.path)
            return page | {"data": [self._shown(collection, o, preview) for o in page["data"]]}
        thing = self.store.get(collection, object_id)
        if more == "validation_errors" and place == "privacy/redaction_jobs":
            return paged(self.jobs.errors(thing), request.query, request.path)
        if more == "lines" and place == "invoices":
            return paged(thing["lines"]["data"], request.query, request.path)
        if more in _NESTED and place == "customers":
            self.store.living(object_id)
            mine = self.store.newest_first(self.store.owned(more, object_id))
            return paged(mine, request.query, request.path)
        if more:
            raise BadRequestError("Unrecognized request URL", status=404)
        if collection == "redaction_jobs":
            return self.jobs.look(thing)
        return self._shown(collection, thing, preview)

    def _listed(self, collection: str, query: Any) -> list[Json]:
        found = [o for o in self.store.of[collection].values() if not o.get("deleted")]
        fields = [f for f in ("email", "customer", "related_customer", "charge", "status") if f in query]
        for field in fields:
            if field != "status" or query[field] != "all":
                found = [o for o in found if o.get(field) == query[field]]
        if collection == "subscriptions" and "status" not in query:
            found = [o for o in found if o["status"] != "canceled"]
        return self.store.newest_first(found)

    def _shown(self, collection: str, thing: Json, preview: bool) -> Json:
        if collection == "customers" and preview and not thing.get("deleted"):
            redacted = thing["id"] in self.store.redacted
            return thing | {"redaction": {"status": "redacted"} if redacted else None}
        return _in_short(thing) if collection == "invoices" else dict(thing)

    def _write(
        self, method: str, place: str, object_id: str | None, more: str | None, sub: str | None, form: Json
    ) -> Json:
        collection = _PLACES[place]
        if object_id is None:
            if (method, place) == ("POST", "privacy/redaction_jobs"):
                return dict(self.jobs.create(form))
            raise BadRequestError("Not in this stand-in", status=404)
        if method == "DELETE":
            return self._delete(place, object_id, more, sub)
        thing = (
            self.store.living(object_id) if place == "customers" else self.store.get(collection, object_id)
        )
        if place == "privacy/redaction_jobs":
            return self.jobs.act(thing, more or "update", form)
        if object_id in self.store.redacted:
            raise BadRequestError("This object has been redacted", code="resource_redacted")
        changed = self._update(thing, form) if more is None else self._end(thing, place, more)
        return _in_short(changed) if place == "invoices" else changed

    def _update(self, thing: Json, form: Json) -> Json:
        """Given fields change, ``''`` unsets, and metadata are merged key by key."""
        for field, value in form.items():
            if field == "metadata":
                merged = thing["metadata"] | (value or {})
                thing["metadata"] = {k: v for k, v in merged.items() if v != ""}
            elif field == "billing_details":
                thing[field] = thing[field] | value
            elif field == "email" and value and "@" not in value:
                raise BadRequestError("Invalid email address", code="email_invalid", param="email")
            else:
                thing[field] = value or None
        return dict(thing)

    def _end(self, thing: Json, place: str, action: str) -> Json:
        now, status = self.now(), thing.get("status")
        if place == "payment_methods" and action == "detach":
            if thing["customer"] is None:
                raise BadRequestError("The payment method is not attached to a customer")
            self.store.formerly[thing["id"]] = thing["customer"]
            thing["customer"] = None
        elif place in ("payment_intents", "setup_intents") and action == "cancel":
            if status not in _OPEN_INTENTS:
                raise BadRequestError("You cannot cancel this intent", code=f"{place[:-1]}_unexpected_state")
            thing["status"] = "canceled"
        elif place == "invoices":
            _end_invoice(thing, action, now)
        elif place == "checkout/sessions" and action == "expire":
            if status != "open":
                raise BadRequestError("Only open sessions can be expired")
            thing["status"] = "expired"
        elif place == "identity/verification_sessions" and action == "redact":
            if status == "processing":
                raise BadRequestError("Cannot redact while processing")
            thing["redaction"] = {"status": "processing" if self.jobs.seconds else "redacted"}
        else:
            raise BadRequestError("Unrecognized request URL", status=404)
        return dict(thing)

    def _delete(self, place: str, object_id: str, more: str | None, sub: str | None) -> Json:
        if place == "customers" and more == "tax_ids" and sub:
            self.store.living(object_id)
            thing = self.store.get("tax_ids", sub)
            del self.store.of["tax_ids"][sub]
            return {"id": thing["id"], "object": "tax_id", "deleted": True}
        if more:
            raise BadRequestError("Unrecognized request URL", status=404)
        if place == "customers":
            return self.store.delete_customer(object_id, self.now())
        if place == "subscriptions":
            thing = self.store.get("subscriptions", object_id)
            if thing["status"] == "canceled":
                raise BadRequestError("No such subscription", status=404, code="resource_missing", param="id")
            end_subscription(thing, self.now())
            return dict(thing)
        if place == "invoices":
            thing = self.store.get("invoices", object_id)
            if thing["status"] != "draft" or thing.get("billing_reason") == "subscription_cycle":
                raise BadRequestError("You can only delete draft invoices", code="invoice_not_editable")
            del self.store.of["invoices"][object_id]
            return {"id": object_id, "object": "invoice", "deleted": True}
        raise BadRequestError("Unrecognized request URL", status=404)


def _in_short(invoice: Json) -> Json:
    """With its first ten lines only, as Stripe shows it."""
    lines = invoice["lines"]
    return invoice | {
        "lines": lines | {"data": lines["data"][:10], "has_more": len(lines["data"]) > 10},
    }


def _end_invoice(invoice: Json, action: str, now: int) -> None:
    allowed = {"void": ("open", "uncollectible", "draft"), "mark_uncollectible": ("open",)}
    if invoice["status"] not in allowed.get(action, ()):
        raise BadRequestError(f"You cannot {action} this invoice", code="invoice_not_editable")
    moments = invoice["status_transitions"]
    invoice["status"] = "void" if action == "void" else "uncollectible"
    moments["voided_at" if action == "void" else "marked_uncollectible_at"] = now
    moments["finalized_at"] = moments["finalized_at"] or now
