"""The rows of the accounts database, table by table, made from people as they stream by."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from hashlib import shake_256
from typing import Any
from uuid import UUID

from argon2.low_level import Type, hash_secret

from include.sandbox.platform.people import Person, pick

Row = tuple[Any, ...]
Maker = Callable[[Person, int, datetime], Iterator[Row]]

STAFF = 5
PLANS = (("solo", "Solo", 900), ("plus", "Plus", 1900), ("team", "Team", 9900))
POLICY_DOCUMENTS = (("2024-05", "2024-05-01"), ("2026-10", "2026-10-01"))
TEAM = 50
"""Every so many people, one pays for the three who follow."""

# Hashes of passwords nobody uses, made once: bcrypt at cost 12 takes a quarter of a second each.
_BCRYPT = (
    "$2b$12$R8lHSqu/yfwN68778H8J2uXpHGr.WJ.lIz06NxAP7hA.6tQMlxEPu",
    "$2b$12$gycg0Ab.GCLAh.sVpMCJJ.9bS7l.48amZxvUQcjozlp.z8yeyhNkO",
)
_WORDS = (
    "the exercise does not load on my tablet", "I was charged twice this month",
    "how do I change my e-mail address", "my progress looks wrong since Tuesday",
    "please move my plan to yearly", "the recording of my last session is silent",
)  # fmt: skip


@cache
def password_hashes() -> tuple[str, ...]:
    """A handful of real password hashes: argon2id as OWASP advises, and bcrypt from earlier years."""
    argon = (
        hash_secret(
            f"practice {n}".encode(), f"sandbox-salt-{n:03d}".encode(), 2, 19456, 1, 32, Type.ID
        ).decode()
        for n in range(4)
    )
    return (*argon, *_BCRYPT)


def has_subscription(person: Person) -> bool:
    """Whether the person pays for a plan of their own."""
    return person.marker is not None or person.index % TEAM == 0 or person.index % 10 < 6


def said(person: Person, salt: int) -> str:
    """Something in the person's own words; a marker's words carry the marker."""
    words = _WORDS[(person.index + salt) % len(_WORDS)]
    return f"{words} ({person.marker.texts[0]}, {person.full_name})" if person.marker else words


def _accounts(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    position = p.index % TEAM
    subscription = p.index + 1 if has_subscription(p) else None
    if p.marker is None and position in (1, 2, 3):
        subscription = p.index - position + 1
    yield (
        p.id, p.public_id, p.email, p.full_name, p.status, p.locale, p.time_zone, p.created_at,
        p.active_until, p.ip, p.service_ended_at, p.deleted_at, p.referred_by, subscription,
    )  # fmt: skip


def _credentials(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    hashes = password_hashes()
    # Sealed by the platform: a nonce, twenty bytes, a tag.
    sealed = shake_256(b"%d" % pick(seed, p.index, 20, 1 << 62)).digest(12 + 20 + 16)
    secret = sealed if p.index % 7 == 0 or p.marker else None
    yield p.id, hashes[pick(seed, p.index, 21, len(hashes))], secret, p.created_at


def _former_emails(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    for n, email in enumerate(p.former_emails):
        yield p.index * 4 + n + 1, p.id, email, p.created_at + timedelta(days=30)


def _account_audit(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    for n, email in enumerate(p.former_emails):
        yield p.index * 4 + n + 1, p.id, "UPDATE", email, "app", p.created_at + timedelta(days=30)


def _gateway_customers(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if p.marker:
        yield p.id, p.marker.identifiers[0], f"PAYER{p.id}", p.created_at
    elif has_subscription(p):
        token = f"{pick(seed, p.index, 22, 1 << 40):010x}{p.index:x}"
        paypal = p.index % 4 == 0
        yield p.id, None if paypal else f"cus_{token}", token.upper() if paypal else None, p.created_at


def _subscriptions(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if has_subscription(p):
        plan = "team" if p.index % TEAM == 0 else ("solo", "plus")[p.index % 2]
        gateway = (
            p.marker.identifiers[1] if p.marker else f"sub_{pick(seed, p.index, 23, 1 << 40):010x}{p.index:x}"
        )
        ended = p.service_ended_at or p.deleted_at
        yield p.index + 1, p.id, plan, "cancelled" if ended else "active", gateway, p.created_at, ended


def _invoices(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if not has_subscription(p):
        return
    price = 9900 if p.index % TEAM == 0 else (900, 1900)[p.index % 2]
    for n in range(6):
        issued = p.active_until - timedelta(days=30 * n + 1)
        if issued < p.created_at:
            return
        number = p.index * 6 + n + 1
        payload = {
            "charge": f"ch_{number:012x}", "amount": price, "payer_name": p.full_name, "payer_email": p.email,
            "receipt_url": f"https://pay.example/receipts/{p.public_id}",
        }  # fmt: skip
        yield (
            number, f"PE-{number:09d}", p.id, p.full_name, p.email, f"{1 + p.index % 90} Harbour Street",
            p.country, price, price * 19 // 119, "EUR", json.dumps(payload), issued,
            issued + timedelta(hours=2),
        )  # fmt: skip


def _invoice_lines(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    plan = "team" if p.index % TEAM == 0 else ("solo", "plus")[p.index % 2]
    for invoice in _invoices(p, seed, as_of):
        yield invoice[0], 1, plan, 1, invoice[7]


def _consents(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    yield p.index * 2 + 1, p.id, "marketing.communications.email", p.index % 3 == 0, p.ip, p.created_at
    if p.index % 6 == 0 or p.marker:
        withdrawn = p.created_at + timedelta(days=90)
        yield (
            p.index * 2 + 2,
            p.id,
            "marketing.communications.email",
            False,
            p.marker.ips[1] if p.marker else p.ip,
            withdrawn,
        )


def _policy_acceptances(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    yield p.id, POLICY_DOCUMENTS[0][0], p.created_at


def _tickets(p: Person) -> Iterator[tuple[int, int | None, str]]:
    """(ticket id, account or None, e-mail): with the account, by e-mail only, by a former e-mail."""
    if p.index % 10 == 1 or p.marker:
        yield p.index * 4 + 1, p.id, p.email
    if p.index % 33 == 2 or p.marker:
        yield p.index * 4 + 2, None, p.email
    if p.former_emails and (p.index % 4 == 0 or p.marker):
        yield p.index * 4 + 3, None, p.former_emails[0]
    if p.index % 200 == 5 and not p.marker:
        yield p.index * 4 + 4, None, f"stranger{p.index}@elsewhere.example"


def _support_tickets(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    for ticket, account, email in _tickets(p):
        written = p.active_until - timedelta(days=1 + ticket % 60)
        closed = written + timedelta(days=2) if ticket % 5 else None
        yield (
            ticket, account, email, p.full_name, _WORDS[ticket % len(_WORDS)], said(p, ticket),
            "closed" if closed else "open", 1 + ticket % STAFF, written, closed,
        )  # fmt: skip


def _ticket_messages(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    for ticket, _, email in _tickets(p):
        written = p.active_until - timedelta(days=1 + ticket % 60)
        yield ticket, 1, None, f"{said(p, ticket)}; write to {email}", written
        yield ticket, 2, 1 + ticket % STAFF, f"Dear {p.full_name}, we are looking into it.", written


def _ticket_attachments(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    for ticket, _, email in _tickets(p):
        if ticket % 4 == 1:
            yield ticket, ticket, 1, f"screenshot of {email}.txt", "text/plain", said(p, 1).encode() * 20


def _newsletter_subscribers(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if p.index % 5 == 0 or p.marker:
        yield p.email, p.full_name.split()[0], p.ip, p.created_at, p.created_at
    if p.index % 200 == 6 and not p.marker:
        yield f"reader{p.index}@elsewhere.example", None, "100.127.0.1", p.created_at, None


def _verification_tokens(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if p.index % 3 == 0 or p.marker:
        asked = as_of - timedelta(hours=pick(seed, p.index, 24, 24 * 12), minutes=5)
        digest = pick(seed, p.index, 25, 1 << 62).to_bytes(16, "big") * 2
        yield p.index + 1, p.id, p.email, digest, "reset_password", asked, asked + timedelta(minutes=3)


def _old_request(p: Person, seed: int) -> tuple[UUID, datetime] | None:
    if p.marker or p.index % 200 == 11:
        return UUID(
            int=pick(seed, p.index, 26, 1 << 62) << 64 | p.index, version=4
        ), p.created_at + timedelta(days=60)
    return None


def _privacy_inbox(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    """Requests of the past, long since taken."""
    if old := _old_request(p, seed):
        request, asked = old
        yield (
            request, "opened", request, p.id, "access", "app", asked, asked, '{"method": "session"}',
            json.dumps({"note": said(p, 3)}), asked + timedelta(minutes=1),
        )  # fmt: skip


def _privacy_outbox(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    if old := _old_request(p, seed):
        body = json.dumps({"greeting": f"Dear {p.full_name}", "to": p.email})
        yield p.index + 1, old[0], p.id, "archive_ready", body, old[1], old[1] + timedelta(days=2)


def _privacy_restrictions(p: Person, seed: int, as_of: datetime) -> Iterator[Row]:
    """A few have objected long ago. practice_rows.py has the same rows."""
    if p.marker or p.index % 60 == 31:
        yield p.id, "personalize.content", "objection", p.created_at


# In an order that foreign keys like: parents first.
TABLES: tuple[tuple[str, str, Maker], ...] = (
    ("accounts", "id public_id email full_name status locale time_zone created_at last_seen_at last_login_ip "
     "service_ended_at deleted_at referred_by default_subscription_id", _accounts),
    ("subscriptions", "id account_id plan_code status gateway_subscription_id started_at ended_at",
     _subscriptions),
    ("credentials", "account_id password_hash totp_secret changed_at", _credentials),
    ("former_emails", "id account_id email replaced_at", _former_emails),
    ("account_audit", "id account_id operation old_email changed_by changed_at", _account_audit),
    ("gateway_customers", "account_id stripe_customer_id paypal_payer_id created_at", _gateway_customers),
    ("invoices", "id number account_id billing_name billing_email billing_address country amount_cents "
     "tax_cents currency gateway_payload issued_at paid_at", _invoices),
    ("invoice_lines", "invoice_id line_no plan_code quantity amount_cents", _invoice_lines),
    ("consents", "id account_id purpose granted source_ip recorded_at", _consents),
    ("policy_acceptances", "account_id version accepted_at", _policy_acceptances),
    ("support_tickets", "id account_id requester_email requester_name subject body status assigned_to "
     "created_at closed_at", _support_tickets),
    ("ticket_messages", "ticket_id seq author_admin_id body created_at", _ticket_messages),
    ("ticket_attachments", "id ticket_id message_seq file_name content_type content", _ticket_attachments),
    ("newsletter_subscribers", "email first_name source_ip subscribed_at confirmed_at",
     _newsletter_subscribers),
    ("verification_tokens", "id account_id sent_to token_hash purpose created_at used_at",
     _verification_tokens),
    ("privacy_inbox", "id kind request_id account_id right channel received_at verified_at verification "
     "details taken_at", _privacy_inbox),
    ("privacy_outbox", "id request_id account_id kind body created_at delivered_at", _privacy_outbox),
    ("privacy_restrictions", "account_id purpose reason since", _privacy_restrictions),
)  # fmt: skip


def staff_rows(as_of: datetime) -> Iterator[Row]:
    """The few who run the platform. All have a second factor."""
    for n in range(1, STAFF + 1):
        role = ("support", "support", "finance", "engineer", "privacy")[n - 1]
        yield (
            n, f"staff{n}@practice-engine.example", f"Staff Member {n}", role, password_hashes()[0],
            "webauthn", as_of - timedelta(days=400), as_of - timedelta(days=500), as_of - timedelta(days=1),
        )  # fmt: skip
