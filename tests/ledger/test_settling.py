"""Decisions on their way, refusals for want of verification, and who leads when a request ends alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from include.privacy.ledger import Ledger, NotInLedger

from .conftest import AS_OF, LedgerDatabase, receive

DAY = timedelta(days=1)


def ask(ledger: Ledger, request: UUID, kind: str = "refusal") -> UUID:
    options = {
        "refusal": ("refuse", "go_on"),
        "extension": ("extend", "keep"),
        "exception": ("erase", "hold"),
    }
    return ledger.ask_decision(kind, request, {}, options[kind], options[kind][1], AS_OF, AS_OF + DAY)


def waiting(ledger: Ledger, subject: str = "42") -> UUID:
    request = receive(ledger, subject)
    ledger.transition(request, "awaiting_decision", None)
    return request


def test_an_open_question_is_put_once_and_again_only_when_it_has_to_be(ledger: Ledger) -> None:
    question = ask(ledger, waiting(ledger))
    assert [(row.id, again) for row, again in ledger.decisions_to_present(AS_OF)] == [(question, 0)]
    ledger.present_decision(question, AS_OF)
    assert ledger.decisions_to_present(AS_OF) == []
    assert ledger.ask_again(question, "the run has failed")
    assert ledger.ask_again(question, "twice at once"), "which changes nothing"
    assert [(row.id, again) for row, again in ledger.decisions_to_present(AS_OF)] == [(question, 1)]
    ledger.answer_decision(question, "go_on", None, "counsel", AS_OF)
    assert not ledger.ask_again(question, "too late")
    assert ledger.decisions_to_present(AS_OF) == []
    with pytest.raises(NotInLedger):
        ledger.ask_again(UUID(int=7), "")


def test_a_question_is_not_put_when_its_time_is_over_or_its_request_is_closed(ledger: Ledger) -> None:
    receive(ledger, "43", external_id="e-1")
    found = ledger.find_request("e-1")
    assert found is not None
    ask(ledger, found.id)
    assert ledger.decisions_to_present(AS_OF + DAY) == [], "its default is taken"
    ledger.withdraw_request("e-1")
    assert ledger.decisions_to_present(AS_OF) == []


def test_a_decision_waits_for_its_effect_and_has_it_once_whoever_comes_at_once(
    database: LedgerDatabase,
) -> None:
    with database.open() as ledger, ThreadPoolExecutor(4) as pool:
        request = waiting(ledger)
        question = ask(ledger, request)
        assert ledger.unapplied_decisions() == []
        ledger.answer_decision(question, "go_on", None, "counsel", AS_OF)
        assert [row.id for row in ledger.unapplied_decisions()] == [question]
        settled = list(pool.map(lambda _: ledger.settle_decision(question, "assessing", "goes_on"), range(4)))
        assert sorted(settled) == [False, False, False, True]
        assert ledger.request(request).state == "assessing"
        assert ledger.unapplied_decisions() == []
    assert [body["outcome"] for body in database.evidence("decision_applied")] == ["goes_on"]


def test_a_request_that_went_on_meanwhile_is_not_moved_back(ledger: Ledger) -> None:
    request = waiting(ledger)
    question = ask(ledger, request)
    ledger.answer_decision(question, "go_on", None, None, AS_OF)
    ledger.transition(request, "executing", None)
    assert ledger.settle_decision(question, "assessing", "goes_on")
    assert ledger.request(request).state == "executing"


def test_a_request_goes_on_waiting_while_another_question_is_open(ledger: Ledger) -> None:
    request = waiting(ledger)
    first, second = ask(ledger, request), ask(ledger, request, "exception")
    ask(ledger, request, "extension")
    for question, answer, state in ((first, "go_on", "awaiting_decision"), (second, "erase", "assessing")):
        ledger.answer_decision(question, answer, None, "counsel", AS_OF)
        ledger.settle_decision(question, "assessing", "goes_on")
        assert ledger.request(request).state == state


def test_nothing_is_left_to_do_for_a_closed_request(ledger: Ledger) -> None:
    request = waiting(ledger)
    ledger.answer_decision(ask(ledger, request), "refuse", None, "counsel", AS_OF)
    ledger.close_request(request, "refused", None, {}, AS_OF)
    assert ledger.unapplied_decisions() == []


def test_once_a_refusal_has_begun_no_verification_counts(ledger: Ledger) -> None:
    request = receive(ledger, "42", external_id="e-1", verified=False)
    token = ledger.issue_token(request, AS_OF, 9 * DAY)
    assert ledger.begin_refusal(request, AS_OF + DAY)
    assert ledger.begin_refusal(request, AS_OF + DAY), "the next run goes on with it"
    assert not ledger.redeem_token("e-1", token, AS_OF + DAY)
    ledger.verify_request("e-1", AS_OF + DAY)
    row = ledger.request(request)
    assert (row.state, row.verified_at, row.reason) == ("verifying", None, "insufficient_verification")


def test_what_was_verified_in_time_is_not_refused(ledger: Ledger) -> None:
    request = receive(ledger, "42", external_id="e-1", verified=False)
    ledger.verify_request("e-1", AS_OF)
    assert not ledger.begin_refusal(request, AS_OF + DAY)
    assert ledger.request(request).state == "assessing"


def test_a_refusal_begins_before_the_receipt_was_confirmed_as_well(ledger: Ledger) -> None:
    request = ledger.receive_request("e-1", "access", "42", AS_OF, None, "letter", {}, AS_OF)
    assert ledger.begin_refusal(request, AS_OF)
    ledger.acknowledge_request(request)
    ledger.verify_request("e-1", AS_OF)
    assert ledger.request(request).state == "verifying"


def test_who_joined_a_request_that_ends_alone_goes_on(ledger: Ledger) -> None:
    first = receive(ledger, "42", verified=False)
    heir, third = (receive(ledger, "42", verified=False, after=minutes) for minutes in (1, 2))
    ledger.close_request(first, "refused", None, {}, AS_OF, alone=True)
    assert ledger.request(first).state == "refused"
    assert ledger.request(heir).state == "verifying"
    assert ledger.request(third).joined_to == heir


def test_reminders_are_read_from_an_instant_on_and_of_open_requests_only(
    ledger: Ledger, run_id: UUID
) -> None:
    earlier = receive(ledger, "42")
    ledger.remind_once(earlier, "0.5", AS_OF)
    run = ledger.run(ledger.open_run("request_deadlines", "k", AS_OF, False, "2026-01", "0" * 64))
    later = receive(ledger, "43", external_id="e-1")
    ledger.remind_once(later, "0.75", AS_OF)
    assert {(row.request_id, row.name) for row in ledger.reminders()} == {(earlier, "0.5"), (later, "0.75")}
    assert [row.request_id for row in ledger.reminders(run.started_at)] == [later]
    ledger.withdraw_request("e-1")
    assert [row.request_id for row in ledger.reminders()] == [earlier]
