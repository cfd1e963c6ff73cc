"""Questions that only the person can answer, and what happens when they do not."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.clock import due_at, parse_instant
from include.privacy.letters.reasons import Question
from include.privacy.requests import telling
from include.privacy.requests.answering import finish
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.letters.kinds import Facts

log = logging.getLogger(__name__)

ASKED, ENDED = "person_asked", "person_question_ended"


class QuestionsOpenError(RuntimeError):
    """Some unanswered questions could not be dealt with; the message has counts only."""


def ask_person(request: RequestRow, question: str, answer_url: str, as_of: datetime) -> bool:
    """Ask the person one of the questions of ``calendar.yaml``; the request waits. False: call again.

    Raises ``KeyError`` for a question that the calendar does not know.
    """
    days = runtime().config().calendar.questions[question].days
    answer_by = min(due_at(as_of, days), request.due_at)
    ledger = runtime().ledger()
    if _open_question(request) is None:
        body = {"question": question, "answer_by": answer_by}
        ledger.append_evidence(ASKED, body, request_id=request.id)
        ledger.transition_all([request.id], "awaiting_decision", "the person was asked something")
    telling.answer(request, "question", {"question": question, "answer_by": answer_by.isoformat()})

    def facts() -> Facts:
        from include.privacy.letters.facts import DecisionNeeded

        return DecisionNeeded(
            **telling.head(request),
            question=Question(question),
            answer_url=answer_url,
            answer_by=telling.day(answer_by),
        )

    return telling.tell(request, "decision_needed", facts, as_of)


def answered(request: RequestRow) -> None:
    """The person has answered: the request goes on. What they said is for the caller to keep."""
    _end(request, "answered")


def expire_unanswered(ledger_run: str) -> dict[str, int]:
    """Questions whose time is over: the request ends or goes on, as ``calendar.yaml`` says for each."""
    ledger, as_of = runtime().ledger(), read_run(ledger_run).as_of
    counts: Counter[str] = Counter()
    for request in ledger.requests(["awaiting_decision"]):
        asked = _open_question(request)
        if asked is None or parse_instant(asked["answer_by"]) >= as_of:
            continue
        try:
            counts[_unanswered(request, str(asked["question"]), as_of)] += 1
        except Exception as error:
            log.exception("request %s could not be ended: %s", request.id, type(error).__name__)
            counts["failed"] += 1
    log.info("unanswered questions: %s", dict(counts) or "none")
    if counts["failed"]:
        raise QuestionsOpenError(
            f"{counts['failed']} unanswered questions could not be dealt with; the next hour tries again"
        )
    return dict(counts)


def _unanswered(request: RequestRow, question: str, as_of: datetime) -> str:
    rule = runtime().config().calendar.questions.get(question)
    if rule is None or rule.unanswered == "go_on":
        _end(request, "unanswered")
        return "goes_on"
    body = {"outcome": "expired", "reason": "no_answer"}

    def facts() -> Facts:
        from include.privacy.letters.facts import Expired

        return Expired(**telling.head(request), because="no_answer", expired_on=telling.day(as_of))

    return finish(request, "expired", body, "expired", facts, as_of, reason="no_answer")


def _open_question(request: RequestRow) -> dict[str, Any] | None:
    ledger = runtime().ledger()
    asked = ledger.evidence(request_id=request.id, kind=ASKED)
    ended = ledger.evidence(request_id=request.id, kind=ENDED)
    return dict(asked[-1].body) if len(asked) > len(ended) else None


def _end(request: RequestRow, how: str) -> None:
    ledger = runtime().ledger()
    if _open_question(request) is None:
        return
    ledger.append_evidence(ENDED, {"how": how}, request_id=request.id)
    if ledger.request(request.id).state == "awaiting_decision":
        ledger.transition(request.id, "assessing", f"the question to the person: {how}")
