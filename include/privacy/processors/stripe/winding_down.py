"""Before anything is destroyed: nothing of a customer's may go on, and what stands in the way is seen.

Subscriptions, open invoices, sessions and intents end, payment methods are detached, identity documents
redacted. Each step looks first and acts only on what is not over, so that again does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.privacy.processors.protocol import ObjectOutcome, Person, State
from include.privacy.processors.stripe.client import CallRefusedError, Calls
from include.privacy.processors.stripe.holdings import listed
from include.privacy.processors.stripe.invoices import instant

CLOSED_DISPUTES = frozenset({"won", "lost", "warning_closed", "prevented"})
_ENDED = frozenset({"canceled", "incomplete_expired"})
_OPEN_INTENTS = frozenset(
    {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"}
)

Json = dict[str, Any]


@dataclass
class WoundDown:
    """What there was. ``moving``: payments under way at a bank. ``sessions``: not redacted yet."""

    counts: Counter[str] = field(default_factory=Counter)
    invoices: list[Json] = field(default_factory=list)
    credit_notes: list[Json] = field(default_factory=list)
    charges: list[Json] = field(default_factory=list)
    moving: int = 0
    sessions: list[str] = field(default_factory=list)


def wind_down(calls: Calls, person: Person, customer_id: str, into: WoundDown, *, open_invoices: str) -> None:
    """End what can end of one customer; ``open_invoices``: see :class:`.settings.Settings`.

    Raises what :class:`Calls` raises.
    """
    counts = into.counts
    end_subscriptions(calls, customer_id, counts)
    # Invoices come before intents: an invoice's own intent ends only with it.
    for invoice in listed(calls, "invoices", customer_id):
        if ended := _end_invoice(calls, person, invoice, open_invoices):
            into.invoices.append(_whole(calls, ended))
    into.credit_notes += listed(calls, "credit_notes", customer_id)
    for session in listed(calls, "checkout_sessions", customer_id):
        counts["checkout.session"] += 1
        if session["status"] == "open":
            calls.post(f"/v1/checkout/sessions/{session['id']}/expire", person, "expire")
    for kind in ("payment_intent", "setup_intent"):
        for intent in listed(calls, f"{kind}s", customer_id):
            counts[kind] += 1
            if intent["status"] in _OPEN_INTENTS:
                calls.post(f"/v1/{kind}s/{intent['id']}/cancel", person, "cancel")
            into.moving += intent["status"] == "processing"
    detach(calls, person, customer_id, counts)
    for session in listed(calls, "verification_sessions", customer_id):
        counts["identity.verification_session"] += 1
        if not _is_redacted(session):
            if not session.get("redaction"):
                path = f"/v1/identity/verification_sessions/{session['id']}/redact"
                session = calls.post(path, person, "redact")
            if not _is_redacted(session):
                into.sessions.append(session["id"])
    charges = listed(calls, "charges", customer_id)
    counts["charge"] += len(charges)
    into.charges += charges


def end_subscriptions(calls: Calls, customer_id: str, counts: Counter[str]) -> None:
    """Cancel at once every subscription that has not ended."""
    for subscription in listed(calls, "subscriptions", customer_id):
        counts["subscription"] += 1
        if subscription["status"] not in _ENDED:
            calls.delete(f"/v1/subscriptions/{subscription['id']}")


def detach(calls: Calls, person: Person, customer_id: str, counts: Counter[str]) -> None:
    """Take every payment method off a customer: nothing can be charged any more."""
    for method in listed(calls, "payment_methods", customer_id):
        counts["payment_method"] += 1
        calls.post(f"/v1/payment_methods/{method['id']}/detach", person, "detach")


def sessions_left(calls: Calls, sessions: Iterable[str]) -> list[str]:
    """Those identity verifications that Stripe has not yet redacted."""
    left = []
    for session in sessions:
        try:
            found = calls.get(f"/v1/identity/verification_sessions/{session}")
        except CallRefusedError as error:
            if error.missing:
                continue
            raise
        if not _is_redacted(found):
            left.append(session)
    return left


def in_the_way(
    calls: Calls,
    charges: Iterable[Mapping[str, Any]],
    as_of: datetime,
    *,
    young: timedelta | None,
    look_again: timedelta,
) -> list[ObjectOutcome]:
    """What forbids an erasure now: open disputes, which a redaction loses, and charges too young for one.

    ``young``: how old a charge has to be; none where nothing is redacted.
    """
    charges = list(charges)
    told = []
    if young is not None:
        ripe = [end for c in charges if (end := instant(c["created"]) + young) > as_of]
        if ripe:
            told.append(ObjectOutcome("charge", State.pending, len(ripe), max(ripe), code="too_young"))
    disputes = [
        dispute
        for charge in charges
        if charge.get("disputed")
        for dispute in calls.pages("/v1/disputes", charge=charge["id"])
        if dispute["status"] not in CLOSED_DISPUTES
    ]
    if disputes:
        at = as_of + look_again
        told.append(ObjectOutcome("dispute", State.pending, len(disputes), at, code=disputes[0]["status"]))
    return told


def flag(calls: Calls, person: Person, customer: Mapping[str, Any], key: str) -> None:
    """Mark a customer in its metadata, which Radar's rules and the platform can read; once."""
    if (customer.get("metadata") or {}).get(key) != "1":
        calls.post(f"/v1/customers/{customer['id']}", person, "flag", metadata={key: "1"})


def _end_invoice(calls: Calls, person: Person, invoice: Json, open_invoices: str) -> Json | None:
    """The invoice as it is after its end; none when it was a draft and is gone."""
    path = f"/v1/invoices/{invoice['id']}"
    if invoice["status"] == "draft":
        try:
            calls.delete(path)
        except CallRefusedError as error:
            if error.status != 400:
                raise
        else:
            return None
        # A subscription's draft cannot be deleted.
        return calls.post(f"{path}/void", person, "void")
    if invoice["status"] == "open":
        action = "void" if open_invoices == "void" else "mark_uncollectible"
        return calls.post(f"{path}/{action}", person, action)
    return invoice


def _whole(calls: Calls, invoice: Json) -> Json:
    """With all of its lines: a list of invoices shows the first ten of each."""
    lines = invoice.get("lines") or {}
    if not lines.get("has_more"):
        return invoice
    every = list(calls.pages(f"/v1/invoices/{invoice['id']}/lines"))
    return {**invoice, "lines": {**lines, "data": every, "has_more": False}}


def _is_redacted(session: Mapping[str, Any]) -> bool:
    return (session.get("redaction") or {}).get("status") == "redacted"
