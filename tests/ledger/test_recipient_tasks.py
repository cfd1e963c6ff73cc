"""Tasks of processors: opened once, claimed by one, settled for good, and then nobody's any more."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from include.privacy.ledger import Ledger
from include.privacy.ledger.errors import NotInLedger
from include.privacy.ledger.recipient_results import TaskResult
from include.privacy.ledger.recipient_tasks import NewRecipientTask
from include.privacy.ledger.turns import NotOurTurn, turn

from .conftest import AS_OF, LedgerDatabase, new_run, receive

WHO = {"key": "7", "emails": ["jane@people.example"], "ids": {}, "memo": {}}


def _task(request: UUID | None = None, recipient: str = "stripe") -> NewRecipientTask:
    return NewRecipientTask(uuid4(), recipient, "erase", request, WHO)


def _result(task: UUID, state: str, **more: object) -> TaskResult:
    values: dict[str, object] = {"until": None, "next_at": None, "outcomes": (), "person": WHO} | more
    return TaskResult(task, state, **values)  # type: ignore[arg-type]


def test_a_task_is_opened_once_however_often_the_step_runs(ledger: Ledger) -> None:
    run, task = new_run(ledger), _task()
    assert ledger.open_recipient_tasks(run, [task, _task()], AS_OF) == 2
    assert ledger.open_recipient_tasks(run, [task], AS_OF) == 0
    assert ledger.due_recipients(AS_OF) == {"stripe": 2}


def test_what_one_has_claimed_no_other_gets_until_the_lease_is_over(ledger: Ledger) -> None:
    ledger.open_recipient_tasks(new_run(ledger), [_task(), _task(), _task(recipient="paypal")], AS_OF)
    mine = ledger.claim_recipient_tasks("stripe", AS_OF, limit=1)
    others = ledger.claim_recipient_tasks("stripe", AS_OF, limit=10)
    assert [len(mine), len(others)] == [1, 1]
    assert {t.id for t in mine}.isdisjoint(t.id for t in others)
    assert mine[0].person == WHO
    assert ledger.claim_recipient_tasks("stripe", AS_OF, limit=10) == []
    assert len(ledger.claim_recipient_tasks("stripe", AS_OF + timedelta(hours=1), limit=10)) == 2
    ledger.release_recipient_tasks([mine[0].id], AS_OF)
    assert [t.id for t in ledger.claim_recipient_tasks("stripe", AS_OF, limit=10)] == [mine[0].id]


def test_a_pending_task_waits_for_its_time_and_keeps_who_it_is_about(ledger: Ledger) -> None:
    run, request = new_run(ledger), receive(ledger, "7")
    task = _task(request)
    ledger.open_recipient_tasks(run, [task], AS_OF)
    later = AS_OF + timedelta(days=80)
    result = _result(task.id, "pending", until=later, next_at=later, person=WHO | {"memo": {"job": "prj_1"}})
    ledger.record_task_results(run, [result], AS_OF)
    assert ledger.claim_recipient_tasks("stripe", AS_OF + timedelta(days=79), limit=10) == []
    (again,) = ledger.claim_recipient_tasks("stripe", later, limit=10)
    assert again.person == WHO | {"memo": {"job": "prj_1"}}
    (row,) = ledger.recipients(request)
    assert (row.recipient, row.state, row.until, row.open) == ("stripe", "pending", later, True)


def test_a_settled_task_says_what_happened_and_no_longer_to_whom(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    run, request = new_run(ledger), receive(ledger, "7")
    task = _task(request)
    ledger.open_recipient_tasks(run, [task], AS_OF)
    outcomes = [{"kind": "customer", "state": "redacted", "count": 2}]
    ledger.record_task_results(run, [_result(task.id, "redacted", outcomes=outcomes)], AS_OF)
    (row,) = ledger.recipient_tasks(request)
    assert (row.state, row.person, row.settled_at, row.outcomes) == (
        "redacted",
        None,
        AS_OF,
        tuple(outcomes),
    )
    assert database.rows("SELECT 1 FROM ledger.sealing_key WHERE purpose = 'recipient_task'") == []
    (told,) = ledger.recipients(request)
    assert (told.state, told.open, told.detail) == ("redacted", False, {"objects": outcomes})
    ledger.record_task_results(run, [_result(task.id, "failed", next_at=AS_OF)], AS_OF)
    assert ledger.recipient_tasks(request)[0].state == "redacted", "what is settled stays so"


def test_the_heaviest_of_several_tasks_is_what_the_request_hears(ledger: Ledger) -> None:
    run, request = new_run(ledger), receive(ledger, "7")
    first, second = _task(request), _task(request)
    ledger.open_recipient_tasks(run, [first, second], AS_OF)
    ledger.record_task_results(run, [_result(first.id, "stopped")], AS_OF)
    assert ledger.recipients(request)[0].state == "pending", "the other has not been begun"
    ledger.record_task_results(run, [_result(second.id, "failed", next_at=AS_OF)], AS_OF)
    assert ledger.recipients(request)[0].state == "failed"
    assert ledger.failing_recipients() == {"stripe": 1}


def test_every_change_is_evidence_and_none_of_it_is_personal(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    run, request = new_run(ledger), receive(ledger, "7")
    task = _task(request)
    ledger.open_recipient_tasks(run, [task], AS_OF)
    pending = _result(task.id, "pending", next_at=AS_OF, outcomes=[{"kind": "customer", "state": "pending"}])
    ledger.record_task_results(run, [pending], AS_OF)
    ledger.record_task_results(run, [pending], AS_OF)
    ledger.record_task_results(run, [_result(task.id, "erased")], AS_OF)
    bodies = [e.body for e in ledger.evidence(request_id=request, kind="recipient_task")]
    assert [body["state"] for body in bodies] == ["pending", "erased"], "no change, no evidence"
    assert "people.example" not in str(database.rows("SELECT body::text FROM ledger.evidence"))


def test_staff_settle_what_no_interface_does_with_the_number_of_their_proof(ledger: Ledger) -> None:
    run, request = new_run(ledger), receive(ledger, "7")
    task = _task(request, "paypal")
    ledger.open_recipient_tasks(run, [task], AS_OF)
    ledger.record_task_results(run, [_result(task.id, "manual")], AS_OF)
    assert ledger.due_recipients(AS_OF + timedelta(days=400)) == {}, "nobody but staff goes on with it"
    assert ledger.recipients(request)[0].open
    assert ledger.settle_by_hand(request, "paypal", "retained", "PP-2026-17", AS_OF, AS_OF) == 1
    assert not ledger.recipients(request)[0].open
    assert ledger.recipient_tasks(request)[0].person is None
    (evidence,) = ledger.evidence(request_id=request, kind="recipient_settled_by_hand")
    assert evidence.body["proof"] == "PP-2026-17"
    with pytest.raises(NotInLedger, match="does not wait"):
        ledger.settle_by_hand(request, "paypal", "erased", "PP-2026-18", AS_OF)


def test_a_task_without_a_request_belongs_to_a_rule_and_expires_with_our_records(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    run, task = new_run(ledger), _task()
    ledger.open_recipient_tasks(run, [task], AS_OF)
    ledger.record_task_results(run, [_result(task.id, "not_held")], AS_OF)
    ledger.purge_records(AS_OF + timedelta(days=99), 100)
    assert database.rows("SELECT count(*) FROM ledger.recipient_task") == [(1,)]
    ledger.purge_records(AS_OF + timedelta(days=100), 100)
    assert database.rows("SELECT count(*) FROM ledger.recipient_task") == [(0,)]


def test_only_one_at_a_time_works_with_a_processor(ledger: Ledger) -> None:
    with ledger.turn("stripe"):
        with ledger.turn("paypal"):
            pass
        with (
            pytest.raises(NotOurTurn, match="stripe"),
            turn(ledger.engine, "stripe", timedelta(seconds=0.3)),
        ):
            pass
    with ledger.turn("stripe"):
        pass
