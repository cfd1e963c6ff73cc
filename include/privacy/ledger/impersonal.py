"""Makes a value storable as evidence: JSON only, with e-mail and IP addresses taken out.

A safety net, not a licence: callers pass counts, codes and ids. It redacts and warns rather than
refuse, because after a deletion the record of it must not be lost to a badly worded message.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

log = logging.getLogger(__name__)

REDACTED = "[redacted]"
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+\.[^\s@<>\"'(),;:]+")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+)(?![\w:])")


def impersonal(value: Any) -> Any:
    """A JSON-able copy of ``value`` without e-mail or IP addresses in any text or key."""
    if isinstance(value, Enum):
        return impersonal(value.value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(k)): impersonal(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [impersonal(v) for v in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"evidence cannot hold a {type(value).__name__}; pass counts, codes, ids or dates")


def text(value: str) -> str:
    """``value`` with e-mail and IP addresses replaced."""
    clean = _ADDRESS.sub(_unless_no_address, _EMAIL.sub(REDACTED, value))
    if clean != value:
        log.warning("an address was removed from a text meant for the ledger; fix the message's source")
    return clean


def _unless_no_address(found: re.Match[str]) -> str:
    # Times of day look like IPv6; only what parses is an address.
    try:
        ipaddress.ip_address(found.group().rstrip("."))
    except ValueError:
        return found.group()
    return REDACTED
