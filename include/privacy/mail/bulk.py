"""Sending one letter to many addresses in few calls, and what the provider's records say of each afterwards.

As in :mod:`.port`, nothing here sends twice by itself: a *batch* (one call) is claimed by the caller before
the call, and whatever lies between is settled by :meth:`BulkMail.fates` after a quiet time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from include.privacy.letters.letter import Letter


@dataclass(frozen=True)
class Addressed:
    """One recipient of a batch. ``reference``: an opaque token of this person in this campaign."""

    reference: str
    address: str = field(repr=False)


@dataclass(frozen=True)
class BatchResult:
    """What the answer to a call says of one recipient. Not ``accepted``: certainly not sent to this one.

    ``of_address``: the address is the reason, so that another provider will not help. ``reason``: a short
    code of ours, never the provider's words; empty when accepted.
    """

    reference: str
    accepted: bool
    of_address: bool
    reason: str


@dataclass(frozen=True)
class BatchReceipt:
    """One result for each recipient, in the order given. ``provider_id``: the call's id at the provider."""

    provider_id: str | None
    results: tuple[BatchResult, ...]


class Fate(StrEnum):
    """What became of one message. ``accepted``: queued at the provider; ``deferred``: it still tries."""

    accepted = "accepted"
    delivered = "delivered"
    deferred = "deferred"
    bounced = "bounced"
    dropped = "dropped"


@dataclass(frozen=True)
class Fated:
    """One record of the provider; it names the address, the reference, or both.

    ``of_address`` and ``reason``: as in :class:`BatchResult`, for ``bounced`` and ``dropped``.
    """

    address: str | None = field(repr=False)
    reference: str | None
    fate: Fate
    of_address: bool
    reason: str
    at: datetime


class BulkMail(Protocol):
    """What every provider of bulk mail can do. ``capacity``: recipients of one call."""

    @property
    def name(self) -> str:
        """``sendgrid`` or ``postmark``."""
        ...

    @property
    def capacity(self) -> int:
        """How many recipients one call takes."""
        ...

    @property
    def whole_calls(self) -> bool:
        """Whether a call is taken over for everybody in it or for nobody, so that one record proves it."""
        ...

    def send(self, letter: Letter, to: Sequence[Addressed], *, batch: str) -> BatchReceipt:
        """Send the letter to everybody in one call, each of them unseen by the others.

        ``batch``: an opaque token of this call, a new one for each; the provider keeps it. Raises
        :class:`.port.MailBusyError`, :class:`.port.MailUnavailableError`, :class:`.port.MailRejectedError`
        (nothing was sent to anybody), :class:`.port.MailUncertainError` (it may have been), and
        ``ValueError`` before the call for no recipient or too many, an address or reference twice, or
        tokens that are not opaque. Never makes a call twice.
        """
        ...

    def fates(self, batch: str, since: datetime, *, as_of: datetime) -> list[Fated]:
        """Everything that the provider's records say of the batch that was claimed at ``since``.

        Raises :class:`.port.MailUnavailableError` when they cannot be read completely.
        """
        ...

    def settled(self, since: datetime, as_of: datetime) -> bool:
        """Whether the records are complete enough that absence of a message proves that it was not sent."""
        ...

    def suppressed(self, since: datetime, until: datetime, *, as_of: datetime) -> Iterator[Fated]:
        """Addresses that came onto the provider's suppression lists in that time, without references.

        They tell of bounces that come hours after a delivery and never reach the records of the message.
        The fate is what a letter meets from then on. Raises :class:`.port.MailUnavailableError`.
        """
        ...
