"""The shipped data map and the grants made from it, on the platform's real databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from include.privacy.planning.models import Cohort, Holds
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import database_grants
from include.privacy.policy.live import compare_with_live
from include.privacy.policy.loading import ROOT, Config, load_config
from include.privacy.policy.policy import RecordAgeRule, SubjectLifecycleRule
from include.privacy.stores.postgres import PostgresStore
from include.sandbox.platform.seed import create_schema, seed

if TYPE_CHECKING:
    from include.sandbox.world import World

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ROLE = "privacy_dags"
STORES = ("accounts", "practice")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config")


@pytest.fixture(scope="module")
def names(world: World, config: Config) -> Iterator[dict[str, str]]:
    """Both databases, seeded, with the generated grants and nothing else for the DAGs' role."""
    names = {store: f"policy_{store}_{uuid4().hex[:8]}" for store in STORES}
    for name in names.values():
        world.postgres.create_database(name, "platform")
    create_schema(world.dsn(names["accounts"]), world.dsn(names["practice"]))
    seed(
        world.dsn(names["accounts"]),
        world.dsn(names["practice"]),
        people=300,
        attempts_per_person=5,
        seed=7,
        as_of=AS_OF,
    )
    for store, name in names.items():
        with psycopg.connect(world.dsn(name), autocommit=True) as admin:
            admin.execute(database_grants(_map(config, store), config.policy.rules, ROLE).encode())
    yield names
    for name in names.values():
        world.postgres.drop_database(name)


@pytest.fixture
def store(world: World, config: Config, names: dict[str, str]) -> Callable[[str], PostgresStore]:
    """``store("practice")``: as the DAGs' role sees it."""

    def make(name: str) -> PostgresStore:
        made = PostgresStore(_map(config, name), world.dsn(names[name], ROLE))
        made.migrate_workspace()
        return made

    return make


def _map(config: Config, name: str) -> DatabaseMap:
    found = config.data_map[name]
    assert isinstance(found, DatabaseMap)
    return found


def _no_holds() -> AbstractContextManager[Holds]:
    return nullcontext(Holds())


@pytest.mark.parametrize("name", STORES)
def test_the_map_covers_everything_that_is_in_the_database(
    config: Config, store: Callable[[str], PostgresStore], name: str
) -> None:
    problems = compare_with_live(
        _map(config, name), store(name).read_schema(), config.documents[name], config.policy
    )
    assert not problems, "\n".join(map(str, problems))


@pytest.mark.parametrize("name", STORES)
def test_one_more_column_and_table_are_noticed(
    world: World, config: Config, store: Callable[[str], PostgresStore], names: dict[str, str], name: str
) -> None:
    table = next(iter(_map(config, name).tables))
    with psycopg.connect(world.dsn(names[name]), autocommit=True) as admin:
        admin.execute(f"ALTER TABLE {table} ADD COLUMN nickname text".encode())
        admin.execute(f"CREATE TABLE newcomer (learner bigint REFERENCES {table})".encode())
        try:
            found = compare_with_live(_map(config, name), store(name).read_schema())
        finally:
            admin.execute("DROP TABLE newcomer")
            admin.execute(f"ALTER TABLE {table} DROP COLUMN nickname".encode())
    assert {"newcomer", "nickname"} == {
        word for p in found for word in ("newcomer", "nickname") if word in p.message
    }


def test_the_demo_people_due_stay_within_the_guard(
    config: Config, store: Callable[[str], PostgresStore]
) -> None:
    """Not a promise about anybody's data: the guard must not turn the first demo red."""
    root = store("accounts")
    for rule in config.policy.rules:
        if isinstance(rule, SubjectLifecycleRule):
            due = len(root.due_keys(rule, as_of=AS_OF))
            assert 0 < due <= rule.guard.max_share * root.population()


def test_the_generated_grants_are_enough_to_erase_people(
    config: Config, store: Callable[[str], PostgresStore]
) -> None:
    root = store("accounts")
    purge = next(
        r for r in config.policy.rules if isinstance(r, SubjectLifecycleRule) and r.action == "purge"
    )
    keys = root.due_keys(purge, as_of=AS_OF)
    assert keys
    frozen = list(root.freeze_identifiers(keys))
    cohort = Cohort(uuid4(), len(frozen), lambda: iter(frozen))
    for name in ("practice", "accounts"):
        database = store(name)
        plan = database.plan_erasure(cohort, uuid4(), as_of=AS_OF)
        for shard in range(plan.shards):
            database.execute(plan, cohort, _no_holds, shard=shard)
        assert database.probe(plan, cohort).clean
        database.finish(plan)
    assert root.due_keys(purge, as_of=AS_OF) == []


def test_the_generated_grants_are_enough_for_the_other_rules(
    config: Config, store: Callable[[str], PostgresStore]
) -> None:
    for rule in config.policy.rules:
        if isinstance(rule, SubjectLifecycleRule) and rule.action == "mark_deleted":
            assert store(rule.store).mark_deleted(rule, as_of=AS_OF) > 0
        if isinstance(rule, RecordAgeRule):
            database = store(rule.store)
            plan = database.plan_record_age(rule, uuid4(), as_of=AS_OF)
            database.execute(plan, None, _no_holds)
            assert database.overdue(rule, as_of=AS_OF, holds=Holds()).count == 0


def test_what_is_not_mapped_cannot_be_read(world: World, names: dict[str, str]) -> None:
    with (
        psycopg.connect(world.dsn(names["accounts"], ROLE)) as dags,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        dags.execute("SELECT * FROM admin_users")
