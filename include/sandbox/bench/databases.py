"""PostgreSQL: a purge against the physical floor and against a loop written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from include.privacy.planning.models import Cohort, Holds, Member, Outcome
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.policy import Guard, RecordAgeRule
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.bench.measure import Report, counted_statements, median, peak_mib, seconds
from include.sandbox.world import World

AS_OF = datetime(2026, 3, 31, tzinfo=UTC)
PEOPLE, DUE, SESSIONS, ATTEMPTS, CHUNK = 20_000, 10_000, 10, 90, 180
REPEATS = 3

# ruff: noqa: S608 - SQL of constants
SCHEMA = f"""
CREATE TABLE person (id bigint PRIMARY KEY, email text NOT NULL, deleted_at timestamptz);
CREATE TABLE session (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person,
                      ip inet, agent text);
CREATE TABLE attempt (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person,
                      at timestamptz NOT NULL, score int, answer text);
INSERT INTO person SELECT i, 'person' || i || '@example.org',
  CASE WHEN i % 2 = 0 THEN '2026-01-01Z'::timestamptz END
  FROM generate_series(1, {PEOPLE}) i;
INSERT INTO session SELECT i, 1 + i % {PEOPLE}, '203.0.113.7', repeat('agent ', 8)
  FROM generate_series(1, {PEOPLE * SESSIONS}) i;
INSERT INTO attempt SELECT i, 1 + (i * 7919::bigint) % {PEOPLE},
  '2026-01-01Z'::timestamptz + i * interval '1 second', i % 100, repeat('answer ', 12)
  FROM generate_series(1, {PEOPLE * ATTEMPTS}) i;
CREATE INDEX ON session (person_id);
CREATE INDEX ON attempt (person_id);
"""
MONTHS = 12
PARTITIONED = (
    "CREATE TABLE hit (id bigint, at timestamptz NOT NULL, payload text) PARTITION BY RANGE (at);"
    + "".join(
        f"CREATE TABLE hit_{m} PARTITION OF hit FOR VALUES "
        f"FROM ('2025-{m:02}-01Z') TO ('{2025 + m // 12}-{m % 12 + 1:02}-01Z');"
        for m in range(1, MONTHS + 1)
    )
)


class OpenGate:
    """No holds: what the hand-written code checks as well."""

    @contextmanager
    def __call__(self) -> Iterator[Holds]:
        """Opens it."""
        yield Holds()


def shop() -> DatabaseMap:
    """The data map of the benchmark's schema."""
    plain = {"category": "system.operations"}
    key = {"category": "user.unique_id"}
    owned: dict[str, Any] = {"owner": {"path": "person_id", "erasure": "delete"}}
    return DatabaseMap.model_validate(
        {
            "store": "shop",
            "kind": "postgres",
            "connection": "shop_db",
            "tables": {
                "session": {
                    "subjects": owned,
                    "columns": {"id": plain, "person_id": key, "ip": key, "agent": key},
                },
                "attempt": {
                    "subjects": owned,
                    "columns": {"id": plain, "person_id": key, "at": plain, "score": key, "answer": key},
                },
                "person": {
                    "subjects": {"self": {"path": "id", "erasure": "delete"}},
                    "columns": {"id": key, "email": key, "deleted_at": plain},
                },
            },
        }
    )


def people(count: int) -> Cohort:
    """The first ``count`` people who are due."""
    return Cohort(uuid4(), count, lambda: (Member(str(2 * i)) for i in range(1, count + 1)))


class Arena:
    """Fresh copies of one template database, so that every contender starts from the same pages."""

    def __init__(self, world: World, script: str, name: str) -> None:
        self.world, self.template = world, f"bench_{name}"
        dsn = world.postgres.create_database(self.template, "platform", "template1")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(script)  # type: ignore[arg-type]  # the constants above
            # Otherwise whoever reads first pays for the hint bits of all rows.
            connection.execute("VACUUM (FREEZE, ANALYZE)")

    def __call__(self, work: Callable[[str], Any]) -> float:
        """Seconds of ``work(dsn)`` in a copy of its own, after a checkpoint and with warm caches."""
        name = f"{self.template}_{uuid4().hex[:8]}"
        dsn = self.world.postgres.create_database(name, "platform", self.template)
        PostgresStore(shop(), dsn).migrate_workspace()
        with psycopg.connect(self.world.postgres.dsn(name), autocommit=True) as connection:
            # The same costs for everybody: the comparison is of engines, not of planner settings.
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET random_page_cost = 1.1").format(sql.Identifier(name))
            )
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            connection.execute(
                "SELECT pg_prewarm(c.oid) FROM pg_class c "
                "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
            )
            connection.execute("CHECKPOINT")
        try:
            return seconds(lambda: work(dsn))
        finally:
            self.world.postgres.drop_database(name)


def floor(dsn: str) -> None:
    """The plainest SQL: three statements, one transaction, no limits and no evidence."""
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TEMP TABLE due AS SELECT id FROM person WHERE deleted_at < '2026-03-01'")
        connection.execute("ANALYZE due")
        for table in ("attempt", "session"):
            connection.execute(
                sql.SQL("DELETE FROM {} t USING due WHERE t.person_id = due.id").format(sql.Identifier(table))
            )
        connection.execute("DELETE FROM person t USING due WHERE t.id = due.id")


def loop(dsn: str) -> None:
    """What one would write by hand: chunks of people, a transaction each."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        due = [
            r[0]
            for r in connection.execute("SELECT id FROM person WHERE deleted_at < '2026-03-01' ORDER BY id")
        ]
        for start in range(0, len(due), CHUNK):
            ids = due[start : start + CHUNK]
            with connection.transaction():
                connection.execute("DELETE FROM attempt WHERE person_id = ANY(%s)", (ids,))
                connection.execute("DELETE FROM session WHERE person_id = ANY(%s)", (ids,))
                connection.execute("DELETE FROM person WHERE id = ANY(%s)", (ids,))


class Engine:
    """Plan, execute, probe; keeps what it saw for the report."""

    def __init__(self, count: int = DUE) -> None:
        self.count = count
        self.plan_s = self.execute_s = self.probe_s = 0.0
        self.outcome = Outcome(store="shop")

    def __call__(self, dsn: str) -> None:
        """The whole purge of ``count`` people."""
        store, cohort = PostgresStore(shop(), dsn), people(self.count)
        marks = [time.perf_counter()]
        plan = store.plan_erasure(cohort, uuid4(), as_of=AS_OF)
        marks.append(time.perf_counter())
        self.outcome = store.execute(plan, cohort, OpenGate())
        marks.append(time.perf_counter())
        if not store.probe(plan, cohort).clean:
            raise RuntimeError("the benchmark's purge left rows behind")
        marks.append(time.perf_counter())
        self.plan_s, self.execute_s, self.probe_s = (b - a for a, b in pairwise(marks))


def purge(world: World, report: Report) -> None:
    """10,000 people with a million rows against the floor and against the loop."""
    arena = Arena(world, SCHEMA, "purge")
    engine = Engine()
    times: dict[str, list[float]] = {"floor": [], "loop": [], "engine": []}
    parts: dict[str, list[float]] = {"plan": [], "execute": [], "probe": [], "longest": []}
    for _ in range(REPEATS):
        times["floor"].append(arena(floor))
        times["loop"].append(arena(loop))
        times["engine"].append(arena(engine))
        for name, value in zip(
            parts,
            (engine.plan_s, engine.execute_s, engine.probe_s, engine.outcome.longest_transaction_s),
            strict=True,
        ):
            parts[name].append(value)
    floor_s, loop_s, engine_s = (median(times[k]) for k in ("floor", "loop", "engine"))
    execute_s = median(parts["execute"])
    report.add(
        "purge of 10,000 people, 1,010,000 rows",
        floor_s=floor_s, loop_s=loop_s, engine_s=engine_s, plan_s=median(parts["plan"]), execute_s=execute_s,
        probe_s=median(parts["probe"]),
        execute_vs_floor=execute_s / floor_s, execute_vs_loop=execute_s / loop_s,
        whole_vs_floor=engine_s / floor_s, whole_vs_loop=engine_s / loop_s,
        longest_transaction_s=max(parts["longest"]), chunks=engine.outcome.chunks,
    )  # fmt: skip
    for count in (1, 100, 10_000):
        one = Engine(count)
        with counted_statements() as statements:
            took = arena(one)
        report.add(
            f"erasure of {count:,} people",
            seconds=took, statements=statements[0], ms_per_person=1000 * took / count,
            statements_per_person=statements[0] / count,
        )  # fmt: skip
    report.add(
        "peak memory of a purge",
        people_100_mib=_peak(arena, 100), people_10000_mib=_peak(arena, 10_000),
    )  # fmt: skip


def _peak(arena: Arena, count: int) -> float:
    found: list[float] = []
    arena(lambda dsn: found.append(peak_mib(lambda: Engine(count)(dsn))))
    return found[0]


def record_age(world: World, report: Report) -> None:
    """A record-age rule on a partitioned table against dropping the partitions by hand."""
    fill = (
        "INSERT INTO hit SELECT i, '2025-01-01Z'::timestamptz + (i % 8760) * interval '1 hour', "
        "repeat('x', 60) "
        "FROM generate_series(1, 1000000) i; CREATE INDEX ON hit (at);"
    )
    arena = Arena(world, PARTITIONED + fill, "hits")
    rule = RecordAgeRule(
        id="hits", promise="P2.4", store="shop", kind="record_age", table="hit", clock="at",
        target_days=90, limit_days=120, guard=Guard(max_share=1, max_count=10**9),
    )  # fmt: skip
    described = shop().model_dump(by_alias=True, exclude_defaults=True)
    described["tables"] = {
        "hit": {"columns": {name: {"category": "system.operations"} for name in ("id", "at", "payload")}}
    }
    database = DatabaseMap.model_validate(described)

    def engine(dsn: str) -> None:
        store = PostgresStore(database, dsn)
        store.execute(
            store.plan_record_age(rule, uuid4(), as_of=datetime(2026, 4, 1, tzinfo=UTC)), None, OpenGate()
        )

    def by_hand(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for month in range(1, MONTHS + 1):
                connection.execute(f"DROP TABLE hit_{month}")  # type: ignore[arg-type]  # constants

    def counted_by_hand(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for month in range(1, MONTHS + 1):
                connection.execute(f"SELECT count(*) FROM hit_{month}")  # type: ignore[arg-type]
                connection.execute(f"DROP TABLE hit_{month}")  # type: ignore[arg-type]  # constants

    def rows_by_hand(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DELETE FROM hit WHERE at <= '2026-01-01'")

    took = {
        f.__name__: median([arena(f) for _ in range(REPEATS)])
        for f in (engine, by_hand, counted_by_hand, rows_by_hand)
    }
    report.add(
        "record age, 12 partitions of 1,000,000 rows",
        engine_s=took["engine"], drop_by_hand_s=took["by_hand"],
        count_and_drop_by_hand_s=took["counted_by_hand"],
        delete_by_hand_s=took["rows_by_hand"], engine_vs_drop=took["engine"] / took["by_hand"],
        engine_vs_count_and_drop=took["engine"] / took["counted_by_hand"],
        engine_vs_delete=took["engine"] / took["rows_by_hand"],
    )  # fmt: skip
