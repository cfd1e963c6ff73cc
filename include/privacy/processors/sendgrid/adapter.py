"""SendGrid as :class:`..protocol.Processor`; erasing and correcting have files of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.pacing import spread
from include.privacy.processors.protocol import (
    Exported,
    Found,
    ObjectOutcome,
    Person,
    Preflight,
    Report,
    State,
    failed,
)
from include.privacy.processors.sendgrid.calls import SendGridCalls
from include.privacy.processors.sendgrid.contacts import Contacts
from include.privacy.processors.sendgrid.erasing import ERASE_JOB, Erasure
from include.privacy.processors.sendgrid.messages import Message, Messages
from include.privacy.processors.sendgrid.people import addresses_of, batches, everybody, no_address
from include.privacy.processors.sendgrid.rectifying import STEP, Rectification
from include.privacy.processors.sendgrid.settings import GLOBAL, KINDS, SendGridSettings
from include.privacy.processors.sendgrid.suppressions import Suppressions

_LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports")
SCOPES = (
    "marketing.read", "marketing.update", "marketing.delete", "messages.read", "asm.groups.read",
    "asm.groups.suppressions.read", "asm.groups.suppressions.create", "asm.groups.suppressions.delete",
    "asm.suppressions.global.read", "asm.suppressions.global.create", "asm.suppressions.global.delete",
    "suppression.unsubscribes.read",
    *(f"suppression.{name}.{what}" for name in _LISTS for what in ("read", "delete")),
)  # fmt: skip
"""What the key needs, besides the erase job and what sending letters needs."""


class SendGrid:
    """One account. Made by :func:`..connect`."""

    def __init__(self, calls: SendGridCalls, mapped: ProcessorMap, settings: SendGridSettings) -> None:
        self.name = mapped.processor
        self._calls, self._map, self._settings = calls, mapped, settings
        self._contacts = Contacts(calls)
        self._suppressions = Suppressions(calls, settings.at_once)
        self._messages = Messages(calls)
        self._erasure = Erasure(calls, mapped, settings)
        self._rectification = Rectification(calls, settings)

    def preflight(self, *, as_of: datetime) -> Preflight:
        """Scopes of the key, the erase job, and that every group of an objection exists."""
        scopes = self._erasure.scopes()
        problems = [
            f"SendGrid: the key lacks the scope {scope}; add it (Settings, API Keys)"
            for scope in SCOPES
            if scope not in scopes
        ]
        if ERASE_JOB not in scopes:
            problems.append(
                f"SendGrid: the key lacks {ERASE_JOB}; add it, or ask SendGrid's support to switch it on. "
                "Until then messages to erased people stay in its log for 30 days"
            )
        if "asm.groups.read" in scopes:
            for purpose, target in self._map.objection.items():
                path = ("asm", "groups", target)
                if target != GLOBAL and self._calls.call("GET", *path).status != 200:
                    problems.append(
                        f"SendGrid has no suppression group {target}; correct objection.{purpose} in "
                        "config/processors/sendgrid.yaml"
                    )
        return Preflight({"erase_job": ERASE_JOB in scopes}, tuple(problems))

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """Contacts, suppressions and messages of each; of messages a thousand an address at most."""
        for batch in batches(people):
            for person, held in self._held(batch):
                yield Found(person.reference, {kind: len(rows) for kind, rows in held.items() if rows})

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """Everything of each, messages with their events."""
        for batch in batches(people):
            for person, held in self._held(batch, complete=True):
                held["message"] = list(
                    spread(held["message"], self._messages.details, at_once=self._settings.at_once)
                )
                collections = {KINDS[kind]: rows for kind, rows in held.items() if rows}
                yield Exported(person.reference, collections)

    def _held(
        self, people: Sequence[Person], complete: bool = False
    ) -> Iterator[tuple[Person, dict[str, list[Mapping[str, Any]]]]]:
        addresses = everybody(people)
        search = self._contacts.search(addresses)
        rows = self._suppressions.find([a for a in addresses if a not in search.refused])

        def messages(person: Person) -> list[Message]:
            own = addresses_of(person)
            return [m for address in own for m in self._messages.of(address, complete=complete)]

        for person, sent in spread(people, lambda p: (p, messages(p)), at_once=self._settings.at_once):
            held: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS}
            own = addresses_of(person)
            held["contact"] += search.of(own)
            for row in (row for address in own for row in rows.get(address, ())):
                held[row.kind].append({"email": row.address, **row.told})
            held["message"] += sent
            yield person, held

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """A name is changed; an address is what a contact is known by: a new contact, then the old one goes.

        Suppressions that honour an objection move along to the new address.
        """
        yield from self._rectification.begin(people, corrections, as_of=as_of)

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Suppress all addresses in the group that the map names for the purpose."""
        target = self._map.objection.get(purpose)
        if target is None:
            yield from (Report(p.reference, (ObjectOutcome("message", State.not_held),)) for p in people)
            return
        yield from self._stop(people, (target,))

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Suppress all addresses in every group that an objection leads to."""
        yield from self._stop(people, tuple(dict.fromkeys(self._map.objection.values())))

    def _stop(self, people: Sequence[Person], targets: Sequence[str]) -> Iterator[Report]:
        for target in targets:
            self._suppressions.require(target)
        for batch in batches(people):
            addresses = everybody(batch)
            confirmed = [self._suppressions.suppress(target, addresses) for target in targets if addresses]
            for person in batch:
                own = addresses_of(person)
                if not own or not targets:
                    yield no_address(person)
                elif all(address in done for done in confirmed for address in own):
                    count = len(own) * len(targets)
                    yield Report(
                        person.reference, (ObjectOutcome("group_suppression", State.stopped, count),)
                    )
                else:
                    yield failed(person, "group_suppression", "address_refused")

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Delete contacts and suppressions, and have all traces erased; see :class:`.erasing.Erasure`."""
        yield from self._erasure.begin(people, as_of=as_of)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Ask after jobs, and look whether they did what they should."""
        rectified = [p for p in people if p.memo.get("step") == STEP]
        yield from self._rectification.settle(rectified, as_of=as_of)
        yield from self._erasure.settle([p for p in people if p.memo.get("step") != STEP], as_of=as_of)

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Contacts, suppressions that are not kept, and messages that are there again or still.

        Our own letters about requests do not count: the last one leaves when the erasure is done.
        """
        for batch in batches(people):
            addresses = everybody(batch)
            search = self._contacts.search(addresses)
            kinds = [k for k in KINDS if k not in ("contact", "message") and k not in self._map.keeps]
            rows = self._suppressions.find([a for a in addresses if a not in search.refused], kinds)

            def left(person: Person, search: Any = search, rows: Any = rows) -> Found:
                own = addresses_of(person)
                counts: Counter[str] = Counter(row.kind for address in own for row in rows.get(address, ()))
                counts["contact"] = len([c for c in search.of(own) if str(c.get("email")).lower() in own])
                counts["message"] = sum(
                    str(m.get("from_email")).lower() != self._settings.letters_from.lower()
                    for address in own
                    for m in self._messages.of(address)
                )
                return Found(person.reference, {kind: n for kind, n in counts.items() if n})

            yield from spread(batch, left, at_once=self._settings.at_once)
