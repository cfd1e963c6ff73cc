"""Samples of a database: bounded, read only, and nothing comes out of them but counts."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from include.privacy.policy.looks import Kind
from include.privacy.stores.postgres.sampling import legible, sample_tables
from include.privacy.stores.postgres.schemas import schemas_with_tables
from tests.stores.postgres.support import run

COLUMNS = {
    "words": "text",
    "document": "jsonb",
    "list": "text[]",
    "bytes": "bytea",
    "host": "inet",
    "rare": "text",
    "number": "bigint",
    "flag": "boolean",
}


@pytest.fixture(scope="module")
def things(fresh_database_module: Callable[[], str]) -> str:
    dsn = fresh_database_module()
    run(
        dsn,
        "CREATE TABLE things (id serial, words text, document jsonb, list text[], bytes bytea, host inet,"
        " rare text, number bigint, flag boolean) PARTITION BY RANGE (id)",
        "CREATE TABLE things_1 PARTITION OF things FOR VALUES FROM (0) TO (6000)",
        "CREATE TABLE things_2 PARTITION OF things FOR VALUES FROM (6000) TO (20000)",
        "INSERT INTO things (words, document, list, bytes, host, number, flag)"
        " SELECT 'a' || g || '@example.org', jsonb_build_object('to', jsonb_build_array('b@example.org')),"
        " ARRAY['x', 'c@example.org'], convert_to('d@example.org', 'UTF8') || '\\x00ff', '203.0.113.9', g,"
        " true FROM generate_series(1, 9000) g",
        "UPDATE things SET rare = 'e@example.org' WHERE id > 8990",
        "CREATE MATERIALIZED VIEW copies AS SELECT words FROM things",
        "CREATE TABLE empty (words text)",
        "ANALYZE",
        "CREATE SCHEMA beside",
        "CREATE TABLE beside.more (id int)",
    )
    return dsn


def test_every_type_that_can_hold_text_is_looked_at_in_a_bounded_sample(things: str) -> None:
    found = sample_tables(
        things,
        "public",
        {"things": COLUMNS, "copies": {"words": "text"}, "empty": {"words": "text"}, "gone": {"x": "text"}},
        rows=50,
        timeout_s=10,
    )
    sample = found["things"]
    assert 0 < sample.rows <= 50 and sample.unread == {}
    mail = {c: t.found[Kind.email] for c, t in sample.columns.items()}
    all_ = sample.rows
    assert mail == {
        "words": all_, "document": all_, "list": all_, "bytes": all_, "host": 0, "rare": 10, "number": 0,
    }  # fmt: skip
    assert sample.columns["host"].found == {Kind.ip: all_}
    assert "flag" not in sample.columns, "a truth value looks like nothing"
    assert found["copies"].columns["words"].found[Kind.email] == found["copies"].rows > 0
    assert (found["empty"].rows, found["gone"].rows) == (0, 0)
    assert "@" not in repr(found), "counts, and nothing else"


def test_what_the_role_may_not_read_is_said_and_the_rest_is_looked_at(
    things: str, fresh_role: Callable[[str], str]
) -> None:
    role = fresh_role(things)
    name = psycopg.conninfo.conninfo_to_dict(role)["user"]
    run(things, f"GRANT SELECT (words) ON things TO {name}")
    found = sample_tables(
        role, "public", {"things": {"words": "text", "document": "jsonb"}}, rows=20, timeout_s=10
    )["things"]
    assert found.columns["words"].found[Kind.email] == 20
    assert found.unread == {"document": "the role may not read it"}


def test_a_statement_that_takes_too_long_is_given_up_and_named(things: str) -> None:
    run(
        things,
        "CREATE FUNCTION slowly() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT pg_sleep(30)::text $$",
        "CREATE VIEW slow AS SELECT slowly() AS words",
    )
    found = sample_tables(things, "public", {"slow": {"words": "text"}}, rows=5, timeout_s=1)["slow"]
    assert found.unread == {"words": "it takes too long"}
    assert found.columns["words"].looked == 0


def test_a_database_that_is_not_there_is_an_error_and_not_an_empty_sample() -> None:
    with pytest.raises(psycopg.OperationalError):
        sample_tables("postgresql://x@127.0.0.1:9/none", "public", {"a": {"b": "text"}}, rows=1, timeout_s=1)


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        ("text", True),
        ("character varying(20)", True),
        ("jsonb", True),
        ("numeric(20,0)", True),
        ("mood", True),
        ("timestamp(3) with time zone", False),
        ("numrange", False),
        ("uuid[]", False),
        ("bit(8)", False),
    ],
)
def test_types_that_say_nothing_are_passed_over(type_: str, told: bool) -> None:
    assert legible(type_) is told


def test_schemas_with_tables_are_counted(things: str) -> None:
    assert schemas_with_tables(things) == {"public": 3, "beside": 1}
