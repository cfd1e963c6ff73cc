"""Carrying out what was decided. A crash between the answer and its effect is made up for by the next run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.letters.reasons import RefusalReason
from include.privacy.requests import answering, extending
from include.privacy.requests.decisions import Reasons
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import DecisionRow, RequestRow

log = logging.getLogger(__name__)


class DecisionsOpenError(RuntimeError):
    """Some decisions could not be carried out yet; the message has counts only."""


def carry_out(*, dag_run: Any = None) -> dict[str, int]:
    """Carry out every decision that was made and has not taken effect, in a ledger run of its own."""
    ledger = runtime().ledger()
    if not ledger.unapplied_decisions():
        return {}
    # A run that asks may have waited for days: what follows from the answer happens now.
    now = {"as_of": runs.current_instant().isoformat()}
    ledger_run = runs.open_run("decisions", params=now, dag_run=dag_run)
    counts = apply_decisions(ledger_run)
    ledger.close_run(UUID(ledger_run), {"decisions": counts})
    return counts


def apply_decisions(ledger_run: str) -> dict[str, int]:
    """The same within a run that is open; returns counts by what became of them.

    Each is carried out alone, may be tried again at any point, and counts as done only when it is.
    A letter that cannot be sent yet leaves it to the next run. Raises :class:`DecisionsOpenError`.
    """
    as_of = read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for decision in runtime().ledger().unapplied_decisions():
        try:
            counts[_apply(decision, as_of)] += 1
        except Exception as error:
            log.exception("decision %s could not be carried out: %s", decision.id, type(error).__name__)
            counts["failed"] += 1
    if counts["failed"]:
        raise DecisionsOpenError(
            f"{counts['failed']} of {sum(counts.values())} decisions could not be carried out; the next run "
            "tries again, and the log above says what stopped it"
        )
    return dict(counts)


def _apply(decision: DecisionRow, as_of: datetime) -> str:
    ledger = runtime().ledger()
    request = ledger.request(decision.request_id)
    if request.closed_at is not None:
        return "closed"
    outcome = _EFFECTS[decision.kind](decision, request, as_of)
    if outcome is None:
        return answering.LETTER_FOLLOWS
    state, what = outcome
    ledger.settle_decision(decision.id, state, what)
    return what


Outcome = tuple[str | None, str] | None
"""The state that a waiting request takes on (``None``: as it is), and a word for it; or not done yet."""


def _refusal(decision: DecisionRow, request: RequestRow, as_of: datetime) -> Outcome:
    from include.privacy.ledger.states import WORKING

    if decision.answer != "refuse":
        return "assessing", "goes_on"
    if request.state in WORKING:
        log.error("request %s is being carried out and cannot be refused any more", request.id)
        return None, "too_late"
    explanation = Reasons.of(decision.reasons).explanation
    reason = RefusalReason(str(decision.facts["reason"]))
    done = answering.refuse(request, reason, as_of, explanation=explanation)
    return None if done == answering.LETTER_FOLLOWS else (None, done)


def _extension(decision: DecisionRow, request: RequestRow, as_of: datetime) -> Outcome:
    if decision.answer != "extend":
        return None, "kept"
    explanation = Reasons.of(decision.reasons).explanation
    try:
        told = extending.extend(request, str(decision.facts["reason"]), as_of, explanation=explanation)
    except extending.ExtensionRefusedError as error:
        log.error("request %s cannot be extended any more: %s", request.id, error)
        return None, "too_late"
    return (None, "extended") if told else None


def _exception(decision: DecisionRow, request: RequestRow, as_of: datetime) -> Outcome:
    if decision.answer != "hold":
        return "assessing", "goes_on"
    assert request.subject_key is not None
    by = decision.decided_by or "privacy team"
    ledger = runtime().ledger()
    ledger.place_hold(str(request.id), "exception to an erasure", by, "subject", request.subject_key)
    return "on_hold", "held"


def _objection(decision: DecisionRow, request: RequestRow, as_of: datetime) -> Outcome:
    # The answer stands in the ledger; the run of the right acts on it.
    return "assessing", "goes_on"


_EFFECTS: Mapping[str, Callable[[DecisionRow, RequestRow, datetime], Outcome]] = {
    "refusal": _refusal,
    "extension": _extension,
    "exception": _exception,
    "objection": _objection,
}
