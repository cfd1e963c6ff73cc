"""Asking people: each open question gets a small run of its own, which writes the answer into the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.requests import decisions
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import ParameterError

if TYPE_CHECKING:
    from include.privacy.ledger.rows import DecisionRow

log = logging.getLogger(__name__)

SHORTEST_WAIT = timedelta(minutes=5)


def questions() -> list[dict[str, Any]]:
    """What ``decide_subject_request`` is to be triggered with: one run for each question nobody sees yet.

    The run's id follows from the question, so that a crash before :func:`presented` asks nobody twice.
    """
    found = runtime().ledger().decisions_to_present(runs.current_instant())
    log.info("%d questions to be put", len(found))
    return [
        {
            "trigger_run_id": f"decision__{row.id}" + (f"__{again}" if again else ""),
            "conf": {"decision_id": str(row.id)},
        }
        for row, again in found
    ]


def presented(asked: Iterable[Mapping[str, Any]] | None = None) -> int:
    """The runs exist: note that these questions are before a person."""
    ledger, at = runtime().ledger(), runs.current_instant()
    return sum(ledger.present_decision(UUID(each["conf"]["decision_id"]), at) for each in asked or [])


def question(*, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The arguments of the task that asks; none when there is nothing to ask any more.

    Time runs out when the ledger takes the default, and the page then takes the same one.
    """
    ledger = runtime().ledger()
    decision = ledger.decision(_decision_id(params))
    request = ledger.request(decision.request_id)
    if decision.answer is not None or request.closed_at is not None:
        log.info("decision %s is not open any more", decision.id)
        return []
    return [
        {
            "subject": f"{request.right}: {decisions.KINDS[decision.kind].asks}",
            "body": decisions.describe(decision, request),
            "options": decisions.choices(decision),
            "defaults": [decision.default_option],
            "response_timeout": max(decision.answer_by - runs.current_instant(), SHORTEST_WAIT),
        }
    ]


def write_decision(answers: Iterable[Mapping[str, Any]], *, params: Mapping[str, Any] | None = None) -> str:
    """Write the answer into the ledger; returns the answer that is there now.

    Where time ran out the page answers with the default and nobody's name. Raises as
    :func:`decisions.decide` does; then the question is put again.
    """
    ledger = runtime().ledger()
    decision = ledger.decision(_decision_id(params))
    given = next(iter(answers))
    answer, reasons = decisions.read_choice(str(next(iter(given["chosen_options"]))))
    who = _staff(given.get("responded_by_user"), decision)
    if who is None and decision.answer is not None:
        return decision.answer
    made = decisions.decide(decision, answer, reasons, who, runs.current_instant())
    log.info("decision %s: %s", decision.id, made.answer)
    return str(made.answer)


def ask_again(*, params: Mapping[str, Any] | None = None) -> bool:
    """The run that asked has failed: unless the decision was made, the next feeder puts it again."""
    again = runtime().ledger().ask_again(_decision_id(params), "the run that asked has failed")
    log.info("the question %s", "will be put again" if again else "was answered")
    return again


def ring(carried_out: Mapping[str, int] | None) -> str:
    """Exists for its outlet: the asset event that wakes the runs which go on with these requests."""
    from airflow.sdk.exceptions import AirflowSkipException

    if not carried_out:
        raise AirflowSkipException("nothing was carried out")
    return "rung"


def _staff(who: Any, decision: DecisionRow) -> str | None:
    """Who answered. Airflow names users by id and by name; the one that asked is recognised by either."""
    if not isinstance(who, Mapping):
        return None
    names = [str(who[key]) for key in ("name", "id") if who.get(key)]
    if not names:
        return None
    return decision.asked_by if decision.asked_by in names else names[0]


def _decision_id(params: Mapping[str, Any] | None) -> UUID:
    try:
        return UUID(str((params or {}).get("decision_id")))
    except ValueError:
        raise ParameterError("decision_id: not a decision's id; ask_decisions fills it in") from None
