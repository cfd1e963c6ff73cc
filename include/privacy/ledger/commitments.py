"""Commitments: how evidence binds to something of a person without showing or keeping it.

An HMAC under a random key of the request. While the key lives, and for whoever was given it, the commitment
can be opened; when the request is closed its key is destroyed, and what is left says nothing. Never a plain
hash: addresses and account numbers can be guessed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from include.privacy.ledger.keys import open_key
from include.privacy.ledger.requests import load_request
from include.privacy.ledger.sealing import Sealer, keyed_hash

_PURPOSE = b"privacy ledger: commitments"


@dataclass(frozen=True)
class Commitments:
    """Commits under one key. Give the key to the person only: it opens every commitment of the request."""

    key: bytes = field(repr=False)

    def commit(self, what: str, value: str) -> str:
        """HMAC-SHA256 over the name of the field and its value, in hex."""
        return keyed_hash(self.key, what, value).hex()


def commitments(session: Session, sealer: Sealer, request_id: UUID) -> Commitments:
    """Those of an open request; :class:`KeyDestroyed` once it is closed.

    The key is derived: whoever gets it cannot open what the request's own key seals.
    """
    request = load_request(session, request_id)
    key = open_key(session, sealer, request.key_id, f"request {request_id}")
    return Commitments(hmac.digest(key.secret, _PURPOSE, "sha256"))
