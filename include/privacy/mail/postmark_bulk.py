"""Postmark as :class:`BulkMail`: five hundred messages in a call, on a stream for legal notices only.

Source: https://postmarkapp.com/developer/api (email-api, messages-api, bounce-api, suppressions-api).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from include.privacy.clock import require_utc
from include.privacy.letters.letter import Letter
from include.privacy.mail import postmark_fates
from include.privacy.mail.bulk import Addressed, BatchReceipt, Fated
from include.privacy.mail.port import (
    MailRejectedError,
    MailUnavailableError,
    MailUncertainError,
    require_opaque,
)
from include.privacy.mail.postmark_calls import PostmarkMailCalls
from include.privacy.mail.recipients import check_call, in_order, usable
from include.privacy.mail.transport import TIMEOUT
from include.privacy.policy.letters import Sender

log = logging.getLogger(__name__)

CAPACITY = 500
LARGEST = 50 * 1024 * 1024
"""Bytes of a call, by the reference page of email/batch."""
STREAM = "legal-notices"
PAGE, WINDOW = 500, 10_000
QUIET = timedelta(minutes=60)
KEPT = timedelta(days=45)


class PostmarkBulk:
    """Sends on ``stream``; ``kept`` is how long the account keeps its messages (its retention add-on).

    A broadcast stream appends a link to unsubscribe unless Postmark's support has switched that off for
    it; see docs/OPERATIONS.md. A stream shared with marketing would swallow notices of the law.
    """

    name = "postmark"
    capacity = CAPACITY
    whole_calls = False

    def __init__(
        self,
        server_token: str,
        sender: Sender,
        *,
        reply_to: str | None = None,
        stream: str = STREAM,
        kept: timedelta = KEPT,
        endpoint_url: str | None = None,
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = PostmarkMailCalls(server_token, endpoint_url, timeout=timeout, sleep=sleep)
        self._sender, self._reply_to, self._stream, self._kept = sender, reply_to, stream, kept

    def send(self, letter: Letter, to: Sequence[Addressed], *, batch: str) -> BatchReceipt:
        """One call, in which each message is taken over or refused by itself; see :class:`BulkMail`."""
        check_call(to, self.capacity, batch)
        named = [each for each in to if usable(each.address)]
        if not named:
            return BatchReceipt(None, in_order(to, {}))
        common = self._common(letter, batch)
        messages = [
            {**common, "To": each.address, "Metadata": {"reference": each.reference}} for each in named
        ]
        body = json.dumps(messages, ensure_ascii=False).encode()
        if len(body) >= LARGEST:
            raise MailRejectedError(
                f"batch {batch}: longer than the 50 MB of a call; shorten the letter or send to fewer at once"
            )
        codes = _codes(self._calls.post("/email/batch", body, f"batch {batch}"), len(named), batch)
        _check_codes(codes, batch)
        told = [postmark_fates.result(each.reference, c) for each, c in zip(named, codes, strict=True)]
        accepted = sum(each.accepted for each in told)
        log.info("batch %s (%s): %s letters accepted by Postmark", batch, letter.kind, accepted)
        return BatchReceipt(None, in_order(to, {each.reference: each for each in told}))

    def fates(self, batch: str, since: datetime, *, as_of: datetime) -> list[Fated]:
        """The messages with the batch's tag, each with its bounce where there is one."""
        require_opaque(batch)
        for moment in (since, as_of):
            require_utc(moment)
        try:
            messages = {
                str(row["MessageID"]): postmark_fates.of_message(row)
                for row in self._all("/messages/outbound", "Messages", tag=batch)
            }
            bounces: dict[str, Fated] = {}
            for row in self._all("/bounces", "Bounces", tag=batch):  # the newest first
                of = str(row["MessageID"])
                if fate := postmark_fates.of_bounce(row, messages.get(of)):
                    bounces.setdefault(of, fate)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise _not_as_described() from None
        return list({**messages, **bounces}.values())

    def settled(self, since: datetime, as_of: datetime) -> bool:
        """Between an hour and the time that messages are kept."""
        return QUIET <= require_utc(as_of) - require_utc(since) <= self._kept

    def suppressed(self, since: datetime, until: datetime, *, as_of: datetime) -> Iterator[Fated]:
        """The list of our stream, which tells of late bounces and of complaints."""
        first, last = require_utc(since), min(require_utc(until), require_utc(as_of))
        path = f"/message-streams/{quote(self._stream, safe='')}/suppressions/dump"
        try:
            rows = [postmark_fates.of_suppression(r) for r in _listed(self._calls.get(path), "Suppressions")]
        except (LookupError, TypeError, ValueError, AttributeError):
            raise _not_as_described() from None
        yield from (row for row in rows if first <= row.at <= last)

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    def _common(self, letter: Letter, batch: str) -> dict[str, Any]:
        name = self._sender.name.replace("\\", "")
        common = {
            "From": f'"{name}" <{self._sender.address}>',
            "Subject": letter.subject,
            "TextBody": letter.text,
            "HtmlBody": letter.html,
            "MessageStream": self._stream,
            "Tag": batch,
            "TrackOpens": False,
            "TrackLinks": "None",
        }
        return common | ({"ReplyTo": self._reply_to} if self._reply_to else {})

    def _all(self, path: str, name: str, **filters: str) -> Iterator[Mapping[str, Any]]:
        """Every row of a search. A batch is far smaller than the window that Postmark's searches reach."""
        for offset in range(0, WINDOW, PAGE):
            rows = _listed(self._calls.get(path, count=PAGE, offset=offset, **filters), name)
            yield from rows
            if len(rows) < PAGE:
                return


def _codes(answer: Any, count: int, batch: str) -> list[int]:
    """The code of each message; an answer that has not one for each leaves the batch in doubt."""
    rows = answer if isinstance(answer, list) else []
    codes = [c for each in rows if isinstance(each, dict) and isinstance(c := each.get("ErrorCode"), int)]
    if len(codes) != count:
        raise MailUncertainError(f"batch {batch}: Postmark's answer is not as described; some of it was sent")
    return codes


def _check_codes(codes: Sequence[int], batch: str) -> None:
    """Raise when all were refused for one reason that can be no address's."""
    kinds = set(codes)
    if kinds == {postmark_fates.INVALID} and len(codes) > 1:
        raise MailRejectedError(
            f"batch {batch}: Postmark finds every message invalid (ErrorCode 300); check sender and letter"
        )
    if len(kinds) == 1 and not kinds & {0, postmark_fates.INVALID, postmark_fates.INACTIVE}:
        raise MailUnavailableError(
            f"Postmark refused every message (ErrorCode {codes[0]}); check whether the account may send, its "
            "sender signature and the stream"
        )


def _listed(answer: Any, name: str) -> list[Mapping[str, Any]]:
    rows = answer[name]
    if not isinstance(rows, list):
        raise TypeError(name)
    return rows


def _not_as_described() -> MailUnavailableError:
    return MailUnavailableError(
        "Postmark's records are not as described; compare the adapter with its API description"
    )
