"""What was sent to an address, with opens and clicks, and what bounced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.privacy.processors.answers import objects, value
from include.privacy.processors.http import Answer
from include.privacy.processors.pacing import spread
from include.privacy.processors.postmark.calls import PostmarkCalls, expect
from include.privacy.processors.protocol import ProcessorUnavailableError

PAGE = 500
WINDOW = 10_000
"""``count`` and ``offset`` together reach no further."""
FEW = 3
OTHER = "another person"
Row = Mapping[str, Any]


class Messages:
    """Searches of one server; they reach over all its streams."""

    def __init__(self, calls: PostmarkCalls, at_once: int, retention_days: int) -> None:
        self._calls, self._at_once, self._days = calls, at_once, retention_days

    def count(self, what: str, address: str) -> int:
        """How many ``messages``, ``opens`` or ``clicks`` there are."""
        answer = self._calls.get(_path(what), recipient=address, count=1, offset=0)
        # 422: no address in Postmark's eyes, so that nothing was sent there.
        return 0 if answer.status == 422 else value(expect(answer), "TotalCount", int)

    def newest(self, address: str) -> datetime | None:
        """When the last message to an address was sent: they come newest first."""
        answer = self._calls.get(_path("messages"), recipient=address, count=1, offset=0)
        found = [] if answer.status == 422 else objects(expect(answer), "Messages", "ReceivedAt")
        return max((_at(each) for each in found), default=None)

    def all(self, what: str, address: str, *, as_of: datetime | None = None) -> list[Row]:
        """All of them; day by day when they are more than a search can reach."""
        first = self._calls.get(_path(what), recipient=address, count=PAGE, offset=0)
        if first.status == 422:
            return []
        total, rows = value(expect(first), "TotalCount", int), _rows(first, what)
        if total > WINDOW and rows:
            # A day more at either end: Postmark counts days in its own zone.
            newest = max(_at(each) for each in rows).date() + timedelta(days=1)
            days = [newest - timedelta(days=n) for n in range(self._days + 3)]
            return [row for day in days for row in self._pages(what, address, day)]
        for offset in range(PAGE, total, PAGE):
            rows += self._page(what, address, offset, {})
        return rows

    def _pages(self, what: str, address: str, day: date) -> Iterator[Row]:
        limits = {"fromdate": day.isoformat(), "todate": day.isoformat()}
        for offset in range(0, WINDOW, PAGE):
            page = self._page(what, address, offset, limits)
            yield from page
            if len(page) < PAGE:
                return

    def _page(self, what: str, address: str, offset: int, limits: Mapping[str, str]) -> Sequence[Row]:
        answer = self._calls.get(_path(what), recipient=address, count=PAGE, offset=offset, **limits)
        return _rows(answer, what)

    def details(self, message: Row) -> Row:
        """A message with its texts and events; the summary where Postmark has forgotten it since."""
        answer = self._calls.get(f"/messages/outbound/{message['MessageID']}/details")
        if answer.status in (404, 422):
            return message
        told = expect(answer)
        value(told, "MessageID", str)
        return {**message, **told}

    def bounces(self, addresses: Sequence[str]) -> dict[str, list[Row]]:
        """The bounces of each address: from the list, while that takes fewer calls than asking for each."""
        found: dict[str, list[Row]] = {address: [] for address in addresses}
        rows = self._listed(len(addresses)) if len(addresses) > FEW else None
        if rows is None:
            told = spread(addresses, self._bounces_of, at_once=self._at_once)
            rows = [row for each in told for row in each]
        for row in rows:
            if (address := str(row["Email"]).lower()) in found:
                found[address].append(row)
        return found

    def _listed(self, most: int) -> list[Row] | None:
        rows: list[Row] = []
        for page in range(min(most, WINDOW // PAGE)):
            answer = self._calls.get("/bounces", count=PAGE, offset=page * PAGE)
            told = objects(expect(answer), "Bounces", "Email")
            rows += told
            if len(told) < PAGE:
                return rows
        return None

    def _bounces_of(self, address: str) -> list[Row]:
        answer = self._calls.get("/bounces", emailFilter=address, count=PAGE, offset=0)
        return [] if answer.status == 422 else list(objects(expect(answer), "Bounces", "Email"))


def without_others(message: Row, own: Sequence[str]) -> Row:
    """A message without the addresses of the other people it went to."""

    def mine(address: object) -> bool:
        return str(address).lower() in own

    told = dict(message)
    told["Recipients"] = [each if mine(each) else OTHER for each in message.get("Recipients", ())]
    for name in ("To", "Cc", "Bcc"):
        told[name] = [
            each if mine(each.get("Email")) else {"Email": OTHER, "Name": ""}
            for each in message.get(name, ())
        ]
    if "MessageEvents" in message:
        told["MessageEvents"] = [
            each if mine(each.get("Recipient")) else {**each, "Recipient": OTHER, "Details": {}}
            for each in message["MessageEvents"]
        ]
    return told


def _rows(answer: Answer, what: str) -> list[Row]:
    texts = ("MessageID", "ReceivedAt") if what == "messages" else ()
    return list(objects(expect(answer), what.capitalize(), *texts))


def _path(what: str) -> str:
    return "/messages/outbound" if what == "messages" else f"/messages/outbound/{what}"


def _at(message: Row) -> datetime:
    try:
        at = datetime.fromisoformat(str(message["ReceivedAt"]))
    except ValueError:
        raise ProcessorUnavailableError("Postmark: ReceivedAt of a message is no time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
