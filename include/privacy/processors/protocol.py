"""What every processor's adapter offers (P5.1 to P5.7); adding one touches its file, its map and its tests.

Every method takes many people and yields what became of each as soon as that is certain, in any order.
The caller puts every report on record before it asks for the next, so that a cohort that was interrupted
goes on where it stopped. Therefore each method can be called again for a person at any time: what was
done already is found done, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class ProcessorError(RuntimeError):
    """A processor cannot be worked with now. Messages name the processor, a status or code, and what to do;
    never an address, a name or a text that the processor sent.
    """


class ProcessorUnavailableError(ProcessorError):
    """It does not answer, or has had enough of us for now; ask again later."""


class ProcessorRefusedError(ProcessorError):
    """It refuses our key, our account or our endpoint: a person has to put that right."""


class State(StrEnum):
    """What became of one object, or of everything that one person has at a processor."""

    erased = "erased"
    redacted = "redacted"
    """Nothing of the person can be read any more; the processor keeps the object itself."""
    corrected = "corrected"
    stopped = "stopped"
    """The processor does no longer what the person objected to, or has restricted it."""
    retained = "retained"
    """Kept on a legal basis, until a date."""
    manual = "manual"
    """No interface does it: a member of staff has to, and says when it is done."""
    not_held = "not_held"
    pending = "pending"
    """Under way there, or not possible before a date."""
    failed = "failed"
    """Refused for this person or object; tried again, and shown to the privacy team."""


_WEIGHT = (
    State.failed,
    State.pending,
    State.manual,
    State.retained,
    State.redacted,
    State.erased,
    State.corrected,
    State.stopped,
    State.not_held,
)


@dataclass(frozen=True)
class Person:
    """One person as a processor may know them.

    ``reference``: opaque, the same at every call for the same request; idempotency keys follow from it.
    ``ids``: by kind of identifier in the data map (``stripe_customer_id``). ``memo``: what the adapter
    noted in its last :class:`Report` (ids of jobs and objects; JSON, kept sealed in between).
    """

    reference: str
    emails: tuple[str, ...] = field(default=(), repr=False)
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    memo: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ObjectOutcome:
    """What became of the objects of one kind. ``kind`` is the processor's own word: customer, invoice.

    ``until``: when a pending one can go on, or until when a retained one is kept. ``basis``: the ground on
    which it is retained (``legal_obligation``, ``legal_claims``). ``code``: the processor's, or ours, for
    what stands in the way; never free text.
    """

    kind: str
    state: State
    count: int = 1
    until: datetime | None = None
    basis: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Report:
    """What became of one person. ``memo`` replaces :attr:`Person.memo`."""

    reference: str
    outcomes: tuple[ObjectOutcome, ...]
    memo: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def state(self) -> State:
        """The one that weighs most: as long as anything is pending the person is."""
        return min((o.state for o in self.outcomes), key=_WEIGHT.index, default=State.not_held)

    @property
    def until(self) -> datetime | None:
        """When what weighs most can go on, at the latest; or until when it is kept."""
        dates = [o.until for o in self.outcomes if o.until is not None and o.state is self.state]
        return max(dates, default=None)


@dataclass(frozen=True)
class Found:
    """How much of one person there is, by kind of object; kinds with none are left out."""

    reference: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Exported:
    """Everything that the processor hands out about one person: its own objects, by collection.

    The names of the collections are those of the processor's map (``config/processors/``).
    """

    reference: str
    collections: Mapping[str, Sequence[Mapping[str, Any]]] = field(repr=False)


@dataclass(frozen=True)
class Preflight:
    """Whether our account can do what a request may need.

    ``features``: what may be switched on or off there (``redaction_jobs``). ``problems``: readable
    sentences, each with what to do; empty when all is well.
    """

    features: Mapping[str, bool] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Processor(Protocol):
    """One processor.

    All methods raise :class:`ProcessorUnavailableError` and :class:`ProcessorRefusedError` for what concerns
    everybody; whatever concerns one person is that person's outcome ``failed`` and stops no other.

    An adapter may say ``probes_what_is_manual = True``: who is left to staff is then looked for again as
    well, because only a part was ours to erase.
    """

    name: str

    def preflight(self, *, as_of: datetime) -> Preflight:
        """Try key, scopes and features, without changing anything."""
        ...

    def find(self, people: Sequence[Person]) -> Iterator[Found]:
        """How much there is of each."""
        ...

    def export(self, people: Sequence[Person]) -> Iterator[Exported]:
        """Everything that is held of each (P6.1); secrets are never part of it."""
        ...

    def rectify(
        self, people: Sequence[Person], corrections: Mapping[str, Mapping[str, str]], *, as_of: datetime
    ) -> Iterator[Report]:
        """Correct facts (P6.2). ``corrections``: reference → field (``email``, ``full_name``) → new value.

        ``Person.emails`` are the addresses under which the processor knows the person so far.
        """
        ...

    def object_to(self, people: Sequence[Person], purpose: str, *, as_of: datetime) -> Iterator[Report]:
        """Stop what serves the purpose (P6.5); ``not_held`` where nothing here does."""
        ...

    def restrict(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Mark or stop what can be, while a request is decided or an erasure has to wait (Art. 18 GDPR)."""
        ...

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Erase, as far as the processor can (P6.3); what takes time comes back ``pending``."""
        ...

    def settle(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        """Go on with what was pending; ``Person.memo`` says where it stood."""
        ...

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        """Ask anew, from the identifiers and not from the memo: what is there that should be gone?

        What is lawfully retained does not count.
        """
        ...


def failed(person: Person, kind: str, code: str, memo: Mapping[str, Any] | None = None) -> Report:
    """The report of somebody for whom it did not go well; ``memo`` default: as it was."""
    outcome = ObjectOutcome(kind, State.failed, code=code)
    return Report(person.reference, (outcome,), person.memo if memo is None else memo)
