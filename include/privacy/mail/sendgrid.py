"""SendGrid as :class:`MailPort`: ``POST /v3/mail/send`` and, to settle doubt, ``POST /v3/logs``."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

from include.privacy.clock import require_utc
from include.privacy.letters.letter import Letter
from include.privacy.mail.port import (
    MailRejectedError,
    Receipt,
    SendState,
    require_opaque,
)
from include.privacy.mail.recipients import usable
from include.privacy.mail.sendgrid_calls import (
    LOGGED,
    NO_ANSWER,
    QUIET,
    envelope,
    log_query,
    mail_body,
    post_mail,
    refuse,
)
from include.privacy.mail.transport import TIMEOUT, safe_client
from include.privacy.policy.letters import Sender

log = logging.getLogger(__name__)


class SendGridMail:
    """Sends from one sender; ``reply_to`` is where answers of people go.

    ``endpoint_url`` replaces ``https://api.sendgrid.com`` (the EU's host, or a loopback for tests).
    """

    def __init__(
        self,
        api_key: str,
        sender: Sender,
        *,
        reply_to: str | None = None,
        endpoint_url: str | None = None,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        self._client = safe_client(api_key, endpoint_url, timeout)
        self._sender = sender
        self._reply_to = reply_to

    def send(self, address: str, letter: Letter, *, reference: str) -> Receipt:
        """Send once; see :class:`MailPort`. Accepted means queued there, not delivered."""
        require_opaque(reference)
        if not usable(address):
            raise MailRejectedError(
                f"letter {reference}: there is no usable e-mail address; answer another way"
            )
        envelopes = [envelope(address, reference)]
        body = mail_body(letter, envelopes, category=reference, sender=self._sender, reply_to=self._reply_to)
        receipt = Receipt(post_mail(self._client, body, f"letter {reference}"))
        log.info("letter %s (%s): accepted by SendGrid", reference, letter.kind)
        return receipt

    def find(self, reference: str, since: datetime, *, as_of: datetime) -> SendState:
        """Look the reference up in SendGrid's log; see :class:`MailPort`."""
        since, as_of = require_utc(since), require_utc(as_of)
        query = log_query(require_opaque(reference), since)
        try:
            answer = self._client.logs.post(request_body={"query": query, "limit": 10})
            refuse(answer, busy=False)
            messages = json.loads(answer.body)["messages"] if answer.status_code == 200 else None
        except (*NO_ANSWER, ValueError, LookupError, TypeError) as error:
            log.warning("letter %s: SendGrid's log cannot be read (%s)", reference, type(error).__name__)
            return SendState.unknown
        if not isinstance(messages, list):
            log.warning("letter %s: SendGrid's log cannot be read (status %s)", reference, answer.status_code)
            return SendState.unknown
        if messages:
            return SendState.sent
        return SendState.not_sent if QUIET <= as_of - since <= LOGGED else SendState.unknown
