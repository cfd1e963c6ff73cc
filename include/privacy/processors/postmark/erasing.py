"""Erasing at Postmark: suppressions are deleted, everything else goes by removals that are asked after.

One removal for each address. Where the account may not ask for any ("by request only"), messages go by
themselves when their retention is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.answers import value
from include.privacy.processors.pacing import spread
from include.privacy.processors.postmark.calls import PostmarkCalls, code, expect
from include.privacy.processors.postmark.messages import Messages
from include.privacy.processors.postmark.people import addresses_of, everybody, nothing
from include.privacy.processors.postmark.settings import PostmarkSettings
from include.privacy.processors.postmark.suppressions import Row, Suppressions
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State

REMOVALS_OFF = "removals_off"
OVERDUE = "removal_overdue"
COMPLAINT = "spam_complaint"
RECIPIENT = "recipient"
"""The kind of everything that Postmark keeps of an address beyond suppressions."""


class Erasure:
    """Begins and settles. The memo: ``asked`` (when), ``removals`` (ids of those that are open), ``until``
    (when the last message is old enough, where there are none), ``done`` (outcomes that stand).
    """

    def __init__(self, calls: PostmarkCalls, mapped: ProcessorMap, settings: PostmarkSettings) -> None:
        self._calls, self._keeps, self._settings = calls, mapped.keeps, settings
        self._suppressions = Suppressions(calls)
        self._messages = Messages(calls, settings.at_once, settings.retention_days)

    def begin(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Suppressions of all of them first, 50 a call; then the removals, with a report for each person.

        The first person shows whether removals are possible at all.
        """
        rows = self._suppressions.find(everybody(people))
        deletable = [
            row
            for found in rows.values()
            for row in found
            if row.kind not in self._keeps and row.kind != COMPLAINT
        ]
        gone = self._suppressions.delete(deletable)
        can_remove = self._calls.has_account

        def ask(person: Person) -> Report:
            own = addresses_of(person)
            if not own:
                return nothing(person)
            outcomes = self._outcomes([row for a in own for row in rows.get(a, ())], gone, as_of)
            memo: dict[str, Any] = {"asked": as_of.isoformat(), "done": [_told(o) for o in outcomes]}
            asked = self._ask(own) if can_remove else None
            if asked is None:
                return self._wait(person.reference, own, memo)
            removals, refused = asked
            if refused:
                failures = [ObjectOutcome(RECIPIENT, State.failed, code=each) for each in refused]
                return Report(person.reference, (*outcomes, *failures), {})
            return self._pending(person.reference, {**memo, "removals": removals})

        known = [p for p in people if addresses_of(p)]
        yield from (nothing(p) for p in people if not addresses_of(p))
        for first in known[:1]:
            report = ask(first)
            can_remove = can_remove and "until" not in report.memo
            yield report
        yield from spread(known[1:], ask, at_once=self._settings.at_once)

    def _ask(self, addresses: Sequence[str]) -> tuple[list[int], list[str]] | None:
        """Ids of removals and codes of refusals; ``None`` when the account may not ask for any."""
        removals, refused = [], []
        for address in addresses:
            answer = self._calls.ask_removal(self._settings.requested_by, address)
            if answer.status in (403, 404, 405):
                return None
            if answer.status == 422:
                refused.append(f"postmark_{code(answer)}")
            else:
                removals.append(value(expect(answer), "ID", int))
        return removals, refused

    def _outcomes(
        self, rows: Sequence[Row], gone: frozenset[tuple[str, str]], as_of: datetime
    ) -> list[ObjectOutcome]:
        outcomes = []
        for kind in dict.fromkeys(row.kind for row in rows):
            found = [row for row in rows if row.kind == kind]
            if (keep := self._keeps.get(kind)) is not None:
                until = max(row.created for row in found) + timedelta(days=keep.days)
                outcomes.append(ObjectOutcome(kind, State.retained, len(found), until, keep.basis))
            elif kind == COMPLAINT:
                # No interface deletes it; Postmark's support may.
                outcomes.append(ObjectOutcome(kind, State.manual, len(found), code="cannot_be_deleted"))
            else:
                left = sum((row.stream, row.address) not in gone for row in found)
                if left:
                    outcomes.append(ObjectOutcome(kind, State.failed, left, code="suppression_refused"))
                if len(found) > left:
                    outcomes.append(ObjectOutcome(kind, State.erased, len(found) - left))
        return outcomes

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Ask after each open removal; whoever waits for the retention's end costs nothing until then."""

        def go_on(person: Person) -> Report:
            memo, own = dict(person.memo), addresses_of(person)
            if memo.get("until"):
                if as_of < datetime.fromisoformat(memo["until"]):
                    return self._pending(person.reference, memo)
                return self._wait(person.reference, own, memo)
            memo["removals"] = [n for n in memo.get("removals", ()) if not self._done(int(n))]
            if not memo["removals"]:
                return self._finished(person.reference, len(own), memo)
            asked = datetime.fromisoformat(memo["asked"])
            if as_of - asked > timedelta(days=self._settings.patience_days):
                done = (_outcome(each) for each in memo.get("done", ()))
                late = ObjectOutcome(RECIPIENT, State.failed, len(memo["removals"]), code=OVERDUE)
                return Report(person.reference, (*done, late), {})
            return self._pending(person.reference, memo)

        yield from spread(people, go_on, at_once=self._settings.at_once)

    def _done(self, number: int) -> bool:
        """A removal that Postmark has forgotten is done as far as it can say; the probe looks for itself."""
        answer = self._calls.removal(number)
        return answer.status in (403, 404, 422) or value(expect(answer), "Status", str) == "Done"

    def _wait(self, reference: str, own: Sequence[str], memo: Mapping[str, Any]) -> Report:
        newest = [at for a in own if (at := self._messages.newest(a)) is not None]
        if not newest:
            return self._finished(reference, len(own), {**memo, "until": None})
        until = max(newest) + timedelta(days=self._settings.retention_days)
        return self._pending(reference, {**memo, "until": until.isoformat()})

    @staticmethod
    def _pending(reference: str, memo: Mapping[str, Any]) -> Report:
        done = (_outcome(each) for each in memo.get("done", ()))
        until = datetime.fromisoformat(memo["until"]) if memo.get("until") else None
        count = len(memo.get("removals") or (1,))
        reason = REMOVALS_OFF if until else None
        open_one = ObjectOutcome(RECIPIENT, State.pending, count, until, code=reason)
        return Report(reference, (*done, open_one), memo)

    @staticmethod
    def _finished(reference: str, count: int, memo: Mapping[str, Any]) -> Report:
        done = (_outcome(each) for each in memo.get("done", ()))
        return Report(reference, (*done, ObjectOutcome(RECIPIENT, State.erased, count)), memo)


def _told(outcome: ObjectOutcome) -> list[Any]:
    until = outcome.until.isoformat() if outcome.until else None
    return [outcome.kind, outcome.state.value, outcome.count, until, outcome.basis, outcome.code]


def _outcome(told: Sequence[Any]) -> ObjectOutcome:
    kind, state, count, until, basis, reason = told
    return ObjectOutcome(kind, State(state), count, until and datetime.fromisoformat(until), basis, reason)
