"""What Postmark's stand-in stores: messages, opens, clicks, bounces, suppressions by stream, removals."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

STREAMS = {
    "outbound": "Transactional",
    "broadcast": "Broadcasts",
    "legal-notices": "Broadcasts",
    "inbound": "Inbound",
}
_NEVER = datetime.min.replace(tzinfo=UTC)
_CLIENT = {"Name": "Mail", "Company": "Example", "Family": "Mail"}
_GEO = {"Country": "Germany", "CountryISOCode": "DE", "City": "Berlin", "IP": "192.0.2.20"}


@dataclass
class Removal:
    """A data removal: it takes effect when it is due."""

    id: int
    address: str
    asked: datetime
    due: datetime
    done: bool = False


@dataclass
class Server:
    """One server of an account. ``offset`` moves its clock; ``removal_seconds``: how long a removal takes;
    ``retention_days``: how long messages, opens, clicks and bounces are kept.
    """

    offset: timedelta = timedelta(0)
    removal_seconds: float = 5.0
    retention_days: int = 45
    messages: list[dict[str, Any]] = field(default_factory=list)
    opens: list[dict[str, Any]] = field(default_factory=list)
    clicks: list[dict[str, Any]] = field(default_factory=list)
    bounces: list[dict[str, Any]] = field(default_factory=list)
    suppressions: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name, kind in STREAMS.items() if kind != "Inbound"}
    )
    removals: dict[int, Removal] = field(default_factory=dict)
    _swept: datetime = _NEVER

    def now(self) -> datetime:
        """The time here."""
        return datetime.now(UTC) + self.offset

    def run_due(self) -> None:
        """Let removals that are due take effect, and forget what is too old."""
        for removal in self.removals.values():
            if not removal.done and removal.due <= self.now():
                removal.done = True
                self._forget(lambda of, at, r=removal: r.address in of and at <= r.asked)  # type: ignore[misc] # one for each
        oldest = self.now() - timedelta(days=self.retention_days)
        # Looking through everything with every call would make many calls slow.
        if abs(oldest - self._swept) > timedelta(seconds=0.5):
            self._swept = oldest
            self._forget(lambda of, at: at < oldest)

    def _forget(self, which: Any) -> None:
        def kept(rows: list[dict[str, Any]], addresses: Any, at: str) -> list[dict[str, Any]]:
            return [r for r in rows if not which(addresses(r), datetime.fromisoformat(r[at]))]

        self.messages = kept(self.messages, lambda m: m["Recipients"], "ReceivedAt")
        self.opens = kept(self.opens, lambda m: [m["Recipient"]], "ReceivedAt")
        self.clicks = kept(self.clicks, lambda m: [m["Recipient"]], "ReceivedAt")
        self.bounces = kept(self.bounces, lambda m: [m["Email"]], "BouncedAt")

    def send(self, to: str, at: datetime, subject: str, *others: str) -> dict[str, Any]:
        """A message that was sent; ``others`` in copy."""
        known = uuid.uuid5(uuid.NAMESPACE_OID, f"{to} {subject} {at:%Y-%m-%d}")
        message = {
            "MessageID": str(known), "To": [{"Email": to, "Name": ""}],
            "Cc": [{"Email": each, "Name": ""} for each in others], "Bcc": [], "Recipients": [to, *others],
            "ReceivedAt": at.isoformat(), "From": "notices@practice-engine.example", "Subject": subject,
            "Attachments": [], "Status": "Sent", "Tag": "", "TrackOpens": True, "TrackLinks": "None",
        }  # fmt: skip
        if not any(m["MessageID"] == message["MessageID"] for m in self.messages[-50_000:]):
            self.messages.append(message)
        return message

    def open(self, message: dict[str, Any], *, click: bool = False) -> None:
        """The first recipient opened it, or clicked a link."""
        event = {
            "MessageID": message["MessageID"], "Recipient": message["Recipients"][0],
            "ReceivedAt": message["ReceivedAt"], "Tag": "", "Client": _CLIENT, "OS": _CLIENT, "Geo": _GEO,
            "Platform": "Desktop", "UserAgent": "Mail/1.0",
        }  # fmt: skip
        if click:
            event |= {"ClickLocation": "HTML", "OriginalLink": "https://app.practice-engine.example/"}
            self.clicks.append(event)
        else:
            self.opens.append(event | {"FirstOpen": True})

    def bounce(self, message: dict[str, Any], stream: str = "outbound") -> None:
        """It could not be delivered: a bounce, and a suppression."""
        email = message["Recipients"][0]
        self.bounces.append({
            "ID": str(len(self.bounces) + 1), "Type": "HardBounce", "TypeCode": 1, "Name": "Hard bounce",
            "Tag": message["Tag"], "MessageID": message["MessageID"],
            "Description": "The address does not exist.",
            "Details": "550 5.1.1", "Email": email, "BouncedAt": message["ReceivedAt"],
            "DumpAvailable": False, "Inactive": True, "CanActivate": True, "Content": "",
            "Subject": message["Subject"],
        })  # fmt: skip
        self.suppress(stream, email, "HardBounce", "Recipient")

    def suppress(self, stream: str, email: str, reason: str, origin: str) -> None:
        """Put an address on a stream's list; whoever is there stays there as they are."""
        row = {"EmailAddress": email.lower(), "SuppressionReason": reason, "Origin": origin}
        self.suppressions[stream].setdefault(email.lower(), row | {"CreatedAt": self.now().isoformat()})

    def seed(self, person: dict[str, Any]) -> None:
        """One in four got a notice; of those some opened it, some could not be reached, some complained."""
        share = int(hashlib.sha256(f"postmark {person['account_id']}".encode()).hexdigest()[:8], 16) % 100
        if share >= 25:
            return
        known = len(self.messages)
        message = self.send(person["email"].lower(), self.now() - timedelta(days=5), "Our terms change")
        if len(self.messages) == known:
            return
        if share < 10:
            self.open(message)
        if share < 5:
            self.open(message, click=True)
        if 10 <= share < 13:
            self.bounce(message)
        if share in (13, 14):
            self.suppress("broadcast", person["email"], "ManualSuppression", "Recipient")
        if share == 15:
            self.suppress("broadcast", person["email"], "SpamComplaint", "Recipient")

    def describe(self) -> dict[str, Any]:
        """Everything."""
        lists = {stream: list(rows.values()) for stream, rows in self.suppressions.items()}
        jobs = [{"ID": r.id, "Status": "Done" if r.done else "Pending"} for r in self.removals.values()]
        return {"messages": self.messages, "opens": self.opens, "clicks": self.clicks} | {
            "bounces": self.bounces, "suppressions": lists, "removals": jobs
        }  # fmt: skip
