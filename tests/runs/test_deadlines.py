"""The watch over due dates: reminders once, roles told, the unverified refused, what is late is loud."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from include.privacy import runtime as runtimes
from include.privacy.ledger import Ledger
from include.privacy.policy.loading import load_config
from include.privacy.requests import deadlines, decisions, escalating, questions
from include.privacy.requests.opening import UNKNOWN
from include.privacy.runtime import Runtime, runtime
from include.sandbox.processors.mailbox import read_mailbox
from tests.runs.conftest import Estate
from tests.runs.opened import letters_of, opened

pytestmark = pytest.mark.timeout(150)

DAG = "watch_request_deadlines"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def watch(estate: Estate, at: datetime) -> Any:
    return estate.run(DAG, as_of=at)


def ledger_run(estate: Estate, at: datetime) -> str:
    return str(estate.ledger.open_run("request_deadlines", uuid4().hex, at, False, "2026-10", "0" * 64))


def part_of_the_time(estate: Estate, request: UUID, share: float) -> datetime:
    row = estate.ledger.request(request)
    return row.received_at + (row.due_at - row.received_at) * share


def reminded(estate: Estate, request: UUID) -> list[str]:
    return [row.body["reminder"] for row in estate.ledger.evidence(request_id=request, kind="deadline")]


def told(estate: Estate) -> dict[str, int]:
    rows = estate.ledger.evidence(kind=escalating.KIND)
    return {row.body["role"]: len(row.body["requests"]) for row in rows}


def test_a_reminder_is_given_once_and_the_roles_are_told(
    estate: Estate, caplog: pytest.LogCaptureFixture
) -> None:
    request, fresh = opened(estate, 3), opened(estate, 4, received_at=estate.as_of + 10 * DAY)
    late = part_of_the_time(estate, request, 0.8)
    run = watch(estate, late)
    assert run.state == "success", estate.states(run)
    assert reminded(estate, request) == ["0.5", "0.75"], "the watch was down: both are given"
    assert reminded(estate, fresh) == []
    assert told(estate) == {"privacy_team": 1, "head_of_engineering": 1}, "of the last one"
    (line, *_) = [m for m in caplog.messages if m.startswith("privacy deadline: ")]
    assert str(request) in line and "access assessing due 2026-12-10 (4 days left)" in line

    again = watch(estate, late + HOUR)
    assert again.state == "success"
    assert reminded(estate, request) == ["0.5", "0.75"]
    assert len(estate.ledger.evidence(kind=escalating.KIND)) == 2


@pytest.mark.whole_dag
def test_what_is_overdue_is_a_breach_and_red_and_stays_open(estate: Estate) -> None:
    access, erasure = opened(estate, 3), opened(estate, 4, "erasure")
    row = estate.ledger.request(access)
    run = watch(estate, row.due_at + HOUR)
    assert run.state == "failed"
    states = estate.states(run)
    assert states.pop("report") == ["failed"]
    others = {state for found in states.values() for state in found}
    assert others <= {"success", "skipped"}, "everything else was done first"
    breaches = {b.store: b for b in estate.ledger.open_breaches()}
    assert {b.rule for b in breaches.values()} == {"P6.6"} and set(breaches) == {"access", "erasure"}
    assert (breaches["access"].count, breaches["access"].oldest_overdue) == (1, HOUR)
    assert "law's period as well: 0" in breaches["access"].note
    assert {estate.ledger.request(r).state for r in (access, erasure)} == {"assessing"}

    run_id = ledger_run(estate, row.due_at + 30 * DAY)
    with pytest.raises(deadlines.OverdueError, match=r"'access': 1.*'erasure': 1") as told_so:
        deadlines.report(run_id, {}, {}, {}, {}, {})
    assert str(access) not in str(told_so.value)
    assert {"past the law's period as well: 1; states: assessing 1"} == {
        b.note for b in estate.ledger.open_breaches()
    }

    for request in (access, erasure):
        estate.ledger.withdraw_request(estate.ledger.request(request).external_id)
    assert watch(estate, row.due_at + 2 * HOUR).state == "success"
    assert estate.ledger.open_breaches() == []


def test_what_nobody_verified_is_refused_when_it_is_due_and_told_in_time(estate: Estate) -> None:
    request = opened(estate, 3, verified=False)
    joined = opened(estate, 3, verified=False, received_at=estate.as_of + DAY)
    unknown = opened(estate, 0, subject=f"{UNKNOWN}nobody", verified=False)
    due = estate.ledger.request(request).due_at
    early = watch(estate, due - 2 * HOUR)
    assert early.state == "success"
    assert estate.ledger.request(request).state == "verifying"

    run = watch(estate, due - HOUR / 2)
    assert run.state == "success", estate.states(run)
    row = estate.ledger.request(request)
    assert (row.state, row.reason) == ("refused", "insufficient_verification")
    assert row.closed_at is not None and row.closed_at <= due
    assert estate.ledger.request(unknown).state == "refused", "the same way, without a letter"
    (letter,) = letters_of(estate, request)
    assert "We could not make sure that this request came from you" in letter.text
    assert letters_of(estate, unknown) == []
    kinds = {a["kind"]: a["body"] for a in estate.answers()}
    assert kinds == {"access_refused": {"outcome": "refused", "reason": "insufficient_verification"}}
    assert estate.ledger.request(joined).state == "verifying", "it has a day more"
    assert estate.value("accounts", "SELECT count(*) FROM privacy_inbox WHERE taken_at IS NULL") == 0


def test_a_provider_that_is_down_stops_nothing_else_and_the_next_hour_goes_on(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.mail.sendgrid import SendGridMail

    unverified, other = opened(estate, 3, verified=False), opened(estate, 4)
    due = estate.ledger.request(unverified).due_at

    def down(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    with monkeypatch.context() as broken:
        broken.setattr(SendGridMail, "send", down)
        run = watch(estate, due - HOUR / 2)
    assert run.state == "failed"
    assert estate.states(run)["refuse_unverified"] == ["failed"]
    assert reminded(estate, other) == ["0.5", "0.75", "0.9"]
    summary = estate.ledger.latest_run("request_deadlines").summary
    assert summary["undone"] == ["unverified"]
    row = estate.ledger.request(unverified)
    estate.ledger.verify_request(row.external_id, due)
    assert estate.ledger.request(unverified).state == "verifying", "the person was told in the app already"

    after = watch(estate, due + HOUR)
    assert after.state == "failed", "the other one is overdue"
    assert estate.ledger.request(unverified).state == "refused"
    assert [b.count for b in estate.ledger.open_breaches()] == [1]


def test_a_decision_that_nobody_makes_takes_its_default(estate: Estate) -> None:
    request = opened(estate, 3)
    row = estate.ledger.request(request)
    asked = decisions.ask("refusal", row, {"reason": "duplicate"}, estate.as_of, asked_by="priya")
    answer_by = estate.ledger.decision(asked).answer_by
    assert answer_by == row.due_at - decisions.TIME_TO_ACT
    watch(estate, answer_by - HOUR)
    assert estate.ledger.request(request).state == "awaiting_decision"
    run = watch(estate, answer_by)
    assert run.state == "success", estate.states(run)
    made = estate.ledger.decision(asked)
    assert (made.answer, made.by_default, made.decided_by) == ("go_on", True, None)
    assert estate.ledger.request(request).state == "assessing"


def test_a_question_that_the_person_leaves_open_ends_the_request_only_where_that_is_configured(
    estate: Estate,
) -> None:
    url = "https://practice-engine.example/privacy/answer"
    ended, goes_on, answered = opened(estate, 3), opened(estate, 4), opened(estate, 5)
    for request, question in (
        (ended, "unclear_correction"),
        (goes_on, "several_accounts"),
        (answered, "several_accounts"),
    ):
        for _ in range(2):
            assert questions.ask_person(estate.ledger.request(request), question, url, estate.as_of)
        assert estate.ledger.request(request).state == "awaiting_decision"
    questions.answered(estate.ledger.request(answered))
    assert estate.ledger.request(answered).state == "assessing"
    after = estate.as_of + 10 * DAY + HOUR
    assert questions.expire_unanswered(ledger_run(estate, estate.as_of + 6 * DAY)) == {}
    assert questions.expire_unanswered(ledger_run(estate, after)) == {"expired": 1, "goes_on": 1}
    assert questions.expire_unanswered(ledger_run(estate, after)) == {}
    row = estate.ledger.request(ended)
    assert (row.state, row.reason) == ("expired", "no_answer")
    assert [mail.subject for mail in letters_of(estate, ended)][-1] == (
        "Your request for a copy of your data has ended"
    )
    assert estate.ledger.request(goes_on).state == "assessing"
    with pytest.raises(KeyError):
        questions.ask_person(estate.ledger.request(goes_on), "favourite_colour", url, estate.as_of)


def test_a_role_with_a_connection_gets_one_mail_with_ids_and_dates_only(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = opened(estate, 3)
    config = load_config()
    roles = dict(config.calendar.roles)
    roles["privacy_team"] = roles["privacy_team"].model_copy(update={"connection": "privacy_team_mail"})
    roles["head_of_engineering"] = roles["privacy_team"].model_copy(update={"connection": "nobody"})
    changed = replace(config, calendar=config.calendar.model_copy(update={"roles": roles}))
    address = f"team-{uuid4().hex[:8]}@practice-engine.example"
    monkeypatch.setenv("AIRFLOW_CONN_PRIVACY_TEAM_MAIL", json.dumps({"conn_type": "email", "login": address}))
    with runtimes.use_runtime(Runtime(load=lambda: changed)):
        run = ledger_run(estate, part_of_the_time(estate, request, 0.8))
        assert deadlines.remind(run) == {"0.5": 1, "0.75": 1}
        for _ in range(2):
            with pytest.raises(escalating.RolesNotToldError, match="to: head_of_engineering;"):
                escalating.escalate(run)
        runtime().ledger().close()
    (mail,) = [m for m in read_mailbox(estate.world) if m.to == address]
    assert mail.subject == "Privacy requests: 1 to look at, 0 overdue"
    assert str(request) in mail.text and str(request) in mail.html
    (evidence,) = estate.ledger.evidence(kind=escalating.KIND)
    assert evidence.body == {"role": "privacy_team", "requests": [str(request)], "mail": "sent"}


def test_a_crash_between_reminding_and_telling_loses_no_reminder(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(estate, 3)
    second = opened(estate, 4)
    run = ledger_run(estate, part_of_the_time(estate, second, 0.6))
    real = Ledger.remind_once

    def dies_at_the_second(self: Ledger, request_id: UUID, name: str, due_at: datetime) -> bool:
        if estate.ledger.reminders():
            raise OSError("the worker is gone")
        return real(self, request_id, name, due_at)

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "remind_once", dies_at_the_second)
        with pytest.raises(OSError, match="gone"):
            deadlines.remind(run)
    assert deadlines.remind(run) == {"0.5": 1}
    assert escalating.escalate(run) == {"privacy_team": 2}
    assert escalating.escalate(run) == {"privacy_team": 2}, "told once"
    assert told(estate) == {"privacy_team": 2}
