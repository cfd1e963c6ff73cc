"""The adapter: what is PayPal's to erase is never claimed to be erased."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.http import TIMEOUT, Api
from include.privacy.processors.pacing import Pace, spread
from include.privacy.processors.paypal.checking import preflight
from include.privacy.processors.paypal.client import OPEN, UNSENT, Client, RefusedCallError
from include.privacy.processors.paypal.drafts import is_shared
from include.privacy.processors.paypal.erasing import erase_one
from include.privacy.processors.paypal.exporting import export_one
from include.privacy.processors.paypal.holdings import Holdings, Invoices, gather
from include.privacy.processors.paypal.rectifying import FIELDS, rectify_one
from include.privacy.processors.paypal.settings import (
    INVOICE,
    PAYER,
    PAYMENT_TOKEN,
    SUBSCRIPTION,
    Settings,
    settings_of,
)
from include.privacy.processors.paypal.sweep import Swept, sweep
from include.privacy.processors.paypal.token import Token
from include.privacy.processors.protocol import (
    Exported,
    Found,
    ObjectOutcome,
    Person,
    Preflight,
    ProcessorRefusedError,
    Report,
    State,
    failed,
)

log = logging.getLogger(__name__)
R = TypeVar("R")
HOST = "https://api-m.paypal.com"
UNVERIFIED = "unverified"
"""A kind in :meth:`PayPal.verify`: PayPal refused to say what there is."""


class PayPal:
    """Vault, subscriptions, invoices and transactions of our business account.

    ``now`` is the end of what is read where a method has no ``as_of``. For ``find`` and ``export`` somebody
    about whom PayPal refuses to answer is left out and logged by reference: a part is not the whole.
    """

    name = "paypal"
    probes_what_is_manual = True
    """PayPal's own part is always left to staff; ours is probed all the same."""

    def __init__(
        self,
        mapped: ProcessorMap,
        settings: Settings,
        api: Api,
        token: Token,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._map, self._settings = mapped, settings
        self._api, self._token, self._client = api, token, Client(api)
        self._now = now

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._token.close()

    def preflight(self, *, as_of: datetime) -> Preflight:
        """Scopes of a fresh token, and one small search of transactions and of invoices each."""
        return preflight(self._api, self._token, as_of)

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """How much there is of each. One pass over the transactions for all."""
        swept, invoices = self._sweep(people, self._now()), Invoices(self._client, people)

        def work(person: Person) -> Found:
            return Found(person.reference, self._gather(person, swept, invoices).counts())

        yield from self._answered(people, work)

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """Everything, the ids of payment methods left out: with them payments can be made."""
        swept, invoices = self._sweep(people, self._now()), Invoices(self._client, people)
        until = self._now()

        def work(person: Person) -> Exported:
            held = self._gather(person, swept, invoices)
            return Exported(person.reference, export_one(self._client, person, held, until))

        yield from self._answered(people, work)

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Delete payment methods and drafts, end subscriptions and open invoices; the rest is PayPal's.

        Transactions are read before anything is deleted, since they lead to subscriptions.
        """
        if not people:
            return
        try:
            swept: Swept | None = self._sweep(people, as_of)
        except ProcessorRefusedError:
            # Search is a feature of its own; without it the rest can be done all the same.
            swept = None
        invoices = Invoices(self._client, people)

        def work(person: Person) -> Report:
            held = self._gather(person, swept, invoices)
            known = self._is_payer(person)
            return erase_one(self._client, person, held, swept, self._map.keeps, as_of, known=known)

        yield from self._reported(people, work)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Nothing at PayPal is ever pending; whatever comes here begins anew."""
        yield from (failed(person, PAYER, "begin_anew") for person in people)

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """Correct drafts of invoices; all else the payer corrects in their own account."""
        wanted = {r: {f: v for f, v in c.items() if f in FIELDS} for r, c in corrections.items()}
        ours = [p for p in people if wanted.get(p.reference)]
        yield from (_none(p, PAYER) for p in people if not wanted.get(p.reference))
        if not ours:
            return
        # A draft that an earlier try has corrected is found under the new address.
        new = [Person(p.reference, (wanted[p.reference].get("email", ""),)) for p in ours]
        swept, invoices = self._sweep(ours, as_of), Invoices(self._client, [*ours, *new])

        def work(person: Person) -> Report:
            values = wanted[person.reference]
            held = self._gather(person, swept, None)
            drafts = invoices.of([*person.emails, values.get("email", "")])
            whole = Holdings(held.payment_tokens, held.subscriptions, drafts, held.transactions)
            return rectify_one(self._client, person, whole, values, known=self._is_payer(person))

        yield from self._reported(ours, work)

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Cancel subscriptions or delete payment methods, as the map's ``objection`` says."""
        stopped = set(filter(None, self._map.objection.get(purpose, "").split("+")))
        if not stopped:
            yield from (_none(p, PAYER) for p in people)
        elif people:
            yield from self._stop(people, stopped, self._client.cancel_subscription, as_of)

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Suspend subscriptions where the settings say so; PayPal has no mark for restricted data."""
        if not self._settings.suspend_when_restricted:
            yield from (_none(p, PAYER) for p in people)
        elif people:
            yield from self._stop(people, {SUBSCRIPTION}, self._client.suspend_subscription, as_of)

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Ask anew for what is ours to delete: payment methods, running subscriptions, unpaid invoices.

        Subscriptions that only payments led to are asked for by the ids in the memo: another pass over
        three years of transactions would find the same.
        """
        invoices = Invoices(self._client, people)

        def work(person: Person) -> Found:
            try:
                held = self._gather(person, None, invoices)
            except RefusedCallError:
                return Found(person.reference, {UNVERIFIED: 1})
            emails = {e.casefold() for e in person.emails}
            open_invoices = [
                i
                for i in held.invoices
                if i.get("status") in UNSENT or (i.get("status") in OPEN and not is_shared(i, emails))
            ]
            left = {PAYMENT_TOKEN: held.payment_tokens, SUBSCRIPTION: held.running, INVOICE: open_invoices}
            return Found(person.reference, {kind: len(found) for kind, found in left.items() if found})

        yield from spread(people, work, at_once=self._settings.at_once)

    def _stop(
        self, people: Sequence[Person], kinds: set[str], end: Callable[[str], None], as_of: datetime
    ) -> Iterator[Report]:
        swept = self._sweep(people, as_of) if SUBSCRIPTION in kinds else None

        def work(person: Person) -> Report:
            held = self._gather(person, swept, None, vault=PAYMENT_TOKEN in kinds)
            outcomes = []
            if SUBSCRIPTION in kinds and held.subscriptions:
                for each in held.running:
                    end(str(each["id"]))
                outcomes.append(ObjectOutcome(SUBSCRIPTION, State.stopped, len(held.subscriptions)))
            if PAYMENT_TOKEN in kinds and held.payment_tokens:
                for each in held.payment_tokens:
                    self._client.delete_payment_token(str(each["id"]))
                outcomes.append(ObjectOutcome(PAYMENT_TOKEN, State.stopped, len(held.payment_tokens)))
            return Report(person.reference, tuple(outcomes)) if outcomes else _none(person, PAYER)

        yield from self._reported(people, work)

    def _is_payer(self, person: Person) -> bool:
        """An id on file says that they paid through PayPal, if only before the three years it shows us."""
        return bool(person.ids.get(self._settings.vault_customer))

    def _sweep(self, people: Sequence[Person], until: datetime) -> Swept:
        settings = self._settings
        # PayPal counts its three years from today, also when a run is late or works as of another day.
        late = max(timedelta(0), self._now() - until)
        return sweep(
            self._api,
            people,
            settings.vault_customer,
            until=until,
            days_back=max(1, settings.days_back + (-late).days),
            at_once=settings.at_once,
        )

    def _gather(
        self, person: Person, swept: Swept | None, invoices: Invoices | None, *, vault: bool = True
    ) -> Holdings:
        transactions = swept.of(person) if swept else ()
        return gather(self._client, self._settings, person, invoices, transactions, vault=vault)

    def _reported(self, people: Sequence[Person], work: Callable[[Person], Report]) -> Iterator[Report]:
        def guarded(person: Person) -> Report:
            try:
                return work(person)
            except RefusedCallError as error:
                return failed(person, PAYER, error.code)

        yield from spread(people, guarded, at_once=self._settings.at_once)

    def _answered(self, people: Sequence[Person], work: Callable[[Person], R]) -> Iterator[R]:
        def guarded(person: Person) -> R | None:
            try:
                return work(person)
            except RefusedCallError as error:
                log.warning("paypal refuses to answer about %s (%s)", person.reference, error.code)
                return None

        found = spread(people, guarded, at_once=self._settings.at_once)
        yield from (each for each in found if each is not None)


def connect(
    mapped: ProcessorMap,
    info: ConnectionInfo,
    endpoint_url: str | None,
    *,
    timeout: timedelta = TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> PayPal:
    """The adapter. ``ValueError`` says what to put into the connection, or which setting is wrong."""
    settings = settings_of(mapped)
    if not info.login or not info.password:
        raise ValueError(
            "needs the client id of a REST app as login and its secret as password (developer.paypal.com, "
            "Apps & Credentials)"
        )
    url = endpoint_url or HOST
    pace = Pace(settings.calls_per_minute, 60.0, sleep=sleep)
    token = Token(url, info.login, info.password, pace, timeout=timeout, sleep=sleep)
    api = Api("PayPal", url, pace, headers=token.headers, renew=token.renew, timeout=timeout, sleep=sleep)
    return PayPal(mapped, settings, api, token, now=now)


def _none(person: Person, kind: str) -> Report:
    return Report(person.reference, (ObjectOutcome(kind, State.not_held),))
