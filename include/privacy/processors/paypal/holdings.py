"""What one person has at PayPal, gathered from what it can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.privacy.processors.paypal.client import MOST_PAGES, RUNNING, UNSENT, Client, RefusedCallError
from include.privacy.processors.paypal.settings import (
    INVOICE,
    PAYMENT_TOKEN,
    SUBSCRIPTION,
    TRANSACTION,
    Settings,
)
from include.privacy.processors.paypal.sweep import subscription_of
from include.privacy.processors.protocol import Person

STORED_SUBSCRIPTION = "gateway_subscription_id"
"""The identifier of the data map; other gateways' ids are among them."""
FEW = 3
"""So many addresses are searched one by one without asking how many invoices there are."""

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Holdings:
    """PayPal's objects about one person; ``subscriptions`` and ``invoices`` in whatever state they are."""

    payment_tokens: Sequence[Object] = field(default=(), repr=False)
    subscriptions: Sequence[Object] = field(default=(), repr=False)
    invoices: Sequence[Object] = field(default=(), repr=False)
    transactions: Sequence[Object] = field(default=(), repr=False)

    def counts(self) -> dict[str, int]:
        """How many there are of each kind; kinds with none are left out."""
        kinds = {
            PAYMENT_TOKEN: self.payment_tokens,
            SUBSCRIPTION: self.subscriptions,
            INVOICE: self.invoices,
            TRANSACTION: self.transactions,
        }
        return {kind: len(objects) for kind, objects in kinds.items() if objects}

    @property
    def running(self) -> list[Object]:
        """Subscriptions that still take money, or would again."""
        return [s for s in self.subscriptions if s.get("status") in RUNNING]

    @property
    def beyond_us(self) -> bool:
        """Whether there is anything that only PayPal can erase."""
        sent = any(i.get("status") not in UNSENT for i in self.invoices)
        return bool(self.payment_tokens or self.subscriptions or self.transactions or sent)


class Invoices:
    """Finds invoices by recipient: one search for each address, or one pass over all where that is less.

    PayPal takes one address a search. Many people are therefore matched against the whole list whenever
    it has fewer pages than they have addresses.
    """

    def __init__(self, client: Client, people: Sequence[Person]) -> None:
        self._client = client
        self._listed: dict[str, dict[str, Object]] | None = None
        emails = {e.casefold() for p in people for e in p.emails}
        if len(emails) > FEW:
            try:
                self._read_all(emails)
            except RefusedCallError:
                # Each person's own search says for whom it fails.
                self._listed = None

    def of(self, emails: Sequence[str]) -> list[Object]:
        """The invoices whose recipient has exactly one of these addresses."""
        wanted = {e.casefold() for e in emails if e}
        found: dict[str, Object] = {}
        for email in sorted(wanted):
            if self._listed is not None:
                found |= self._listed.get(email, {})
            else:
                matching = (i for i in self._client.invoices_for(email) if email in recipients(i))
                found |= {str(i.get("id")): i for i in matching}
        return list(found.values())

    def _read_all(self, emails: set[str]) -> None:
        first, pages = self._client.search({}, 1)
        if pages > min(len(emails), MOST_PAGES):
            return
        listed: dict[str, dict[str, Object]] = {}
        for page in range(1, pages + 1):
            items = first if page == 1 else self._client.search({}, page)[0]
            for invoice in items:
                for email in recipients(invoice) & emails:
                    listed.setdefault(email, {})[str(invoice.get("id"))] = invoice
        self._listed = listed


def recipients(invoice: Object) -> set[str]:
    """The addresses that an invoice is for, copies included; in lower case."""
    named = {str((r.get("billing_info") or {}).get("email_address", "")) for r in primary(invoice)}
    copies = {address_of_copy(c) for c in invoice.get("additional_recipients") or ()}
    return {email.casefold() for email in named | copies if email}


def primary(invoice: Object) -> list[Object]:
    """The recipients proper."""
    return [r for r in invoice.get("primary_recipients") or () if isinstance(r, Mapping)]


def address_of_copy(copy: Any) -> str:
    """A copy's address: a text, or an object that has one, according to the page one reads."""
    return str(copy.get("email_address", "")) if isinstance(copy, Mapping) else str(copy)


def gather(
    client: Client,
    settings: Settings,
    person: Person,
    invoices: Invoices | None,
    transactions: Sequence[Object],
    *,
    vault: bool = True,
) -> Holdings:
    """Everything of one person. Raises what :class:`.client.Client` raises."""
    customers = person.ids.get(settings.vault_customer, ()) if vault else ()
    tokens = [t for customer in customers for t in client.payment_tokens(customer)]
    known = dict.fromkeys(subscription_ids(person, transactions))
    asked = (client.subscription(subscription_id) for subscription_id in known)
    return Holdings(
        tokens,
        [s for s in asked if s is not None],
        invoices.of(person.emails) if invoices is not None else (),
        transactions,
    )


def subscription_ids(person: Person, transactions: Sequence[Object]) -> list[str]:
    """Ids that may be PayPal's: those we keep, those that payments name, those of an earlier try."""
    stored = [*person.ids.get(STORED_SUBSCRIPTION, ()), *person.memo.get("subscriptions", ())]
    # PayPal's begin so; asking for those of another gateway would be a wasted call.
    ours = [each for each in stored if str(each).startswith("I-")]
    return [*map(str, ours), *(s for t in transactions if (s := subscription_of(t)))]
