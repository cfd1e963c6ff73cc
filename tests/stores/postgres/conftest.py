"""Databases and roles for tests of the PostgreSQL store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from include.sandbox.world import World


@pytest.fixture(scope="module")
def fresh_database_module(world: World) -> Iterator[Callable[[], str]]:
    """As ``fresh_database``, for one module."""
    created: list[str] = []

    def create() -> str:
        created.append(f"test_{uuid.uuid4().hex[:12]}")
        return world.postgres.create_database(created[-1], "platform", "template1")

    yield create
    for name in created:
        world.postgres.drop_database(name)


@pytest.fixture
def fresh_role(world: World) -> Iterator[Callable[[str], str]]:
    """``fresh_role(dsn)``: the same database as a role that owns nothing."""
    created: list[tuple[str, str]] = []

    def create(dsn: str) -> str:
        role, name = f"role_{uuid.uuid4().hex[:12]}", str(conninfo_to_dict(dsn)["dbname"])
        with psycopg.connect(world.postgres.dsn(name), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")  # type: ignore[arg-type]  # our name
        created.append((name, role))
        return make_conninfo(dsn, user=role, password="x")

    yield create
    for name, role in created:
        with psycopg.connect(world.postgres.dsn(name), autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")  # type: ignore[arg-type]  # our name
            connection.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]  # our name
