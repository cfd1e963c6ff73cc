from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from include.privacy.ledger import IllegalTransition, Ledger, NotExecutable, NotInLedger
from include.privacy.ledger.plans import plan_digest
from include.privacy.ledger.states import PLAN
from include.privacy.planning.models import Outcome, Superseded

from .conftest import LedgerDatabase, make_plan, new_run, receive


def test_equal_plans_have_equal_digests() -> None:
    plan = make_plan()
    assert plan_digest(plan) == plan_digest(plan.model_copy(update={"id": uuid4()}))
    assert plan_digest(plan) != plan_digest(plan.model_copy(update={"matched": 51}))


def test_a_plan_may_be_made_again_until_somebody_acts_on_it(ledger: Ledger, run_id: UUID) -> None:
    plan = make_plan()
    ledger.save_plan(plan, run_id)
    newer = plan.model_copy(update={"matched": 49})
    assert ledger.save_plan(newer, run_id).matched == 49
    assert ledger.plan(plan.id) == newer
    ledger.record_intent(plan.id)
    assert ledger.save_plan(plan, run_id).matched == 49
    with pytest.raises(NotInLedger):
        ledger.plan(uuid4())


def test_a_plan_goes_from_intent_to_probe(ledger: Ledger, run_id: UUID, database: LedgerDatabase) -> None:
    plan = make_plan(shards=2)
    ledger.save_plan(plan, run_id)
    assert ledger.plan_state(plan.id) == "planned"
    for _ in range(2):
        ledger.record_intent(plan.id)
    outcome = Outcome("practice", matched={"attempts": 3}, removed={"attempts": 3}, seconds=0.5)
    for _ in range(2):
        ledger.record_outcome(plan.id, 0, outcome)
    assert ledger.plan_state(plan.id) == "executing"
    ledger.record_outcome(plan.id, 1, outcome)
    assert ledger.plan_state(plan.id) == "executed"
    assert [(o.shard, o.outcome) for o in ledger.outcomes(run_id)] == [(0, outcome), (1, outcome)]
    assert len(database.evidence("intent")) == 1
    assert len(database.evidence("outcome")) == 2


def test_the_last_of_many_shards_reporting_at_once_ends_the_plan(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(4) as pool:
        plan = make_plan(shards=8)
        ledger.save_plan(plan, new_run(ledger))
        ledger.record_intent(plan.id)
        list(pool.map(lambda shard: ledger.record_outcome(plan.id, shard, Outcome("practice")), range(8)))
        assert ledger.plan_state(plan.id) == "executed"


def test_an_outcome_with_an_address_in_it_is_kept_without_the_address(ledger: Ledger, run_id: UUID) -> None:
    plan = make_plan()
    ledger.save_plan(plan, run_id)
    ledger.record_outcome(plan.id, 0, Outcome("practice", blocked=["row of ada@example.org is locked"]))
    (row,) = ledger.outcomes(run_id)
    assert row.outcome.blocked == ["row of [redacted] is locked"]


def test_a_parked_plan_cannot_be_executed_until_it_is_approved(ledger: Ledger, run_id: UUID) -> None:
    plan = make_plan(rule="purge_deleted_accounts")
    ledger.save_plan(plan, run_id)
    for _ in range(2):
        ledger.park_plan(plan.id, "share 0.4 above 0.1")
    with pytest.raises(NotExecutable, match=r"share 0\.4"):
        ledger.record_intent(plan.id)
    assert [(p.plan.id, p.reason) for p in ledger.parked_plans()] == [(plan.id, "share 0.4 above 0.1")]
    for _ in range(2):
        ledger.decide_plan(plan.id, True, "grace@example.org")
    assert ledger.decided_by(plan.id) == "grace@example.org"
    assert ledger.approved_plans() == [plan]
    with pytest.raises(IllegalTransition):
        ledger.decide_plan(make_saved(ledger, run_id), False, "grace")
    ledger.record_intent(plan.id)
    assert ledger.approved_plans() == []


def make_saved(ledger: Ledger, run_id: UUID) -> UUID:
    plan = make_plan()
    ledger.save_plan(plan, run_id)
    return plan.id


def test_a_rejected_plan_stays_rejected(ledger: Ledger, run_id: UUID) -> None:
    plan_id = make_saved(ledger, run_id)
    ledger.park_plan(plan_id, "too many")
    ledger.decide_plan(plan_id, False, "grace")
    with pytest.raises(IllegalTransition):
        ledger.decide_plan(plan_id, True, "grace")
    with pytest.raises(NotExecutable):
        ledger.record_intent(plan_id)
    ledger.park_plan(plan_id, "again")
    assert ledger.plan_state(plan_id) == "rejected"


def test_a_newer_parked_plan_of_the_same_rule_replaces_the_older(ledger: Ledger, run_id: UUID) -> None:
    old, new, other = (
        make_plan(rule="purge"),
        make_plan(rule="purge"),
        make_plan(rule="purge", store="accounts"),
    )
    for plan in (old, other, new):
        ledger.save_plan(plan, run_id)
        ledger.park_plan(plan.id, "too many")
    assert ledger.plan_state(old.id) == "expired"
    assert {p.plan.id for p in ledger.parked_plans()} == {new.id, other.id}


def test_a_dry_run_leaves_its_plans_as_they_are(ledger: Ledger, database: LedgerDatabase) -> None:
    plan_id = make_saved(ledger, new_run(ledger, dry_run=True))
    ledger.record_intent(plan_id)
    ledger.record_outcome(plan_id, 0, Outcome("practice"))
    assert ledger.plan_state(plan_id) == "planned"
    assert database.evidence("intent") == []


def test_the_database_itself_refuses_every_illegal_step_of_a_plan(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    plan_id = make_saved(ledger, run_id)
    with database.as_dags() as connection:
        for state in sorted(set(PLAN) | {"rejected", "expired"} - {""}):
            if state in ("", "planned") or state in PLAN["planned"]:
                continue
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("UPDATE ledger.plan SET state = %s WHERE id = %s", [state, plan_id])


def test_batches_that_never_came_back_are_found(ledger: Ledger, run_id: UUID) -> None:
    plan_id = make_saved(ledger, run_id)
    for batch in range(3):
        ledger.record_batch_intent(plan_id, batch, 1000)
    ledger.record_batch_done(plan_id, 0, removed=1000, failed=0)
    ledger.record_batch_done(plan_id, 2, removed=998, failed=2)
    assert [(b.batch, b.intended) for b in ledger.open_batches(plan_id)] == [(1, 1000)]
    ledger.record_batch_intent(plan_id, 0, 5)
    assert [b.batch for b in ledger.open_batches(plan_id)] == [0, 1]


def test_of_two_copies_the_later_one_goes_on(ledger: Ledger, run_id: UUID) -> None:
    plan_id = make_saved(ledger, run_id)
    first = ledger.take_over(plan_id, "execute")
    first.check()
    second, other = ledger.take_over(plan_id, "execute"), ledger.take_over(plan_id, "probe")
    second.check()
    other.check()
    with pytest.raises(Superseded):
        first.check()


def test_recording_an_outcome_keeps_the_claims_of_the_run_alive(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    request = receive(ledger, "42")
    ledger.claim_requests(run_id, "erasure")
    with database.as_owner() as connection:
        connection.execute("UPDATE ledger.request SET claimed_at = now() - interval '7 hours'")
    ledger.record_outcome(make_saved(ledger, run_id), 0, Outcome("practice"))
    assert ledger.claim_requests(new_run(ledger), "erasure") == []
    assert ledger.request(request).run_id == run_id
