"""Postmark as :class:`..protocol.Processor`; erasing has a file of its own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.pacing import spread
from include.privacy.processors.postmark.calls import PostmarkCalls
from include.privacy.processors.postmark.erasing import Erasure
from include.privacy.processors.postmark.messages import Messages, without_others
from include.privacy.processors.postmark.people import addresses_of, everybody, nothing
from include.privacy.processors.postmark.settings import PostmarkSettings, streams_of
from include.privacy.processors.postmark.suppressions import Row, Suppressions
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

REFUSED = "suppression_refused"


class Postmark:
    """One server of one account. Made by :func:`..connect`."""

    def __init__(self, calls: PostmarkCalls, mapped: ProcessorMap, settings: PostmarkSettings) -> None:
        self.name = mapped.processor
        self._calls, self._map, self._settings = calls, mapped, settings
        self._messages = Messages(calls, settings.at_once, settings.retention_days)
        self._suppressions = Suppressions(calls)
        self._erasure = Erasure(calls, mapped, settings)

    def preflight(self, *, as_of: datetime) -> Preflight:
        """Both tokens, whether removals may be asked for, and that every stream of an objection exists."""
        problems = []
        streams = self._suppressions.streams()
        for purpose in self._map.objection:
            problems += [
                f"Postmark has no message stream {each}; correct objection.{purpose} in "
                "config/processors/postmark.yaml"
                for each in streams_of(self._map, purpose)
                if each not in streams
            ]
        if not self._calls.has_account:
            problems.append(
                "Postmark: extra account_token is missing from the connection; put the account's token there "
                "(Account, API Tokens). Until then messages of erased people stay for their whole retention"
            )
            return Preflight({"data_removals": False}, tuple(problems))
        # No removal has this number; whoever may not ask for removals is refused before that matters.
        can_remove = self._calls.removal(0).status not in (403, 405)
        if not can_remove:
            problems.append(
                "Postmark: the account may not ask for data removals; have its support switch them on. "
                "Until then messages of erased people stay for their whole retention"
            )
        return Preflight({"data_removals": can_remove}, tuple(problems))

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """Messages, opens, clicks, bounces and suppressions of each."""
        yield from self._found(people, ("opens", "clicks"), keep=())

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Messages, bounces and suppressions that are not kept; opens and clicks go with their messages."""
        yield from self._found(people, (), keep=(*self._map.keeps, "spam_complaint"))

    def _found(self, people: Sequence[Person], more: Sequence[str], keep: Sequence[str]) -> Iterator[Found]:
        addresses = everybody(people)
        rows, bounces = self._suppressions.find(addresses), self._messages.bounces(addresses)

        def count(person: Person) -> Found:
            counts: Counter[str] = Counter()
            for address in addresses_of(person):
                counts["message"] += (sent := self._messages.count("messages", address))
                for what in more if sent else ():
                    counts[what.removesuffix("s")] += self._messages.count(what, address)
                counts["bounce"] += len(bounces.get(address, ()))
                counts.update(row.kind for row in rows.get(address, ()) if row.kind not in keep)
            return Found(person.reference, {kind: n for kind, n in counts.items() if n})

        yield from spread(people, count, at_once=self._settings.at_once)

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """Everything of each: messages with texts and events, without the addresses of other recipients."""
        addresses = everybody(people)
        rows, bounces = self._suppressions.find(addresses), self._messages.bounces(addresses)

        def collect(person: Person) -> Exported:
            own, held = addresses_of(person), defaultdict[str, list[Mapping[str, Any]]](list)
            for address in own:
                for message in self._messages.all("messages", address):
                    held["messages"].append(without_others(self._messages.details(message), own))
                for what in ("opens", "clicks") if held["messages"] else ():
                    held[what] += self._messages.all(what, address)
                held["bounces"] += bounces.get(address, ())
                held["suppressions"] += [{"Stream": r.stream, **r.told} for r in rows.get(address, ())]
            return Exported(person.reference, {name: each for name, each in held.items() if each})

        yield from spread(people, collect, at_once=self._settings.at_once)

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """There is nothing to correct: messages stay as they were sent. But whoever wanted none at an old
        address gets none at the new one either.
        """
        new = {p.reference: corrections.get(p.reference, {}).get("email", "").lower() for p in people}
        moving = [p for p in people if new[p.reference]]
        rows = self._suppressions.find(everybody(moving))
        wanted: dict[str, list[Row]] = {}
        by_stream: dict[str, set[str]] = defaultdict(set)
        for person in moving:
            own = [a for a in addresses_of(person) if a != new[person.reference]]
            found = [r for a in own for r in rows.get(a, ()) if r.kind in ("opt_out", "spam_complaint")]
            wanted[person.reference] = found
            for row in found:
                by_stream[row.stream].add(new[person.reference])
        done = {s: self._suppressions.suppress(s, sorted(addresses)) for s, addresses in by_stream.items()}
        right = {
            reference: [row for row in found if new[reference] in done[row.stream]]
            for reference, found in wanted.items()
        }
        # A complaint cannot be deleted, and honours its address for as long as it exists.
        self._suppressions.delete([r for rs in right.values() for r in rs if r.kind == "opt_out"])
        for person in people:
            found = wanted.get(person.reference, [])
            if not found:
                yield nothing(person)
            elif len(right[person.reference]) < len(found):
                yield failed(person, "opt_out", REFUSED)
            else:
                yield Report(person.reference, (ObjectOutcome("opt_out", State.corrected, len(found)),))

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Suppress all addresses on the streams that the map names for the purpose."""
        yield from self._stop(people, streams_of(self._map, purpose))

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Suppress all addresses on every stream that an objection leads to."""
        streams = dict.fromkeys(s for purpose in self._map.objection for s in streams_of(self._map, purpose))
        yield from self._stop(people, tuple(streams))

    def _stop(self, people: Sequence[Person], streams: Sequence[str]) -> Iterator[Report]:
        addresses = everybody(people)
        done = [self._suppressions.suppress(stream, addresses) for stream in streams if addresses]
        for person in people:
            own = addresses_of(person)
            if not own or not streams:
                yield nothing(person)
            elif all(address in stopped for stopped in done for address in own):
                count = len(own) * len(streams)
                yield Report(person.reference, (ObjectOutcome("opt_out", State.stopped, count),))
            else:
                yield failed(person, "opt_out", REFUSED)

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Delete suppressions and ask for removals; see :class:`.erasing.Erasure`."""
        yield from self._erasure.begin(people, as_of=as_of)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Ask after removals."""
        yield from self._erasure.settle(people, as_of=as_of)
