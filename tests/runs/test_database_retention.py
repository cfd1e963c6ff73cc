"""The whole DAG on the embedded world: dry, live, twice, guarded, held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from include.privacy.planning.models import Plan
from include.sandbox.platform.people import MARKERS
from tests.runs.conftest import Estate
from tests.runs.people_in_the_loop import answering, shown_body, triggered

pytestmark = pytest.mark.timeout(150)
DAG = "enforce_database_retention"
GONE = MARKERS[0].account_id


def test_a_dry_run_counts_and_deletes_nothing(estate: Estate) -> None:
    before = estate.value("accounts", "SELECT count(*) FROM accounts")
    run = estate.run(DAG, {"dry_run": True})
    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == before
    summary = estate.ledger.latest_run("database_retention").summary
    assert summary["dry_run"] is True
    assert summary["rules"]["deleted_account_purge"]["stores"]["accounts"]["matched"] > 0
    for store in ("accounts", "practice"):
        tables = (
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'privacy_work' AND tablename LIKE 'cohort%%'"
        )
        assert estate.value(store, tables) == 0, "a dry run left its work tables behind"


def test_live_and_twice_erases_the_due_and_nobody_else(estate: Estate, content: Callable[[int], int]) -> None:
    due = estate.due()
    others = estate.value("accounts", "SELECT count(*) FROM accounts") - len(due)
    assert GONE in due
    assert content(GONE) > 0
    wrong, stays = "once.wrong@example.org", min(set(range(1, 10_000)) - set(due))
    for key in (GONE, stays):
        estate.ledger.note_former_identifiers(str(key), {"email": [wrong]}, estate.as_of)
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute(
            "INSERT INTO support_tickets (requester_email, subject, body, status, created_at) "
            "VALUES (%s, 'question', 'not signed in', 'closed', now())",
            (wrong,),
        )

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert estate.due() == []
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == others
    assert content(GONE) == 0
    by_wrong = "SELECT count(*) FROM support_tickets WHERE requester_email = %s"
    assert estate.value("accounts", by_wrong, wrong) == 0, "found by an address that was corrected"
    known = estate.ledger.former_identifiers([str(GONE), str(stays)])
    assert set(known) == {str(stays)}, "destroyed with whoever is purged"
    assert estate.value("practice", "SELECT count(*) FROM learners WHERE account_id = ANY(%s)", due) == 0
    assert estate.value("accounts", "SELECT count(*) FROM account_audit WHERE account_id = ANY(%s)", due) == 0
    old = estate.as_of - timedelta(days=7)
    assert (
        estate.value("accounts", "SELECT count(*) FROM verification_tokens WHERE created_at <= %s", old) == 0
    )
    ended = estate.as_of - timedelta(days=30)
    unmarked = "SELECT count(*) FROM accounts WHERE service_ended_at <= %s AND deleted_at IS NULL"
    assert estate.value("accounts", unmarked, ended) == 0
    summary = estate.ledger.latest_run("database_retention").summary
    assert summary["red"] == []
    assert summary["rules"]["deleted_account_purge"]["overdue"] == 0
    assert estate.ledger.match_tombstones("email", [MARKERS[0].emails[0]])

    again = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=1))
    assert again.state == "success", estate.states(again)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == others
    figures = estate.ledger.latest_run("database_retention").summary["rules"]["deleted_account_purge"]
    assert figures["stores"] == {}

    # The second probe follows days later; then nobody, not even the ledger, knows who it was.
    for days, remembered in ((1, True), (3, False)):
        probed = estate.run("probe_again", as_of=estate.as_of + timedelta(days=days))
        assert probed.state == "success", estate.states(probed)
        with estate.ledger.sessions() as session:
            assert bool(session.scalar(text("SELECT count(*) FROM ledger.cohort_page"))) is remembered


def test_a_held_person_survives_the_purge_until_the_release(
    estate: Estate, content: Callable[[int], int]
) -> None:
    held = estate.due()[0]
    form = {"scope": "subject", "account_id": str(held), "matter": "2026-117", "reason": "litigation"}
    placed = estate.run("place_legal_hold", form)
    assert placed.state == "success", estate.states(placed)
    hold = estate.ledger.hold_rows()[0]
    practice = "SELECT count(*) FROM attempts WHERE learner_id = %s"
    attempts = estate.value("practice", practice, held)

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert held in estate.due()
    assert estate.value("practice", practice, held) == attempts
    assert content(held) > 0

    released = estate.run("release_legal_hold", {"hold_id": str(hold.id)})
    assert released.state == "success"
    estate.run(DAG, as_of=estate.as_of + timedelta(minutes=5))
    assert estate.due() == []
    assert content(held) == 0


def test_a_hold_on_one_collection_keeps_the_people_in_it_and_their_accounts(estate: Estate) -> None:
    estate.ledger.place_hold("2026-118", "tax_audit", "counsel", "collection", "practice.attempts")
    with_attempts = estate.value(
        "practice", "SELECT count(DISTINCT learner_id) FROM attempts WHERE learner_id = ANY(%s)", estate.due()
    )
    run = estate.run(DAG)
    assert run.state == "success", estate.states(run)
    left = estate.due()
    assert len(left) == with_attempts, "a person of whom something had to stay lost their account row"
    assert (
        estate.value(
            "practice", "SELECT count(DISTINCT learner_id) FROM attempts WHERE learner_id = ANY(%s)", left
        )
        == with_attempts
    )


def _delete_many(estate: Estate) -> None:
    """A mistake elsewhere: sixty of three hundred accounts are deleted long enough ago."""
    with psycopg.connect(estate.platform.dsn("accounts")) as connection:
        connection.execute(
            """UPDATE accounts SET deleted_at = %s
               WHERE id IN (SELECT id FROM accounts WHERE deleted_at IS NULL ORDER BY id LIMIT 60)""",
            (estate.as_of - timedelta(days=40),),
        )


def test_beyond_the_guard_nothing_is_deleted_until_a_person_approves(estate: Estate) -> None:
    _delete_many(estate)
    before = estate.value("accounts", "SELECT count(*) FROM accounts")
    due = len(estate.due())

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == before
    parked = estate.ledger.parked_plans()
    assert {row.plan.store for row in parked} == {"user_content", "practice", "accounts"}
    assert estate.states(run)["ask_for_decision"] == ["success"]
    plan_ids = {str(row.plan.id) for row in parked}
    assert any(set(conf["plan_ids"]) == plan_ids for conf in triggered("decide_guarded_plan"))

    with answering("decide", ["Approve"]):
        decided = estate.run("decide_guarded_plan", {"plan_ids": sorted(plan_ids)})
    assert decided.state == "success", estate.states(decided)
    assert estate.states(decided)["ring"] == ["success"]
    assert str(due) in shown_body(decided)
    approved = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=5))
    assert approved.state == "success", estate.states(approved)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == before - due


def test_a_rejected_plan_stays_and_rings_nobody(estate: Estate) -> None:
    run_id = estate.ledger.open_run("database_retention", "by hand", estate.as_of, False, "2026-10", "digest")
    plan = Plan(
        id=uuid4(), cohort_id=None, store="accounts", action="expire_rows", rule="r", as_of=estate.as_of
    )
    estate.ledger.save_plan(plan, run_id)
    estate.ledger.park_plan(plan.id, "too many")
    with answering("decide", ["Reject"]):
        decided = estate.run("decide_guarded_plan", {"plan_ids": [str(plan.id)]})
    assert estate.states(decided)["ring"] == ["skipped"]
    assert estate.ledger.plan_state(plan.id) == "rejected"


def test_somebody_past_the_limit_turns_the_run_red(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.privacy.stores.postgres import PostgresStore

    with psycopg.connect(estate.platform.dsn("accounts")) as connection:
        connection.execute(
            "UPDATE accounts SET deleted_at = %s WHERE id = %s",
            (estate.as_of - timedelta(days=100), estate.due()[0]),
        )
    # A purge that sees nobody, as under row-level security or a wrong role.
    monkeypatch.setattr(PostgresStore, "due_keys", lambda self, rule, *, as_of: [])
    run = estate.run(DAG)
    assert run.state == "failed"
    [breach] = estate.ledger.open_breaches()
    assert (breach.rule, breach.count, breach.oldest_overdue) == (
        "deleted_account_purge",
        1,
        timedelta(days=10),
    )
    assert "nothing was matched" in breach.note
