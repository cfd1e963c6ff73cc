"""A platform of 700 people, a ledger, and a runtime on both; Airflow's metadata are not needed."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest
from psycopg import sql

from include.sandbox.platform import restores
from tests.conftest import PLATFORM_AS_OF
from tests.runs.conftest import MASTER_KEY, ROOT  # sets Airflow's settings before anything imports it

if TYPE_CHECKING:
    from include.privacy.ledger import Ledger
    from include.sandbox.world import World

T = PLATFORM_AS_OF - timedelta(days=3)
"""When the backup was captured."""
STORES = ("practice", "accounts")
_NAMESPACE = UUID("4f0c2c1e-32a4-5d0e-9c53-5e4b8a0b9a11")


@dataclass
class Rig:
    """One test's databases by store (they may be exchanged for restored ones) and the ledger."""

    world: World
    ledger: Ledger
    databases: dict[str, str]
    connections: dict[str, str] = field(default_factory=dict)
    as_of: datetime = PLATFORM_AS_OF
    ledger_name: str = ""

    def dsn(self, store: str, role: str = "postgres") -> str:
        return self.world.dsn(self.databases[store], role)

    def put(self, store: str, database: str) -> None:
        """Another database in the place of a store; tasks that begin from now on see it."""
        from include.privacy.runtime import runtime

        self.databases[store] = database
        runtime().close()

    def rows(self, store: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn(store), autocommit=True) as connection:
            done = connection.execute(query.encode(), parameters or None)
            return done.fetchall() if done.description else []

    def value(self, store: str, query: str, *parameters: Any) -> Any:
        found = self.rows(store, query, *parameters)
        return found[0][0] if found else None

    def open_run(self, kind: str, **params: Any) -> str:
        from include.privacy.steps.runs import open_run

        dag_run = SimpleNamespace(dag_id=kind, run_id=str(uuid4()), run_after=self.as_of)
        return open_run(kind, params=params, dag_run=dag_run)

    def people(self, first: int, count: int) -> list[str]:
        query = "SELECT id::text FROM accounts WHERE id < 900000000 ORDER BY accounts.id OFFSET %s LIMIT %s"
        return [row[0] for row in self.rows("accounts", query, first, count)]

    def erase(self, keys: Sequence[str], *, tombstones: bool = True) -> UUID:
        """The steps of every erasure, in the databases; returns the cohort."""
        from include.privacy.steps import concluding, executing, planning, probing
        from include.privacy.steps.freezing import members
        from include.privacy.steps.work import Item

        run = self.open_run("erasure_requests")
        cohort = self.ledger.freeze_cohort(members(keys), "erasure_requests", UUID(run))
        items = [
            Item(plan_id=str(uuid5(cohort.id, s)), cohort_id=str(cohort.id), store=s, rule="") for s in STORES
        ]
        for item in items:
            planning.plan(run, **item)
        for shards in (executing.shards, lambda found: executing.release_roots(run, found)):
            for shard in shards(items):
                executing.execute(run, **shard)
        for look in probing.probes(run, items):
            assert probing.probe(run, **look)["remaining"] == 0
        if tombstones:
            assert concluding.conclude(run, items)["concluded"] == 1
        return cohort.id

    def request(self, right: str, key: str, details: dict[str, Any]) -> UUID:
        due = self.as_of + timedelta(days=20)
        external = str(uuid5(_NAMESPACE, f"{right} {key}"))
        made = self.ledger.receive_request(
            external, right, key, self.as_of, self.as_of, "account_page", details, due
        )
        self.ledger.acknowledge_request(made)
        return made

    def correct(self, values: dict[str, dict[str, str]]) -> None:
        """Requests for rectification, from the claim to the answer."""
        from include.privacy.requests import corrected, rectifying

        for key, fields in values.items():
            self.request("rectification", key, {"corrections": fields})
        run = self.open_run("rectification_requests")
        ids = rectifying.claim(run)
        for item in rectifying.correct_root(run, ids):
            rectifying.correct(run, **item)
        assert corrected.conclude(run, ids) == {"completed": len(values)}

    def object(self, keys: Sequence[str], purposes: Sequence[str]) -> None:
        """Objections to purposes that stop at once, from the claim to the answer."""
        from include.privacy.requests import objecting

        for key in keys:
            self.request("objection", key, {"purposes": list(purposes)})
        run = self.open_run("objection_requests")
        items = objecting.claim(run)
        for item in items:
            objecting.restrict(run, **item)
        assert objecting.conclude(run, items) == {"completed": len(keys)}

    def replay(self, stores: Sequence[str] = STORES, captured_at: datetime | None = T, **more: Any) -> Any:
        """The DAG's tasks, in their order."""
        from tests.runs.quick import run_quickly

        conf = {
            "stores": list(stores),
            "captured_at": captured_at.isoformat() if captured_at else None,
            "connection": None,
            "dry_run": False,
            **more,
        }
        return run_quickly(dag_of_replay(), conf, self.as_of)

    def report(self) -> dict[str, Any]:
        """The summary of the last replay."""
        row = self.ledger.latest_run("replay")
        assert row is not None and row.summary is not None
        return dict(row.summary)

    def states(self, run: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for task in run.tasks:
            found.setdefault(task.task_id, []).append(task.state)
        return found


def close(rig: Rig, *stores: str) -> None:
    """The quarantine, as the operations manual says."""
    for store in stores:
        restores.close(rig.world.postgres, rig.databases[store])


def digests(rig: Rig, store: str) -> dict[str, str]:
    """One digest for each table, of all of its rows in any order; values drawn at random left out."""
    tables = rig.rows(
        store,
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
    )
    query = sql.SQL(
        "SELECT md5(string_agg(md5(row), '' ORDER BY md5(row))) "
        "FROM (SELECT (to_jsonb(t) - 'public_ref')::text AS row FROM {} t) x"
    )
    with psycopg.connect(rig.dsn(store)) as connection:
        return {
            name: str(connection.execute(query.format(sql.Identifier(name))).fetchone()) for (name,) in tables
        }


@cache
def dag_of_replay() -> Any:
    path = ROOT / "dags" / "replay_after_restore.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.replay_after_restore()


@pytest.fixture(scope="module")
def crowd(world: World) -> Iterator[dict[str, str]]:
    """Two databases with 700 people; do not change them."""
    from include.privacy.policy.data_map import DatabaseMap
    from include.privacy.policy.grants import database_grants
    from include.privacy.policy.loading import load_config
    from include.privacy.stores.postgres import PostgresStore
    from include.sandbox.platform.seed import create_schema, seed
    from include.sandbox.postgres import DAG_ROLE

    config = load_config(Path(ROOT) / "config")
    names = {store: f"{store}_crowd_{uuid4().hex[:8]}" for store in STORES}
    for name in names.values():
        world.postgres.create_database(name, "platform")
    dsns = world.dsn(names["accounts"]), world.dsn(names["practice"])
    create_schema(*dsns)
    seed(*dsns, people=700, attempts_per_person=2, as_of=PLATFORM_AS_OF)
    for store, name in names.items():
        mapped = config.data_map[store]
        assert isinstance(mapped, DatabaseMap)
        with psycopg.connect(world.dsn(name), autocommit=True) as connection:
            grants = database_grants(mapped, config.policy.rules, DAG_ROLE, config.policy.purposes)
            connection.execute(grants.encode())
        adapter = PostgresStore(mapped, world.dsn(name, DAG_ROLE))
        adapter.migrate_workspace()
        adapter.migrate_views(config.policy.purposes)
    yield names
    for name in names.values():
        world.postgres.drop_database(name)


@pytest.fixture(scope="module")
def empty_ledger(world: World) -> Iterator[str]:
    """A migrated ledger; every test copies it."""
    from include.privacy.ledger import migrate

    name = f"ledger_replay_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), "privacy_dags")
    yield name
    world.postgres.drop_database(name)


@pytest.fixture
def databases(world: World) -> Iterator[Callable[[str, str | None], str]]:
    """``databases(owner, template) -> name``; dropped after the test."""
    made: list[str] = []

    def create(owner: str, template: str | None) -> str:
        made.append(f"replay_{uuid4().hex[:10]}")
        world.postgres.create_database(made[-1], owner, template or "template1")
        return made[-1]

    yield create
    for name in made:
        world.postgres.drop_database(name)


@pytest.fixture
def rig(
    world: World,
    crowd: dict[str, str],
    empty_ledger: str,
    databases: Callable[[str, str | None], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    """Databases and ledger of this test alone, behind the runtime that tasks use."""
    from include.privacy import runtime
    from include.privacy.connections import ConnectionInfo
    from include.privacy.ledger import Ledger
    from include.privacy.processors.pacing import Pace
    from include.privacy.requests import telling
    from include.privacy.steps import residue

    ledger_name = databases("ledger_owner", empty_ledger)
    names = {store: databases("platform", crowd[store]) for store in STORES}

    def connect(conn_id: str) -> ConnectionInfo:
        known = json.loads(world.env[f"AIRFLOW_CONN_{conn_id.upper().removeprefix('RESTORED_')}"])
        by_id = {"privacy_ledger": ledger_name, **made.connections}
        schema = by_id.get(conn_id) or made.databases.get(conn_id.removesuffix("_db")) or known.get("schema")
        return ConnectionInfo(
            conn_id,
            known["conn_type"],
            known.get("host"),
            known.get("port"),
            known.get("login"),
            known.get("password"),
            schema,
            known.get("extra") or {},
        )

    monkeypatch.setenv("PRIVACY_MASTER_KEY", base64.b64encode(MASTER_KEY).decode())
    monkeypatch.setattr(Pace, "wait", lambda self: None)
    # Letters and outbox have tests of their own, and take most of the time that a hundred requests take.
    monkeypatch.setattr(telling, "tell", lambda *_, **__: True)
    monkeypatch.setattr(telling, "answer", lambda *_, **__: None)
    # There is no bucket in this world: the newest backup is taken to be of now, as for one that is down.
    monkeypatch.setattr(residue, "_newest_capture", lambda rule, erased_at: erased_at)
    with Ledger(world.dsn(ledger_name, "privacy_dags"), MASTER_KEY) as ledger:
        made = Rig(world, ledger, names, ledger_name=ledger_name)
        with runtime.use_runtime(runtime.Runtime(connect)) as rt:
            yield made
            rt.close()
