"""What every call to SendGrid has in common: the body of a mail, and what an answer means.

Sources: SendGrid's OpenAPI descriptions ``tsg_mail_v3`` and ``tsg_logs_v3`` (2026-01), and its reference
pages on rate limits, categories and bypass filters.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.privacy.letters.letter import Letter
from include.privacy.mail.port import (
    MailBusyError,
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
)
from include.privacy.mail.transport import NotConnectedError
from include.privacy.policy.letters import Sender

QUIET = timedelta(minutes=60)
"""How long after a claim the log may still lack a mail; before that, absence proves nothing."""
LOGGED = timedelta(days=30)
"""How long SendGrid keeps the log; older claims can no longer be settled by absence."""
CLOCKS_DIFFER = timedelta(minutes=15)

NO_ANSWER = (OSError, http.client.HTTPException)
"""What the client raises when no answer came, or none that could be read."""
# Of the mail and nobody else's; a 4xx of any other status concerns the account or the endpoint.
_REFUSES_THE_MAIL = frozenset({400, 413, 415, 422})
_FIELD = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*")


def envelope(address: str, reference: str) -> dict[str, Any]:
    """One recipient, unseen by all others. Events carry the argument."""
    return {"to": [{"email": address}], "custom_args": {"reference": reference}}


def mail_body(
    letter: Letter,
    envelopes: Sequence[dict[str, Any]],
    *,
    category: str,
    sender: Sender,
    reply_to: str | None,
) -> dict[str, Any]:
    """The body of ``POST /v3/mail/send``."""
    off = {"enable": False}
    body: dict[str, Any] = {
        "from": {"email": sender.address, "name": sender.name},
        "personalizations": list(envelopes),
        # Categories and arguments are kept for years and read by SendGrid's staff: tokens only. The log
        # can be searched by category.
        "categories": [category],
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
        # The law obliges us to write: an unsubscription does not count, bounces and spam reports do.
        "mail_settings": {"bypass_unsubscribe_management": {"enable": True}},
    }
    if reply_to:
        body["reply_to"] = {"email": reply_to}
    return body


def post_mail(client: Any, body: dict[str, Any], what: str) -> str | None:
    """Make the call once and return SendGrid's id of it; ``what`` names it in errors, without anybody's name.

    Raises the errors of :mod:`.port`; a call is taken over wholly or not at all.
    """
    try:
        answer = client.mail.send.post(request_body=body)
    except NO_ANSWER as error:
        reason = getattr(error, "reason", None)
        if isinstance(reason, NotConnectedError):
            raise MailUnavailableError(
                f"SendGrid cannot be reached ({reason}); check the network, the "
                "connection's endpoint_url, and that the endpoint speaks TLS 1.3"
            ) from None
        raise MailUncertainError(
            f"{what}: no answer from SendGrid ({type(error).__name__}); it may have been sent"
        ) from None
    if answer.status_code == 202:
        return header(answer, "X-Message-Id")
    if answer.status_code in _REFUSES_THE_MAIL:
        raise MailRejectedError(
            f"{what}: SendGrid refused it with {answer.status_code}"
            f" (fields: {', '.join(_fields(answer)) or 'not named'})"
        )
    refuse(answer)
    raise MailUncertainError(
        f"{what}: SendGrid answered {answer.status_code}; it may have been sent all the same"
    )


def log_query(category: str, since: datetime) -> str:
    """The query of ``POST /v3/logs`` for everything of a category from ``since`` on."""
    return (
        f"categories IN ('{category}') AND sg_message_id_created_at >= "
        f'TIMESTAMP "{since - CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}"'
    )


def refuse(answer: Any, *, busy: bool = True) -> None:
    """Raise for an answer that has nothing to do with the mail: too many calls, our key, our endpoint."""
    status = answer.status_code
    if status == 429:
        if busy:
            raise MailBusyError("SendGrid: too many calls (429)", reset(answer))
    elif status in (401, 403):
        raise MailUnavailableError(
            f"SendGrid refuses our key ({status}); the connection's password must be a key with the scopes "
            "that docs/OPERATIONS.md names"
        )
    elif 300 <= status < 500:
        raise MailUnavailableError(f"SendGrid answered {status}; check the connection's endpoint_url")


def header(answer: Any, name: str) -> str | None:
    """A header of the answer, cut to a length that is no attack."""
    value = answer.headers.get(name)
    return str(value)[:200] if value else None


def reset(answer: Any) -> datetime | None:
    """``X-RateLimit-Reset`` (seconds since 1970), when it makes sense."""
    try:
        return datetime.fromtimestamp(int(header(answer, "X-RateLimit-Reset") or ""), UTC)
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
