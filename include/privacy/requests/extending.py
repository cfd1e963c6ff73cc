"""Extending the law's period, once, within its window and with a reason (Art. 12(3) GDPR)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.letters.reasons import ExtensionReason
from include.privacy.requests import decisions, telling
from include.privacy.requests.due import EXTENSION_REASONS, ExtensionRefusedError, extended
from include.privacy.requests.due_dates import DueDates
from include.privacy.requests.refusing import open_request_of
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import ParameterError

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts

log = logging.getLogger(__name__)

__all__ = ["EXTENSION_REASONS", "ExtensionRefusedError", "extend", "extend_by_form"]


def extend(request: RequestRow, reason: str, as_of: datetime, *, explanation: str | None = None) -> bool:
    """Move the due date and tell the person; false while the letter is not settled: call again.

    Raises :class:`ExtensionRefusedError` when the window has closed.
    """
    due = DueDates.model_validate(request.due)
    later = due if due.extension is not None else extended(due, as_of, reason)
    if due.extension is None:
        ledger = runtime().ledger()
        ledger.extend_request(request.id, later.due_at, later.model_dump(mode="json"), reason)
    before, after = (telling.day(d.due_at) for d in (later.changed(extension=None), later))
    body = {"due_on": after.isoformat(), "reason": reason}
    telling.answer(request, "extended", body)

    def facts() -> Facts:
        from include.privacy.letters.facts import Extended

        return Extended(
            **telling.head(request),
            original_due_on=before,
            due_on=after,
            reason=ExtensionReason(reason),
            explanation=explanation,
        )

    return telling.tell(request, "extended", facts, as_of)


def extend_by_form(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Propose an extension; returns the id of the question that somebody approves.

    Raises :class:`ParameterError` naming the field, or the window that has closed.
    """
    form = dict(params or {})
    request = open_request_of(form)
    now = runs.current_instant()
    if form.get("reason") not in EXTENSION_REASONS:
        raise ParameterError(f"reason: the law knows {' and '.join(EXTENSION_REASONS)}; choose one")
    if not request.due:
        raise ParameterError("request_id: this request has no stored clocks, so nothing can be extended")
    due = DueDates.model_validate(request.due)
    try:
        later = extended(due, now, str(form["reason"]))
    except ExtensionRefusedError as error:
        raise ParameterError(f"request_id: {error}") from None
    facts = {
        "reason": form["reason"],
        "due_on": telling.day(due.due_at),
        "due_on_if_extended": telling.day(later.due_at),
        "to_be_told_by": window(due),
    }
    decision_id = decisions.ask("extension", request, facts, now)
    log.info("decision %s asks about an extension of request %s", decision_id, request.id)
    return str(decision_id)


def window(due: DueDates) -> datetime:
    """Until when the person must be told of an extension: the earliest period that can be extended."""
    return min(clock.deadline.due_at for clock in due.clocks if clock.if_extended is not None)
