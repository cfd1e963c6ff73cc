"""Reading an OpenDSR request: every fault named by its field, never by what it held."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from include.privacy.clock import parse_instant
from include.privacy.connections import LOOPBACK
from include.privacy.requests.remote import Identity
from include.privacy.requests.verification import METHODS

REGULATIONS = ("gdpr", "ccpa")
REQUEST_TYPES = ("access", "portability", "erasure")
IDENTITIES = (("controller_customer_id", "raw"), ("email", "raw"))
"""What we can look for. A hashed address cannot be compared with addresses kept in plain."""
MOST_IDENTITIES = 20
MOST_CALLBACKS = 10
LONGEST_URL = 500


class OpenDsrError(ValueError):
    """The request is not usable; the message begins with the field. ``status`` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class SubjectRequest:
    """A request of a controller, read and checked."""

    external_id: str
    right: str
    submitted_at: datetime
    identity: Identity
    callback_urls: tuple[str, ...] = field(repr=False)
    verification: Mapping[str, str]


def read_request(
    raw: bytes, domain: str, callback_hosts: tuple[str, ...], *, legacy: bool = False
) -> SubjectRequest:
    """The request in these bytes; a ``legacy`` one need not name the regulation.

    Fields that the standard does not know, and extensions of other processors, are passed over. Raises
    :class:`OpenDsrError`.
    """
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        raise OpenDsrError("the body is not JSON") from None
    if not isinstance(message, dict):
        raise OpenDsrError("the body must be an object")
    if not legacy or "regulation" in message:
        _one_of(message, "regulation", REGULATIONS)
    return SubjectRequest(
        external_id=read_id(message.get("subject_request_id")),
        right=_one_of(message, "subject_request_type", REQUEST_TYPES),
        submitted_at=_submitted(message.get("submitted_time")),
        identity=_identity(message.get("subject_identities")),
        callback_urls=_callbacks(message.get("status_callback_urls"), callback_hosts),
        verification=_verification(message.get("extensions"), domain),
    )


def read_id(value: Any) -> str:
    """A UUID of version 4 in lower case, as section 1.1 has it. Raises :class:`OpenDsrError`."""
    try:
        parsed = UUID(value)
    except (ValueError, TypeError, AttributeError):
        parsed = None
    if parsed is None or str(parsed) != value or parsed.version != 4:
        raise OpenDsrError("subject_request_id must be a UUID of version 4 in lower case")
    return str(parsed)


def callback_allowed(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether a status may be sent there: https to a host of the list, without login or fragment.

    Plain HTTP is for a loopback address, which has to be on the list as well.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    named = f"{host}:{port}" in hosts or (port in (None, 443) and host in hosts)
    return plain and named and not parts.fragment and "@" not in url and len(url) <= LONGEST_URL


def _one_of(message: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = message.get(name)
    if not isinstance(value, str) or value not in known:
        raise OpenDsrError(f"{name} must be one of {', '.join(known)}")
    return value


def _submitted(value: Any) -> datetime:
    try:
        return parse_instant(value)
    except (ValueError, AttributeError):
        raise OpenDsrError("submitted_time must be an RFC 3339 instant with its zone") from None


def _identity(value: Any) -> Identity:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_IDENTITIES:
        raise OpenDsrError(f"subject_identities must be a list of 1 to {MOST_IDENTITIES} identities")
    found: dict[str, list[str]] = {kind: [] for kind, _ in IDENTITIES}
    for place, each in enumerate(value):
        where = f"subject_identities[{place}]"
        if not isinstance(each, dict):
            raise OpenDsrError(f"{where} must be an object")
        kind, form, text = (each.get(f"identity_{part}") for part in ("type", "format", "value"))
        if (kind, form) not in IDENTITIES:
            known = ", ".join(f"{k} as {f}" for k, f in IDENTITIES)
            raise OpenDsrError(
                f"{where}: this identity_type in this identity_format is not supported; supported are {known}"
            )
        if not isinstance(text, str) or not text.strip() or len(text) > 320 or not text.isprintable():
            raise OpenDsrError(f"{where}.identity_value must be a text of 1 to 320 printable characters")
        found[str(kind)].append(text.strip())
    return Identity(tuple(found["controller_customer_id"]), tuple(found["email"]))


def _callbacks(value: Any, hosts: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_CALLBACKS:
        raise OpenDsrError(f"status_callback_urls must be a list of at most {MOST_CALLBACKS} addresses")
    for place, url in enumerate(value):
        if not isinstance(url, str) or not callback_allowed(url, hosts):
            raise OpenDsrError(
                f"status_callback_urls[{place}] must be https at a host that was agreed on, "
                f"of at most {LONGEST_URL} characters, without login, @ or fragment"
            )
    return tuple(dict.fromkeys(value))


def _verification(extensions: Any, domain: str) -> dict[str, str]:
    """What the controller says of the identity: ``{"<our domain>": {"verification": {"method": …}}}``."""
    if extensions is None:
        return {}
    own = extensions.get(domain, {}) if isinstance(extensions, dict) else None
    stated = own.get("verification", {}) if isinstance(own, dict) else None
    if not isinstance(stated, dict):
        raise OpenDsrError("extensions must be an object of objects, keyed by the processor's domain")
    method = stated.get("method")
    if stated and (method not in METHODS or method == "session"):
        known = ", ".join(METHODS[1:])
        raise OpenDsrError(f"extensions: verification.method for our domain must be one of {known}")
    return {"method": str(method)} if stated else {}
