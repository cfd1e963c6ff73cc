"""Adapters of the outside world from connections: processors, and the one that sends our letters."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from include.privacy.connections import ConnectionInfo, UnusableConnectionError, safe_endpoint
from include.privacy.policy.processors import ProcessorMap

if TYPE_CHECKING:
    from include.privacy.mail import MailPort
    from include.privacy.policy.letters import Letterhead
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
