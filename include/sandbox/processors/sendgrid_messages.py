"""The messages that SendGrid's stand-in logs, and what becomes of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Logged:
    """One message. ``status`` is what became of it in the end, at ``settled_at``; before, it is processed."""

    sg_message_id: str
    from_email: str
    to_email: str
    subject: str
    categories: tuple[str, ...]
    created_at: datetime
    status: str = "delivered"
    reason: str = ""
    reference: str = ""
    settled_at: datetime | None = None

    def entry(self) -> dict[str, str]:
        """As the API shows it."""
        return {
            "from_email": self.from_email,
            "sg_message_id": self.sg_message_id,
            "subject": self.subject,
            "to_email": self.to_email,
            "reason": self.reason,
            "status": self.status,
            "sg_message_id_created_at": self.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def details(self) -> dict[str, Any]:
        """As ``GET /v3/logs/{id}`` shows it."""
        told: dict[str, Any] = dict(self.entry())
        del told["reason"], told["sg_message_id_created_at"]
        return told | {
            "api_key_id": "stand-in", "client_ip": "192.0.2.1", "events": [],
            "category": list(self.categories),
            "custom_args": {"reference": self.reference} if self.reference else {},
        }  # fmt: skip


class MessageLog:
    """Messages by call, found by category without a look at all others.

    ``most_calls``: older calls fall out, so that a campaign to a million people needs no more memory than
    one to a few thousand; ``counts`` goes on counting by status.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calls: dict[int, Sequence[Logged]] = {}
        self._next = 0
        self._of_category: dict[str, list[int]] = {}
        self.most_calls: int | None = None
        self.counts: dict[str, int] = {}

    def append(self, message: Logged) -> None:
        """Log one."""
        self.add([message])

    def add(self, messages: Sequence[Logged]) -> None:
        """Log those of one call, which have its categories in common."""
        if not messages:
            return
        with self._lock:
            self._calls[self._next] = messages
            for category in messages[0].categories:
                self._of_category.setdefault(category, []).append(self._next)
            self._next += 1
            for message in messages:
                self.counts[message.status] = self.counts.get(message.status, 0) + 1
            while self.most_calls is not None and len(self._calls) > self.most_calls:
                oldest = next(iter(self._calls))
                for category in self._calls.pop(oldest)[0].categories:
                    self._of_category.pop(category, None)

    def __iter__(self) -> Iterator[Logged]:
        """All of them, the oldest first."""
        with self._lock:
            calls = list(self._calls.values())
        return (message for messages in calls for message in messages)

    def newest_first(self, categories: set[str] | None = None) -> Iterator[Logged]:
        """Those of any of the categories; all of them when there are none to look for."""
        with self._lock:
            if categories is None:
                calls = list(reversed(self._calls.values()))
            else:
                numbers = {n for each in categories for n in self._of_category.get(each, ())}
                calls = [self._calls[n] for n in sorted(numbers, reverse=True) if n in self._calls]
        return (message for messages in calls for message in reversed(messages))

    def forget(self, which: Callable[[Logged], bool]) -> int:
        """Take messages out; returns how many."""
        gone = 0
        with self._lock:
            for number, messages in list(self._calls.items()):
                kept = [m for m in messages if not which(m)]
                gone += len(messages) - len(kept)
                if not kept:
                    del self._calls[number]
                elif len(kept) < len(messages):
                    self._calls[number] = kept
        return gone


def seen_at(message: Logged, now: datetime) -> Logged:
    """What is known of it by now."""
    if message.settled_at is None or message.settled_at <= now:
        return message
    return Logged(
        message.sg_message_id, message.from_email, message.to_email, message.subject, message.categories,
        message.created_at, "processed", "", message.reference,
    )  # fmt: skip


def settling(now: datetime, seconds: float) -> datetime | None:
    """When a message that is sent now is settled; nothing when it is at once."""
    return now + timedelta(seconds=seconds) if seconds else None
