"""Transactions of many people in one pass: PayPal cannot filter by payer, so we read windows and match.

``GET /v1/reporting/transactions`` takes 31 days at most, of the last three years, and shows a transaction
up to three hours late (developer.paypal.com/docs/api/transaction-search/v1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.privacy.processors.http import Api
from include.privacy.processors.pacing import spread
from include.privacy.processors.paypal.client import code_of
from include.privacy.processors.protocol import Person, ProcessorRefusedError

TRANSACTIONS = "/v1/reporting/transactions"
PAGE = 500
WINDOW = timedelta(days=31)
LATE = timedelta(hours=12)
"""Nothing may be reported yet of a window that begins later than this before now."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Swept:
    """What a pass found. ``reported_until``: how far PayPal's report went, where it said so."""

    transactions: Mapping[str, Sequence[Mapping[str, Any]]] = field(repr=False)
    reported_until: str | None = None

    def of(self, person: Person) -> Sequence[Mapping[str, Any]]:
        """The transactions of one person, the oldest first."""
        return self.transactions.get(person.reference, ())


def windows(until: datetime, days_back: int) -> Iterator[tuple[datetime, datetime]]:
    """Spans of at most 31 days without gap or overlap, the newest first; ends are part of them.

    They are laid from the end, so that only the oldest is short: PayPal refuses a window that begins
    after its last report.
    """
    end = until.astimezone(UTC).replace(microsecond=0)
    start = end - timedelta(days=days_back)
    while end > start:
        begin = max(start, end - WINDOW)
        yield begin, end
        end = begin - _SECOND


def sweep(
    api: Api, people: Sequence[Person], payer_ids: str, *, until: datetime, days_back: int, at_once: int
) -> Swept:
    """Read every window once and keep what belongs to one of the people.

    ``payer_ids``: the kind of identifier that PayPal calls ``account_id``. Raises
    :class:`ProcessorRefusedError` where our app may not search transactions, and what ``Api.call`` raises.
    """
    emails = _index((e.casefold(), p) for p in people for e in p.emails)
    payers = _index((i, p) for p in people for i in p.ids.get(payer_ids, ()))
    found: dict[str, list[Mapping[str, Any]]] = {}
    reported: list[str] = []

    def read(span: tuple[datetime, datetime]) -> list[tuple[str, Mapping[str, Any]]]:
        kept: list[tuple[str, Mapping[str, Any]]] = []
        for each in _window(api, *span, now=until, reported=reported):
            payer = each.get("payer_info") or {}
            mine = emails.get(str(payer.get("email_address", "")).casefold(), set()) | payers.get(
                str(payer.get("account_id", "")), set()
            )
            kept += [(reference, each) for reference in mine]
        return kept

    for kept in spread(list(windows(until, days_back)), read, at_once=at_once):
        for reference, each in kept:
            found.setdefault(reference, []).append(each)
    for each_person in found.values():
        each_person.sort(key=lambda t: (date_of(t), id_of(t)))
    return Swept(found, max(reported, default=None))


def _window(
    api: Api, start: datetime, end: datetime, *, now: datetime, reported: list[str]
) -> Iterator[Mapping[str, Any]]:
    """Every transaction of one span; halves it where PayPal finds too many (10,000) for one search."""
    page = pages = 1
    while page <= pages:
        params = {
            "start_date": written(start),
            "end_date": written(end),
            "fields": "all",
            "balance_affecting_records_only": "N",
            "page_size": PAGE,
            "page": page,
        }
        answer = api.call("GET", TRANSACTIONS, params=params)
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status == 400 and body.get("name") == "RESULTSET_TOO_LARGE" and end - start > _SECOND:
            middle = start + (end - start) // 2
            middle = middle.replace(microsecond=0)
            yield from _window(api, start, middle, now=now, reported=reported)
            yield from _window(api, middle + _SECOND, end, now=now, reported=reported)
            return
        if answer.status == 400 and start > now - LATE:
            return
        if not answer.ok or not isinstance(body.get("transaction_details", []), list):
            raise ProcessorRefusedError(
                f"PayPal refuses the search for transactions ({answer.status}, {code_of(answer)}); "
                "check days_back in config/processors/paypal.yaml and the clock of this machine"
            )
        if isinstance(refreshed := body.get("last_refreshed_datetime"), str):
            reported.append(refreshed)
        yield from (t for t in body.get("transaction_details", []) if isinstance(t, dict))
        page, pages = page + 1, int(body.get("total_pages") or 1)


def written(instant: datetime) -> str:
    """A time as PayPal takes it: UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def id_of(transaction: Mapping[str, Any]) -> str:
    """The id of a transaction; empty when it has none."""
    return str((transaction.get("transaction_info") or {}).get("transaction_id", ""))


def date_of(transaction: Mapping[str, Any]) -> str:
    """When it was begun, as PayPal writes it."""
    return str((transaction.get("transaction_info") or {}).get("transaction_initiation_date", ""))


def subscription_of(transaction: Mapping[str, Any]) -> str | None:
    """The subscription that a transaction pays for, if any."""
    info = transaction.get("transaction_info") or {}
    return str(info["paypal_reference_id"]) if info.get("paypal_reference_id_type") == "SUB" else None


def _index(pairs: Iterator[tuple[str, Person]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key, person in pairs:
        found.setdefault(key, set()).add(person.reference)
    found.pop("", None)
    return found
