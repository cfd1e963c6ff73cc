"""Clocks of people and rows in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from include.privacy.planning.models import Holds, PlanError
from include.privacy.policy.policy import Guard, RecordAgeRule, SubjectLifecycleRule
from include.privacy.stores.postgres import PostgresStore
from tests.stores.postgres.support import AS_OF, Gate, database, rows, run

GUARD = Guard(max_share=1, max_count=10**9)
ENDED = SubjectLifecycleRule(
    id="ended",
    promise="P4.1",
    store="shop",
    kind="subject_lifecycle",
    action="mark_deleted",
    target_days=30,
    limit_days=37,
    guard=GUARD,
)
PURGE = SubjectLifecycleRule(
    id="purge",
    promise="P4.2",
    store="shop",
    kind="subject_lifecycle",
    action="purge",
    target_days=30,
    limit_days=90,
    guard=GUARD,
)
TOKENS = RecordAgeRule(
    id="tokens",
    promise="P2.4",
    store="shop",
    kind="record_age",
    table="token",
    clock="created_at",
    target_days=7,
    limit_days=30,
    guard=GUARD,
)
HITS = TOKENS.model_copy(update={"id": "hits", "table": "hit", "clock": "at"})
SCHEMA = """
CREATE TABLE person (id bigint PRIMARY KEY, status text DEFAULT 'active',
                     service_ended_at timestamptz, deleted_at timestamptz);
CREATE TABLE token (id bigint GENERATED ALWAYS AS IDENTITY, person_id bigint, created_at timestamptz);
CREATE TABLE hit (id bigint, person_id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE hit_2026_01 PARTITION OF hit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE hit_2026_02 PARTITION OF hit FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE hit_2026_03 PARTITION OF hit FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
"""
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def dsn(fresh_database: Callable[[], str]) -> str:
    """An empty shop."""
    dsn = fresh_database()
    run(dsn, SCHEMA)
    shop(dsn).migrate_workspace()
    return dsn


def shop(dsn: str) -> PostgresStore:
    """The store with its map."""
    owner: dict[str, Any] = {"owner": {"path": "person_id", "erasure": "delete"}}
    columns = {"id": "system", "person_id": "user.unique_id"}
    lifecycle = {
        "service_ended_at": "service_ended_at",
        "deleted_at": "deleted_at",
        "on_deleted": {"status": "deleted"},
    }
    return PostgresStore(
        database(
            {
                "person": {
                    "subjects": {"self": {"path": "id", "erasure": "delete"}},
                    "columns": {
                        "id": "user.unique_id",
                        "status": "system",
                        "service_ended_at": "user",
                        "deleted_at": "user",
                    },
                },
                "token": {"subjects": owner, "columns": {**columns, "created_at": "system"}},
                "hit": {"subjects": owner, "columns": {**columns, "at": "system"}},
            },
            root={"table": "person", "key": "id", "lifecycle": lifecycle},
        ),
        dsn,
    )


def people(dsn: str, *clocks: tuple[datetime | None, datetime | None]) -> None:
    """Adds people 1, 2, … with (service_ended_at, deleted_at)."""
    for i, (ended, deleted) in enumerate(clocks, start=1):
        text = ", ".join("NULL" if c is None else f"'{c.isoformat()}'" for c in (ended, deleted))
        run(dsn, f"INSERT INTO person (id, service_ended_at, deleted_at) VALUES ({i}, {text})")


def ago(days: float) -> datetime:
    """``days`` before AS_OF."""
    return AS_OF - timedelta(days=days)


def test_people_fall_due_at_the_instant_and_not_a_microsecond_before(dsn: str) -> None:
    people(
        dsn, (None, ago(30)), (None, ago(30) + MICROSECOND), (None, None), (None, AS_OF + timedelta(days=5))
    )
    assert shop(dsn).due_keys(PURGE, as_of=AS_OF) == ["1"]


def test_an_ended_account_is_deleted_from_the_instant_it_fell_due_even_when_the_run_is_late(dsn: str) -> None:
    people(dsn, (ago(40), None), (ago(30) + MICROSECOND, None), (None, None), (ago(200), ago(100)))
    assert shop(dsn).mark_deleted(ENDED, as_of=AS_OF, dry_run=True) == 1
    assert shop(dsn).mark_deleted(ENDED, as_of=AS_OF) == 1
    assert shop(dsn).mark_deleted(ENDED, as_of=AS_OF) == 0
    assert rows(dsn, "SELECT deleted_at, status FROM person ORDER BY id") == [
        (ago(10), "deleted"),
        (None, "active"),
        (None, "active"),
        (ago(100), "active"),
    ]


def test_people_past_the_limit_are_overdue_by_the_age_of_the_oldest_and_the_held_are_counted_apart(
    dsn: str,
) -> None:
    people(
        dsn,
        (None, ago(90)),
        (None, ago(97)),
        (None, ago(120)),
        (None, ago(90) + MICROSECOND),
        (None, AS_OF + MICROSECOND),
    )
    found = shop(dsn).overdue(PURGE, as_of=AS_OF, holds=Holds(subjects=frozenset({"3"})))
    assert (found.count, found.oldest, found.held, found.in_future) == (2, timedelta(days=7), 1, 1)


def test_old_rows_go_young_rows_stay_and_rows_without_a_clock_are_reported(dsn: str) -> None:
    run(
        dsn,
        *[
            f"INSERT INTO token (person_id, created_at) VALUES (1, '{t.isoformat()}')"
            for t in (ago(40), ago(7), ago(7) + MICROSECOND)
        ],
        "INSERT INTO token (person_id) VALUES (1)",
    )
    store = shop(dsn)
    before = store.overdue(TOKENS, as_of=AS_OF, holds=Holds())
    assert (before.count, before.oldest, before.unclocked) == (1, timedelta(days=10), 1)
    plan = store.plan_record_age(TOKENS, uuid4(), as_of=AS_OF)
    assert store.execute(plan, None, Gate(), dry_run=True).removed == {"token": 2}
    assert store.execute(plan, None, Gate()).removed == {"token": 2}
    assert store.execute(plan, None, Gate()).removed == {"token": 2}
    assert len(rows(dsn, "SELECT 1 FROM token")) == 2
    assert store.overdue(TOKENS, as_of=AS_OF, holds=Holds()).count == 0


def test_rows_of_a_held_person_stay_and_are_named_as_kept(dsn: str) -> None:
    run(
        dsn,
        "INSERT INTO token (person_id, created_at) SELECT i, '2026-01-01Z' FROM generate_series(1, 3) i",
        "INSERT INTO token (created_at) VALUES ('2026-01-01Z')",
    )
    store, gate = shop(dsn), Gate(Holds(subjects=frozenset({"2"})))
    outcome = store.execute(store.plan_record_age(TOKENS, uuid4(), as_of=AS_OF), None, gate)
    assert outcome.removed == {"token": 3}
    assert outcome.kept == {"token": "1 rows kept, legal hold"}
    assert rows(dsn, "SELECT person_id FROM token") == [(2,)]


def test_a_partition_that_is_due_as_a_whole_is_dropped_and_the_boundary_partition_is_cut(dsn: str) -> None:
    run(
        dsn,
        "INSERT INTO hit SELECT g, 1, '2026-01-15Z'::timestamptz + g * interval '1 hour' "
        "FROM generate_series(0, 1800) g",
    )
    store = shop(dsn)
    due = rows(dsn, f"SELECT count(*) FROM hit WHERE at <= '{ago(7).isoformat()}'")[0][0]
    outcome = store.execute(store.plan_record_age(HITS, uuid4(), as_of=AS_OF), None, Gate())
    assert outcome.removed == {"hit": due}
    assert rows(dsn, "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'") == [
        ("hit_2026_03",)
    ]
    assert rows(dsn, "SELECT min(at) FROM hit")[0][0] > ago(7)


def test_a_partition_with_rows_of_a_held_person_is_not_dropped(dsn: str) -> None:
    run(dsn, "INSERT INTO hit SELECT g, g % 2, '2026-01-15Z' FROM generate_series(1, 10) g")
    store, gate = shop(dsn), Gate(Holds(subjects=frozenset({"1"})))
    outcome = store.execute(store.plan_record_age(HITS, uuid4(), as_of=AS_OF), None, gate)
    assert outcome.removed == {"hit": 5}
    assert rows(dsn, "SELECT count(*), min(person_id) FROM hit") == [(5, 1)]


def test_a_rule_for_a_missing_clock_names_the_column(dsn: str) -> None:
    with pytest.raises(PlanError, match="no column 'expires'"):
        shop(dsn).plan_record_age(TOKENS.model_copy(update={"clock": "expires"}), uuid4(), as_of=AS_OF)


def test_retention_counts_days_as_24_hours_across_the_change_to_summer_time(dsn: str) -> None:
    instant = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    people(dsn, (None, instant - timedelta(days=30)))
    assert shop(dsn).due_keys(PURGE, as_of=instant - MICROSECOND) == []
    assert shop(dsn).due_keys(PURGE, as_of=instant) == ["1"]
