from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from include.privacy.ledger import Ledger, NotInLedger
from include.privacy.planning.models import Member, Outcome, ProbeResult

from .conftest import AS_OF, LedgerDatabase, make_plan, new_run, receive

DAY = timedelta(days=1)


def test_a_run_is_opened_once_and_keeps_its_first_as_of(ledger: Ledger, database: LedgerDatabase) -> None:
    first = ledger.open_run("retention", "key", AS_OF, False, "1", "d")
    assert ledger.open_run("retention", "key", AS_OF + DAY, False, "1", "d") == first
    assert ledger.open_run("backups", "key", AS_OF, False, "1", "d") != first
    assert ledger.run(first).as_of == AS_OF
    for _ in range(2):
        ledger.close_run(first, {"removed": 3})
    assert ledger.run(first).summary == {"removed": 3}
    assert len(database.evidence("run_closed")) == 1
    latest = ledger.latest_run("retention")
    assert latest is not None and latest.id == first
    assert ledger.latest_run("unknown") is None
    with pytest.raises(NotInLedger):
        ledger.run(uuid4())


def test_a_policy_version_is_recorded_once(ledger: Ledger, database: LedgerDatabase) -> None:
    for _ in range(2):
        ledger.record_policy_version("2026-01", "abc", date(2026, 1, 1))
    assert [e["digest"] for e in database.evidence("policy_version")] == ["abc"]


def test_the_second_probe_keeps_the_cohort_alive_until_it_is_clean(ledger: Ledger, run_id: UUID) -> None:
    cohort = ledger.freeze_cohort([Member("1")], "purge", run_id)
    plan = make_plan(cohort.id)
    ledger.save_plan(plan, run_id)
    ledger.record_intent(plan.id)
    ledger.record_outcome(plan.id, 0, Outcome("practice"))
    ids = {ledger.schedule_probe(plan.id, AS_OF + 3 * DAY) for _ in range(2)}
    assert len(ids) == 1
    for _ in range(2):
        ledger.record_probe(plan.id, ProbeResult("practice", 1, {}), AS_OF)
    assert ledger.plan_state(plan.id) == "probed"
    assert ledger.due_probes(AS_OF) == []
    (due,) = ledger.due_probes(AS_OF + 4 * DAY)
    assert (due.id, due.plan_id, due.cohort_id, due.store) == (*ids, plan.id, cohort.id, "practice")
    ledger.record_probe(plan.id, ProbeResult("practice", 1, {"attempts": 2}), AS_OF + 4 * DAY)
    assert ledger.pending_probes(cohort.id) == 1
    ledger.record_probe(plan.id, ProbeResult("practice", 1, {"attempts": 0}), AS_OF + 5 * DAY)
    assert ledger.pending_probes(cohort.id) == 0
    assert ledger.cohorts_without_probes() == [cohort.id]


def test_an_unclean_probe_does_not_prove_a_plan(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    plan = make_plan()
    ledger.save_plan(plan, run_id)
    ledger.record_intent(plan.id)
    ledger.record_outcome(plan.id, 0, Outcome("practice"))
    ledger.record_probe(plan.id, ProbeResult("practice", 1, {"attempts": 2}), AS_OF)
    assert ledger.plan_state(plan.id) == "executed"
    assert [e["clean"] for e in database.evidence("probe")] == [False]


def test_a_breach_stays_one_breach_until_it_is_resolved(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(3) as pool:
        run = new_run(ledger)
        ids = set(
            pool.map(lambda _: ledger.record_breach(run, "purge", "practice", 4, DAY, "held"), range(3))
        )
        assert len(ids) == 1
        ledger.record_breach(new_run(ledger), "purge", "practice", 2, 2 * DAY, "held")
        ledger.record_breach(run, "purge", "accounts", 1, None, "")
        breach = (
            ledger.open_breaches()[0]
            if ledger.open_breaches()[0].store == "practice"
            else ledger.open_breaches()[1]
        )
        assert (breach.count, breach.oldest_overdue, breach.first_run_id) == (2, 2 * DAY, run)
        assert ledger.resolve_breaches("purge", "practice", AS_OF + DAY) == 1
        assert ledger.resolve_breaches("purge", "practice", AS_OF + DAY) == 0
        assert [b.store for b in ledger.open_breaches()] == ["accounts"]


def test_bad_input_is_kept_once_and_counted(ledger: Ledger) -> None:
    payload = {"account": "ada@example.org", "n": 1}
    ids = {ledger.quarantine("request_queue", "m-1", "field 'kind' is missing", payload) for _ in range(3)}
    (row,) = ledger.quarantined()
    assert {row.id} == ids
    assert (row.seen, row.external_id, row.payload) == (3, "m-1", payload)
    assert "ada" not in repr(row)


def test_the_ledgers_own_records_expire(ledger: Ledger, run_id: UUID, database: LedgerDatabase) -> None:
    request = receive(ledger, "42")
    receive(ledger, "42")
    ledger.claim_requests(run_id, "erasure")
    ledger.freeze_cohort([Member("42")], "erasure", run_id, [request])
    ledger.close_request(request, "completed", None, {}, at=AS_OF)
    still_open = receive(ledger, "43")
    ledger.quarantine("queue", "m", "broken")
    ledger.release_hold(ledger.place_hold("m", "r", "g", "subject", "42"), "g")
    kept = ledger.place_hold("n", "r", "g", "subject", "42")
    with database.as_owner() as connection:
        connection.execute("UPDATE ledger.quarantine SET last_seen_at = %s", [AS_OF])
        connection.execute("UPDATE ledger.hold SET released_at = %s WHERE released_at IS NOT NULL", [AS_OF])
        connection.execute("UPDATE ledger.cohort SET frozen_at = %s", [AS_OF])
    assert ledger.overdue_records(AS_OF + 11 * DAY, 10) == (2, DAY)
    assert not any(ledger.purge_records(AS_OF + 9 * DAY, 10).values())
    expected = {"requests": 2, "holds": 1, "quarantine": 1, "cohorts": 1}
    assert ledger.purge_records(AS_OF + 11 * DAY, 10) == expected
    assert ledger.overdue_records(AS_OF + 11 * DAY, 10) == (0, None)
    assert ledger.request(still_open).subject_key == "43"
    assert [h.id for h in ledger.hold_rows(released=True)] == [kept]
    with database.as_owner() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.sealing_key").fetchone() == (2,)
    with pytest.raises(ValueError, match="days"):
        ledger.purge_records(AS_OF, 0)
