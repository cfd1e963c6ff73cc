"""Requests that wait for recipients: answered when the last one is done, and told in time when one is not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.clock import parse_instant
from include.privacy.requests import corrected, objecting
from include.privacy.requests.erased import Erased, answer_erasure, tell_who_is_at_work
from include.privacy.requests.events import add_event
from include.privacy.requests.intake import request_ids
from include.privacy.requests.notifying import open_recipients
from include.privacy.runtime import runtime
from include.privacy.steps import recipients
from include.privacy.steps.runs import FindingError, ParameterError, current_instant, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

STATE = "awaiting_recipients"
BEFORE_DUE = timedelta(days=3)
"""So long before the due date whoever still waits is told what was done and what was not."""
SETTLED_BY_HAND = ("erased", "redacted", "corrected", "stopped", "retained", "not_held")


class RecipientsFailingError(FindingError):
    """Processors refuse something, or requests could not be answered; names and counts only."""


def conclude(ledger_run: str, *, outlet_events: Any = None) -> dict[str, int]:
    """Answer every request whose recipients are all done, tell those whose are late, end the run.

    The run is red while a processor is down or refuses anything: it is asked again, but somebody should look.
    """
    ledger, run = runtime().ledger(), read_run(ledger_run)
    counts: Counter[str] = Counter()
    for request in ledger.requests([STATE]):
        try:
            counts[_conclude(request, run.as_of)] += 1
        except Exception as error:
            log.exception("request %s could not be answered: %s", request.id, type(error).__name__)
            counts["open"] += 1
    failing, undone = ledger.failing_recipients(), recipients.undone(ledger_run)
    summary = {
        "as_of": run.as_of.isoformat(),
        "requests": dict(counts),
        "failing": failing,
        "undone": undone,
    }
    ledger.close_run(UUID(ledger_run), summary)
    log.info("requests that waited for recipients: %s", dict(counts) or "none")
    if sum(counts.values()) > counts[STATE] + counts["open"]:
        add_event(outlet_events, "answered_requests")
    if failing or undone or counts["open"]:
        raise RecipientsFailingError(
            f"people whom a processor refused: {failing or 'none'}; whom it was not asked about: "
            f"{undone or 'none'}; requests that could not be answered: {counts['open']}. All are tried "
            "again; the log of work names status and code."
        )
    return dict(counts)


def confirm_by_hand(*, params: Mapping[str, Any] | None = None) -> str:
    """A member of staff has seen to what no interface does; returns the request's id.

    ``proof`` is the number under which the recipient's answer is filed, nothing else. Raises
    :class:`ParameterError` naming the field.
    """
    from include.privacy.ledger.errors import NotInLedger

    form = dict(params or {})
    wanted = request_ids([form.get("request_id")]) or []
    recipient, state = str(form.get("recipient")), str(form.get("outcome"))
    if recipient not in runtime().config().processors:
        known = ", ".join(runtime().config().processors)
        raise ParameterError(f"recipient: choose one of {known}")
    if state not in SETTLED_BY_HAND:
        raise ParameterError(f"outcome: choose one of {', '.join(SETTLED_BY_HAND)}")
    until = None
    if form.get("until"):
        try:
            until = parse_instant(f"{form['until']}T00:00:00Z")
        except ValueError:
            raise ParameterError("until: write a day, such as 2037-01-01") from None
    if state == "retained" and until is None:
        raise ParameterError("until: say until which day it is retained")
    try:
        runtime().ledger().settle_by_hand(
            wanted[0], recipient, state, str(form.get("proof")), current_instant(), until
        )
    except NotInLedger:
        raise ParameterError("request_id: this request does not wait for the recipient") from None
    log.info("request %s: %s is %s", wanted[0], recipient, state)
    return str(wanted[0])


def erased_of(request: RequestRow) -> Erased:
    """What the stores have done, as it was noted when the request began to wait."""
    return Erased.of((request.details or {})["erased"])


def _conclude(request: RequestRow, as_of: datetime) -> str:
    waiting = open_recipients(request.id)
    if not waiting:
        return _answer(request, as_of)
    runtime().ledger().transition(request.id, STATE, f"waits for {', '.join(waiting)}")
    if request.right == "erasure" and _late(request, as_of):
        tell_who_is_at_work(request, erased_of(request), as_of)
    return STATE


def _answer(request: RequestRow, as_of: datetime) -> str:
    match request.right:
        case "erasure":
            return answer_erasure(request, erased_of(request), as_of)
        case "rectification":
            return corrected.close(request, as_of)
        case "objection":
            return objecting.close(request, as_of)
    raise TypeError(f"a request of the right {request.right} does not wait for recipients")


def _late(request: RequestRow, as_of: datetime) -> bool:
    """Whether a recipient will not be done before the due date."""
    rows = [row for row in runtime().ledger().recipients(request.id) if row.open]
    return as_of >= request.due_at - BEFORE_DUE or any(r.until and r.until > request.due_at for r in rows)
