"""What a request carries with it: letters, archives, decisions, recipients, reminders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from include.privacy.ledger import Ledger, LedgerError

from .conftest import AS_OF, LedgerDatabase, receive

DAY = timedelta(days=1)


def ask(ledger: Ledger, request: UUID, asked_by: str | None = None) -> UUID:
    return ledger.ask_decision(
        "refusal", request, {"rule": "P6.3"}, ["refuse", "go_on"], "go_on", AS_OF, AS_OF + DAY, asked_by
    )


def test_a_letter_is_claimed_once_whoever_comes_at_once(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(4) as pool:
        request = receive(ledger, "42")
        claims = list(pool.map(lambda _: ledger.claim_letter(request, "received", AS_OF), range(4)))
        assert len([claim for claim in claims if claim]) == 1


def test_what_became_of_a_letter_is_on_record(ledger: Ledger, database: LedgerDatabase) -> None:
    request = receive(ledger, "42")
    first = ledger.claim_letter(request, "received", AS_OF)
    assert first is not None
    ledger.settle_letter(request, "received", "uncertain", AS_OF)
    assert [row.kind for row in ledger.unsettled_letters(AS_OF)] == ["received"]
    assert ledger.unsettled_letters(AS_OF - DAY) == []
    again = ledger.claim_letter_again(request, "received", AS_OF + DAY)
    assert (again.reference, again.attempts) == (first.reference, 2)
    ledger.settle_letter(request, "received", "sent", AS_OF + DAY, "message-1")
    assert ledger.unsettled_letters(AS_OF + 2 * DAY) == []
    assert [(row.state, row.provider_id) for row in ledger.letters(request)] == [("sent", "message-1")]
    assert [body["state"] for body in database.evidence("letter")] == ["uncertain", "sent"]


def test_requests_that_joined_have_their_own_letters_and_closed_ones_none(ledger: Ledger) -> None:
    first, joined = receive(ledger, "42"), receive(ledger, "42")
    closed = receive(ledger, "43", external_id="e-1")
    ledger.withdraw_request("e-1")
    assert set(ledger.requests_without_letter("received")) == {first, joined}
    ledger.claim_letter(first, "received", AS_OF)
    assert ledger.requests_without_letter("received") == [joined]
    assert closed not in ledger.requests_without_letter("completed")


def test_an_archive_is_on_record_before_it_is_written_and_until_it_is_gone(ledger: Ledger) -> None:
    request = receive(ledger, "42", right="access")
    lost = ledger.intend_archive(request, "archives", AS_OF, AS_OF + 7 * DAY)
    assert ledger.expired_archives(AS_OF) == []
    kept = ledger.intend_archive(request, "archives", AS_OF, AS_OF + 7 * DAY)
    assert [row.id for row in ledger.expired_archives(AS_OF)] == [lost], "the interrupted one is replaced"
    ledger.record_archive_deleted(lost, AS_OF)
    ledger.record_archive(kept, "archives/1.zip", "v1", 5_000, "0" * 64)
    assert ledger.expired_archives(AS_OF + 6 * DAY) == []
    assert ledger.revoke_archives(request, AS_OF + DAY, "revoked") == 1
    assert [row.id for row in ledger.expired_archives(AS_OF + DAY)] == [kept]
    ledger.record_archive_deleted(kept, AS_OF + DAY)
    assert [row.delete_reason for row in ledger.archives(request)] == ["replaced", "revoked"]


def test_a_question_is_put_once_and_answered_once(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    question = ask(ledger, request)
    assert ask(ledger, request) == question
    assert [ledger.present_decision(question, AS_OF) for _ in range(2)] == [True, False]
    with pytest.raises(LedgerError, match="refuse, go_on"):
        ledger.answer_decision(question, "maybe", None, "counsel", AS_OF)
    for _ in range(2):
        assert ledger.answer_decision(question, "refuse", "unfounded", "counsel", AS_OF).answer == "refuse"
    with pytest.raises(LedgerError, match="already answered"):
        ledger.answer_decision(question, "go_on", None, "counsel", AS_OF)
    row = ledger.decision(question)
    assert (row.reasons, row.decided_by, row.by_default) == ("unfounded", "counsel", False)
    assert "unfounded" not in repr(row) and "counsel" not in repr(row)
    assert ledger.decisions(open_only=True) == []


def test_whoever_wants_a_refusal_cannot_confirm_it(ledger: Ledger) -> None:
    question = ask(ledger, receive(ledger, "42"), "first.officer")
    with pytest.raises(LedgerError, match="second person"):
        ledger.answer_decision(question, "refuse", "because", "first.officer", AS_OF)
    assert ledger.answer_decision(question, "refuse", "because", "second.officer", AS_OF).answer == "refuse"


def test_silence_takes_the_default(ledger: Ledger) -> None:
    question = ask(ledger, receive(ledger, "42"))
    assert ledger.answer_decision(question, "go_on", None, None, AS_OF).by_default is True


def test_a_default_must_be_one_of_the_options(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="the_default_is_one_of_the_options"):
        ledger.ask_decision("refusal", receive(ledger, "42"), {}, ["a", "b"], "c", AS_OF, AS_OF)


def test_a_recipient_is_open_until_it_is_settled(ledger: Ledger, database: LedgerDatabase) -> None:
    request = receive(ledger, "42")
    for _ in range(2):
        ledger.record_recipient(request, "stripe", "pending", AS_OF + 90 * DAY, {"charges": 2})
    ledger.record_recipient(request, "accounts", "erased")
    assert {row.recipient: row.open for row in ledger.recipients(request)} == {
        "accounts": False,
        "stripe": True,
    }
    ledger.record_recipient(request, "stripe", "redacted", None, {"charges": 2})
    assert not any(row.open for row in ledger.recipients(request))
    assert len(database.evidence("recipient")) == 3
    with pytest.raises(Exception, match="recipient_outcome_state_check"):
        ledger.record_recipient(request, "stripe", "probably")


def test_a_reminder_is_given_once_for_each_due_date(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    assert [ledger.remind_once(request, "half", AS_OF) for _ in range(2)] == [True, False]
    assert ledger.remind_once(request, "half", AS_OF + DAY), "an extension begins anew"


def test_an_extension_moves_the_due_date_and_says_why(ledger: Ledger, database: LedgerDatabase) -> None:
    request = receive(ledger, "42")
    later = AS_OF + 80 * DAY
    for _ in range(2):
        ledger.extend_request(request, later, {"gdpr": later}, "three accounts, ten years")
    row = ledger.request(request)
    assert (row.state, row.due_at, row.due) == ("extended", later, {"gdpr": later.isoformat()})
    assert len(database.evidence("request_extended")) == 1
    with pytest.raises(LedgerError, match="forward"):
        ledger.extend_request(request, AS_OF, {}, "no")


def test_only_an_identical_request_joins(ledger: Ledger) -> None:
    first = receive(ledger, "42", right="objection", details={"purpose": "marketing"})
    same = receive(ledger, "42", right="objection", details={"purpose": "marketing"})
    other = receive(ledger, "42", right="objection", details={"purpose": "analytics"})
    assert ledger.request(same).joined_to == first
    assert ledger.request(other).joined_to is None
    assert {row.id for row in ledger.requests_of("42")} == {first, same, other}
    assert ledger.requests_of("42", ["erasure"]) == []


def test_an_agent_is_kept_apart_from_the_person(ledger: Ledger) -> None:
    request = ledger.receive_request(
        "e-1", "access", "42", AS_OF, None, "letter", {}, AS_OF, agent={"name": "The Agency"}
    )
    row = ledger.request(request)
    assert row.agent == {"name": "The Agency"} and "Agency" not in repr(row)
    ledger.withdraw_request("e-1")
    assert ledger.request(request).agent is None


def test_each_step_says_who_took_it_under_which_promise_and_policy(database: LedgerDatabase) -> None:
    with Ledger_of(database) as ledger:
        receive(ledger, "42", external_id="e-1", verified=False)
        ledger.verify_request("e-1", AS_OF, {"method": "session"}, by="api")
    steps = database.evidence("request_state")
    assert [(s["from"], s["to"], s["by"]) for s in steps] == [
        ("received", "acknowledged", "engine"),
        ("acknowledged", "verifying", "engine"),
        ("verifying", "assessing", "api"),
    ]
    assert {(s["promise"], s["policy"]) for s in steps} == {("P6.3", "2026-10")}


def Ledger_of(database: LedgerDatabase) -> Ledger:
    from .conftest import MASTER_KEY

    return Ledger(database.dag_dsn, MASTER_KEY, "2026-10")
