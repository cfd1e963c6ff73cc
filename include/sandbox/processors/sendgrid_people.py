"""The platform's people at SendGrid's stand-in: contacts, some of them suppressed, and letters of news."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any

NEWSLETTER = "5d4a3e2c-8f11-4f0e-9a57-2f1c3b6d7e90"
"""The list of everybody who gets news."""
NEWS_FROM = "news@practice-engine.example"
_SUPPRESSED = {0: "bounces", 1: "blocks", 2: "spam_reports", 3: "unsubscribes", 4: "invalid_emails"}


def share(person: dict[str, Any]) -> int:
    """0 to 99, always the same for the same person."""
    return int(hashlib.sha256(str(person["account_id"]).encode()).hexdigest()[:8], 16) % 100


def contact_of(person: dict[str, Any]) -> dict[str, Any] | None:
    """Whoever is subscribed to the newsletter is a contact, under an id that means nothing to SendGrid."""
    if not person.get("newsletter"):
        return None
    first, _, last = (person.get("full_name") or "").rpartition(" ")
    opaque = str(uuid.uuid5(uuid.NAMESPACE_OID, f"contact {person['account_id']}"))
    return {"email": person["email"], "first_name": first or last, "last_name": last if first else ""} | {
        "external_id": opaque,
        "custom_fields": {"w1": "beginner"} if share(person) % 2 else {},
    }


def lists_of(person: dict[str, Any]) -> list[tuple[str, str]]:
    """The suppressions of a few, and of their former addresses: list and address."""
    found = [(_SUPPRESSED[share(person)], person["email"])] if share(person) in _SUPPRESSED else []
    if 5 <= share(person) < 10:
        found.append(("1001", person["email"]))
    return found + [("bounces", former) for former in person.get("former_emails", [])[:1]]


def news_of(person: dict[str, Any], now: datetime) -> list[datetime]:
    """When news were sent to a person within the log's 30 days."""
    return [now - timedelta(days=n) for n in (3, 10, 17)] if person.get("newsletter") else []
