"""Decisions on guarded plans: what is asked, and what the answer does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from include.privacy.runtime import runtime

log = logging.getLogger(__name__)

APPROVE = "Approve"
REJECT = "Reject"


def describe(*, params: Mapping[str, Any] | None = None) -> str:
    """The question in Markdown: counts per store and rule, nothing about anybody.

    Raises ``ValueError`` when none of the plans waits any more.
    """
    ledger = runtime().ledger()
    waiting = [r for r in ledger.parked_plans() if str(r.plan.id) in _plan_ids(params)]
    if not waiting:
        raise ValueError(
            "none of these plans waits for a decision: decided, expired, or replaced by a newer one"
        )
    lines = [
        f"Rule **{waiting[0].plan.rule}**: {waiting[0].reason}.",
        "",
        "| Store | Action | Matched | People | Population |",
        "|---|---|---|---|---|",
    ]
    for row in waiting:
        plan = row.plan
        lines.append(
            f"| {plan.store} | {plan.params.get('step', plan.action)} "
            f"| {plan.matched} | {plan.subjects} | {plan.population} |"
        )
    lines += [
        "",
        f"Planned as of {waiting[0].plan.as_of:%Y-%m-%d %H:%M} UTC. Approve only if this many are meant: "
        "what is deleted cannot be brought back.",
    ]
    return "\n".join(lines)


def write_decision(answer: Mapping[str, Any], *, params: Mapping[str, Any] | None = None) -> bool:
    """Write the answer into the ledger; returns whether the plans were approved.

    Only ``Approve`` approves. A plan that was decided or replaced in the meantime stays as it is.
    """
    approved = list(answer.get("chosen_options") or []) == [APPROVE]
    who = answer.get("responded_by_user") or {}
    by = str(who.get("id") or who.get("name") or "") if isinstance(who, Mapping) else ""
    if not by:
        raise ValueError("the answer does not say who gave it; nothing was decided")
    ledger = runtime().ledger()
    for plan_id in sorted(_plan_ids(params)):
        if ledger.plan_state(UUID(plan_id)) == "awaiting_approval":
            ledger.decide_plan(UUID(plan_id), approved, by)
    log.info("plans %s", "approved" if approved else "rejected")
    return approved


def ring() -> str:
    """Exists for its outlet: the asset event that wakes the retention runs."""
    return "rung"


def _plan_ids(params: Mapping[str, Any] | None) -> set[str]:
    given = (params or {}).get("plan_ids")
    if not isinstance(given, list) or not given:
        raise ValueError("plan_ids must be a list of plan ids")
    return {str(UUID(str(p))) for p in given}
