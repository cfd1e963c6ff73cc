"""Adapters of the outside world from connections: processors, and the one that sends our letters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from include.privacy.connections import ConnectionInfo, UnusableConnectionError, safe_endpoint
from include.privacy.policy.processors import ProcessorMap

if TYPE_CHECKING:
    from include.privacy.mail import MailPort
    from include.privacy.mail.bulk import BulkMail
    from include.privacy.policy.letters import Letterhead
    from include.privacy.policy.loading import Config
    from include.privacy.processors.protocol import Processor


def connect(mapped: ProcessorMap, info: ConnectionInfo, invoices: Callable[[], Any]) -> Processor:
    """The adapter of a processor: ``connect`` of the module of its name.

    One that takes ``invoices`` gets the store for those that outlive the processor's copy. Raises
    :class:`UnusableConnectionError`.
    """
    module = import_module(f"include.privacy.processors.{mapped.processor}")
    own = {"invoices": invoices()} if "invoices" in signature(module.connect).parameters else {}
    try:
        made: Processor = module.connect(mapped, info, safe_endpoint(info), **own)
    except ValueError as error:
        raise UnusableConnectionError(f"connection {info.conn_id!r}: {error}") from None
    return made


def mail(info: ConnectionInfo, head: Letterhead) -> MailPort:
    """What sends letters: SendGrid. Raises :class:`UnusableConnectionError`."""
    from include.privacy.mail.sendgrid import SendGridMail

    try:
        return SendGridMail(
            info.password or "",
            head.sender,
            reply_to=head.privacy_contact.address,
            endpoint_url=safe_endpoint(info),
        )
    except ValueError as error:
        raise UnusableConnectionError(f"connection {info.conn_id!r}: {error}") from None


def bulk_mail(name: str, info: ConnectionInfo, config: Config) -> BulkMail:
    """What sends one letter to many: SendGrid, or Postmark on the stream that extra ``notice_stream`` names.

    Raises :class:`UnusableConnectionError`.
    """
    from include.privacy.mail.postmark_bulk import KEPT, STREAM, PostmarkBulk
    from include.privacy.mail.sendgrid_bulk import SendGridBulk

    head, mapped = config.letters.head, config.processors.get("postmark")
    key, reply_to = info.password or "", head.privacy_contact.address
    days = mapped.settings.get("retention_days") if mapped else None
    try:
        endpoint = safe_endpoint(info)
        if name == "sendgrid":
            return SendGridBulk(key, head.sender, reply_to=reply_to, endpoint_url=endpoint)
        if name != "postmark":
            raise ValueError(f"{name!r} is no provider of bulk mail; sendgrid and postmark are")
        return PostmarkBulk(
            key,
            head.sender,
            reply_to=reply_to,
            stream=str(info.extra.get("notice_stream") or STREAM),
            kept=timedelta(days=int(days)) if days else KEPT,
            endpoint_url=endpoint,
        )
    except ValueError as error:
        raise UnusableConnectionError(f"connection {info.conn_id!r}: {error}") from None
