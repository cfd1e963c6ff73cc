"""SendGrid as :class:`MailPort`: ``POST /v3/mail/send`` and, to settle doubt, ``POST /v3/logs``.

Sources: SendGrid's OpenAPI descriptions ``tsg_mail_v3`` and ``tsg_logs_v3`` (2026-01), and its reference
pages on rate limits, categories and bypass filters.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from include.privacy.clock import require_utc
from include.privacy.letters.letter import Letter
from include.privacy.mail.port import (
    MailBusyError,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
    Receipt,
    SendState,
    require_opaque,
)
from include.privacy.mail.transport import TIMEOUT, NotConnectedError, safe_client
from include.privacy.policy.letters import EMAIL, Sender

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=60)
"""How long after a claim the log may still lack the letter; before that, absence proves nothing."""
LOGGED = timedelta(days=30)
"""How long SendGrid keeps the log; older claims can no longer be settled by absence."""
CLOCKS_DIFFER = timedelta(minutes=15)
LONGEST_ADDRESS = 254  # RFC 5321, less the angle brackets

# Of the message and nobody else's; a 4xx of any other status concerns the account or the endpoint.
_REFUSES_THE_MESSAGE = frozenset({400, 413, 415, 422})
_FIELD = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*")


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
        if len(address) > LONGEST_ADDRESS or not EMAIL.fullmatch(address):
            raise MailRejectedError(
                f"letter {reference}: there is no usable e-mail address; answer another way"
            )
        body = self._body(address, letter, reference)
        try:
            answer = self._client.mail.send.post(request_body=body)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None)
            if isinstance(reason, NotConnectedError):
                raise MailUnavailableError(
                    f"SendGrid cannot be reached ({reason}); check the network, the "
                    "connection's endpoint_url, and that the endpoint speaks TLS 1.3"
                ) from None
            raise MailUncertainError(
                f"letter {reference}: no answer from SendGrid ({type(error).__name__}); it may have been sent"
            ) from None
        if answer.status_code == 202:
            log.info("letter %s (%s): accepted by SendGrid", reference, letter.kind)
            return Receipt(_header(answer, "X-Message-Id"))
        if answer.status_code in _REFUSES_THE_MESSAGE:
            raise MailRejectedError(
                f"letter {reference}: SendGrid refused it with {answer.status_code}"
                f" (fields: {', '.join(_fields(answer)) or 'not named'})"
            )
        _refuse(answer)
        raise MailUncertainError(
            f"letter {reference}: SendGrid answered {answer.status_code}; it may have been sent all the same"
        )

    def find(self, reference: str, since: datetime, *, as_of: datetime) -> SendState:
        """Look the reference up in SendGrid's log; see :class:`MailPort`."""
        since, as_of = require_utc(since), require_utc(as_of)
        query = (
            f"categories IN ('{require_opaque(reference)}') AND sg_message_id_created_at >= "
            f'TIMESTAMP "{since - CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}"'
        )
        try:
            answer = self._client.logs.post(request_body={"query": query, "limit": 10})
            _refuse(answer, busy=False)
            messages = json.loads(answer.body)["messages"] if answer.status_code == 200 else None
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            log.warning("letter %s: SendGrid's log cannot be read (%s)", reference, type(error).__name__)
            return SendState.unknown
        if not isinstance(messages, list):
            log.warning("letter %s: SendGrid's log cannot be read (status %s)", reference, answer.status_code)
            return SendState.unknown
        if messages:
            return SendState.sent
        return SendState.not_sent if QUIET <= as_of - since <= LOGGED else SendState.unknown

    def _body(self, address: str, letter: Letter, reference: str) -> dict[str, Any]:
        off = {"enable": False}
        body: dict[str, Any] = {
            "from": {"email": self._sender.address, "name": self._sender.name},
            # Categories and arguments are kept for years and read by SendGrid's staff: the token only. The
            # log can be searched by category, events carry the argument.
            "personalizations": [{"to": [{"email": address}], "custom_args": {"reference": reference}}],
            "categories": [reference],
            "subject": letter.subject,
            "content": [
                {"type": "text/plain", "value": letter.text},
                {"type": "text/html", "value": letter.html},
            ],
            "tracking_settings": {
                "click_tracking": {"enable": False, "enable_text": False},
                "open_tracking": off,
                "subscription_tracking": off,
                "ganalytics": off,
            },
            # The law obliges us to answer: an unsubscription does not count, bounces and spam reports do.
            "mail_settings": {"bypass_unsubscribe_management": {"enable": True}},
        }
        if self._reply_to:
            body["reply_to"] = {"email": self._reply_to}
        return body


def _refuse(answer: Any, *, busy: bool = True) -> None:
    """Raise for an answer that has nothing to do with the letter: too many calls, our key, our endpoint."""
    status = answer.status_code
    if status == 429:
        if busy:
            raise MailBusyError("SendGrid: too many calls (429)", _reset(answer))
    elif status in (401, 403):
        raise MailUnavailableError(
            f"SendGrid refuses our key ({status}); the connection's password must be a key with the scopes "
            "that docs/OPERATIONS.md names"
        )
    elif 300 <= status < 500:
        raise MailUnavailableError(f"SendGrid answered {status}; check the connection's endpoint_url")


def _header(answer: Any, name: str) -> str | None:
    value = answer.headers.get(name)
    return str(value)[:200] if value else None


def _reset(answer: Any) -> datetime | None:
    """``X-RateLimit-Reset`` (seconds since 1970), when it makes sense."""
    try:
        return datetime.fromtimestamp(int(_header(answer, "X-RateLimit-Reset") or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _fields(answer: Any) -> Iterator[str]:
    """The fields that a 400 names; its messages may repeat what we sent and are left alone."""
    try:
        errors = json.loads(answer.body)["errors"]
        names = {str(error.get("field")) for error in errors}
    except (ValueError, LookupError, TypeError, AttributeError):
        return
    yield from sorted(name for name in names if _FIELD.fullmatch(name) and name not in ("null", "none"))
