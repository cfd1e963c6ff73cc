"""Sending one letter to one address, and finding out afterwards whether it was sent.

No provider of mail knows idempotency keys, so nothing here sends twice by itself. The caller writes down
that it is about to send (with ``reference``), sends, and writes down the outcome; whatever lies between
is *uncertain*, and :meth:`MailPort.find` settles it after a quiet time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from include.privacy.letters.letter import Letter

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{8,64}")


class MailError(RuntimeError):
    """Sending did not end well. Messages hold no address, no subject and no text of a letter."""


class MailNotSentError(MailError):
    """The letter was certainly not sent; the claim on it may be given back."""


class MailRejectedError(MailNotSentError):
    """This letter or this address is refused; to send the same again would be refused again."""


class MailBusyError(MailNotSentError):
    """Too many calls; nothing was sent. ``retry_at``: when the provider says to come back, if it says so."""

    def __init__(self, message: str, retry_at: datetime | None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class MailUnavailableError(MailNotSentError):
    """No letter at all can be sent now: no connection came about, or the key is refused."""


class MailUncertainError(MailError):
    """The letter may have been sent. Do not send it again before :meth:`MailPort.find` says not_sent."""


class SendState(StrEnum):
    """What the provider's own records say about a letter."""

    sent = "sent"
    not_sent = "not_sent"
    unknown = "unknown"


@dataclass(frozen=True)
class Receipt:
    """The provider has taken the letter over (which is not yet delivery), under an id of its own."""

    provider_id: str | None


class MailPort(Protocol):
    """What every provider of mail can do."""

    def send(self, address: str, letter: Letter, *, reference: str) -> Receipt:
        """Send the letter to one address.

        ``reference`` is an opaque token, a new one for each letter; the provider keeps it and its staff
        can see it. Raises one of the errors of this module, and ``ValueError`` for a reference that is
        not opaque (:func:`require_opaque`).
        """
        ...

    def find(self, reference: str, since: datetime, *, as_of: datetime) -> SendState:
        """Whether the letter with this reference, claimed at ``since``, was sent.

        ``unknown`` while the provider's records may not be complete yet, or cannot be read: ask again.
        Raises :class:`MailUnavailableError` when our key may not read the records, since no repetition helps.
        """
        ...


def require_opaque(reference: str) -> str:
    """The reference, unless it could be an address, a name or part of a query: then ``ValueError``."""
    if not _REFERENCE.fullmatch(reference):
        raise ValueError(
            "a reference must be 8 to 64 letters, digits, - or _ that mean nothing to anybody else; "
            "make one with secrets.token_urlsafe(16)"
        )
    return reference
