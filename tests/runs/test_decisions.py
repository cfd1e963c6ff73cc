"""Decisions of the privacy team: asked in a run of their own, written into the ledger, carried out once."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from include.privacy.__main__ import main
from include.privacy.requests import asking, command_line, deciding, decisions, extending, refusing
from include.privacy.requests.decisions import CannotStandError, Reasons
from include.privacy.requests.due_dates import DueDates
from include.privacy.steps import runs
from include.privacy.steps.runs import ParameterError
from tests.runs.conftest import Estate
from tests.runs.opened import letters_of, opened
from tests.runs.people_in_the_loop import answering, run_ids, shown_body

if TYPE_CHECKING:
    from include.privacy.ledger.rows import DecisionRow

pytestmark = pytest.mark.timeout(150)

DAY = timedelta(days=1)
FORMS = {"refusal": "refuse_subject_request", "extension": "extend_subject_request"}
At = Callable[[datetime], None]


@pytest.fixture
def at(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> At:
    """Sets the clock on the wall; it stands at the estate's instant."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(runs, "current_instant", lambda: moment)

    set_clock(estate.as_of)
    return set_clock


def propose(estate: Estate, kind: str, request: UUID, reason: str) -> DecisionRow:
    """Fill in the form as Airflow's user ``dag_test``, and return the question."""
    run = estate.run(FORMS[kind], {"request_id": str(request), "reason": reason})
    assert run.state == "success", estate.states(run)
    (asked,) = estate.ledger.decisions(request_id=request, open_only=True)
    return asked


def put(estate: Estate) -> set[str]:
    """Run the feeder; returns the ids of the runs that it started."""
    before = run_ids("decide_subject_request")
    run = estate.run("ask_decisions")
    assert run.state == "success", estate.states(run)
    return run_ids("decide_subject_request") - before


def answer(estate: Estate, asked: DecisionRow, option: str, user: str = "priya") -> dict[str, list[str]]:
    """Have a person answer in the run that asks; returns the state of each task."""
    with answering("decide", [option], user):
        run = estate.run("decide_subject_request", {"decision_id": str(asked.id)})
    assert "@" not in shown_body(run)
    return estate.states(run)


def test_a_refusal_is_proposed_by_one_and_confirmed_by_another_person(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "too_many_requests")
    assert estate.ledger.request(request).state == "awaiting_decision"
    assert put(estate) == {f"decision__{asked.id}"}
    assert put(estate) == set(), "nothing is asked twice"

    states = answer(estate, asked, "refuse", "dag_test")
    assert states["write_decision"] == ["failed"]
    assert states["ask_again"] == ["success"]
    assert states["ring"] == ["upstream_failed"]
    assert estate.ledger.decision(asked.id).answer is None
    assert put(estate) == {f"decision__{asked.id}__1"}, "it is asked again, under an id of its own"

    states = answer(estate, asked, "refuse")
    assert states["carry_out"] == states["ring"] == ["success"]
    row = estate.ledger.request(request)
    assert (row.state, row.reason, row.subject_key) == ("refused", "too_many_requests", None)
    made = estate.ledger.decision(asked.id)
    assert (made.decided_by, made.by_default) == ("priya", False)
    (told,) = estate.answers()
    assert (told["kind"], told["body"]["reason"]) == ("access_refused", "too_many_requests")
    assert [mail.subject for mail in letters_of(estate, request)] == [
        "We cannot fulfil your request for a copy of your data"
    ]
    assert answer(estate, asked, "go_on")["decide"] in ([], ["skipped"]), "nothing is left to be asked"


def test_a_request_that_may_not_be_refused_goes_on(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    answer(estate, propose(estate, "refusal", request, "duplicate"), "go_on")
    assert estate.ledger.request(request).state == "assessing"
    assert estate.answers() == []


def test_a_reason_that_needs_an_explanation_gets_it_from_the_command_line_and_not_from_airflow(
    estate: Estate, at: At, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "excessive")
    assert answer(estate, asked, "refuse")["write_decision"] == ["failed"]
    assert main(["decide", str(asked.id)]) == 0
    assert "| reason | excessive |" in capsys.readouterr().out
    for more, match in (
        (["--answer", "refuse"], "needs an explanation"),
        (["--answer", "perhaps"], "answer one of: refuse, go_on"),
        (["--answer", "refuse", "--reasons-file", "no-such-file"], "cannot be read"),
    ):
        assert main(["decide", str(asked.id), *more]) == 1
        assert match in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("You asked 400 times this week.\n"))
    assert main(["decide", str(asked.id), "--answer", "refuse", "--reasons-file", "-"]) == 0
    assert estate.ledger.request(request).state == "awaiting_decision"
    put(estate)
    assert estate.ledger.request(request).state == "refused"
    assert "You asked 400 times this week." in letters_of(estate, request)[-1].text
    assert estate.ledger.decision(asked.id).decided_by == command_line.who_is_here()


def test_what_cannot_be_refused_by_form_is_said_and_asked_of_nobody(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    form = {"request_id": str(request), "reason": "duplicate"}

    def refused(match: str, **changes: str) -> None:
        with pytest.raises(ParameterError, match=match):
            refusing.refuse_by_form(params=form | changes, dag_run=None)

    refused("no such request", request_id="00000000-0000-4000-8000-000000000009")
    refused("no such request", request_id="not an id")
    refused("choose one of", reason="insufficient_verification")
    refused("takes two people")
    run = estate.ledger.open_run("access_requests", "k", estate.as_of, False, "2026-10", "0" * 64)
    estate.ledger.claim_requests(run, "access")
    refused("being carried out")
    joined = opened(estate, 3)
    refused(f"joined another one.*{request}", request_id=str(joined))
    estate.ledger.close_request(request, "completed", None, {}, estate.as_of)
    refused("is closed")
    assert estate.ledger.decisions() == []


def test_an_extension_inside_the_window_is_approved_and_told(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    before = estate.ledger.request(request).due_at
    asked = propose(estate, "extension", request, "complexity")
    assert estate.ledger.request(request).state == "assessing", "the work goes on meanwhile"
    answer(estate, asked, "extend", "dag_test")
    row = estate.ledger.request(request)
    due = DueDates.model_validate(row.due)
    assert row.state == "extended" and row.due_at == due.law_at > before
    assert due.extension is not None and due.beyond_promise
    (told,) = estate.answers()
    assert told["kind"] == "access_extended"
    (letter,) = letters_of(estate, request)
    assert letter.subject.startswith("We need more time") and "is complex" in letter.text
    with pytest.raises(ParameterError, match="allows it once"):
        extending.extend_by_form(params={"request_id": str(request), "reason": "complexity"})


def test_an_extension_after_its_window_is_neither_proposed_nor_carried_out(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "extension", request, "number_of_requests")
    row = estate.ledger.request(request)
    closes = extending.window(DueDates.model_validate(row.due))
    decisions.decide(asked, "extend", Reasons(), "priya", estate.as_of)
    at(closes + timedelta(seconds=1))
    assert deciding.carry_out(dag_run=_AnyRun()) == {"too_late": 1}
    assert estate.ledger.request(request).due_at == row.due_at
    with pytest.raises(ParameterError, match=f"period of gdpr ended at {closes.date()}"):
        extending.extend_by_form(params={"request_id": str(request), "reason": "complexity"})
    assert estate.ledger.decisions(open_only=True) == []


def test_a_crash_between_the_answer_and_its_effect_is_made_up_for(
    estate: Estate, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "duplicate")

    def crash(ledger_run: str) -> dict[str, int]:
        raise OSError("the worker is gone")

    with monkeypatch.context() as broken:
        broken.setattr(deciding, "apply_decisions", crash)
        states = answer(estate, asked, "refuse")
    assert states["write_decision"] == ["success"]
    assert states["carry_out"] == ["failed"]
    assert estate.ledger.request(request).state == "awaiting_decision"
    put(estate)
    put(estate)
    assert estate.ledger.request(request).state == "refused"
    assert len(letters_of(estate, request)) == len(estate.answers()) == 1


def test_a_crash_in_the_middle_of_a_refusal_tells_nobody_twice(
    estate: Estate, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.ledger import Ledger

    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "duplicate")
    decisions.decide(asked, "refuse", Reasons(), "priya", estate.as_of)

    def crash(*_: object, **__: object) -> None:
        raise OSError("the worker is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "close_request", crash)
        with pytest.raises(deciding.DecisionsOpenError, match="1 of 1"):
            deciding.carry_out(dag_run=_AnyRun())
    assert estate.ledger.request(request).state == "awaiting_decision"
    put(estate)
    assert estate.ledger.request(request).state == "refused"
    assert len(letters_of(estate, request)) == len(estate.answers()) == 1


def test_an_exception_ends_in_a_hold_or_in_the_erasure(estate: Estate, at: At) -> None:
    held, erased = opened(estate, 3, "erasure"), opened(estate, 4, "erasure")
    for request, what in ((held, "hold"), (erased, "erase")):
        asked = decisions.ask(
            "exception", estate.ledger.request(request), {"rows": {"audit": 2}}, estate.as_of
        )
        assert estate.ledger.request(request).state == "awaiting_decision"
        decisions.decide(estate.ledger.decision(asked), what, Reasons(), "priya", estate.as_of)
    assert deciding.carry_out(dag_run=_AnyRun()) == {"held": 1, "goes_on": 1}
    (hold,) = estate.ledger.hold_rows()
    assert (hold.matter, hold.scope, hold.placed_by) == (str(held), "subject", "priya")
    assert estate.ledger.request(held).state == "on_hold"
    assert estate.ledger.request(erased).state == "assessing"
    made = decisions.answer_of(erased, "exception")
    assert made is not None and made.answer == "erase"
    assert decisions.answer_of(erased, "refusal") is None


def test_an_erasure_that_somebody_must_look_at_waits_is_held_and_ends_after_the_release(
    estate: Estate, at: At
) -> None:
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        found = accounts.execute(
            """UPDATE invoices SET paid_at = NULL WHERE id = (
                   SELECT min(i.id) FROM invoices i JOIN accounts a ON a.id = i.account_id
                   WHERE a.status = 'active' AND a.id < 900000000)
               RETURNING account_id"""
        ).fetchone()
        assert found is not None
        account = found[0]
    request = opened(estate, 0, "erasure", subject=str(account))
    assert estate.run("fulfil_erasure_requests").state == "success"
    (asked,) = estate.ledger.decisions(request_id=request)
    assert asked.kind == "exception" and asked.facts["rows"]["invoices"] > 0
    assert answer(estate, asked, "hold")["ring"] == ["success"]
    assert estate.ledger.request(request).state == "on_hold"
    later = estate.as_of + timedelta(minutes=15)
    at(later + timedelta(minutes=15))
    assert estate.run("fulfil_erasure_requests", as_of=later).state == "success"
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", account) == 1
    (hold,) = estate.ledger.hold_rows()
    assert estate.run("release_legal_hold", {"hold_id": str(hold.id)}).state == "success"
    run = estate.run("fulfil_erasure_requests", as_of=later + timedelta(minutes=15))
    assert run.state == "success", estate.states(run)
    estate.settle(as_of=later + timedelta(minutes=15))
    assert estate.ledger.request(request).state == "completed_with_retention", "decided once is decided"


def test_an_objection_goes_on_only_for_compelling_grounds(estate: Estate, at: At) -> None:
    request = opened(estate, 3, "objection", details={"purposes": ["personalize.content"]})
    asked = decisions.ask(
        "objection", estate.ledger.request(request), {"purposes": ["personalize"]}, estate.as_of
    )
    question = estate.ledger.decision(asked)
    assert decisions.choices(question)[:2] == ["stop", "continue: legal_claims"]
    with pytest.raises(CannotStandError, match="fraud_prevention"):
        decisions.decide(question, "continue", Reasons(), "priya", estate.as_of)
    assert answer(estate, question, "continue: security")["ring"] == ["success"]
    made = decisions.answer_of(request, "objection")
    assert made is not None
    assert (made.answer, Reasons.of(made.reasons).grounds) == ("continue", "security")
    assert estate.ledger.request(request).state == "assessing"


def test_a_page_whose_time_has_run_out_takes_the_ledgers_default(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "duplicate")
    params = {"decision_id": str(asked.id)}
    (shown,) = asking.question(params=params)
    assert shown["defaults"] == ["go_on"]
    assert shown["response_timeout"] == asked.answer_by - estate.as_of
    silence = [{"chosen_options": shown["defaults"], "params_input": {}, "responded_by_user": None}]
    assert asking.write_decision(silence, params=params) == "go_on"
    assert asking.write_decision(silence, params=params) == "go_on"
    assert estate.ledger.decision(asked.id).by_default is True
    late = [{"chosen_options": ["refuse"], "responded_by_user": {"id": "7", "name": "priya"}}]
    with pytest.raises(CannotStandError, match="already answered: go_on"):
        asking.write_decision(late, params=params)
    with pytest.raises(ParameterError, match="not a decision's id"):
        asking.question(params={"decision_id": "x"})


def test_a_request_taken_back_while_somebody_was_asked_stays_closed(estate: Estate, at: At) -> None:
    request = opened(estate, 3)
    asked = propose(estate, "refusal", request, "duplicate")
    row = estate.ledger.request(request)
    estate.ledger.withdraw_request(row.external_id, estate.as_of)
    assert put(estate) == set()
    decisions.decide(asked, "refuse", Reasons(), "priya", estate.as_of)
    assert deciding.carry_out(dag_run=_AnyRun()) == {}
    assert estate.ledger.request(request).state == "withdrawn"
    assert estate.answers() == [] and letters_of(estate, request) == []


class _AnyRun:
    dag_id, run_id = "ask_decisions", "test"


def test_a_refused_erasure_leaves_nobody_restricted(estate: Estate) -> None:
    from include.privacy.letters.reasons import RefusalReason
    from include.privacy.requests import restricting
    from include.privacy.requests.answering import refuse

    request = opened(estate, 4, "erasure")
    account = estate.ledger.request(request).subject_key
    count = "SELECT count(*) FROM privacy_restrictions WHERE account_id = %s"
    restricting.restrict([str(account)], estate.as_of)
    assert estate.value("accounts", count, account) == 1
    assert refuse(estate.ledger.request(request), RefusalReason.too_many_requests, estate.as_of) == "refused"
    assert estate.value("accounts", count, account) == 0
