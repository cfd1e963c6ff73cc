"""Small helpers for tests of the PostgreSQL store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from include.privacy.planning.models import Cohort, Holds, Member
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.stores.postgres import PostgresStore

AS_OF = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Gate:
    """Holds that a test changes between two chunks."""

    def __init__(self, holds: Holds | None = None) -> None:
        self.holds = holds or Holds()
        self.asked = 0
        self.before: Callable[[int], None] = lambda asked: None

    @contextmanager
    def __call__(self) -> Iterator[Holds]:
        self.asked += 1
        self.before(self.asked)
        yield self.holds


def cohort(*keys: int | str, **identifiers: tuple[str, ...]) -> Cohort:
    """A cohort of these keys, all with the same identifiers."""
    members = [Member(str(key), identifiers) for key in keys]
    return Cohort(uuid4(), len(members), lambda: iter(members))


def database(tables: dict[str, Any], **more: Any) -> DatabaseMap:
    """A data map of one database; columns may be given as ``name: category``."""
    for table in tables.values():
        table["columns"] = {
            name: value if isinstance(value, dict) else {"category": value}
            for name, value in table["columns"].items()
        }
    return DatabaseMap.model_validate(
        {"store": "shop", "kind": "postgres", "connection": "shop_db", "tables": tables, **more}
    )


def run(dsn: str, *statements: str) -> None:
    """Executes statements, each in its own transaction."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]  # literal SQL of tests


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]  # literal SQL of tests


def erase(
    store: PostgresStore, who: Cohort, gate: Gate | None = None, plan_id: UUID | None = None, **options: Any
) -> Any:
    """Plans, executes every shard and probes; returns (plan, outcome of the last shard, probe)."""
    plan = store.plan_erasure(who, plan_id or uuid4(), as_of=AS_OF)
    for shard in range(plan.shards):
        outcome = store.execute(plan, who, gate or Gate(), shard=shard, **options)
    return plan, outcome, store.probe(plan, who)
