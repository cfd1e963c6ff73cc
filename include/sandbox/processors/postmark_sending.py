"""``POST /email/batch`` of Postmark's stand-in: one result for each message, 200 even where all failed.

Whoever is on the stream's list is inactive (406); what bounces puts the address there. What arrived is in
the mailbox that all stand-ins share.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from include.sandbox.processors.exchange import Response
from include.sandbox.processors.fates import Fates
from include.sandbox.processors.mailbox import Envelope, Mailbox
from include.sandbox.processors.postmark_server import Server

MOST_PER_CALL = 500
LARGEST = 50 * 1024 * 1024
_FIELDS = {
    "From", "To", "Cc", "Bcc", "Subject", "Tag", "HtmlBody", "TextBody", "ReplyTo", "Headers", "TrackOpens",
    "TrackLinks", "Metadata", "Attachments", "MessageStream",
}  # fmt: skip
_ADDRESS = re.compile(r"[a-z0-9.!#$%&'`*+\-/=^_{}|~]+@([a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE)
_FROM = re.compile(r'(?:"(?P<name>[^"]*)" )?<?(?P<address>[^<>\s]+)>?')
_LOOK = ("From", "Subject", "TextBody", "HtmlBody", "Tag", "ReplyTo")
_LINKS = {"None", "HtmlAndText", "HtmlOnly", "TextOnly"}


@dataclass
class Sending:
    """Settings: ``bounce_share`` and ``bounces`` (see :class:`.fates.Fates`), and ``may_send``: false for an
    account that is not approved yet.
    """

    mailbox: Mailbox
    server: Server
    fates: Fates = field(default_factory=lambda: Fates(("bounce",), "postmark"))
    may_send: bool = True

    @property
    def settings(self) -> frozenset[str]:
        """The names of its settings."""
        return self.fates.settings | {"may_send"}

    def configure(self, settings: dict[str, Any]) -> None:
        """Take those settings that are ours."""
        self.fates.configure(settings)
        self.may_send = bool(settings.get("may_send", self.may_send))

    def batch(self, messages: Any, size: int) -> Response:
        """Each message by itself."""
        if size > LARGEST:
            return _whole(413, 413, "The call is too large.")
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            return _whole(422, 403, "The JSON is not compatible.")
        if len(messages) > MOST_PER_CALL:
            return _whole(422, 410, "Too many messages in a batch.")
        arrived: list[tuple[dict[str, Any], Envelope]] = []
        told = Response.of_json([self._one(each, arrived) for each in messages])
        self._deliver(arrived)
        return told

    def _one(self, message: dict[str, Any], arrived: list[tuple[dict[str, Any], Envelope]]) -> dict[str, Any]:
        if not self.may_send:
            return _refused(412, "Your account is pending approval.")
        if problem := _problem(message):
            return _refused(300, problem)
        stream = message.get("MessageStream", "outbound")
        if stream not in self.server.suppressions:
            return _refused(1235, f"The message stream {stream} does not exist.")
        address = message["To"]
        if address.lower() in self.server.suppressions[stream]:
            return _refused(
                406, f"You tried to send to a recipient that has been marked as inactive: {address}."
            )
        row = self._log(message, stream, address)
        if self.fates.of(address):
            self.server.bounce(row, stream)
        else:
            arrived.append((message, Envelope(address, row["MessageID"], row["Metadata"])))
        told = {"To": address, "SubmittedAt": row["ReceivedAt"], "MessageID": row["MessageID"]}
        return told | {"ErrorCode": 0, "Message": "OK"}

    def _log(self, message: dict[str, Any], stream: str, address: str) -> dict[str, Any]:
        now = self.server.now()
        row = {
            "MessageID": str(uuid.uuid4()), "To": [{"Email": address, "Name": ""}], "Cc": [], "Bcc": [],
            "Recipients": [address.lower()], "ReceivedAt": now.isoformat(), "From": message["From"],
            "Subject": message["Subject"], "Attachments": [], "Status": "Sent", "Tag": message.get("Tag", ""),
            "TrackOpens": bool(message.get("TrackOpens")), "TrackLinks": message.get("TrackLinks", "None"),
            "Metadata": message.get("Metadata", {}), "MessageStream": stream,
        }  # fmt: skip
        self.server.messages.append(row)
        return row

    def _deliver(self, arrived: list[tuple[dict[str, Any], Envelope]]) -> None:
        """Messages that look the same are written together."""
        by_look: dict[tuple[Any, ...], list[Envelope]] = {}
        for message, envelope in arrived:
            look = tuple(message.get(name) for name in _LOOK)
            by_look.setdefault(look, []).append(envelope)
        for (sender, subject, text, rich, tag, reply_to), envelopes in by_look.items():
            found = _FROM.fullmatch(sender)
            parts = {"text/plain": text, "text/html": rich}
            self.mailbox.put(
                envelopes,
                sender=((found["name"] or "", found["address"]) if found else ("", sender)),
                subject=subject,
                parts={kind: content for kind, content in parts.items() if content},
                at=self.server.now(),
                categories=(tag,) if tag else (),
                reply_to=reply_to,
            )


def _problem(message: dict[str, Any]) -> str | None:
    """What makes a message invalid, as far as Postmark documents it; an unknown field does too."""
    if unknown := message.keys() - _FIELDS:
        return f"Unknown field {sorted(unknown)[0]}."
    texts = ("From", "To", "Subject", "Tag", "HtmlBody", "TextBody", "ReplyTo", "MessageStream")
    if any(not isinstance(message.get(name, ""), str) for name in texts):
        return "A field is no text."
    if not _ADDRESS.fullmatch(message.get("To", "")):
        return f"Error parsing 'To': Illegal email address '{message.get('To', '')}'."
    if not (found := _FROM.fullmatch(message.get("From", ""))) or not _ADDRESS.fullmatch(found["address"]):
        return "Invalid 'From' address."
    if not message.get("HtmlBody") and not message.get("TextBody"):
        return "Provide either email TextBody or HtmlBody or both."
    metadata = message.get("Metadata", {})
    if not isinstance(metadata, dict) or any(
        len(key) > 20 or not isinstance(value, str) or len(value) > 80 for key, value in metadata.items()
    ):
        return "Metadata names have up to 20 characters, values up to 80."
    if len(message.get("Tag", "")) > 1000 or message.get("TrackLinks", "None") not in _LINKS:
        return "Tag or TrackLinks is not valid."
    return None


def _refused(code: int, message: str) -> dict[str, Any]:
    return {"ErrorCode": code, "Message": message}


def _whole(status: int, code: int, message: str) -> Response:
    return Response.of_json(_refused(code, message), status)
