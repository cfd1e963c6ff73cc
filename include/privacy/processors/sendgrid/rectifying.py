"""Correcting at SendGrid: a contact's address cannot be changed, so a new one takes the old one's place.

The steps, each a job that is waited for: a new contact with everything but the further identifiers (those
belong to one contact only), the old one deleted, then its identifiers given to the new one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.privacy.processors.answers import items
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State
from include.privacy.processors.sendgrid.calls import SendGridCalls
from include.privacy.processors.sendgrid.contacts import Contact, Contacts, Search, identifiers
from include.privacy.processors.sendgrid.people import addresses_of, batches, everybody
from include.privacy.processors.sendgrid.settings import SendGridSettings
from include.privacy.processors.sendgrid.suppressions import GLOBAL_KIND, GROUP_KIND, Suppressions

STEP = "rectify"
REFUSED = "change_refused"
_OPT_OUTS = (GLOBAL_KIND, GROUP_KIND)
LONGEST_NAME = 50


@dataclass
class _Turn:
    """One person in one call. ``stage``: the step whose job is done (``""``: none yet)."""

    person: Person
    memo: dict[str, Any] = field(repr=False)
    upsert: dict[str, Any] | None = field(default=None, repr=False)
    lists: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    next_stage: str = ""
    outcome: ObjectOutcome | None = None

    @property
    def stage(self) -> str:
        return str(self.memo.get("stage", ""))

    @property
    def email(self) -> str | None:
        return self.memo.get("email")

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(a for a in addresses_of(self.person) if a != self.email)


class Rectification:
    """Begins and settles. The memo: the values, ``stage``, ``job``, ``asked``, and identifiers to hand on."""

    def __init__(self, calls: SendGridCalls, settings: SendGridSettings) -> None:
        self._contacts = Contacts(calls)
        self._suppressions = Suppressions(calls, settings.at_once)
        self._patience = timedelta(days=settings.patience_days)

    def begin(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """From what is there now: whatever an earlier try has done is found done."""
        for batch in batches(people):
            turns = []
            for person in batch:
                values = corrections.get(person.reference, {})
                email = values["email"].lower() if values.get("email") else None
                memo = {"step": STEP, "email": email, "name": values.get("full_name")}
                turns.append(_Turn(person, memo | {"asked": as_of.isoformat()}))
            yield from self._advance(turns, as_of)

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Ask after each job once; whoever's is done goes one step on."""
        jobs = {str(p.memo["job"]) for p in people if p.memo.get("job")}
        status = {job: self._contacts.job(job) for job in sorted(jobs)}
        turns = []
        for person in people:
            state = status.get(str(person.memo.get("job")), "done")
            if state == "pending":
                late = as_of - datetime.fromisoformat(person.memo["asked"]) > self._patience
                code, memo = ("job_overdue", {}) if late else (None, person.memo)
                outcome = ObjectOutcome("contact", State.failed if late else State.pending, code=code)
                yield Report(person.reference, (outcome,), memo)
            elif state == "failed":
                outcome = ObjectOutcome("contact", State.failed, code="change_job_failed")
                yield Report(person.reference, (outcome,), {})
            else:
                turns.append(_Turn(person, dict(person.memo)))
        yield from self._advance(turns, as_of)

    def _advance(self, turns: Sequence[_Turn], as_of: datetime) -> Iterator[Report]:
        addresses = everybody([turn.person for turn in turns])
        addresses += [turn.email for turn in turns if turn.email and turn.email not in addresses]
        search = self._contacts.search(list(dict.fromkeys(addresses)))
        for turn in turns:
            self._decide(turn, search)
        yield from self._ask(turns)
        finished = [(turn, turn.outcome) for turn in turns if turn.outcome]
        moved = self._move_opt_outs([turn for turn, _ in finished if turn.email], search.refused)
        for turn, outcome in finished:
            more = moved.get(turn.person.reference, ())
            failed = any(o.state is State.failed for o in (outcome, *more))
            yield Report(turn.person.reference, (outcome, *more), {} if failed else turn.memo)

    def _decide(self, turn: _Turn, search: Search) -> None:
        """What is to be done next, from what is there."""
        old = [c for c in search.of(turn.old) if str(c.get("email")).lower() in turn.old]
        new = next(iter(search.of((turn.email,) if turn.email else ())), None)
        if turn.email in search.refused:
            turn.outcome = ObjectOutcome("contact", State.failed, code="invalid_address")
        elif turn.stage in ("created", "deleted"):
            if new is None or (turn.stage == "deleted" and old):
                turn.outcome = ObjectOutcome("contact", State.failed, code=REFUSED)
            elif old:
                turn.delete, turn.next_stage = tuple(str(c["id"]) for c in old), "deleted"
            else:
                self._hand_on(turn, new)
        elif turn.stage == "named":
            right = all(_named_right(turn, c) for c in ([new] if new else old))
            state, code = (State.corrected, None) if right else (State.failed, REFUSED)
            turn.outcome = ObjectOutcome("contact", state, code=code)
        elif turn.stage == "identified":
            self._check_identifiers(turn, new)
        elif turn.email and old:
            first = old[0]
            turn.memo["identifiers"] = identifiers(first)
            turn.upsert = {**self._contacts.copied(first), "email": turn.email, **_names(turn)}
            if new:
                turn.upsert |= identifiers(new)
            turn.lists, turn.next_stage = tuple(sorted(items(first, "list_ids", str))), "created"
        elif existing := new or next(iter(old), None):
            if _named_right(turn, existing):
                turn.outcome = ObjectOutcome("contact", State.corrected)
            else:
                turn.upsert = {"email": str(existing.get("email")), **identifiers(existing), **_names(turn)}
                turn.next_stage = "named"
        else:
            turn.outcome = ObjectOutcome("contact", State.not_held)

    def _hand_on(self, turn: _Turn, new: Contact | None) -> None:
        wanted = turn.memo.get("identifiers") or {}
        has = identifiers(new or {})
        if all(has.get(name) for name in wanted):
            turn.outcome = ObjectOutcome("contact", State.corrected)
            return
        turn.upsert = {"email": turn.email, **wanted, **has}
        turn.next_stage = "identified"

    @staticmethod
    def _check_identifiers(turn: _Turn, new: Contact | None) -> None:
        has = identifiers(new or {})
        right = all(has.get(name) for name in turn.memo.get("identifiers", {}))
        state, code = (State.corrected, None) if right else (State.manual, "identifiers_refused")
        turn.outcome = ObjectOutcome("contact", state, code=code)

    def _ask(self, turns: Sequence[_Turn]) -> Iterator[Report]:
        """All changes in as few calls as there are sets of lists, all deletions together."""
        by_lists: dict[tuple[str, ...], list[_Turn]] = defaultdict(list)
        for turn in turns:
            if turn.upsert:
                by_lists[turn.lists].append(turn)
        for lists, together in by_lists.items():
            jobs = self._contacts.upsert([t.upsert for t in together if t.upsert], lists)
            for turn in together:
                yield self._asked(turn, jobs.get(str((turn.upsert or {})["email"])))
        deleting = [turn for turn in turns if turn.delete]
        gone = self._contacts.delete([each for turn in deleting for each in turn.delete])
        for turn in deleting:
            yield self._asked(turn, gone.get(turn.delete[0]))

    @staticmethod
    def _asked(turn: _Turn, job: str | None) -> Report:
        if job is None:
            outcome = ObjectOutcome("contact", State.failed, code=REFUSED)
            return Report(turn.person.reference, (outcome,), {})
        memo = {**turn.memo, "stage": turn.next_stage, "job": job}
        return Report(turn.person.reference, (ObjectOutcome("contact", State.pending),), memo)

    def _move_opt_outs(
        self, turns: Sequence[_Turn], refused: frozenset[str]
    ) -> dict[str, tuple[ObjectOutcome, ...]]:
        """Nobody gets news at a new address who wanted none at the old one. First added, then removed."""
        turns = [t for t in turns if t.outcome and t.outcome.state in (State.corrected, State.not_held)]
        rows = self._suppressions.find(
            list(dict.fromkeys(a for t in turns for a in t.old if a not in refused)), _OPT_OUTS
        )
        by_target: dict[str, set[str]] = defaultdict(set)
        own = {turn.person.reference: [r for a in turn.old for r in rows.get(a, ())] for turn in turns}
        for turn in turns:
            for row in own[turn.person.reference]:
                by_target[str(row.group) if row.group else "global"].add(str(turn.email))
        done = {target: self._suppressions.suppress(target, sorted(a)) for target, a in by_target.items()}
        moved: dict[str, tuple[ObjectOutcome, ...]] = {}
        removable = []
        for turn in turns:
            for kind in _OPT_OUTS:
                found = [r for r in own[turn.person.reference] if r.kind == kind]
                if not found:
                    continue
                right = [r for r in found if turn.email in done[str(r.group) if r.group else "global"]]
                state = State.corrected if len(right) == len(found) else State.failed
                outcome = ObjectOutcome(kind, state, len(found), code=None if right else REFUSED)
                moved[turn.person.reference] = (*moved.get(turn.person.reference, ()), outcome)
                removable += right
        self._suppressions.delete(removable)
        return moved


def _names(turn: _Turn) -> dict[str, str]:
    """First and last name as SendGrid has them: the last word is the last name."""
    name = turn.memo.get("name")
    if not name:
        return {}
    first, _, last = " ".join(name.split()).rpartition(" ")
    first, last = (first, last) if first else (last, "")
    return {"first_name": first[:LONGEST_NAME], "last_name": last[:LONGEST_NAME]}


def _named_right(turn: _Turn, contact: Contact) -> bool:
    return all(str(contact.get(key) or "") == value for key, value in _names(turn).items())
