"""The least number of calls with which people can be erased at each processor, and the erasure proved.

Counted from what the stand-in stores before, and from the limits that each interface documents. Proof is
part of it: an erasure is done when the person was looked for again and not found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from include.privacy.processors.protocol import Person


class Least(NamedTuple):
    """``known``: how many of the people the processor knows."""

    calls: int
    known: int


State = Mapping[str, Any]


def stripe(state: State, people: Sequence[Person]) -> Least:
    """Nothing at Stripe takes more than one person, but a redaction job (ten customers).

    A job of several people could not be stopped for one of them, so that a job is one person's here too
    (docs/DECISIONS.md); ten to a job would save 3.6 of the calls for each known person.
    """
    known = [p for p in people if p.ids.get("stripe_customer_id")]
    customers = len(state["customers"])
    # A page of customers by address, for everybody: whether Stripe knows somebody is not known before.
    find = len(people)
    # What hangs on a customer has a list for each kind: subscriptions, invoices, credit notes, sessions, both
    # kinds of intents, cards, identity checks, charges. No list takes two customers.
    lists = 9 * customers
    # What is not over cannot be redacted, and each object has a call of its own that ends it.
    ends = (
        sum(s["status"] == "active" for s in state["subscriptions"])
        + sum(i["status"] == "open" for i in state["invoices"])
        + sum(m["customer"] is not None for m in state["payment_methods"])
        + len(state["verification_sessions"])
    )
    # Create, see it ready, run, see it done.
    jobs = 4 * len(known)
    # By address again, and by id, since what is redacted has no address.
    proof = len(people) + len(known)
    return Least(find + lists + ends + jobs + proof, len(known))


def paypal(state: State, people: Sequence[Person]) -> Least:
    """No search for people: transactions and invoices are read once for all, the vault payer by payer."""
    payers = [p for p in people if p.ids.get("paypal_payer_id")]
    # Three years in windows of 31 days; a window has at least one page.
    windows = _pages(3 * 365, 31)
    # The whole list of invoices, 100 a page: the search takes one address.
    invoices = _pages(len(state["invoices"]), 100)
    owned: dict[str, int] = {}
    for token in state["payment_tokens"].values():
        customer = token["customer"]["id"]
        owned[customer] = owned.get(customer, 0) + 1
    # Five payment methods a page; whoever has none is asked for all the same.
    vault = sum(max(1, _pages(owned.get(p.ids["paypal_payer_id"][0], 0), 5)) for p in payers)
    running = sum(s["status"] == "ACTIVE" for s in state["subscriptions"].values())
    unpaid = sum(i["status"] in ("DRAFT", "SENT") for i in state["invoices"].values())
    drafts = sum(i["status"] == "DRAFT" for i in state["invoices"].values())
    # Each is deleted or cancelled by itself.
    ends = len(state["payment_tokens"]) + running + unpaid
    # Looked for again: the invoices that are left, the vault payer by payer, each subscription.
    proof = _pages(len(state["invoices"]) - drafts, 100) + len(payers) + len(state["subscriptions"])
    # One for the token.
    return Least(1 + windows + invoices + vault + ends + proof, len(payers))


def sendgrid(state: State, people: Sequence[Person]) -> Least:
    """100 addresses a search of contacts, 5,000 an erase job, but one for each question to the log."""
    addresses, lists = len(people), state["suppressions"]
    erased = ("bounces", "blocks", "invalid_emails", "spam_reports")
    search = _pages(addresses, 100)
    # 500 rows a page; a page that is not full is the last.
    pages = {name: len(lists[name]) // 500 + 1 for name in (*erased, "unsubscribes")}
    # The groups, and a search in each: no limit is documented for it.
    groups = 1 + len(lists["groups"])
    # A hundred ids are what a URL holds; a list takes all its addresses in one call.
    deletes = _pages(len(state["contacts"]), 100) + sum(bool(lists[name]) for name in erased)
    jobs = _pages(addresses, 5_000)
    # Contacts, the lists that are emptied, and the log.
    proof = search + len(erased) + addresses
    calls = search + sum(pages.values()) + groups + deletes + jobs + proof
    known = {c["email"] for c in state["contacts"]} | {m["to_email"] for m in state["log"]}
    for name in pages:
        known |= set(lists[name])
    known |= {a for members in lists["groups"].values() for a in members}
    return Least(calls, _among(known, people))


def postmark(state: State, people: Sequence[Person]) -> Least:
    """A removal for each address, and a question after each; suppressions 50 a call.

    A removal reaches more than can be searched for, so that whether an address is known is not asked first.
    """
    streams = state["suppressions"]
    # The streams, and the whole list of each in one answer.
    dumps = 1 + len(streams)
    wrong = [sum(r["SuppressionReason"] == "HardBounce" for r in rows) for rows in streams.values()]
    deletes = sum(_pages(rows, 50) for rows in wrong)
    removals = 2 * len(people)
    # The lists again, the bounces (one page, since none are left), and a search of messages for each address.
    proof = dumps + 1 + len(people)
    known = {m["Recipients"][0] for m in state["messages"]}
    known |= {r["EmailAddress"] for rows in streams.values() for r in rows}
    return Least(dumps + deletes + removals + proof, _among(known, people))


def _pages(count: int, size: int) -> int:
    return -(-count // size)


def _among(addresses: Collection[str], people: Sequence[Person]) -> int:
    return sum(any(email.lower() in addresses for email in p.emails) for p in people)


LEAST: Mapping[str, Callable[[State, Sequence[Person]], Least]] = {
    "stripe": stripe,
    "paypal": paypal,
    "sendgrid": sendgrid,
    "postmark": postmark,
}
