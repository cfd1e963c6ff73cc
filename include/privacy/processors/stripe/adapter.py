"""Stripe as a :class:`..protocol.Processor` (P5.1): one task of so many calls at once for each person."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.pacing import spread
from include.privacy.processors.protocol import (
    Exported,
    Found,
    ObjectOutcome,
    Person,
    Preflight,
    ProcessorRefusedError,
    ProcessorUnavailableError,
    Report,
    State,
    failed,
)
from include.privacy.processors.stripe.client import CallRefusedError, Calls
from include.privacy.processors.stripe.erasing import Erasure
from include.privacy.processors.stripe.holdings import LISTS, customers, holdings, is_gone, listed
from include.privacy.processors.stripe.invoices import InvoiceArchive, issued_at, kept
from include.privacy.processors.stripe.redaction import Redaction
from include.privacy.processors.stripe.settings import Settings
from include.privacy.processors.stripe.winding_down import end_subscriptions, flag

R = TypeVar("R")

_FIELDS = {"full_name": "name", "email": "email"}


class Stripe:
    """One account. ``invoices`` is where what tax law wants is kept."""

    def __init__(
        self, mapped: ProcessorMap, settings: Settings, calls: Calls, invoices: InvoiceArchive
    ) -> None:
        self.name = mapped.processor
        self._mapped, self._settings, self._calls = mapped, settings, calls
        self._redaction = Redaction(calls, settings.redaction_version)
        self._erasure = Erasure(calls, mapped, settings, invoices, self._redaction)
        self._asked: bool | None = None
        self._lock = threading.Lock()

    def preflight(self, *, as_of: datetime) -> Preflight:
        """See the protocol. The key's permissions show only where they lack, list by list."""
        problems = []
        for path in ("/v1/customers", "/v1/disputes", *(p for p, _ in LISTS.values() if "{" not in p)):
            try:
                self._calls.get(path, limit=1)
            except ProcessorRefusedError:
                problems.append(
                    f"The key may not read {path}: give it that permission in Stripe's dashboard."
                )
            except CallRefusedError as error:
                problems.append(f"Stripe refuses {path} ({error.code}): look at the account's products.")
        features = {"redaction_jobs": False}
        if not problems:
            features["redaction_jobs"] = self._redaction.available()
        return Preflight(features, tuple(problems))

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """See the protocol."""

        def work(person: Person) -> Found:
            counts = {name: len(objects) for name, objects in holdings(self._calls, person) if objects}
            return Found(person.reference, counts)

        yield from self._all(people, work)

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """See the protocol. Whoever Stripe refuses comes last, as an error, when all others are out."""

        def work(person: Person) -> Exported:
            return Exported(person.reference, {n: o for n, o in holdings(self._calls, person) if o})

        yield from self._all(people, work)

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """Name and address of every customer and of the cards that bear them; metadata stays as it is."""
        yield from self._reports(
            people, lambda person: self._rectify(person, corrections.get(person.reference, {}), as_of)
        )

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Stripe has no opt-out; the map's ``objection`` says what stands for one."""
        stop = self._mapped.objection.get(purpose)

        def work(person: Person) -> Report:
            found = self._living(person)
            if stop is None or not found:
                return _nothing(person)
            if stop == "manual":
                outcome = ObjectOutcome("customer", State.manual, len(found), code="no_opt_out")
                return Report(person.reference, (outcome,))
            return self._stop(person, found, subscriptions=stop == "cancel_subscriptions")

        yield from self._reports(people, work)

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """A flag in the metadata, for Radar's rules and the platform; Stripe itself knows no restriction."""

        def work(person: Person) -> Report:
            found = self._living(person)
            return self._stop(person, found, subscriptions=False) if found else _nothing(person)

        yield from self._reports(people, work)

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """See :mod:`.erasing`."""
        yield from self.settle(people, as_of=as_of)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """See :mod:`.erasing`; who waits for a date costs no call before it."""
        self._know_features(people)
        yield from self._reports(people, lambda person: self._erasure.go_on(person, as_of))

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Customers under any address or stored id that are neither deleted nor redacted."""
        self._know_features(people)
        version = self._settings.redaction_version if self._asked else None

        def work(person: Person) -> Found:
            bare = Person(person.reference, person.emails, person.ids)
            left = [c for c in customers(self._calls, bare, version=version) if not is_gone(c)]
            return Found(person.reference, {"customer": len(left)} if left else {})

        yield from self._all(people, work)

    def _know_features(self, people: Sequence[Person]) -> None:
        """Ask once in the life of the task's process, and not for nobody."""
        with self._lock:
            if people and self._asked is None:
                self._asked = self._redaction.available()
                self._erasure.use(redaction=self._asked)

    def _living(self, person: Person) -> list[dict[str, Any]]:
        return [c for c in customers(self._calls, person) if not is_gone(c)]

    def _stop(self, person: Person, found: list[dict[str, Any]], *, subscriptions: bool) -> Report:
        ended: Counter[str] = Counter()
        for customer in found:
            flag(self._calls, person, customer, self._settings.flag)
            if subscriptions:
                end_subscriptions(self._calls, customer["id"], ended)
        outcomes = [ObjectOutcome("customer", State.stopped, len(found))]
        outcomes += [ObjectOutcome(kind, State.stopped, n) for kind, n in ended.items()]
        return Report(person.reference, tuple(outcomes))

    def _rectify(self, person: Person, values: Mapping[str, str], as_of: datetime) -> Report:
        wanted = {_FIELDS[name]: value for name, value in values.items() if name in _FIELDS}
        found = self._living(person) if wanted else []
        if not found and wanted.get("email"):
            # An earlier try may have corrected the address, and died before it could say so.
            there = self._living(Person(person.reference, (wanted["email"],)))
            found = [c for c in there if all(c.get(field) == value for field, value in wanted.items())]
        if not found:
            return _nothing(person)
        own = {e.lower() for e in person.emails}
        snapshots: list[datetime] = []
        cards = 0
        for customer in found:
            # The cards first: by the customer's old name their own is known.
            cards += self._correct_cards(person, customer, wanted, own)
            if any(customer.get(field) != value for field, value in wanted.items()):
                self._calls.post(f"/v1/customers/{customer['id']}", person, "rectify", **wanted)
            for invoice in listed(self._calls, "invoices", customer["id"]):
                stale = any(invoice.get(f"customer_{field}") != value for field, value in wanted.items())
                if stale and (issued := issued_at(invoice)):
                    snapshots.append(issued)
        outcomes = [ObjectOutcome("customer", State.corrected, len(found))]
        if cards:
            outcomes.append(ObjectOutcome("payment_method", State.corrected, cards))
        # An issued invoice says what was said when it was issued; it is corrected by a new one.
        keep = self._mapped.keeps.get("invoice")
        left = kept("invoice", snapshots, keep, as_of)
        if left.count and keep:
            outcomes.append(
                ObjectOutcome("invoice", State.retained, left.count, left.until, keep.basis, "snapshot")
            )
        return Report(person.reference, tuple(outcomes))

    def _correct_cards(
        self, person: Person, customer: Mapping[str, Any], wanted: Mapping[str, str], own: set[str]
    ) -> int:
        corrected = 0
        for method in listed(self._calls, "payment_methods", customer["id"]):
            details = method.get("billing_details") or {}
            new = {}
            if "email" in wanted and (details.get("email") or "").lower() in own - {""}:
                new["email"] = wanted["email"]
            if "name" in wanted and details.get("name") and details["name"] == customer.get("name"):
                new["name"] = wanted["name"]
            if any(details.get(field) != value for field, value in new.items()):
                path = f"/v1/payment_methods/{method['id']}"
                self._calls.post(path, person, "rectify", billing_details=new)
                corrected += 1
        return corrected

    def _reports(self, people: Sequence[Person], work: Callable[[Person], Report]) -> Iterator[Report]:
        def one(person: Person) -> Report:
            try:
                return work(person)
            except CallRefusedError as error:
                # Another attempt is another idempotency key: a refusal is replayed under the old one.
                memo = {**person.memo, "attempt": person.memo.get("attempt", 0) + 1}
                return failed(person, "customer", error.code, memo)

        yield from spread(people, one, at_once=self._settings.at_once)

    def _all(self, people: Sequence[Person], work: Callable[[Person], R]) -> Iterator[R]:
        """What was found of each; whom Stripe refuses is told of when all others are out."""
        refused: list[str] = []
        for result in spread(people, partial(_or_code, work), at_once=self._settings.at_once):
            if isinstance(result, CallRefusedError):
                refused.append(result.code)
            else:
                yield result
        if refused:
            raise ProcessorUnavailableError(
                f"stripe refuses what it has of {len(refused)} people ({', '.join(sorted(set(refused)))}); "
                "everybody else is done, the next run asks again"
            )


def _or_code(work: Callable[[Person], R], person: Person) -> R | CallRefusedError:
    try:
        return work(person)
    except CallRefusedError as error:
        return error


def _nothing(person: Person) -> Report:
    return Report(person.reference, (ObjectOutcome("customer", State.not_held, 0),))


def rate(settings: Settings, key: str, endpoint_url: str | None) -> int:
    """Calls a second: Stripe itself is slower in test mode."""
    slow = "_test_" in key and endpoint_url is None
    return settings.test_calls_per_second if slow else settings.calls_per_second


def time_out(settings: Settings) -> timedelta:
    """For connecting, and for waiting for more of an answer."""
    return timedelta(seconds=settings.timeout_seconds)
