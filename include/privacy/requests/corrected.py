"""After the corrections: each request is judged alone, answered, and closed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.requests import claimed, notifying, rectifying, restricting, telling
from include.privacy.requests.answering import finish, refuse
from include.privacy.requests.events import add_event
from include.privacy.runtime import runtime
from include.privacy.steps import journal
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts

log = logging.getLogger(__name__)

WHY = {
    "already_in_use": "this value cannot be used",
    "not_accepted": "this value cannot be used",
}
"""What the person is told of a store's refusal: neither the value, nor whether somebody else has it."""


class CorrectionsOpenError(FindingError):
    """Some corrections could not be made everywhere; the message has counts only."""


def conclude(
    ledger_run: str, request_ids: list[str] | None = None, *, outlet_events: Any = None
) -> dict[str, int]:
    """Look at every store again, answer and close each request that is corrected everywhere; ends the run.

    Wakes what waits for the person to be answered first (an erasure).
    """
    as_of = read_run(ledger_run).as_of
    requests = claimed.open_requests(request_ids)
    left = rectifying.corrections_left(ledger_run, requests) if requests else set()
    counts: Counter[str] = Counter()
    for request in requests:
        try:
            counts["open" if request.subject_key in left else close(request, as_of)] += 1
        except Exception as error:
            log.exception("request %s could not be closed: %s", request.id, type(error).__name__)
            counts["open"] += 1
    rectifying.drop_work(rectifying.batch_of(ledger_run))
    runtime().ledger().close_run(UUID(ledger_run), {"as_of": as_of.isoformat(), "requests": dict(counts)})
    log.info("corrections: %s", dict(counts) or "none waited")
    if request_ids is None or counts["open"]:
        raise CorrectionsOpenError(
            f"{counts['open']} of {len(requests)} corrections are not in every store; the next sweep goes on "
            "with them, and the log of correct says which store stopped them"
        )
    if counts["completed"]:
        add_event(outlet_events, "answered_requests")
    return dict(counts)


def close(request: RequestRow, as_of: datetime) -> str:
    """Answer and close a request whose stores are corrected; it waits while a processor is at work."""
    from include.privacy.letters.facts import Corrected, Unchanged
    from include.privacy.letters.reasons import RefusalReason

    plan, refused = rectifying.plan_of(request), rectifying.refused_fields(request)
    done = [name for name in plan.values if name not in refused]
    undone = {name: WHY[code] for name, code in refused.items() if name in plan.values}
    undone |= {problem.field: problem.message for problem in plan.problems}
    stores = {row.recipient for row in runtime().ledger().recipients(request.id)}
    if missing := {p.store for p in plan.places if p.rectify.field in done} - stores:
        log.error("request %s: not corrected yet in %s", request.id, ", ".join(sorted(missing)))
        return "open"
    _note_in_journal(request, done, as_of)
    if waiting := notifying.open_recipients(request.id):
        why = f"waits for {', '.join(waiting)}"
        runtime().ledger().transition_all([request.id], "awaiting_recipients", why)
        return "awaiting_recipients"
    if not done:
        state = refuse(request, RefusalReason.other, as_of, explanation=_sentences(undone))
    else:

        def facts() -> Facts:
            return Corrected(
                **{name: value for name, value in telling.head(request).items() if name != "right"},
                corrected=tuple(_title(name) for name in done),
                unchanged=tuple(Unchanged(what=_title(n), why=why) for n, why in undone.items()),
                told=tuple(notifying.told(request.id, "corrected")),
            )

        body = {"outcome": "completed", "corrected": done, "unchanged": undone}
        if (request.details or {}).get("held"):
            return _answer_and_hold(request, body, facts, as_of)
        state = finish(request, "completed", body, "corrected", facts, as_of)
    return state


def _answer_and_hold(
    request: RequestRow, body: Mapping[str, object], facts: Callable[[], Facts], as_of: datetime
) -> str:
    """The person is answered, but what was replaced may be evidence in a matter: kept until the release."""
    telling.answer(request, "completed", body)
    telling.tell(request, "corrected", facts, as_of)
    restricting.lift([str(request.subject_key)], as_of)
    runtime().ledger().transition(request.id, "on_hold", "a legal hold keeps the replaced values")
    return "on_hold"


def _note_in_journal(request: RequestRow, done: list[str], as_of: datetime) -> None:
    """Every store says the new values; a backup from before does not."""
    if done and request.subject_key is not None:
        details = request.details or {}
        values = rectifying.plan_of(request).values
        journal.note_correction(
            request.subject_key,
            {name: values[name] for name in done},
            details.get("replaced", {}),
            details.get("identifiers", {}),
            as_of,
        )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _sentences(undone: dict[str, str]) -> str:
    found = [f"{_title(name)}: {why}" for name, why in undone.items()]
    return "; ".join(found) or "nothing was to be corrected"
