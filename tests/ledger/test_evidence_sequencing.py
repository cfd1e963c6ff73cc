"""Every committed row gets its place in the log exactly once, whatever the order of the commits."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from include.privacy.ledger import Ledger, NotInLedger, sequencing
from include.privacy.ledger import evidence_log as log
from include.privacy.ledger.leaves import canonical
from include.privacy.ledger.merkle import tree_hash
from include.privacy.ledger.sequencing import sequence

from .conftest import LedgerDatabase

INSERT = b"INSERT INTO ledger.evidence (kind, body) VALUES (%s, %s) RETURNING id"


def fill(database: LedgerDatabase, count: int) -> None:
    with database.as_dags() as connection:
        connection.execute(
            b"INSERT INTO ledger.evidence (kind, body) "
            b"SELECT 'example', jsonb_build_object('n', n) FROM generate_series(1, %s) n",
            [count],
        )


def order(database: LedgerDatabase) -> list[int]:
    rows = database.rows("SELECT idx, evidence_id FROM ledger.evidence_leaf ORDER BY idx")
    assert [idx for idx, _ in rows] == list(range(len(rows)))
    return [int(str(evidence_id)) for _, evidence_id in rows]


def settled(database: LedgerDatabase) -> int:
    return int(str(database.rows("SELECT evidence_id FROM ledger.evidence_settled")[0][0]))


def test_a_row_that_commits_late_comes_after_those_with_higher_ids(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    with psycopg.connect(database.dag_dsn) as late:
        (first,) = late.execute(INSERT, ["late", Jsonb({})]).fetchone() or ()
        ledger.append_evidence("early", {})
        assert ledger.sequence_evidence() == 1
        assert order(database) == [first + 1]
        assert settled(database) < first, "whoever still writes may commit a lower id"
        assert ledger.sequence_evidence() == 0
        late.commit()
    assert ledger.sequence_evidence() == 1
    assert order(database) == [first + 1, first]
    assert ledger.sequence_evidence() == 0
    assert settled(database) == first + 1


def test_ids_of_transactions_rolled_back_leave_no_gap_in_the_log(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    ledger.append_evidence("one", {})
    with psycopg.connect(database.dag_dsn) as connection:
        connection.execute(INSERT, ["never", Jsonb({})])
        connection.rollback()
    ledger.append_evidence("two", {})
    assert ledger.sequence_evidence() == 2
    assert order(database) == [1, 3]
    assert settled(database) == 3


def test_what_is_said_to_be_settled_is_only_a_short_cut(ledger: Ledger, database: LedgerDatabase) -> None:
    fill(database, 3)
    with database.as_owner() as connection:
        connection.execute("UPDATE ledger.evidence_settled SET evidence_id = 2")
    assert ledger.sequence_evidence() == 1
    assert ledger.sequence_evidence(full=True) == 2
    assert order(database) == [3, 1, 2]


def test_writers_and_two_sequencers_at_once_lose_and_repeat_nothing(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    def write(seed: int) -> int:
        rng = random.Random(seed)
        with psycopg.connect(database.dag_dsn) as connection:
            for _ in range(40):
                for _ in range(rng.randint(1, 4)):
                    connection.execute(INSERT, ["example", Jsonb({"seed": seed})])
                if rng.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
        return seed

    def run_sequencer(_: int) -> None:
        for _ in range(25):
            ledger.sequence_evidence()

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(write, seed) for seed in range(4)]
        jobs += [pool.submit(run_sequencer, n) for n in range(2)]  # type: ignore[arg-type]
        for job in jobs:
            job.result(timeout=60)
    ledger.sequence_evidence()
    committed = {row[0] for row in database.rows("SELECT id FROM ledger.evidence")}
    found = order(database)
    assert len(found) == len(set(found)) and set(found) == committed


def test_nobody_who_writes_waits_for_a_sequencer(ledger: Ledger, database: LedgerDatabase) -> None:
    with ledger.sessions.begin() as session:
        sequence(session)
        with database.as_dags() as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute(INSERT, ["example", Jsonb({})])


def test_roots_and_proofs_from_stored_subtrees_are_those_over_all_leaves(
    ledger: Ledger, database: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencing, "TILE", 4)
    monkeypatch.setattr(log, "TILE", 4)
    monkeypatch.setattr(log, "PAGE", 50)
    for batch in (1, 2, 5, 120, 172):
        fill(database, batch)
        assert ledger.sequence_evidence() == batch
    leaves = [bytes(h) for (h,) in database.rows("SELECT hash FROM ledger.evidence_leaf ORDER BY idx")]  # type: ignore[call-overload]
    levels = dict(database.rows("SELECT level, count(*) FROM ledger.evidence_node GROUP BY level"))
    assert levels == {1: 75, 2: 18, 3: 4, 4: 1}

    def naive(start: int, end: int) -> bytes:
        return tree_hash(leaves[start:end])

    with ledger.sessions.begin() as session:
        for size in range(1, 301):
            assert log.root_at(session, size) == naive(0, size), size
        for index in range(0, 300, 7):
            assert log.inclusion(session, index, 300) == log.inclusion_path(index, 300, naive)
            assert log.consistency(session, index + 1, 300) == log.consistency_path(index + 1, 300, naive)
        with pytest.raises(NotInLedger):
            log.root_at(session, 301)
    audit = log.audit(ledger.sessions, 300, [113, 300])
    assert audit.findings == []
    assert audit.roots == {113: naive(0, 113), 300: naive(0, 300)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.evidence_leaf SET hash = hash",
        "DELETE FROM ledger.evidence_node",
        "TRUNCATE ledger.evidence_checkpoint",
        "INSERT INTO ledger.evidence (kind, body, at) VALUES ('old', '{}', '2020-01-01Z')",
        "INSERT INTO ledger.evidence (id, kind, body) VALUES (5, 'mine', '{}')",
    ],
)
def test_the_dag_role_can_neither_change_the_log_nor_date_evidence(
    database: LedgerDatabase, statement: str
) -> None:
    with database.as_dags() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "UPDATE ledger.evidence SET kind = 'forged' WHERE id = 2",
            "entry 1: its row of evidence, 2, was changed",
        ),
        ("DELETE FROM ledger.evidence WHERE id = 3", "entry 2: its row of evidence, 3, is gone"),
        ("DELETE FROM ledger.evidence_leaf WHERE idx = 1", "entries 1 to 1 are missing"),
        ("DELETE FROM ledger.evidence_leaf WHERE idx > 2", "entries 3 to 4 are missing"),
        ("UPDATE ledger.evidence_leaf SET chain = hash WHERE idx = 3", "entry 3: the chain breaks here"),
    ],
)
def test_what_the_owner_changes_is_found_and_named(
    ledger: Ledger, database: LedgerDatabase, statement: str, finding: str
) -> None:
    fill(database, 5)
    ledger.sequence_evidence()
    with database.as_owner() as connection:
        for table in ("evidence", "evidence_leaf"):
            connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL".encode())
        connection.execute(statement.encode())
    assert finding in log.audit(ledger.sessions, 5).findings


def test_a_row_that_is_put_in_afterwards_under_an_old_date_is_found(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    fill(database, 2)
    ledger.sequence_evidence()
    with database.as_owner() as connection:
        connection.execute("INSERT INTO ledger.evidence (kind, body, at) VALUES ('old', '{}', '2020-01-01Z')")
    ledger.sequence_evidence()
    now = datetime.now(UTC)
    assert log.audit(ledger.sessions, 3, published=(2, now)).findings == [
        "entry 2: its row of evidence, 3, is back-dated"
    ]
    assert log.audit(ledger.sessions, 3, published=(3, now)).findings == []
    assert log.audit(ledger.sessions, 2, published=(2, now + timedelta(hours=3))).findings == []


def test_the_end_of_a_run_sequences_what_it_wrote(
    ledger: Ledger, database: LedgerDatabase, run_id: UUID
) -> None:
    ledger.close_run(run_id, {"done": 1})
    assert database.rows("SELECT count(*) FROM ledger.evidence_leaf") == database.rows(
        "SELECT count(*) FROM ledger.evidence"
    )


def test_numbers_that_json_cannot_carry_do_not_stop_the_log(ledger: Ledger, database: LedgerDatabase) -> None:
    ledger.append_evidence("example", {"big": 2**60, "small": 0.1, "whole": 90.0, "id": uuid4(), "e": 1e21})
    with database.as_owner() as connection:
        connection.execute("INSERT INTO ledger.evidence (kind, body) VALUES ('x', '{\"huge\": 1e999}')")
    assert ledger.sequence_evidence() == 2
    assert log.audit(ledger.sessions, 2).findings == []


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(_values)
def test_the_quick_way_to_canonical_bytes_is_the_library_s(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
