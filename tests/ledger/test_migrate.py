from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import conninfo_to_dict

from include.privacy.ledger import Ledger, LedgerError, migrate
from include.privacy.ledger.base import SCHEMA, Base
from include.privacy.ledger.engine import ledger_engine
from include.privacy.ledger.states import transitions

from .conftest import AS_OF, DAG_ROLE, OWNER, LedgerDatabase

if TYPE_CHECKING:
    from include.sandbox.world import World


def test_the_migrations_make_exactly_the_tables_of_the_models(database: LedgerDatabase) -> None:
    engine = ledger_engine(database.owner_dsn)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
                # Indexes and unique constraints are the database's business, not the models'.
                "include_object": lambda _o, _n, kind, _r, _c: kind in ("table", "column"),
            },
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrating_twice_and_by_two_at_once_changes_nothing(
    fresh_database: Callable[..., str], world: World
) -> None:
    dsn = fresh_database(OWNER)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: migrate(dsn, DAG_ROLE), range(2)))
    migrate(dsn, DAG_ROLE)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT version_num FROM ledger.alembic_version").fetchall() == [("0005",)]
    with Ledger(world.dsn(str(conninfo_to_dict(dsn)["dbname"]), DAG_ROLE), bytes(32)) as ledger:
        ledger.open_run("check", "a", AS_OF, True, "1", "d")


def test_the_database_knows_exactly_the_transitions_of_the_constant(database: LedgerDatabase) -> None:
    with database.as_dags() as connection:
        rows = connection.execute(
            "SELECT machine, from_state, to_state FROM ledger.state_transition"
        ).fetchall()
    assert set(rows) == set(transitions())


def test_a_transition_that_left_the_constant_leaves_the_database(database: LedgerDatabase) -> None:
    with database.as_owner() as connection:
        connection.execute("INSERT INTO ledger.state_transition VALUES ('request', 'completed', 'received')")
    migrate(database.owner_dsn, DAG_ROLE)
    test_the_database_knows_exactly_the_transitions_of_the_constant(database)


@pytest.mark.parametrize("role", ["nobody_of_that_name", OWNER])
def test_a_role_that_cannot_be_restrained_is_refused(database: LedgerDatabase, role: str) -> None:
    with pytest.raises(LedgerError, match=role):
        migrate(database.owner_dsn, role)


def test_dags_may_read_the_state_machine_and_not_change_it(database: LedgerDatabase) -> None:
    with database.as_dags() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("INSERT INTO ledger.state_transition VALUES ('request', 'completed', 'received')")
