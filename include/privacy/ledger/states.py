"""The state machines of requests and plans: one constant, for Python and for the database's trigger.

``migrate`` copies :data:`MACHINES` into ``ledger.state_transition``, which the trigger
``ledger.check_transition`` reads, so that an illegal step fails in SQL whoever asks for it.
The key ``""`` lists the states in which a row may begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from include.privacy.ledger.errors import IllegalTransition

CLOSED = frozenset({"completed", "completed_with_retention", "refused", "withdrawn"})
"""States of a request that is answered; its key is destroyed and nothing personal is readable."""

OPEN = frozenset({"received", "verified", "executing", "on_hold", "awaiting_approval", "failed"})
"""States of a request that still leads its own work; ``joined`` follows another one instead."""

REQUEST: Mapping[str, frozenset[str]] = {
    "": frozenset({"received", "verified", "joined"}),
    "received": frozenset({"verified", "refused", "withdrawn"}),
    "verified": frozenset({"executing", "on_hold", "refused", "withdrawn"}),
    "executing": frozenset(
        {
            "verified",
            "on_hold",
            "awaiting_approval",
            "completed",
            "completed_with_retention",
            "refused",
            "failed",
        }
    ),
    "on_hold": frozenset({"verified", "executing", "refused", "withdrawn"}),
    "awaiting_approval": frozenset({"verified", "executing", "on_hold", "refused", "withdrawn", "failed"}),
    "failed": frozenset({"verified", "executing", "refused", "withdrawn"}),
    "joined": frozenset({"received", "verified"}) | CLOSED,
}

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

MACHINES: Mapping[str, Mapping[str, frozenset[str]]] = {"request": REQUEST, "plan": PLAN}


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
