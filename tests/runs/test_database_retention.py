"""The whole DAG on the embedded world: dry, live, twice, guarded, held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from include.sandbox.platform.people import MARKERS
from tests.runs.conftest import Estate

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

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert estate.due() == []
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == others
    assert content(GONE) == 0
    assert estate.value("practice", "SELECT count(*) FROM people WHERE account_id = ANY(%s)", due) == 0
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


def test_a_second_probe_follows_and_then_the_cohort_is_forgotten(estate: Estate) -> None:
    from sqlalchemy import text

    estate.run(DAG)
    early = estate.run("probe_again", as_of=estate.as_of + timedelta(days=1))
    assert early.state == "success"
    with estate.ledger.sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM ledger.cohort_page")) > 0

    late = estate.run("probe_again", as_of=estate.as_of + timedelta(days=3))

    assert late.state == "success", estate.states(late)
    with estate.ledger.sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM ledger.cohort_page")) == 0
        assert session.scalar(text("SELECT count(*) FROM ledger.cohort WHERE key_id IS NOT NULL")) == 0


def test_a_held_person_survives_the_purge_until_the_release(
    estate: Estate, content: Callable[[int], int]
) -> None:
    form = {"scope": "subject", "account_id": str(GONE), "matter": "2026-117", "reason": "litigation"}
    placed = estate.run("place_legal_hold", form)
    assert placed.state == "success", estate.states(placed)
    hold = estate.ledger.hold_rows()[0]
    practice = "SELECT count(*) FROM attempts WHERE account_id = %s"
    attempts = estate.value("practice", practice, GONE)

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert estate.due() == [GONE]
    assert estate.value("practice", practice, GONE) == attempts
    assert content(GONE) > 0

    released = estate.run("release_legal_hold", {"hold_id": str(hold.id)})
    assert released.state == "success"
    estate.run(DAG, as_of=estate.as_of + timedelta(minutes=5))
    assert estate.due() == []
    assert content(GONE) == 0


def test_a_hold_on_one_collection_keeps_the_people_in_it_and_their_accounts(estate: Estate) -> None:
    estate.ledger.place_hold("2026-118", "tax_audit", "counsel", "collection", "practice.attempts")
    with_attempts = estate.value(
        "practice", "SELECT count(DISTINCT account_id) FROM attempts WHERE account_id = ANY(%s)", estate.due()
    )
    run = estate.run(DAG)
    assert run.state == "success", estate.states(run)
    left = estate.due()
    assert len(left) == with_attempts, "a person of whom something had to stay lost their account row"
    assert (
        estate.value(
            "practice", "SELECT count(DISTINCT account_id) FROM attempts WHERE account_id = ANY(%s)", left
        )
        == with_attempts
    )


def test_beyond_the_guard_nothing_is_deleted_and_a_decision_is_asked_for(estate: Estate) -> None:
    before = estate.value("accounts", "SELECT count(*) FROM accounts")
    with_psycopg = "UPDATE accounts SET deleted_at = %s WHERE id IN (SELECT id FROM accounts WHERE deleted_at IS NULL LIMIT 60) RETURNING 1"
    import psycopg

    with psycopg.connect(estate.platform.dsn("accounts")) as connection:
        connection.execute(with_psycopg.encode(), (estate.as_of - timedelta(days=40),))

    run = estate.run(DAG)

    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == before
    parked = estate.ledger.parked_plans()
    assert {row.plan.store for row in parked} == {"user_content", "practice", "accounts"}
    assert "ask_for_decision" in estate.states(run)

    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asked = session.scalars(select(DagRun).where(DagRun.dag_id == "decide_guarded_plan")).all()
        conf = next(r.conf for r in asked if set(r.conf["plan_ids"]) == {str(row.plan.id) for row in parked})
    assert conf

    for row in parked:
        estate.ledger.decide_plan(row.plan.id, True, "privacy team")
    approved = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=5))
    assert approved.state == "success", estate.states(approved)
    assert estate.value("accounts", "SELECT count(*) FROM accounts") < before - 60
