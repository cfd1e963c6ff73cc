from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from include.privacy.ledger import Ledger
from include.privacy.ledger.impersonal import REDACTED, impersonal

from .conftest import AS_OF, LedgerDatabase

CHANGES = [
    "UPDATE ledger.evidence SET kind = 'forged'",
    "DELETE FROM ledger.evidence",
    "TRUNCATE ledger.evidence",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_the_dag_role_cannot_change_evidence(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase, statement: str
) -> None:
    ledger.append_evidence("example", {"count": 1}, run_id=run_id)
    with database.as_dags() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(sql.SQL(statement))
    assert database.evidence("example") == [{"count": 1}]


@pytest.mark.parametrize("statement", CHANGES)
def test_not_even_the_owner_changes_evidence_by_mistake(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase, statement: str
) -> None:
    with (
        database.as_owner() as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="insert-only"),
    ):
        connection.execute(sql.SQL(statement))


def test_evidence_is_found_by_run_and_kind(ledger: Ledger, run_id: UUID) -> None:
    ledger.append_evidence("example", {"store": "practice", "at": AS_OF}, run_id=run_id)
    (row,) = ledger.evidence(run_id=run_id, kind="example")
    assert row.body == {"store": "practice", "at": "2026-03-01T12:00:00+00:00"}


def test_addresses_never_reach_evidence() -> None:
    given = {
        "error": "no row for Ada.Lovelace@example.org from 203.0.113.7 or 2001:db8::7.",
        "ada@example.org": 1,
    }
    assert impersonal(given) == {"error": f"no row for {REDACTED} from {REDACTED} or {REDACTED}", REDACTED: 1}


def test_times_versions_and_numbers_are_left_alone() -> None:
    given = {
        "at": AS_OF,
        "took": timedelta(seconds=90),
        "text": "12:30:45 on PostgreSQL 18.1, practice::int",
        "n": 1.5,
    }
    assert impersonal(given) == {
        "at": "2026-03-01T12:00:00+00:00",
        "took": 90.0,
        "text": "12:30:45 on PostgreSQL 18.1, practice::int",
        "n": 1.5,
    }


def test_what_is_not_json_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="bytes"):
        impersonal({"payload": b"x"})
