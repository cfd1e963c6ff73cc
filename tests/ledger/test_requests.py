from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from include.privacy.ledger import IllegalTransition, Ledger, LedgerError, NotInLedger
from include.privacy.ledger.states import REQUEST

from .conftest import AS_OF, LedgerDatabase, new_run, receive


def test_a_request_comes_in_once_and_is_read_back(ledger: Ledger) -> None:
    first = receive(ledger, "42", external_id="e-1")
    assert receive(ledger, "42", external_id="e-1") == first
    row = ledger.request(first)
    assert (row.state, row.subject_key, row.due_at) == ("assessing", "42", AS_OF + timedelta(days=20))
    assert row.details == {"note": "please erase 42"}
    assert ledger.find_request("e-1") == row
    assert ledger.find_request("e-2") is None


def test_a_request_row_shows_no_person(ledger: Ledger) -> None:
    row = ledger.request(receive(ledger, "the-subject"))
    assert "the-subject" not in repr(row)


def test_ten_deliveries_at_once_make_one_request(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(5) as pool:
        ids = set(pool.map(lambda _: receive(ledger, "42", external_id="e-1"), range(10)))
        assert len(ids) == 1
        assert len(database.evidence("request_received")) == 1


def test_a_second_request_of_the_same_person_joins_the_first(ledger: Ledger, run_id: UUID) -> None:
    first, second = receive(ledger, "42"), receive(ledger, "42")
    other_right = receive(ledger, "42", right="access")
    assert ledger.request(second).joined_to == first
    assert ledger.request(second).state == "joined"
    assert ledger.request(other_right).state == "assessing"
    assert [r.id for r in ledger.claim_requests(run_id, "erasure")] == [first]
    ledger.close_request(first, "completed", AS_OF + timedelta(days=180), {"erased": 3})
    assert ledger.request(second).state == "completed"
    assert ledger.request(second).residual_until == AS_OF + timedelta(days=180)
    assert receive(ledger, "42") not in (first, second)
    assert ledger.requests(["assessing"], "erasure")[0].subject_key == "42"


def test_verification_may_come_later_and_by_a_joined_request(ledger: Ledger) -> None:
    first = receive(ledger, "42", external_id="e-1", verified=False)
    assert ledger.request(first).state == "verifying"
    receive(ledger, "42", external_id="e-2", verified=True)
    assert ledger.request(first).state == "assessing"
    late = receive(ledger, "9", external_id="e-4", verified=False)
    receive(ledger, "9", external_id="e-5", verified=False)
    receive(ledger, "9", external_id="e-5", verified=True)
    assert ledger.request(late).state == "assessing"
    third = receive(ledger, "7", external_id="e-3", verified=False)
    for _ in range(2):
        assert ledger.verify_request("e-3", AS_OF) == third
    assert ledger.request(third).state == "assessing"
    with pytest.raises(NotInLedger):
        ledger.verify_request("unknown", AS_OF)


def test_an_external_id_cannot_pass_to_another_person(ledger: Ledger) -> None:
    receive(ledger, "42", external_id="e-1")
    with pytest.raises(LedgerError, match="e-1"):
        receive(ledger, "43", external_id="e-1")


def test_a_withdrawn_request_hands_over_to_the_one_that_joined(ledger: Ledger, run_id: UUID) -> None:
    receive(ledger, "42", external_id="e-1")
    third = receive(ledger, "42", external_id="e-3", after=2)
    heir = receive(ledger, "42", external_id="e-2", verified=False, after=1)
    assert ledger.withdraw_request("e-1") == "withdrawn"
    assert ledger.withdraw_request("e-1") == "withdrawn"
    assert ledger.request(heir).state == "verifying"
    assert ledger.request(third).joined_to == heir
    ledger.verify_request("e-3", AS_OF)
    ledger.claim_requests(run_id, "erasure")
    assert ledger.withdraw_request("e-2") == "executing"


def test_an_illegal_step_is_refused_with_the_legal_ones(ledger: Ledger) -> None:
    request = receive(ledger, "42", verified=False)
    with pytest.raises(IllegalTransition, match="assessing, expired, refused, withdrawn"):
        ledger.transition(request, "executing", None)
    with pytest.raises(IllegalTransition):
        ledger.close_request(request, "completed", None, {})
    with pytest.raises(ValueError, match="close_request"):
        ledger.transition(request, "refused", None)
    assert ledger.request(request).state == "verifying"


def test_the_database_itself_refuses_every_illegal_step(ledger: Ledger, database: LedgerDatabase) -> None:
    request = receive(ledger, "42", verified=False)
    with database.as_dags() as connection:
        for state in [*sorted(set(REQUEST) - {"", "verifying"} - REQUEST["verifying"]), "nonsense"]:
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("UPDATE ledger.request SET state = %s WHERE id = %s", [state, request])


def test_the_database_refuses_a_closed_request_that_keeps_its_key(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    request = receive(ledger, "42", verified=False)
    with (
        database.as_dags() as connection,
        pytest.raises(psycopg.errors.CheckViolation, match="closed_keeps_nothing"),
    ):
        connection.execute(
            "UPDATE ledger.request SET state = 'refused', closed_at = now() WHERE id = %s", [request]
        )


def test_the_database_refuses_a_request_born_in_the_middle(ledger: Ledger, database: LedgerDatabase) -> None:
    receive(ledger, "42")
    with database.as_dags() as connection, pytest.raises(psycopg.errors.CheckViolation, match="executing"):
        connection.execute(
            'INSERT INTO ledger.request (id, external_id, "right", state, channel, received_at, due_at)'
            " VALUES (gen_random_uuid(), 'x', 'erasure', 'executing', 'x', now(), now())"
        )


def test_closing_destroys_the_key_and_everything_it_sealed(
    ledger: Ledger, database: LedgerDatabase, run_id: UUID
) -> None:
    request = receive(ledger, "42")
    ledger.claim_requests(run_id, "erasure")
    for _ in range(2):
        ledger.close_request(request, "completed_with_retention", None, {"kept": {"invoices": "tax law"}})
    row = ledger.request(request)
    assert (row.state, row.subject_key, row.details) == ("completed_with_retention", None, None)
    assert row.answer == {"kept": {"invoices": "tax law"}}
    with database.as_owner() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.sealing_key").fetchone() == (0,)
    assert len(database.evidence("request_closed")) == 1
    with pytest.raises(IllegalTransition):
        ledger.close_request(request, "refused", None, {})


def test_two_claimers_never_claim_the_same_request(database: LedgerDatabase) -> None:
    with database.open() as ledger:
        for n in range(40):
            receive(ledger, f"person-{n}")
        runs = [new_run(ledger) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            claimed = [
                [r.id for r in rows]
                for rows in pool.map(lambda run: ledger.claim_requests(run, "erasure"), runs)
            ]
    everyone = [request for rows in claimed for request in rows]
    assert len(everyone) == len(set(everyone)) == 40


def test_a_claim_can_be_repeated_by_its_own_run_and_by_nobody_else(ledger: Ledger, run_id: UUID) -> None:
    request = receive(ledger, "42")
    assert [r.id for r in ledger.claim_requests(run_id, "erasure")] == [request]
    assert [r.state for r in ledger.claim_requests(run_id, "erasure")] == ["executing"]
    assert ledger.claim_requests(new_run(ledger), "erasure") == []


def test_a_run_that_is_over_or_dead_gives_its_claims_away(ledger: Ledger, run_id: UUID) -> None:
    request = receive(ledger, "42")
    ledger.claim_requests(run_id, "erasure")
    ledger.close_run(run_id, {"requests": 1})
    second = new_run(ledger)
    assert [r.id for r in ledger.claim_requests(second, "erasure")] == [request]
    third = new_run(ledger)
    assert [r.id for r in ledger.claim_requests(third, "erasure", lease=timedelta(0))] == [request]
    ledger.renew_claims(third)
    assert ledger.claim_requests(new_run(ledger), "erasure") == []


def test_a_request_another_transaction_is_changing_is_left_alone(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    busy, free = receive(ledger, "42"), receive(ledger, "43")
    with psycopg.connect(database.dag_dsn) as connection:
        connection.execute("SELECT FROM ledger.request WHERE id = %s FOR UPDATE", [busy])
        assert [r.id for r in ledger.claim_requests(run_id, "erasure")] == [free]


def test_held_requests_are_asked_again_and_failed_ones_only_by_hand(ledger: Ledger, run_id: UUID) -> None:
    held, failed = receive(ledger, "42"), receive(ledger, "43")
    ledger.claim_requests(run_id, "erasure")
    ledger.transition(held, "on_hold", "legal hold")
    ledger.transition(failed, "failed", "store down")
    assert ledger.request(failed).reason == "store down"
    second = new_run(ledger)
    assert [r.id for r in ledger.claim_requests(second, "erasure")] == [held]
    assert [r.id for r in ledger.claim_requests(second, "erasure", [failed, uuid4()])] == [failed]


def test_a_dry_run_sees_the_requests_and_claims_none(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    dry = new_run(ledger, dry_run=True)
    assert [(r.id, r.state) for r in ledger.claim_requests(dry, "erasure")] == [(request, "assessing")]
    assert ledger.request(request).run_id is None


def test_naive_times_are_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="no time zone"):
        ledger.receive_request("e", "erasure", "1", AS_OF.replace(tzinfo=None), None, "web", {}, AS_OF)


def test_verifying_and_closing_at_once_never_deadlocks(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(4) as pool:
        for n in range(15):
            run = new_run(ledger)
            leader = receive(ledger, "42", external_id=f"lead-{n}")
            receive(ledger, "42", external_id=f"joined-{n}", verified=False)
            ledger.claim_requests(run, "erasure")
            work: list[Future[Any]] = [
                pool.submit(ledger.verify_request, f"joined-{n}", AS_OF),
                pool.submit(ledger.close_request, leader, "completed", None, {}),
                pool.submit(ledger.renew_claims, run),
                pool.submit(ledger.withdraw_request, f"joined-{n}"),
            ]
            for done in work:
                done.result(20)
            assert ledger.requests(["executing", "joined"]) == []
