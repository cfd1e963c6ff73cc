"""The fault matrix: every fault of the switchboard, and a patient caller as ``settle_recipients`` is one.

What is asserted is the state at the stand-in in the end, not the calls that were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.privacy.processors.advancing import Action, Work, advance
from include.privacy.processors.protocol import Person, Processor, ProcessorError, Report, State

FAULTS: Mapping[str, dict[str, Any]] = {
    "429": {"kind": "status", "status": 429},
    "500 before the effect": {"kind": "status", "status": 500},
    "500 after the effect": {"kind": "status", "status": 500, "when": "after"},
    "503 again and again": {"kind": "status", "status": 503, "count": 12},
    "time-out before the effect": {"kind": "timeout", "seconds": 0.6},
    "time-out after the effect": {"kind": "timeout", "seconds": 0.6, "when": "after"},
    "reset before the effect": {"kind": "reset"},
    "reset after the effect": {"kind": "reset", "when": "after"},
    "slow": {"kind": "slow", "seconds": 0.1},
    "malformed": {"kind": "malformed"},
}
"""For ``ProcessorControl.fail``. Adapters under test give up after less than 0.6 s, and do not pause."""


def carry_out(
    processor: Processor,
    action: Action,
    people: Sequence[Person],
    *,
    as_of: datetime,
    values: Mapping[str, Mapping[str, str]] | None = None,
    purpose: str | None = None,
    calls: int = 12,
    step: timedelta = timedelta(minutes=15),
    before: Callable[[int], None] | None = None,
) -> dict[str, Report]:
    """Call until nobody is pending or failed, every quarter of an hour, as a sweep would.

    A call that raises is one that a later sweep makes good. ``before(n)`` runs before the n-th call.
    """
    works = {
        p.reference: Work(p, action, values=(values or {}).get(p.reference), purpose=purpose) for p in people
    }
    reports: dict[str, Report] = {}
    for n in range(calls):
        if not works:
            break
        if before:
            before(n)
        try:
            for report in advance(processor, list(works.values()), as_of=as_of + n * step):
                reports[report.reference] = report
                work = works.pop(report.reference)
                if report.state in (State.pending, State.failed):
                    person = replace(work.person, memo=report.memo)
                    works[report.reference] = replace(
                        work, person=person, begun=report.state is State.pending
                    )
        except ProcessorError:
            continue
    return reports
