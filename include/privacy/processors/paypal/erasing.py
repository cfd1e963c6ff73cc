"""The erasure of one person at PayPal, and what is said of the parts that only PayPal can erase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from include.privacy.policy.processors import Keep
from include.privacy.processors.paypal.client import OPEN, UNSENT, Client, RefusedCallError
from include.privacy.processors.paypal.drafts import is_shared, without
from include.privacy.processors.paypal.holdings import Holdings, Object
from include.privacy.processors.paypal.settings import (
    INVOICE,
    PAYER,
    PAYMENT_TOKEN,
    SUBSCRIPTION,
    TRANSACTION,
)
from include.privacy.processors.paypal.sweep import Swept, date_of, id_of
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State

TELL_PAYPAL = "tell_paypal"
"""PayPal is told (Art. 17(2), 19 GDPR), and the person is told to ask there: see :mod:`.notice`."""
CONTROLLER_DECIDES = "controller_decides"
SHARED = "shared_with_others"
SEARCH_REFUSED = "transaction_search_refused"


@dataclass
class _Deeds:
    """What was done for one person. ``done``: ids of what is deleted, also by an earlier call."""

    done: dict[str, set[str]]
    stopped: list[Object] = field(default_factory=list)
    kept: list[Object] = field(default_factory=list)
    shared: int = 0
    refused: list[ObjectOutcome] = field(default_factory=list)

    def tried(self, kind: str, each: Object, deed: Callable[[str], None]) -> bool:
        """Whether PayPal let us; a refusal concerns this object alone."""
        try:
            deed(str(each["id"]))
        except RefusedCallError as error:
            self.refused.append(ObjectOutcome(kind, State.failed, code=error.code))
            return False
        return True

    def deleted(self, kind: str, each: Object, deed: Callable[[str], None]) -> None:
        """Delete one and remember it."""
        if self.tried(kind, each, deed):
            self.done.setdefault(kind, set()).add(str(each["id"]))


def erase_one(
    client: Client,
    person: Person,
    held: Holdings,
    swept: Swept | None,
    keeps: Mapping[str, Keep],
    as_of: datetime,
    *,
    known: bool,
) -> Report:
    """Delete and cancel what is ours to; what PayPal refuses is ``failed`` and stops nothing else.

    ``swept`` is ``None`` where our app may not search transactions: then that stays open. ``known``: they
    have paid through PayPal, whatever it still shows. Raises what ``Api.call`` raises; then call again.
    """
    deeds = _carry_out(client, person, held)
    outcomes = [ObjectOutcome(k, State.erased, len(ids)) for k, ids in sorted(deeds.done.items()) if ids]
    if deeds.stopped:
        outcomes.append(ObjectOutcome(SUBSCRIPTION, State.stopped, len(deeds.stopped)))
        outcomes += _kept(SUBSCRIPTION, [_ended(s) for s in deeds.stopped], keeps, as_of, left=False)
    outcomes += _kept(INVOICE, [_issued(i) for i in deeds.kept], keeps, as_of)
    if deeds.shared:
        outcomes.append(ObjectOutcome(INVOICE, State.manual, deeds.shared, code=SHARED))
    outcomes += _kept(TRANSACTION, [date_of(t) for t in held.transactions], keeps, as_of)
    if swept is None:
        outcomes.append(ObjectOutcome(TRANSACTION, State.failed, code=SEARCH_REFUSED))
    if known or held.beyond_us or deeds.done.get(PAYMENT_TOKEN):
        outcomes.append(ObjectOutcome(PAYER, State.manual, code=TELL_PAYPAL))
    outcomes += deeds.refused
    if not outcomes:
        return Report(person.reference, (ObjectOutcome(PAYER, State.not_held),))
    return Report(person.reference, tuple(outcomes), _evidence(person, held, swept, deeds.done))


def _carry_out(client: Client, person: Person, held: Holdings) -> _Deeds:
    emails = {e.casefold() for e in person.emails}
    deeds = _Deeds({kind: set(ids) for kind, ids in (person.memo.get("done") or {}).items()})
    for token in held.payment_tokens:
        deeds.deleted(PAYMENT_TOKEN, token, client.delete_payment_token)
    running = held.running
    for each in held.subscriptions:
        if each not in running or deeds.tried(SUBSCRIPTION, each, client.cancel_subscription):
            deeds.stopped.append(each)
    for invoice in held.invoices:
        if invoice.get("status") in UNSENT:
            deeds.deleted(INVOICE, invoice, partial(_remove, client, invoice, emails))
        elif is_shared(invoice, emails):
            deeds.shared += 1
        elif invoice.get("status") not in OPEN or deeds.tried(INVOICE, invoice, client.cancel_invoice):
            deeds.kept.append(invoice)
    return deeds


def _evidence(
    person: Person, held: Holdings, swept: Swept | None, done: Mapping[str, set[str]]
) -> dict[str, Any]:
    """What a notice to PayPal needs, and a later call: ids and dates, kept sealed."""
    before = person.memo
    transactions = [[id_of(t), date_of(t)] for t in held.transactions]
    subscriptions = {str(s["id"]) for s in held.subscriptions}
    return {
        "done": {kind: sorted(ids) for kind, ids in done.items()},
        "subscriptions": sorted(subscriptions | set(before.get("subscriptions", ()))),
        "transactions": transactions or list(before.get("transactions", ())),
        "reported_until": swept.reported_until if swept else before.get("reported_until"),
    }


def _remove(client: Client, invoice: Object, emails: set[str], invoice_id: str) -> None:
    """Delete a draft, or take the person out of one that is for others as well."""
    if not is_shared(invoice, emails):
        client.delete_invoice(invoice_id)
        return
    whole = client.invoice(invoice_id)
    if whole is not None:
        client.replace_invoice(invoice_id, without(whole, emails))


def _kept(
    kind: str, dates: Sequence[str], keeps: Mapping[str, Keep], as_of: datetime, *, left: bool = True
) -> Iterator[ObjectOutcome]:
    """``retained`` while the reason lasts; what is ``left`` over is for PayPal to decide."""
    keep = keeps.get(kind)
    ends = [_instant(d, as_of) + timedelta(days=keep.days) for d in dates] if keep else []
    standing = [end for end in ends if end > as_of]
    if keep and standing:
        yield ObjectOutcome(kind, State.retained, len(standing), until=max(standing), basis=keep.basis)
    if left and (over := len(dates) - len(standing)):
        yield ObjectOutcome(kind, State.manual, over, code=CONTROLLER_DECIDES)


def _instant(written: str, as_of: datetime) -> datetime:
    """A date of PayPal's; one that cannot be read counts from now, so that nothing is kept too short."""
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return as_of
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ended(subscription: Object) -> str:
    return str(subscription.get("status_update_time") or subscription.get("create_time") or "")


def _issued(invoice: Object) -> str:
    return str((invoice.get("detail") or {}).get("invoice_date", ""))
