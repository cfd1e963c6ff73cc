"""Invoices that tax law wants: a copy of ours before Stripe's is erased, and until when it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from include.privacy.policy.processors import Keep
from include.privacy.processors.protocol import ObjectOutcome, State

Json = Mapping[str, Any]


class InvoiceArchive(Protocol):
    """Our own store of invoices (``stores.invoice_archive``)."""

    def put(self, invoice_id: str, issued: date, document: bytes) -> bool:
        """Keep a document, once; returns whether it was new."""
        ...


def instant(seconds: float) -> datetime:
    """Stripe's seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def issued_at(invoice: Json) -> datetime | None:
    """When an invoice was finalised; none for a draft."""
    if invoice.get("status") == "draft":
        return None
    moments = invoice.get("status_transitions") or {}
    return instant(moments.get("finalized_at") or invoice.get("effective_at") or invoice["created"])


@dataclass(frozen=True)
class Kept:
    """How many objects of a kind are kept until when, and how many whose time is over."""

    kind: str
    count: int = 0
    until: datetime | None = None
    over: int = 0

    def outcomes(self, keep: Keep | None, rest: ObjectOutcome | None = None) -> list[ObjectOutcome]:
        """Retained, and what becomes of the rest."""
        told = []
        if self.count and keep:
            told.append(ObjectOutcome(self.kind, State.retained, self.count, self.until, keep.basis))
        if self.over and rest:
            told.append(ObjectOutcome(rest.kind, rest.state, self.over, code=rest.code))
        return told


def kept(kind: str, dates: Iterable[datetime], keep: Keep | None, as_of: datetime) -> Kept:
    """Sort objects of a kind by whether their time to be kept is over; without a ground it is."""
    dates = list(dates)
    ends = [d + timedelta(days=keep.days) for d in dates] if keep else []
    running = [end for end in ends if end > as_of]
    return Kept(kind, len(running), max(running, default=None), len(dates) - len(running))


def archive(archive: InvoiceArchive, invoices: Iterable[Json], keep: Keep | None, as_of: datetime) -> int:
    """Store every issued invoice that must be kept; returns how many. Again it stores nothing new."""
    stored = 0
    for invoice in invoices:
        issued = issued_at(invoice)
        if issued is None or keep is None or issued + timedelta(days=keep.days) <= as_of:
            continue
        document = json.dumps(invoice, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        archive.put(invoice["id"], issued.date(), document.encode())
        stored += 1
    return stored
