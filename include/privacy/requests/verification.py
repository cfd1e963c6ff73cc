"""Whether an identity is established, in proportion to the channel (P6.7, Art. 12(6) GDPR).

No document is ever asked for: a fresh signed-in session, a one-time link to a contact point already on
file, or what a member of staff has checked and answers for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from include.privacy.clock import parse_instant
from include.privacy.policy.policy import Verification

METHODS = ("session", "one_time_token", "in_person", "phone_callback", "letter", "mandate")
"""``phone_callback``: staff rang a number on file. ``letter``: answered from the address on file.
``mandate``: an agent's signed permission or power of attorney, checked by staff."""

PLATFORM = "platform"
"""``{"pending": "platform"}``: the platform sends its own one-time link and tells us when it is followed."""


def established(verification: Mapping[str, Any], received_at: datetime, rules: Verification) -> bool:
    """Whether what the platform states suffices. A session must say how old and how strong it is."""
    method = verification.get("method")
    if method != "session":
        return method in METHODS
    if verification.get("strength") not in rules.session_strengths:
        return False
    try:
        begun = parse_instant(str(verification.get("authenticated_at")))
    except ValueError:
        return False
    age = received_at - begun
    return -timedelta(minutes=5) <= age <= timedelta(minutes=rules.session_max_age_minutes)


def codes_of(verification: Mapping[str, Any]) -> dict[str, Any]:
    """The part of it that goes on record: codes and instants, nothing that anybody wrote."""
    known = ("method", "strength", "authenticated_at", "pending")
    return {name: str(verification[name])[:64] for name in known if verification.get(name)}
