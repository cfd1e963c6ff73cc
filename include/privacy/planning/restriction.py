"""Restrictions as a store reports them, and the marks of the suppression list."""

from __future__ import annotations

import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Reason = Literal["objection", "restriction", "suppression"]

MARK_BYTES = 32
_KEY_BYTES = 32


@dataclass(frozen=True)
class Restriction:
    """One reason why a person's data may not be used for a purpose; ``*`` means all but storage."""

    purpose: str
    reason: str
    since: datetime


def contact_mark(key: bytes, kind: str, value: str) -> bytes:
    """The mark of a contact on the suppression list: HMAC-SHA256 of ``kind``, 0x1f and the contact.

    The contact is trimmed, in Unicode form NFC and in lower case, in UTF-8; docs/INTEGRATION.md tells the
    platform's engineers the same. The key (32 bytes) is in no database: without it, a mark tells nothing,
    not even whether a guess is right. Raises ``ValueError`` for a key of another length.
    """
    if len(key) != _KEY_BYTES:
        raise ValueError(f"the suppression key has {len(key)} bytes and needs {_KEY_BYTES}")
    plain = unicodedata.normalize("NFC", value.strip()).lower()
    return hmac.digest(key, f"{kind}\x1f{plain}".encode(), "sha256")
