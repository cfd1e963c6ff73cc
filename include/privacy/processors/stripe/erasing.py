"""Erasure of one person at Stripe, step by step; where it stands is in the memo.

begin: customers are frozen, everything of theirs is wound down, invoices are archived. Then it waits
(``wait``) for disputes and young charges, restricted meanwhile; or for redaction jobs (``jobs``); or,
where the account has none, for the next call (``delete``), so that nothing is destroyed whose ids are
not on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.privacy.clock import parse_instant
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State
from include.privacy.processors.stripe.client import Calls
from include.privacy.processors.stripe.holdings import customer_of, customers, is_gone, listed
from include.privacy.processors.stripe.invoices import InvoiceArchive, archive, instant, issued_at, kept
from include.privacy.processors.stripe.redaction import TOO_MANY, Redaction, Step
from include.privacy.processors.stripe.settings import Settings
from include.privacy.processors.stripe.winding_down import (
    WoundDown,
    flag,
    in_the_way,
    sessions_left,
    wind_down,
)

NEUTRAL_EMAIL = "erased@example.invalid"
SCRUBBED = ("name", "phone", "description", "address", "shipping")

Memo = dict[str, Any]


class Erasure:
    """Erases people, one call of :meth:`begin` and then of :meth:`go_on` until nothing is pending."""

    def __init__(
        self,
        calls: Calls,
        mapped: ProcessorMap,
        settings: Settings,
        invoices: InvoiceArchive,
        redaction: Redaction,
    ) -> None:
        self._calls, self._keeps, self._settings = calls, mapped.keeps, settings
        self._invoices, self._redaction = invoices, redaction
        self._version: str | None = None

    def use(self, *, redaction: bool) -> None:
        """Whether the account has redaction jobs."""
        self._version = self._settings.redaction_version if redaction else None

    def begin(self, person: Person, as_of: datetime) -> Report:
        """From the identifiers up to the first thing that has to be waited for."""
        found = customers(self._calls, person, version=self._version)
        living = [c for c in found if not is_gone(c)]
        if not living:
            return self._gone(person, found, as_of)
        wound = WoundDown()
        for customer in found:
            self._wind_down(person, customer["id"], wound)
        # Before anything is destroyed: Stripe hides from us what it has redacted.
        documents = [*wound.invoices, *wound.credit_notes]
        archive(self._invoices, documents, self._keeps.get("invoice"), as_of)
        memo = self._noted(person, [c["id"] for c in found], wound, as_of)
        waiting = self._in_the_way(wound.charges, as_of)
        if wound.moving:
            at = as_of + self._look_again
            waiting.append(
                ObjectOutcome("payment_intent", State.pending, wound.moving, at, code="processing")
            )
        if waiting:
            return self._wait(person, living, waiting, memo)
        ids = [c["id"] for c in living]
        if self._version is None:
            told = ObjectOutcome("customer", State.pending, len(ids), code="about_to_delete")
            return Report(person.reference, (told,), {**memo, "stage": "delete"})
        jobs = self._redaction.create(person, ids, split=bool(person.memo.get("split")))
        told = ObjectOutcome("customer", State.pending, len(ids), code="redaction_created")
        return Report(person.reference, (told,), {**memo, "stage": "jobs", "jobs": jobs})

    def go_on(self, person: Person, as_of: datetime) -> Report:
        """From where the memo says that it stands."""
        match person.memo.get("stage"):
            case "wait" if as_of < parse_instant(person.memo["look"]):
                return Report(person.reference, _read(person.memo["waiting"]), person.memo)
            case "jobs":
                return self._jobs(person, as_of)
            case "delete":
                return self._delete(person, as_of)
            case "sessions":
                return self._finish(person)
            case _:
                return self.begin(person, as_of)

    @property
    def _look_again(self) -> timedelta:
        return timedelta(hours=self._settings.dispute_look_again_hours)

    def _wind_down(self, person: Person, customer_id: str, into: WoundDown) -> None:
        wind_down(self._calls, person, customer_id, into, open_invoices=self._settings.open_invoices)

    def _in_the_way(self, charges: Iterable[Mapping[str, Any]], as_of: datetime) -> list[ObjectOutcome]:
        young = timedelta(days=self._settings.young_days) if self._version else None
        return in_the_way(self._calls, charges, as_of, young=young, look_again=self._look_again)

    def _gone(self, person: Person, found: list[dict[str, Any]], as_of: datetime) -> Report:
        """Nobody left to erase: it was done before, or there never was anybody."""
        if not found:
            return Report(person.reference, (ObjectOutcome("customer", State.not_held, 0),), person.memo)
        if "after" in person.memo:
            return self._finish(person)
        state = State.erased if all(c.get("deleted") for c in found) else State.redacted
        invoices = [i for c in found for i in listed(self._calls, "invoices", c["id"])]
        archive(self._invoices, invoices, self._keeps.get("invoice"), as_of)
        keep = self._keeps.get("invoice")
        left = kept("invoice", [d for i in invoices if (d := issued_at(i))], keep, as_of)
        outcomes = (ObjectOutcome("customer", state, len(found)), *left.outcomes(keep))
        return Report(person.reference, outcomes, person.memo)

    def _noted(self, person: Person, ids: list[str], wound: WoundDown, as_of: datetime) -> Memo:
        """The memo: whom it is about, and what is to be said in the end."""
        before = person.memo.get("counts", {})
        counts = {k: max(n, before.get(k, 0)) for k, n in {**before, **wound.counts}.items()}
        redacted = self._version is not None
        state = State.redacted if redacted else State.erased
        after = [ObjectOutcome("customer", state, len(ids))]
        # A subscription that was cancelled and an intent that came to nothing stay, and name nobody.
        ended = State.redacted if redacted else State.stopped
        for kind in ("subscription", "checkout.session", "payment_intent", "setup_intent"):
            if counts.get(kind):
                after.append(ObjectOutcome(kind, ended, counts[kind]))
        for kind in ("payment_method", "identity.verification_session"):
            if counts.get(kind):
                redaction = kind.startswith("identity") or redacted
                after.append(ObjectOutcome(kind, State.redacted if redaction else State.erased, counts[kind]))
        by_hand = ObjectOutcome("", State.manual, code="copy_at_stripe")
        rest = ObjectOutcome("", State.redacted) if redacted else by_hand
        keep = self._keeps.get("invoice")
        for kind, documents in (("invoice", wound.invoices), ("credit_note", wound.credit_notes)):
            issued = [d for i in documents if (d := issued_at(i))]
            after += kept(kind, issued, keep, as_of).outcomes(keep, replace(rest, kind=kind))
        if wound.charges and redacted:
            after.append(ObjectOutcome("charge", State.redacted, len(wound.charges)))
        elif wound.charges:
            # Without redaction Stripe's charges keep name and address, and no interface takes them out.
            keep = self._keeps.get("charge")
            sorted_out = kept("charge", [instant(c["created"]) for c in wound.charges], keep, as_of)
            after += sorted_out.outcomes(keep, replace(by_hand, kind="charge"))
        return {
            "attempt": person.memo.get("attempt", 0),
            "customers": ids,
            "counts": counts,
            "sessions": wound.sessions,
            "after": _written(after),
        }

    def _wait(
        self, person: Person, living: list[dict[str, Any]], waiting: list[ObjectOutcome], memo: Memo
    ) -> Report:
        """Restricted meanwhile: marked, nothing recurs, nothing can be charged."""
        for customer in living:
            flag(self._calls, person, customer, self._settings.flag)
        look = max(o.until for o in waiting if o.until)
        stopped = [
            ObjectOutcome(kind, State.stopped, n)
            for kind in ("subscription", "payment_method")
            if (n := memo["counts"].get(kind))
        ]
        outcomes = [*waiting, *stopped]
        noted = {**memo, "stage": "wait", "look": look.isoformat(), "waiting": _written(outcomes)}
        return Report(person.reference, tuple(outcomes), noted)

    def _allowed(self, ids: Iterable[str], as_of: datetime) -> bool:
        return not any(self._in_the_way(listed(self._calls, "charges", i), as_of) for i in ids)

    def _repair(self, person: Person, ids: Iterable[str]) -> None:
        for customer in ids:
            self._wind_down(person, customer, WoundDown())

    def _jobs(self, person: Person, as_of: datetime) -> Report:
        steps = [
            self._redaction.advance(
                person,
                job,
                allowed=lambda ids: self._allowed(ids, as_of),
                repair=lambda ids: self._repair(person, ids),
            )
            for job in person.memo["jobs"]
        ]
        verdicts = {s.verdict for s in steps}
        if "absent" in verdicts and not self._redaction.available():
            # Switched off while it ran; nothing is known of its jobs, so it begins anew the other way.
            self.use(redaction=False)
            return self._anew(person, "feature_off")
        if verdicts == {"done"}:
            return self._finish(person)
        if hopeless := [s for s in steps if s.verdict == "manual"]:
            outcome = ObjectOutcome("customer", State.manual, len(hopeless), code=hopeless[0].code)
            return Report(person.reference, (outcome,), self._next(person))
        if wrong := [s for s in steps if s.verdict == "failed"]:
            outcome = ObjectOutcome("customer", State.failed, len(wrong), code=wrong[0].code)
            return Report(person.reference, (outcome,), self._next(person))
        if again := [s for s in steps if s.verdict in ("again", "absent")]:
            return self._anew(person, again[0].code or "absent", split=again[0].code == TOO_MANY)
        return self._pending(person, steps)

    def _pending(self, person: Person, steps: list[Step]) -> Report:
        outcomes = tuple(
            ObjectOutcome("customer", State.pending, len(s.job["customers"]), code=s.code)
            for s in steps
            if s.verdict == "pending"
        )
        return Report(person.reference, outcomes, {**person.memo, "jobs": [s.job for s in steps]})

    def _next(self, person: Person) -> Memo:
        """The memo for a new beginning: other idempotency keys, and whom it is about."""
        kept_on = {k: v for k, v in person.memo.items() if k in ("customers", "counts", "split")}
        return {**kept_on, "attempt": person.memo.get("attempt", 0) + 1}

    def _anew(self, person: Person, code: str, *, split: bool = False) -> Report:
        outcome = ObjectOutcome("customer", State.pending, len(person.memo["customers"]), code=code)
        return Report(person.reference, (outcome,), self._next(person) | ({"split": True} if split else {}))

    def _delete(self, person: Person, as_of: datetime) -> Report:
        """Scrub, then delete: what was deleted can still be retrieved, so it should say nothing."""
        ids = person.memo["customers"]
        if not self._allowed(ids, as_of):
            return self.begin(person, as_of)
        for customer_id in ids:
            customer = customer_of(self._calls, customer_id)
            if customer is None or customer.get("deleted"):
                continue
            for tax_id in listed(self._calls, "tax_ids", customer_id):
                self._calls.delete(f"/v1/customers/{customer_id}/tax_ids/{tax_id['id']}")
            path = f"/v1/customers/{customer_id}"
            scrubbed: dict[str, Any] = {"email": NEUTRAL_EMAIL, **dict.fromkeys(SCRUBBED, "")}
            if customer.get("metadata"):
                scrubbed["metadata"] = dict.fromkeys(customer["metadata"], "")
            self._calls.post(path, person, "scrub", **scrubbed)
            self._calls.delete(path)
        return self._finish(person)

    def _finish(self, person: Person) -> Report:
        """Said as it was noted, once the identity documents are redacted too."""
        left = sessions_left(self._calls, person.memo.get("sessions", ()))
        memo = {**person.memo, "stage": "sessions", "sessions": left}
        after = _read(person.memo["after"])
        if left:
            kind = "identity.verification_session"
            waiting = ObjectOutcome(kind, State.pending, len(left), code="processing")
            return Report(person.reference, (*(o for o in after if o.kind != kind), waiting), memo)
        return Report(person.reference, after, memo)


def _written(outcomes: Iterable[ObjectOutcome]) -> list[dict[str, Any]]:
    return [
        {
            "kind": o.kind,
            "state": o.state.value,
            "count": o.count,
            "until": o.until.isoformat() if o.until else None,
            "basis": o.basis,
            "code": o.code,
        }
        for o in outcomes
    ]


def _read(written: Iterable[Mapping[str, Any]]) -> tuple[ObjectOutcome, ...]:
    return tuple(
        ObjectOutcome(
            o["kind"],
            State(o["state"]),
            o["count"],
            parse_instant(o["until"]) if o["until"] else None,
            o["basis"],
            o["code"],
        )
        for o in written
    )
