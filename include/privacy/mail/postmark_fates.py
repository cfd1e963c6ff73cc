"""What Postmark's words mean: codes of a refused message, types of bounces, reasons of suppressions.

Sources: https://postmarkapp.com/developer/api: overview (error codes), bounce-api (types), suppressions-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.privacy.mail.bulk import BatchResult, Fate, Fated
from include.privacy.mail.recipients import normalised

INACTIVE, INVALID = 406, 300
_OF_ADDRESS = {INACTIVE: "inactive_recipient", INVALID: "invalid_address"}
_BOUNCES = {
    "HardBounce": (Fate.bounced, True, "hard_bounce"),
    "BadEmailAddress": (Fate.bounced, True, "invalid_address"),
    "Transient": (Fate.deferred, False, "transient"),
    "SoftBounce": (Fate.bounced, False, "soft_bounce"),
    "DnsError": (Fate.bounced, False, "dns_error"),
    "Blocked": (Fate.bounced, False, "blocked"),
    "SpamNotification": (Fate.bounced, False, "spam_notification"),
    "VirusNotification": (Fate.bounced, False, "virus_notification"),
    "DMARCPolicy": (Fate.bounced, False, "dmarc_policy"),
    "Unknown": (Fate.bounced, False, "unknown_bounce"),
    "Unconfirmed": (Fate.dropped, False, "unconfirmed"),
    "ManuallyDeactivated": (Fate.dropped, False, "manually_deactivated"),
    "SMTPApiError": (Fate.dropped, False, "api_error"),
    "InboundError": (Fate.dropped, False, "inbound_error"),
    "TemplateRenderingFailed": (Fate.dropped, False, "template_rendering_failed"),
    # The person got it, and says that it is spam.
    "SpamComplaint": (Fate.delivered, False, "spam_complaint"),
}
# What is not here was answered by somebody, or by a program, that got the message: no bounce at all.
_LISTED = {
    "HardBounce": (Fate.bounced, True, "hard_bounce"),
    "SpamComplaint": (Fate.dropped, True, "suppressed_spam_report"),
    "ManualSuppression": (Fate.dropped, False, "unsubscribed"),
}


def result(reference: str, code: int) -> BatchResult:
    """What the code in the answer says of one message; 0 is accepted."""
    if code == 0:
        return BatchResult(reference, True, False, "")
    return BatchResult(reference, False, code in _OF_ADDRESS, _OF_ADDRESS.get(code, f"error_{code}"))


def of_message(row: Mapping[str, Any]) -> Fated:
    """A message of the search. Postmark tells of deliveries message by message only, so that one which has
    left is ``accepted``. ``LookupError``, ``TypeError``, ``ValueError``: it is none.
    """
    metadata = row.get("Metadata")
    reference = metadata.get("reference") if isinstance(metadata, Mapping) else None
    address = normalised(str(row["Recipients"][0]))
    return Fated(address, reference, Fate.accepted, False, "", _at(row["ReceivedAt"]))


def of_bounce(row: Mapping[str, Any], message: Fated | None) -> Fated | None:
    """A bounce, with the reference of its message; nothing for a mere reply. Raises as :func:`of_message`."""
    found = _BOUNCES.get(str(row["Type"]))
    if found is None:
        return None
    fate, of_address, code = found
    reference = message.reference if message else None
    return Fated(normalised(str(row["Email"])), reference, fate, of_address, code, _at(row["BouncedAt"]))


def of_suppression(row: Mapping[str, Any]) -> Fated:
    """A row of the stream's list. Raises as :func:`of_message`."""
    fate, of_address, code = _LISTED.get(str(row["SuppressionReason"]), (Fate.dropped, False, "suppressed"))
    return Fated(normalised(str(row["EmailAddress"])), None, fate, of_address, code, _at(row["CreatedAt"]))


def _at(text: object) -> datetime:
    at = datetime.fromisoformat(str(text))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
