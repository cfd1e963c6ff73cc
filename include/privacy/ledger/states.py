"""The state machines of requests and plans: one constant, for Python and for the database's trigger.

``migrate`` copies :data:`MACHINES` into ``ledger.state_transition``, which the trigger
``ledger.check_transition`` reads, so that an illegal step fails in SQL whoever asks for it.
The key ``""`` lists the states in which a row may begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from include.privacy.ledger.errors import IllegalTransition

CLOSED = frozenset({"completed", "completed_with_retention", "refused", "withdrawn", "expired"})
"""States of a request that is answered; its key is destroyed and nothing personal is readable.

``expired``: the person was asked for something that the request cannot do without, and did not answer."""

UNVERIFIED = frozenset({"received", "acknowledged", "verifying"})
"""The identity of whoever asks is not established: nothing may be done."""

WAITING = frozenset({"assessing", "extended", "on_hold"})
"""Verified, and taken up by the next run of their right; a held one only to see whether it still is."""

WORKING = frozenset({"executing", "notifying", "verifying_absence"})
"""A run works on it: does what was asked, tells the recipients, looks whether it is done."""

OPEN = UNVERIFIED | WAITING | WORKING | {"awaiting_decision", "awaiting_recipients", "failed"}
"""States of a request that still leads its own work; ``joined`` follows another one instead."""

REQUEST: Mapping[str, frozenset[str]] = {
    "": frozenset({"received", "joined"}),
    "received": frozenset({"acknowledged", "refused", "withdrawn"}),
    "acknowledged": frozenset({"verifying", "assessing", "refused", "withdrawn"}),
    "verifying": frozenset({"assessing", "refused", "withdrawn", "expired"}),
    "assessing": frozenset(
        {"extended", "on_hold", "awaiting_decision", "executing", "refused", "withdrawn", "expired"}
    ),
    "extended": frozenset(
        {"assessing", "on_hold", "awaiting_decision", "executing", "refused", "withdrawn", "expired"}
    ),
    "on_hold": frozenset({"assessing", "executing", "refused", "withdrawn"}),
    "awaiting_decision": frozenset({"assessing", "executing", "on_hold", "refused", "withdrawn", "expired"}),
    "executing": frozenset(
        {
            "assessing",
            "notifying",
            "verifying_absence",
            "awaiting_recipients",
            "on_hold",
            "awaiting_decision",
            "completed",
            "completed_with_retention",
            "refused",
            "failed",
        }
    ),
    "notifying": frozenset(
        {"executing", "verifying_absence", "on_hold", "completed", "completed_with_retention", "failed"}
    ),
    "verifying_absence": frozenset(
        {
            "executing",
            "notifying",
            "awaiting_recipients",
            "on_hold",
            "completed",
            "completed_with_retention",
            "failed",
        }
    ),
    "awaiting_recipients": frozenset({"executing", "completed", "completed_with_retention", "refused"}),
    "failed": frozenset({"assessing", "executing", "refused", "withdrawn"}),
    "joined": UNVERIFIED | {"assessing"} | CLOSED,
}

PROMISES: Mapping[str, str] = {
    "access": "P6.1",
    "rectification": "P6.2",
    "erasure": "P6.3",
    "portability": "P6.4",
    "objection": "P6.5",
}
"""Right → the promise under which each of its steps is recorded."""

PLAN: Mapping[str, frozenset[str]] = {
    "": frozenset({"planned"}),
    "planned": frozenset({"awaiting_approval", "executing", "failed", "expired"}),
    "awaiting_approval": frozenset({"approved", "rejected", "expired"}),
    "approved": frozenset({"executing", "rejected", "expired"}),
    "executing": frozenset({"executed", "failed"}),
    "executed": frozenset({"executing", "probed", "failed"}),
    "probed": frozenset({"executing", "failed"}),
    "failed": frozenset({"executing", "expired"}),
}

NOTICE: Mapping[str, frozenset[str]] = {
    "": frozenset({"proposed"}),
    "proposed": frozenset({"approved", "rejected"}),
    "approved": frozenset({"sending", "rejected"}),
    "sending": frozenset({"proven", "rejected"}),
    "proven": frozenset({"in_force"}),
    "in_force": frozenset({"superseded"}),
    "rejected": frozenset({"proposed"}),
}
"""The campaign of a policy notice. Only a proven one enters into force (P8.1)."""

_DRILL = (
    "planting",
    "planted",
    "asked_access",
    "answered",
    "asked_rectification",
    "corrected",
    "backed_up",
    "asked_erasure",
    "erased",
    "restored",
    "replayed",
    "passed",
)
DRILL: Mapping[str, frozenset[str]] = {
    "": frozenset({"planting"}),
    **{start: frozenset({end, "clearing"}) for start, end in pairwise(_DRILL)},
    "clearing": frozenset({"failed"}),
}
"""A drill goes one way. One that failed anywhere takes away what it planted before it ends."""

MACHINES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "request": REQUEST,
    "plan": PLAN,
    "notice": NOTICE,
    "drill": DRILL,
}


def transitions() -> Iterator[tuple[str, str, str]]:
    """Every ``(machine, from, to)`` in a fixed order."""
    for machine, steps in MACHINES.items():
        for start in sorted(steps):
            for end in sorted(steps[start]):
                yield machine, start, end


def check(machine: str, start: str, end: str) -> None:
    """Raise :class:`IllegalTransition`, naming the allowed steps, unless ``start → end`` exists."""
    allowed = MACHINES[machine].get(start, frozenset())
    if end not in allowed:
        steps = ", ".join(sorted(allowed)) or "nothing: it is final"
        raise IllegalTransition(f"a {machine} in state {start!r} cannot become {end!r}; allowed: {steps}")
