"""SendGrid's signed events: whether SendGrid sent them, just now, and what they say.

Source: the pages on the signed event webhook and on its events. The signature is ECDSA over P-256 with
SHA-256, of the timestamp and the raw body.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from include.privacy.mail.bulk import Fated
from include.privacy.mail.port import require_opaque
from include.privacy.mail.sendgrid_fates import fated

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
REPLAY = timedelta(minutes=10)
"""How far the signed time may be from ours: a call that somebody recorded is of no use later."""
_STATUSES = {
    "processed": "processed",
    "delivered": "delivered",
    "deferred": "deferred",
    "dropped": "dropped",
    "bounce": "bounced",
}


class ForgedEventsError(ValueError):
    """Not signed by SendGrid, or not now. Messages hold nothing of the call."""


def public_key(text: str) -> ec.EllipticCurvePublicKey:
    """The key from base64 of its DER. ``ValueError`` for what cannot be it."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(
            "extra event_public_key must be the verification key that SendGrid shows for the signed event "
            "webhook (base64, P-256)"
        )
    return key


def verify(
    key: ec.EllipticCurvePublicKey, headers: Mapping[str, str], body: bytes, *, as_of: datetime
) -> None:
    """Raise :class:`ForgedEventsError` unless SendGrid signed this body at about ``as_of``."""
    timestamp, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + body, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise ForgedEventsError("the signature is not SendGrid's") from None
    try:
        signed_at = datetime.fromtimestamp(int(timestamp), UTC)
    except (ValueError, OverflowError, OSError):
        raise ForgedEventsError("the signed time is none") from None
    if abs(as_of - signed_at) > REPLAY:
        raise ForgedEventsError("the signed time is too far from now")


def parse(body: bytes) -> list[Fated]:
    """The events of delivery. Opens, clicks and unsubscriptions are left out: we ask for none.

    ``ValueError`` for what is no list of events; its text repeats nothing.
    """
    try:
        events = json.loads(body)
        if not isinstance(events, list):
            raise TypeError
        return [_event(each) for each in events if each["event"] in _STATUSES]
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        raise ValueError("the body is not SendGrid's list of events") from None


def _event(event: Mapping[str, Any]) -> Fated:
    status = _STATUSES[event["event"]]
    if status == "bounced" and event.get("type") == "blocked":
        status = "blocked"
    at = datetime.fromtimestamp(float(event["timestamp"]), UTC)
    return fated(event.get("email"), _reference(event.get("reference")), status, event.get("reason"), at)


def _reference(value: object) -> str | None:
    """Our token; SendGrid puts arguments of a mail beside the fields of its events."""
    try:
        return require_opaque(value) if isinstance(value, str) else None
    except ValueError:
        return None
