"""Erasing at SendGrid: contacts and suppressions are deleted, all else goes by a job that tells nothing.

The erase job has no status: it is done when the log shows nothing any more of what was sent before it was
given. Where the account has no such job, messages leave the log by themselves after 30 days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.answers import items, objects, value
from include.privacy.processors.pacing import spread
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State
from include.privacy.processors.sendgrid.calls import SendGridCalls, expect
from include.privacy.processors.sendgrid.contacts import Contacts, Search
from include.privacy.processors.sendgrid.messages import KEPT, Messages, created
from include.privacy.processors.sendgrid.people import addresses_of, batches, everybody, no_address
from include.privacy.processors.sendgrid.settings import SendGridSettings
from include.privacy.processors.sendgrid.suppressions import Row, Suppressions

ERASE_JOB = "recipients.erasejob.create"
JOB_OFF = "erase_job_off"
INVALID = "invalid_address"
OVERDUE = "job_overdue"
ALTERNATE = "alternate_address"
"""The address is a second one of a contact with another address: whose contact that is, a person decides."""
RECIPIENT = "recipient"
"""The kind of everything that SendGrid keeps of an address beyond contacts and suppressions."""


class Erasure:
    """Begins and settles. The memo: ``asked`` (when), ``jobs`` (deletions of contacts), ``contacts`` (how
    many), ``erase_job``, ``until`` (when the log will be empty, where there is no job), ``done`` (outcomes
    that stand).
    """

    def __init__(self, calls: SendGridCalls, mapped: ProcessorMap, settings: SendGridSettings) -> None:
        self._calls, self._keeps, self._settings = calls, mapped.keeps, settings
        self._contacts = Contacts(calls)
        self._suppressions = Suppressions(calls, settings.at_once)
        self._messages = Messages(calls)

    def scopes(self) -> frozenset[str]:
        """What the key may do."""
        return frozenset(items(expect(self._calls.call("GET", "scopes"), 200), "scopes", str))

    def begin(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Everybody to an erase job each batch; reports as soon as a batch is asked for."""
        can_erase = bool(people) and ERASE_JOB in self.scopes()
        for batch in batches(people):
            yield from self._begin(batch, can_erase, as_of)

    def _begin(self, people: Sequence[Person], can_erase: bool, as_of: datetime) -> Iterator[Report]:
        addresses = everybody(people)
        search = self._contacts.search(addresses)
        usable = [a for a in addresses if a not in search.refused]
        rows = self._suppressions.find(usable)
        everything = [row for found in rows.values() for row in found]
        self._suppressions.delete([row for row in everything if row.kind not in self._keeps])
        own_ids = {p.reference: _own(search, addresses_of(p)) for p in people}
        jobs = self._contacts.delete(list(dict.fromkeys(i for ids in own_ids.values() for i in ids)))
        erase_job, invalid = self._erase_job(usable) if can_erase and usable else (None, frozenset[str]())
        invalid |= search.refused

        def report(person: Person) -> Report:
            own, ids = addresses_of(person), own_ids[person.reference]
            if not own:
                return no_address(person)
            outcomes = self._outcomes([row for address in own for row in rows.get(address, ())], as_of)
            if others := len(search.of(own)) - len(ids):
                outcomes.append(ObjectOutcome("contact", State.manual, others, code=ALTERNATE))
            memo = {
                "asked": as_of.isoformat(),
                "jobs": sorted({jobs[i] for i in ids if i in jobs}),
                "contacts": len(ids),
                "erase_job": erase_job,
                "until": None,
                "done": [_told(outcome) for outcome in outcomes],
            }
            if wrong := invalid.intersection(own):
                refused = ObjectOutcome(RECIPIENT, State.failed, len(wrong), code=INVALID)
                return Report(person.reference, (*outcomes, refused), memo)
            if erase_job is None:
                return self._looked(person.reference, own, memo, as_of, wait=bool(memo["jobs"]))
            return self._pending(person.reference, own, memo)

        yield from spread(people, report, at_once=self._settings.at_once if erase_job is None else 1)

    def _erase_job(self, addresses: Sequence[str]) -> tuple[str | None, frozenset[str]]:
        """The job, and the addresses that SendGrid refuses; no job when the account has none after all."""
        left, refused = list(addresses), set[str]()
        while left:
            body = {"email_addresses": left}
            answer = self._calls.call("POST", "recipients", "erasejob", body=body, forbidden=True)
            if answer.status == 403:
                return None, frozenset(refused)
            if answer.status != 400:
                return value(expect(answer, 202), "job_id", str), frozenset(refused)
            named = _named(answer.body, left)
            if not named:
                # Whom it does not name it refuses with all others.
                named = set(left) if len(left) == 1 else self._probed(left)
            refused |= named
            left = [address for address in left if address not in named]
        return "", frozenset(refused)

    def _probed(self, addresses: Sequence[str]) -> set[str]:
        """Halve until those are alone that are refused; the other halves are erased by this already."""
        if len(addresses) == 1:
            body = {"email_addresses": list(addresses)}
            answer = self._calls.call("POST", "recipients", "erasejob", body=body)
            return set(addresses) if answer.status == 400 else set()
        middle = len(addresses) // 2
        refused: set[str] = set()
        for half in (addresses[:middle], addresses[middle:]):
            answer = self._calls.call("POST", "recipients", "erasejob", body={"email_addresses": list(half)})
            if answer.status == 400:
                refused |= self._probed(half)
        return refused

    def _outcomes(self, rows: Sequence[Row], as_of: datetime) -> list[ObjectOutcome]:
        kinds: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            kinds[row.kind].append(row)
        outcomes = []
        for kind, found in kinds.items():
            keep = self._keeps.get(kind)
            if keep is None:
                outcomes.append(ObjectOutcome(kind, State.erased, len(found)))
                continue
            since = max(row.created or as_of for row in found)
            until = since + timedelta(days=keep.days)
            outcomes.append(ObjectOutcome(kind, State.retained, len(found), until, keep.basis))
        return outcomes

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """One call for each job of contacts; then the log, one person of an erase job first: while that
        one is still there, nobody else of the job is asked for. That holds for half of our patience: somebody
        whom a job does not get rid of is not to hold up the others.
        """
        jobs = sorted({job for person in people for job in person.memo.get("jobs", ())})
        status = {job: self._contacts.job(job) for job in jobs}
        looking: dict[str, list[Person]] = defaultdict(list)
        for person in people:
            memo, own = person.memo, addresses_of(person)
            states = {status[job] for job in memo.get("jobs", ())}
            until = memo.get("until")
            if "failed" in states:
                done = tuple(_outcome(each) for each in memo.get("done", ()))
                wrong = ObjectOutcome(
                    "contact", State.failed, memo.get("contacts", 1), code="delete_job_failed"
                )
                yield Report(person.reference, (*done, wrong), {})
            elif "pending" in states or (until and as_of < datetime.fromisoformat(until)):
                yield self._overdue(person, as_of) or self._pending(person.reference, own, memo)
            else:
                # What is done is not asked after again.
                settled = replace(person, memo={**memo, "jobs": []})
                looking[str(memo.get("erase_job"))].append(settled)
        for waiting in looking.values():
            yield from self._look(waiting, as_of)

    def _look(self, people: Sequence[Person], as_of: datetime) -> Iterator[Report]:
        def look(person: Person) -> Report:
            report = self._looked(person.reference, addresses_of(person), person.memo, as_of)
            return (self._overdue(person, as_of) or report) if report.state is State.pending else report

        first = look(people[0])
        yield first
        asked = datetime.fromisoformat(people[0].memo.get("asked") or as_of.isoformat())
        early = as_of - asked < timedelta(days=self._settings.patience_days) / 2
        if first.state is State.pending and early and people[0].memo.get("erase_job"):
            for person in people[1:]:
                yield self._overdue(person, as_of) or self._pending(
                    person.reference, addresses_of(person), person.memo
                )
            return
        yield from spread(people[1:], look, at_once=self._settings.at_once)

    def _looked(
        self,
        reference: str,
        own: Sequence[str],
        memo: Mapping[str, Any],
        as_of: datetime,
        *,
        wait: bool = False,
    ) -> Report:
        """What the log still shows of what was sent before; done when that is nothing.

        ``wait``: not done in any case, since contacts are only being deleted.
        """
        asked = datetime.fromisoformat(memo["asked"]) if memo.get("asked") else as_of
        left = [m for address in own for m in self._messages.of(address, until=asked)]
        if left or wait:
            until = None
            if left and not memo.get("erase_job"):
                until = (max(created(each) for each in left) + KEPT).isoformat()
            return self._pending(reference, own, {**memo, "until": until})
        done = [_outcome(each) for each in memo.get("done", ())]
        if memo.get("contacts"):
            done.append(ObjectOutcome("contact", State.erased, memo["contacts"]))
        return Report(reference, (*done, ObjectOutcome(RECIPIENT, State.erased, len(own))), memo)

    def _pending(self, reference: str, own: Sequence[str], memo: Mapping[str, Any]) -> Report:
        outcomes = [_outcome(each) for each in memo.get("done", ())]
        if memo.get("contacts"):
            outcomes.append(ObjectOutcome("contact", State.pending, memo["contacts"]))
        until = datetime.fromisoformat(memo["until"]) if memo.get("until") else None
        code = None if memo.get("erase_job") else JOB_OFF
        outcomes.append(ObjectOutcome(RECIPIENT, State.pending, len(own), until, code=code))
        return Report(reference, tuple(outcomes), memo)

    def _overdue(self, person: Person, as_of: datetime) -> Report | None:
        """A job that takes too long, however much it may still come to its end: begun anew, and shown."""
        asked, patience = person.memo.get("asked"), timedelta(days=self._settings.patience_days)
        if person.memo.get("until") or not asked or as_of - datetime.fromisoformat(asked) <= patience:
            return None
        done = tuple(_outcome(each) for each in person.memo.get("done", ()))
        return Report(person.reference, (*done, ObjectOutcome(RECIPIENT, State.failed, code=OVERDUE)), {})


def _own(search: Search, addresses: Sequence[str]) -> list[str]:
    """Ids of contacts whose address it is, not one of their further addresses."""
    return [str(c["id"]) for c in search.of(addresses) if str(c.get("email")).lower() in addresses]


def _named(body: Any, addresses: Sequence[str]) -> set[str]:
    """Which of the addresses a refusal names."""
    errors = objects(body, "errors") if isinstance(body, dict) and body.get("errors") else ()
    words = {word.strip("'\"`,;:.").lower() for e in errors for word in str(e.get("message")).split()}
    return words.intersection(addresses)


def _told(outcome: ObjectOutcome) -> list[Any]:
    until = outcome.until.isoformat() if outcome.until else None
    return [outcome.kind, outcome.state.value, outcome.count, until, outcome.basis, outcome.code]


def _outcome(told: Sequence[Any]) -> ObjectOutcome:
    kind, state, count, until, basis, code = told
    return ObjectOutcome(kind, State(state), count, until and datetime.fromisoformat(until), basis, code)
