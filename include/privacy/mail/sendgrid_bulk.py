"""SendGrid as :class:`BulkMail`: a thousand recipients in a call, each in a personalisation of their own."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from include.privacy.clock import require_utc
from include.privacy.letters.letter import Letter
from include.privacy.mail import sendgrid_fates
from include.privacy.mail.bulk import Addressed, BatchReceipt, BatchResult, Fated
from include.privacy.mail.port import MailRejectedError, MailUnavailableError, require_opaque
from include.privacy.mail.recipients import check_call, in_order, usable
from include.privacy.mail.sendgrid_calls import (
    LOGGED,
    NO_ANSWER,
    QUIET,
    envelope,
    log_query,
    mail_body,
    post_mail,
    refuse,
    reset,
)
from include.privacy.mail.transport import TIMEOUT, safe_client
from include.privacy.policy.letters import Sender

log = logging.getLogger(__name__)

CAPACITY = 1000
LARGEST = 30 * 1024 * 1024
"""Bytes of a call, by the reference page of mail/send."""
PAGE = 500
TRIES = 4
LONGEST_WAIT = 60.0


class SendGridBulk:
    """As :class:`.sendgrid.SendGridMail`; reading is tried again after ``sleep``, sending never is.

    A call is taken over wholly or not at all: one record of a batch in the log proves the whole call.
    """

    name = "sendgrid"
    capacity = CAPACITY
    whole_calls = True

    def __init__(
        self,
        api_key: str,
        sender: Sender,
        *,
        reply_to: str | None = None,
        endpoint_url: str | None = None,
        timeout: timedelta = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = safe_client(api_key, endpoint_url, timeout)
        self._sender, self._reply_to, self._sleep = sender, reply_to, sleep

    def send(self, letter: Letter, to: Sequence[Addressed], *, batch: str) -> BatchReceipt:
        """One call for everybody who has a usable address; see :class:`BulkMail`."""
        check_call(to, self.capacity, batch)
        named = [each for each in to if usable(each.address)]
        if not named:
            return BatchReceipt(None, in_order(to, {}))
        envelopes = [envelope(each.address, each.reference) for each in named]
        body = mail_body(letter, envelopes, category=batch, sender=self._sender, reply_to=self._reply_to)
        # As the client writes it.
        if len(json.dumps(body)) >= LARGEST:
            raise MailRejectedError(f"batch {batch}: longer than the 30 MB of a call; shorten the letter")
        provider_id = post_mail(self._client, body, f"batch {batch}")
        log.info("batch %s (%s): %s letters accepted by SendGrid", batch, letter.kind, len(named))
        accepted = {e.reference: BatchResult(e.reference, True, False, "") for e in named}
        return BatchReceipt(provider_id, in_order(to, accepted))

    def fates(self, batch: str, since: datetime, *, as_of: datetime) -> list[Fated]:
        """One query of the log, which has no pages and shows no arguments: by address.

        ``at`` is when SendGrid took the message over.
        """
        require_utc(as_of)
        query = log_query(require_opaque(batch), require_utc(since))
        wanted = {"query": query, "limit": self.capacity}
        told = self._read("log", lambda: self._client.logs.post(request_body=wanted))
        return list(
            _rows("log", told.get("messages") if isinstance(told, dict) else None, sendgrid_fates.of_log)
        )

    def settled(self, since: datetime, as_of: datetime) -> bool:
        """Between an hour and the 30 days that the log goes back."""
        return QUIET <= require_utc(as_of) - require_utc(since) <= LOGGED

    def suppressed(self, since: datetime, until: datetime, *, as_of: datetime) -> Iterator[Fated]:
        """Bounces, blocks, invalid addresses and spam reports: a bounce that comes hours after the delivery
        lacks the message's id and is here only.
        """
        span = {
            "start_time": int(require_utc(since).timestamp()),
            "end_time": int(min(require_utc(until), require_utc(as_of)).timestamp()),
        }
        for name in sendgrid_fates.LISTS:
            offset = 0
            while True:
                told = self._read(name, self._page(name, {**span, "limit": PAGE, "offset": offset}))
                rows = list(_rows(name, told, partial(sendgrid_fates.of_list, name)))
                yield from rows
                if len(rows) < PAGE:
                    break
                offset += PAGE

    def _page(self, name: str, parameters: Mapping[str, int]) -> Callable[[], Any]:
        return lambda: getattr(self._client.suppression, name).get(query_params=parameters)

    def _read(self, what: str, call: Callable[[], Any]) -> Any:
        """The JSON of a 200. Raises :class:`MailUnavailableError` when there is none after some tries."""
        problem, wait = "", 0.0
        for attempt in range(TRIES):
            if attempt:
                self._sleep(wait)
            wait = 0.5 * 4**attempt
            try:
                answer = call()
                refuse(answer, busy=False)
                if answer.status_code == 200:
                    return json.loads(answer.body)
                problem = str(answer.status_code)
                if answer.status_code == 429 and (until := reset(answer)):
                    # A time of SendGrid's clock: how far away it is, only our own can tell.
                    wait = min(max(until.timestamp() - time.time(), 0.0), LONGEST_WAIT)
            except (*NO_ANSWER, ValueError) as error:
                problem = type(error).__name__
        raise MailUnavailableError(f"SendGrid's {what} cannot be read ({problem}); ask again later")


def _rows(what: str, rows: object, read: Callable[[Any], Fated]) -> Iterator[Fated]:
    try:
        if not isinstance(rows, list):
            raise TypeError
        yield from [read(row) for row in rows]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise MailUnavailableError(
            f"SendGrid's {what} is not as described; compare the adapter with its API description"
        ) from None
