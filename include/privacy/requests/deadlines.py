"""The watch over due dates (P6.6): reminders once each, defaults of unanswered decisions, what is overdue."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.letters.reasons import RefusalReason
from include.privacy.policy.promises import ANSWER_PROMISE
from include.privacy.requests import deciding
from include.privacy.requests.due_dates import DueDates, Standing
from include.privacy.requests.opening import RIGHTS
from include.privacy.requests.reminders import reminders_due
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)


Counts = Mapping[str, int]


class OverdueError(FindingError):
    """Requests are past their due date, or the watch could not see to everything; counts only."""


def take_defaults(ledger_run: str) -> dict[str, int]:
    """Decisions that nobody made in time take their default; then every decision is carried out."""
    from include.privacy.ledger.errors import LedgerError

    ledger, as_of = runtime().ledger(), read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for decision in ledger.decisions(open_only=True):
        if decision.answer_by > as_of:
            continue
        try:
            ledger.answer_decision(decision.id, decision.default_option, None, None, as_of)
        except LedgerError:
            continue  # somebody has answered in this moment
        log.warning("decision %s: nobody answered, so %s", decision.id, decision.default_option)
        counts["by_default"] += 1
    counts.update(deciding.apply_decisions(ledger_run))
    return dict(counts)


def remind(ledger_run: str) -> dict[str, int]:
    """Give every reminder that ``calendar.yaml`` asks for and that was not given; once for each due date.

    Writes them down only: telling the roles is the next task, which may be tried again by itself.
    """
    from include.privacy.ledger.states import OPEN

    ledger, as_of = runtime().ledger(), read_run(ledger_run).as_of
    wanted = runtime().config().calendar.reminders
    given: dict[tuple[UUID, datetime], set[float]] = defaultdict(set)
    for row in ledger.reminders():
        given[row.request_id, row.due_at].add(float(row.name))
    counts: Counter[str] = Counter()
    for request in ledger.requests(OPEN):
        sent = given[request.id, request.due_at]
        for reminder in reminders_due(request.received_at, request.due_at, as_of, wanted, sent):
            name = f"{reminder.at:g}"
            counts[name] += ledger.remind_once(request.id, name, request.due_at)
    log.info("reminders: %s", dict(counts) or "none")
    return dict(counts)


def report(
    ledger_run: str,
    decisions: Counts | None = None,
    unverified: Counts | None = None,
    unanswered: Counts | None = None,
    reminders: Counts | None = None,
    roles: Counts | None = None,
) -> dict[str, Any]:
    """Record what is overdue as breaches of P6.6, one for each right, and end the run; it closes nothing.

    The others are what the tasks before returned, ``None`` where one did not end well. Raises
    :class:`OverdueError` when anything is overdue or undone: the run is red as long as that is so. A
    request that is being refused for want of verification is answered already: its letter is on the way.
    """
    from include.privacy.ledger.states import OPEN

    ledger = runtime().ledger()
    run = read_run(ledger_run)
    tasks = {
        "decisions": decisions,
        "unverified": unverified,
        "unanswered": unanswered,
        "reminders": reminders,
        "roles": roles,
    }
    overdue: dict[str, list[RequestRow]] = defaultdict(list)
    standings: Counter[str] = Counter()
    for request in ledger.requests(OPEN):
        standings[_standing(request, run.as_of)] += 1
        if run.as_of > request.due_at and not (_being_refused(request) or _told_who_is_late(request)):
            overdue[request.right].append(request)
    for right in RIGHTS:
        late = overdue.get(right, [])
        if late:
            oldest = max(run.as_of - r.due_at for r in late)
            ledger.record_breach(
                UUID(ledger_run), ANSWER_PROMISE, right, len(late), oldest, _note(late, run.as_of)
            )
        else:
            ledger.resolve_breaches(ANSWER_PROMISE, right, run.as_of)
    undone = sorted(name for name, result in tasks.items() if result is None)
    counts = {right: len(overdue[right]) for right in RIGHTS if right in overdue}
    summary = {
        "as_of": run.as_of.isoformat(),
        "overdue": counts,
        "open": dict(standings),
        **{name: result for name, result in tasks.items() if result is not None},
        "undone": undone,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if counts or undone:
        what = [f"overdue requests: {counts}"] if counts else []
        what += [f"tasks that did not end well: {', '.join(undone)}"] if undone else []
        raise OverdueError(
            f"{'; '.join(what)}. Nothing was closed; the ledger's breaches of {ANSWER_PROMISE} say since "
            "when, and docs/OPERATIONS.md what to do"
        )
    return summary


def _standing(request: RequestRow, as_of: datetime) -> str:
    if not request.due:
        return Standing.IN_TIME if as_of <= request.due_at else Standing.PROMISE_MISSED
    return DueDates.model_validate(request.due).standing(as_of)


def _being_refused(request: RequestRow) -> bool:
    return request.state == "verifying" and request.reason == RefusalReason.insufficient_verification


def _note(late: list[RequestRow], as_of: datetime) -> str:
    law = sum(_standing(r, as_of) == Standing.LAW_MISSED for r in late)
    states = Counter(r.state for r in late)
    return f"past the law's period as well: {law}; states: " + ", ".join(
        f"{state} {n}" for state, n in sorted(states.items())
    )


def _told_who_is_late(request: RequestRow) -> bool:
    """Whether the person was told in time what was done, and who takes longer (Art. 12(3) GDPR)."""
    return request.state == "awaiting_recipients" and any(
        row.kind == "recipients_pending" and row.state == "sent" and row.claimed_at <= request.due_at
        for row in runtime().ledger().letters(request.id)
    )


def days_left(request: RequestRow, as_of: datetime) -> int:
    """Whole days until the due date; negative when it has passed."""
    return (request.due_at - as_of) // timedelta(days=1)
