"""The log of messages: 30 days, one address a question, a thousand messages an answer, no further pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from include.privacy.processors.answers import objects, value
from include.privacy.processors.protocol import ProcessorUnavailableError
from include.privacy.processors.sendgrid.calls import SendGridCalls, expect

KEPT = timedelta(days=30)
MOST = 1_000
_CREATED = "sg_message_id_created_at"
Message = Mapping[str, Any]


class Messages:
    """Messages to people."""

    def __init__(self, calls: SendGridCalls) -> None:
        self._calls = calls

    def of(self, address: str, *, until: datetime | None = None, complete: bool = False) -> list[Message]:
        """Messages to an address, those created until then.

        ``complete``: all of them, however many; else a thousand at most.
        """
        if "'" in address and '"' in address:
            return []  # no query can name it, and no mail server takes it
        mark = '"' if "'" in address else "'"
        query = f"to_email = {mark}{address}{mark}"
        if until is not None:
            query += f' AND {_CREATED} <= TIMESTAMP "{until:%Y-%m-%dT%H:%M:%SZ}"'
        found = self._ask(query)
        if len(found) < MOST or not complete:
            return found
        # In which order they come is not described; but no two in the log are further apart than it reaches.
        some, reach = created(found[0]), KEPT + timedelta(days=1)
        return self._between(f"to_email = {mark}{address}{mark}", some - reach, until or some + reach)

    def details(self, message: Message) -> Message:
        """Everything about one message, its events too; the summary where SendGrid has forgotten it since."""
        answer = self._calls.call("GET", "logs", str(message["sg_message_id"]))
        if answer.status == 404:
            return message
        told = expect(answer, 200)
        value(told, "sg_message_id", str)
        return {**message, **told}

    def _between(self, query: str, start: datetime, end: datetime) -> list[Message]:
        """Windows are halved until one answer holds what is in them; a second is the smallest."""
        window = (
            f'{query} AND {_CREATED} > TIMESTAMP "{start:%Y-%m-%dT%H:%M:%SZ}" '
            f'AND {_CREATED} <= TIMESTAMP "{end:%Y-%m-%dT%H:%M:%SZ}"'
        )
        found = self._ask(window)
        middle = (start + (end - start) / 2).replace(microsecond=0)
        if len(found) < MOST or middle in (start, end):
            return found
        return [*self._between(query, start, middle), *self._between(query, middle, end)]

    def _ask(self, query: str) -> list[Message]:
        answer = self._calls.call("POST", "logs", body={"query": query, "limit": MOST})
        if answer.status == 400:
            return []
        found = objects(expect(answer, 200), "messages", "sg_message_id", _CREATED)
        for each in found:
            created(each)
        return list(found)


def created(message: Message) -> datetime:
    """When a message was made."""
    try:
        at = datetime.fromisoformat(str(message[_CREATED]))
    except ValueError:
        raise ProcessorUnavailableError(f"SendGrid's log: {_CREATED} is no time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
