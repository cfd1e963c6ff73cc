"""Refusing: with a reason and both remedies (Art. 12(4) GDPR), by two people or because nobody verified."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.privacy.letters.reasons import RefusalReason
from include.privacy.requests import decisions, telling
from include.privacy.requests.answering import LETTER_FOLLOWS
from include.privacy.requests.intake import request_ids
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import ParameterError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts

log = logging.getLogger(__name__)

LAST_CALL = timedelta(hours=1)
"""The refusal is an answer and has to be there by the due date: the next hourly look would be too late."""

BY_STAFF = tuple(
    reason.value for reason in RefusalReason if reason is not RefusalReason.insufficient_verification
)
"""Reasons that the form offers; a lack of verification is found by the clock."""


class RefusalsOpenError(RuntimeError):
    """Some unverified requests could not be refused; the message has counts only."""


def refuse_unverified(ledger_run: str) -> dict[str, int]:
    """Refuse what nobody has verified by its due date; nothing else is done with it.

    A request that joined one of them goes on by itself: its own due date is still to come.
    """
    from include.privacy.ledger.states import UNVERIFIED

    ledger, as_of = runtime().ledger(), read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for request in ledger.requests(UNVERIFIED):
        if request.due_at - as_of >= LAST_CALL:
            continue
        try:
            if not ledger.begin_refusal(request.id, as_of):
                counts["verified_meanwhile"] += 1
                continue
            counts[_refuse(request, as_of)] += 1
        except Exception as error:
            log.exception("request %s could not be refused: %s", request.id, type(error).__name__)
            counts["failed"] += 1
    log.info("unverified: %s", dict(counts) or "none is due")
    if counts["failed"]:
        raise RefusalsOpenError(
            f"{counts['failed']} unverified requests could not be refused; the next hour tries again, and "
            "the log above says what stopped it"
        )
    return dict(counts)


def refuse_by_form(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Ask a second person whether a request may be refused; returns the id of the question.

    Raises :class:`ParameterError` naming the field. Nothing is refused by the form itself.
    """
    from include.privacy.ledger.states import WORKING

    form = dict(params or {})
    request = open_request_of(form)
    if form.get("reason") not in BY_STAFF:
        raise ParameterError(f"reason: choose one of {', '.join(BY_STAFF)}")
    if request.state in WORKING:
        raise ParameterError(
            "request_id: this request is being carried out at this moment and cannot be refused any more"
        )
    who = getattr(dag_run, "triggering_user_name", None)
    if not who:
        raise ParameterError(
            "a refusal takes two people, and Airflow does not say who fills in this form; use the page or "
            "the API, signed in"
        )
    facts = {"reason": form["reason"]}
    decision_id = decisions.ask("refusal", request, facts, runs.current_instant(), asked_by=str(who))
    log.info("decision %s asks a second person about request %s", decision_id, request.id)
    return str(decision_id)


def open_request_of(form: Mapping[str, Any]) -> RequestRow:
    """The open request that a form names, by the ledger's id or the platform's."""
    from include.privacy.ledger.errors import NotInLedger

    given = form.get("request_id")
    try:
        found = request_ids([given]) if given else None
        request = runtime().ledger().request(found[0]) if found else None
    except (ValueError, NotInLedger):
        request = None
    if request is None:
        raise ParameterError(
            "request_id: there is no such request; copy its id from the ledger or the platform"
        )
    if request.closed_at is not None:
        raise ParameterError(f"request_id: this request is closed ({request.state})")
    if request.joined_to is not None:
        raise ParameterError(
            "request_id: this request joined another one of the same person; name that one: "
            f"{request.joined_to}"
        )
    return request


def _refuse(request: RequestRow, as_of: datetime) -> str:
    """Tell the person and close this request alone; whoever joined it still has time to verify."""
    reason = RefusalReason.insufficient_verification
    body = {"outcome": "refused", "reason": reason.value}
    telling.answer(request, "refused", body)

    def facts() -> Facts:
        from include.privacy.letters.facts import Refused

        return Refused(**telling.head(request), reason=reason)

    if not telling.tell(request, "refused", facts, as_of):
        return LETTER_FOLLOWS
    ledger = runtime().ledger()
    ledger.close_request(request.id, "refused", None, body, as_of, reason=reason.value, alone=True)
    return "refused"
