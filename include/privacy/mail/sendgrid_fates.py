"""What SendGrid's words about a message mean: statuses of its log, reasons of drops, suppression lists.

Sources: ``tsg_logs_v3`` (statuses), the event reference (drop reasons), ``tsg_suppressions_v3``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.privacy.mail.bulk import Fate, Fated
from include.privacy.mail.recipients import normalised

_STATUSES = {
    "processed": Fate.accepted,
    "delivered": Fate.delivered,
    "deferred": Fate.deferred,
    "dropped": Fate.dropped,
    "bounced": Fate.bounced,
    "blocked": Fate.bounced,
}
# Why SendGrid dropped a message. What is not here is of our account or of the letter.
_DROPS = {
    "bounced address": ("suppressed_bounce", True),
    "spam reporting address": ("suppressed_spam_report", True),
    "invalid": ("invalid_address", True),
    "unsubscribed address": ("unsubscribed", False),
}
LISTS = {
    "bounces": (Fate.bounced, True, "hard_bounce"),
    # A refusal of the message, not of the person: later ones are tried again.
    "blocks": (Fate.bounced, False, "blocked"),
    "invalid_emails": (Fate.dropped, True, "invalid_address"),
    "spam_reports": (Fate.dropped, True, "suppressed_spam_report"),
}
"""Each suppression list with what its rows mean for a letter."""


def fated(address: object, reference: str | None, status: object, reason: object, at: datetime) -> Fated:
    """One record. A status that we do not know is still a message that was taken over."""
    fate = _STATUSES.get(str(status), Fate.accepted)
    code, of_address = "", False
    if status == "blocked":
        code = "blocked"
    elif fate is Fate.bounced:
        code, of_address = "hard_bounce", True
    elif fate is Fate.dropped:
        code, of_address = _DROPS.get(str(reason).strip().lower(), ("dropped", False))
    known = normalised(address) if isinstance(address, str) and address else None
    return Fated(known, reference, fate, of_address, code, at)


def of_log(row: Mapping[str, Any]) -> Fated:
    """A message of ``POST /v3/logs``; ``at`` is when it was taken over. ``LookupError``, ``ValueError``:
    it is none.
    """
    at = datetime.fromisoformat(str(row["sg_message_id_created_at"]))
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return fated(row["to_email"], None, row["status"], row.get("reason"), at.astimezone(UTC))


def of_list(name: str, row: Mapping[str, Any]) -> Fated:
    """A row of a suppression list. Raises as :func:`of_log`."""
    fate, of_address, code = LISTS[name]
    at = datetime.fromtimestamp(float(row["created"]), UTC)
    return Fated(normalised(str(row["email"])), None, fate, of_address, code, at)
