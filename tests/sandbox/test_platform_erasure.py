"""The real map on the real platform, as the role that DAGs use: people go, everybody else stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from include.privacy.planning.models import Cohort, Holds, Member
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import database_grants
from include.privacy.policy.live import compare_with_live
from include.privacy.policy.loading import load_data_map
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.platform.people import MARKERS
from include.sandbox.platform.seed import create_schema, seed
from include.sandbox.postgres import DAG_ROLE
from include.sandbox.world import ROOT

if TYPE_CHECKING:
    from include.sandbox.world import World

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@contextmanager
def no_holds() -> Iterator[Holds]:
    yield Holds()


@pytest.fixture
def stores(world: World) -> Iterator[dict[str, tuple[PostgresStore, str]]]:
    """Each database with its map, reached as the DAGs' role; and the owner's URL for looking."""
    data_map = load_data_map(ROOT / "config" / "data_map")
    urls = {}
    for name in ("accounts", "practice"):
        database = f"platform_{uuid4().hex[:10]}"
        world.postgres.create_database(database, "platform")
        urls[name] = world.dsn(database)
    create_schema(urls["accounts"], urls["practice"])
    seed(urls["accounts"], urls["practice"], people=300, attempts_per_person=20, as_of=AS_OF)
    built = {}
    for name, url in urls.items():
        mapped = data_map[name]
        assert isinstance(mapped, DatabaseMap)
        database = str(conninfo_to_dict(url)["dbname"])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(database_grants(mapped, (), DAG_ROLE).encode())
            connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {DAG_ROLE}".encode())
        store = PostgresStore(mapped, world.dsn(database, DAG_ROLE))
        store.migrate_workspace()
        built[name] = (store, url)
    yield built
    for url in urls.values():
        world.postgres.drop_database(str(conninfo_to_dict(url)["dbname"]))


def everything(url: str) -> dict[str, set[str]]:
    """All rows of all tables as text."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'm') AND NOT relispartition"
        ).fetchall()
        return {
            name: {
                row[0]
                for row in connection.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
                )
            }
            for (name,) in names
        }


def test_the_live_platform_holds_nothing_that_the_map_does_not_cover(
    stores: dict[str, tuple[PostgresStore, str]],
) -> None:
    for store, _ in stores.values():
        assert [str(p) for p in compare_with_live(store.map, store.read_schema())] == []


def test_the_erased_leave_no_trace_and_the_others_are_untouched(
    stores: dict[str, tuple[PostgresStore, str]],
) -> None:
    accounts, url = stores["accounts"]
    with psycopg.connect(url) as connection:
        keys = [
            str(row[0])
            for row in connection.execute(
                "SELECT id FROM accounts WHERE deleted_at <= %s OR id = %s ORDER BY id",
                (AS_OF - timedelta(days=30), MARKERS[1].account_id),
            )
        ]
    assert str(MARKERS[0].account_id) in keys
    members: list[Member] = list(accounts.freeze_identifiers(keys))
    everyone = Cohort(uuid4(), len(members), lambda: iter(members))
    before = {name: everything(owner) for name, (_, owner) in stores.items()}
    for name in ("practice", "accounts"):
        store, _ = stores[name]
        plan = store.plan_erasure(everyone, uuid4(), as_of=AS_OF)
        for shard in range(plan.shards):
            store.execute(plan, everyone, no_holds, shard=shard)
        assert store.probe(plan, everyone).clean
    after = {name: everything(owner) for name, (_, owner) in stores.items()}

    emails = {email for member in members for email in member.identifiers.get("email", ())}
    needles = emails | {needle for marker in MARKERS for needle in marker.needles}
    left = {
        (name, table, needle)
        for name, tables in after.items()
        for table, rows in tables.items()
        for row in rows
        for needle in needles
        if needle in row
    }
    assert left == set()
    assert len(after["accounts"]["invoices"]) == len(before["accounts"]["invoices"]), "tax law keeps invoices"
    assert len(after["practice"]["exercise_ratings"]) == len(before["practice"]["exercise_ratings"])
    # Tables in which nothing is anonymised: what is left was there before, letter by letter.
    for name, tables in after.items():
        mapped = stores[name][0].map
        for table, rows in tables.items():
            if not any(s.erasure.anonymise for s in mapped.tables[table].subjects.values()):
                assert rows <= before[name][table], table
    survivors = len(before["accounts"]["accounts"]) - len(keys)
    assert len(after["accounts"]["accounts"]) == len(after["practice"]["learners"]) == survivors
    attempts = {row.split(",")[0] for row in before["practice"]["attempts"]}
    assert len(attempts) - len(after["practice"]["attempts"]) == len(keys) * 20
