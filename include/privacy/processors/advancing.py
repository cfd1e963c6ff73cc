"""One step further for each person at a processor: begin, go on, see whether it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from include.privacy.processors.protocol import ObjectOutcome, Person, Processor, Report, State

Action = Literal["erase", "rectify", "object", "restrict"]
OPEN = frozenset({State.pending, State.failed, State.manual})
"""A request waits for whoever is in one of these states."""
FOUND_AGAIN = "found_again"


@dataclass(frozen=True)
class Work:
    """What is wanted for one person. ``begun``: the last report on it was pending.

    What failed begins anew: what an earlier try has done is found done.

    ``values``: the corrections of a rectification, field → new value. ``purpose``: what is objected to.
    """

    person: Person
    action: Action
    begun: bool = False
    values: Mapping[str, str] | None = None
    purpose: str | None = None


def advance(processor: Processor, works: Iterable[Work], *, as_of: datetime) -> Iterator[Report]:
    """Carry every piece of work one step further; reports as soon as they are certain.

    Erasures that seem done are looked for again from the identifiers (DESIGN: done means probed absent);
    what is still there makes the report ``failed``, and the next call begins anew. Raises what the
    processor raises; reports given until then stand.
    """
    works = list(works)
    if going_on := [w.person for w in works if w.begun]:
        erasing = {w.person.reference for w in works if w.begun and w.action == "erase"}
        yield from _checked(processor, processor.settle(going_on, as_of=as_of), going_on, erasing, as_of)
    fresh = [w for w in works if not w.begun]
    if people := [w.person for w in fresh if w.action == "erase"]:
        everybody = {p.reference for p in people}
        yield from _checked(processor, processor.erase(people, as_of=as_of), people, everybody, as_of)
    if wanted := [w for w in fresh if w.action == "rectify"]:
        values = {w.person.reference: w.values or {} for w in wanted}
        yield from processor.rectify([w.person for w in wanted], values, as_of=as_of)
    for purpose in dict.fromkeys(w.purpose for w in fresh if w.action == "object"):
        people = [w.person for w in fresh if w.action == "object" and w.purpose == purpose]
        yield from processor.object_to(people, purpose or "", as_of=as_of)
    if people := [w.person for w in fresh if w.action == "restrict"]:
        yield from processor.restrict(people, as_of=as_of)


VERIFIED_AT_ONCE = 1_000


def _checked(
    processor: Processor,
    reports: Iterator[Report],
    people: list[Person],
    erasing: set[str],
    as_of: datetime,
) -> Iterator[Report]:
    """Reports as they come, but those of finished erasures after the probe, a batch at a time."""
    known = {p.reference: p for p in people}
    done: list[Report] = []
    for report in reports:
        if report.reference not in erasing or not _probed_at(processor, report.state):
            yield report
            continue
        done.append(report)
        if len(done) == VERIFIED_AT_ONCE:
            yield from _probed(processor, done, known, as_of)
            done = []
    if done:
        yield from _probed(processor, done, known, as_of)


def _probed_at(processor: Processor, state: State) -> bool:
    """Whether what is said to be gone is looked for again: also where the rest is left to staff."""
    if state is State.manual:
        return getattr(processor, "probes_what_is_manual", False)
    return state not in OPEN


def _probed(
    processor: Processor, done: list[Report], known: Mapping[str, Person], as_of: datetime
) -> Iterator[Report]:
    people = [replace(known[r.reference], memo=r.memo) for r in done]
    left = {f.reference: f.counts for f in processor.verify(people, as_of=as_of) if any(f.counts.values())}
    for report in done:
        counts = left.get(report.reference)
        if not counts:
            yield report
            continue
        again = tuple(ObjectOutcome(k, State.failed, n, code=FOUND_AGAIN) for k, n in counts.items() if n)
        yield Report(report.reference, (*report.outcomes, *again), {})
