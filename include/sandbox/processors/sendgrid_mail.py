"""``POST /v3/mail/send`` of SendGrid's stand-in: who gets a mail, who is dropped, bounces or is blocked.

Whoever is on a list of suppressions is dropped unless the mail bypasses that list; a bounce and a block put
the address on theirs. All of it is in the log under the mail's categories, and what arrived in the mailbox.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.sandbox.processors.exchange import Response
from include.sandbox.processors.fates import Fates
from include.sandbox.processors.mailbox import Envelope, Mailbox
from include.sandbox.processors.sendgrid_checks import check_mail
from include.sandbox.processors.sendgrid_messages import Logged, MessageLog, settling
from include.sandbox.processors.sendgrid_suppressions import Suppressions

KEPT_CALLS = 64
_LISTED = (
    ("bounces", "bypass_bounce_management", "Bounced Address"),
    ("spam_reports", "bypass_spam_management", "Spam Reporting Address"),
    ("unsubscribes", "bypass_unsubscribe_management", "Unsubscribed Address"),
    ("invalid_emails", "", "Invalid"),
)
_FATES = {
    # Nothing of the address: another provider delivers it.
    "drop": ("dropped", "Recipient List over Package Quota"),
    "block": ("blocked", "550 5.7.1 message refused by policy"),
    "bounce": ("bounced", "550 5.1.1 no such mailbox"),
}


_Arrived = tuple[dict[str, Any], str, str]
"""A personalisation with one of its addresses, and the message's id."""


@dataclass
class Sending:
    """Settings: ``deliver_seconds`` (until then a message is only processed), ``drop_share``,
    ``block_share``, ``bounce_share``, ``drops``, ``blocks``, ``bounces`` (see :class:`.fates.Fates`), and
    ``keep_mail``: false for a million recipients, of whom only counts and the newest calls are kept.
    """

    mailbox: Mailbox
    log: MessageLog
    suppressions: Suppressions
    fates: Fates = field(default_factory=lambda: Fates(tuple(_FATES), "sendgrid"))
    deliver_seconds: float = 0.0
    keep_mail: bool = True

    @property
    def settings(self) -> frozenset[str]:
        """The names of its settings."""
        return self.fates.settings | {"deliver_seconds", "keep_mail"}

    def configure(self, settings: dict[str, Any]) -> None:
        """Take those settings that are ours."""
        self.fates.configure(settings)
        self.deliver_seconds = float(settings.get("deliver_seconds", self.deliver_seconds))
        self.keep_mail = bool(settings.get("keep_mail", self.keep_mail))
        self.log.most_calls = None if self.keep_mail else KEPT_CALLS

    def send(self, body: Any, now: datetime) -> Response:
        """Check it, then take it over: wholly or not at all."""
        check_mail(body)
        message_id = secrets.token_urlsafe(16)
        if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Response(200, headers={"X-Message-Id": message_id})
        logged, arrived = [], []
        for number, envelope in enumerate(body["personalizations"]):
            sg_id = f"{message_id}.filter-{number}"
            for recipient in [*envelope["to"], *envelope.get("cc", []), *envelope.get("bcc", [])]:
                message = self._message(body, envelope, recipient["email"], sg_id, now)
                logged.append(message)
                if message.status == "delivered" and self.keep_mail:
                    arrived.append((envelope, recipient["email"], sg_id))
        self.log.add(logged)
        self._deliver(body, arrived, message_id, now)
        return Response(202, headers={"X-Message-Id": message_id})

    def _message(
        self, body: dict[str, Any], envelope: dict[str, Any], address: str, sg_id: str, now: datetime
    ) -> Logged:
        status, reason = self._fate(body, address)
        arguments = {**body.get("custom_args", {}), **envelope.get("custom_args", {})}
        return Logged(
            sg_id,
            envelope.get("from", body["from"])["email"],
            address,
            envelope.get("subject", body.get("subject", "")),
            tuple(body.get("categories", ())),
            now,
            status,
            reason,
            arguments.get("reference", ""),
            settling(now, self.deliver_seconds),
        )

    def _fate(self, body: dict[str, Any], address: str) -> tuple[str, str]:
        switches, known = body.get("mail_settings", {}), address.lower()
        everything = switches.get("bypass_list_management", {}).get("enable")
        for name, bypass, reason in _LISTED:
            bypassed = bypass and (everything or switches.get(bypass, {}).get("enable"))
            if not bypassed and known in self.suppressions.lists[name]:
                return "dropped", reason
        group = body.get("asm", {}).get("group_id")
        if not everything and known in self.suppressions.members.get(group, ()):
            return "dropped", "Unsubscribed Address"
        fate = self.fates.of(address)
        if fate in ("bounce", "block"):
            self.suppressions.put(f"{fate}s", address)
        return _FATES[fate] if fate else ("delivered", "")

    def _deliver(
        self,
        body: dict[str, Any],
        arrived: list[tuple[dict[str, Any], str, str]],
        message_id: str,
        now: datetime,
    ) -> None:
        """What differs from person to person is put into one mail that is written once."""
        by_look: dict[tuple[str, str, str], list[Envelope]] = {}
        for envelope, address, sg_id in arrived:
            sender = envelope.get("from", body["from"])
            look = (sender.get("name", ""), sender["email"], envelope.get("subject", body.get("subject", "")))
            arguments = {**body.get("custom_args", {}), **envelope.get("custom_args", {})}
            by_look.setdefault(look, []).append(Envelope(address, sg_id, arguments))
        for (name, sender_address, subject), envelopes in by_look.items():
            self.mailbox.put(
                envelopes,
                sender=(name, sender_address),
                subject=subject,
                parts={part["type"]: part["value"] for part in body["content"]},
                at=now,
                call_id=message_id,
                categories=tuple(body.get("categories", ())),
                reply_to=body.get("reply_to", {}).get("email"),
            )
