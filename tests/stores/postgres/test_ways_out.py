"""What the catalogue tells of ways out of a database, asked with the DAGs' own rights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from include.privacy.stores.postgres.ways_out import read_ways_out
from include.sandbox.postgres import DAG_ROLE
from include.sandbox.world import World


@pytest.fixture
def database(world: World, fresh_database: Callable[..., str]) -> Iterator[tuple[str, Any]]:
    """The DAGs' URL of a database that only its owner and they may connect to; a superuser's connection."""
    name = str(conninfo_to_dict(fresh_database())["dbname"])
    with psycopg.connect(world.dsn(name), autocommit=True) as owner:
        owner.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        owner.execute(grant.format(sql.Identifier(name), sql.Identifier(DAG_ROLE)))
        yield world.dsn(name, DAG_ROLE), owner


def test_a_closed_database_has_its_known_roles_and_nothing_else(database: tuple[str, Any]) -> None:
    dsn, _ = database
    found = read_ways_out(dsn)
    roles = {role.name: role.privileged for role in found.roles}
    assert roles == {"postgres": True, "platform": False, DAG_ROLE: False}
    assert not (found.publications + found.subscriptions + found.servers + found.extensions)


def test_everything_that_carries_rows_out_is_found(database: tuple[str, Any]) -> None:
    dsn, owner = database
    owner.execute("CREATE TABLE t (id int PRIMARY KEY)")
    owner.execute("CREATE PUBLICATION p FOR TABLE t")
    owner.execute("CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION q WITH (connect = false)")
    owner.execute("CREATE EXTENSION dblink")
    owner.execute("CREATE EXTENSION file_fdw")
    owner.execute("CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
    owner.execute("CREATE EXTENSION citext")
    try:
        found = read_ways_out(dsn)
        assert found.publications == ("p",)
        assert found.subscriptions == ("s",)
        assert found.extensions == ("dblink", "file_fdw")
        assert found.servers == ("files",)
    finally:
        owner.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
        owner.execute("DROP SUBSCRIPTION s")


@pytest.mark.parametrize(
    "privilege",
    [
        "BYPASSRLS",
        "REPLICATION",
        "SUPERUSER",
        "IN ROLE pg_read_all_data",
        "IN ROLE pg_read_server_files",
    ],
)
def test_a_role_that_reads_past_every_grant_is_privileged(database: tuple[str, Any], privilege: str) -> None:
    dsn, owner = database
    with _role(owner, privilege) as name:
        [role] = [r for r in read_ways_out(dsn).roles if r.name == name]
        assert role.privileged


def test_a_role_that_may_not_log_in_or_connect_is_no_way_out(database: tuple[str, Any]) -> None:
    dsn, owner = database
    with _role(owner, "NOLOGIN") as first, _role(owner, "", connects=False) as second:
        assert not {first, second} & {r.name for r in read_ways_out(dsn).roles}


@contextlib.contextmanager
def _role(owner: Any, options: str, *, connects: bool = True) -> Iterator[str]:
    name = f"role_{uuid4().hex[:8]}"
    role, database = sql.Identifier(name), sql.Identifier(owner.info.dbname)
    login = "" if "NOLOGIN" in options else "LOGIN "
    owner.execute(sql.SQL("CREATE ROLE {} " + login + options).format(role))
    if connects:
        owner.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
    try:
        yield name
    finally:
        owner.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, role))
        owner.execute(sql.SQL("DROP ROLE {}").format(role))
