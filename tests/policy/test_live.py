"""The comparison with a live schema: nothing may live in a database that the map does not cover."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from include.privacy.planning.catalogue import ForeignKey, LiveColumn, LiveSchema, LiveTable
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.live import compare_with_live
from include.privacy.policy.live_prefixes import compare_prefixes
from include.privacy.policy.loading import Config, load_config
from tests.policy import configs

CLOCKS = {"service_ended_at", "deleted_at", "created_at", "issued_at"}


def map_of(config: Config) -> DatabaseMap:
    return config.data_map.root


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(configs.write(tmp_path))


@pytest.fixture
def schema(config: Config) -> LiveSchema:
    """A database that is exactly as the map says."""
    tables = {}
    for name, table in map_of(config).tables.items():
        columns = {
            c: LiveColumn(c, "timestamp with time zone" if c in CLOCKS else "text", unique=c == "id")
            for c in table.columns
        }
        tables[name] = LiveTable(name, "table", columns, primary_key=("id",) if "id" in columns else ())
    keys = (
        ForeignKey("tokens_account", "tokens", ("account_id",), "accounts", ("id",)),
        ForeignKey("posts_author", "posts", ("author_id",), "accounts", ("id",), "CASCADE"),
        ForeignKey("posts_parent", "posts", ("parent_id",), "posts", ("id",)),
        ForeignKey("invoices_account", "invoices", ("account_id",), "accounts", ("id",), "RESTRICT"),
    )
    return LiveSchema("public", tables, keys)


def column(schema: LiveSchema, table: str, name: str, **change: object) -> LiveSchema:
    found = schema.tables[table]
    old = found.columns.get(name, LiveColumn(name, "text"))
    columns = found.columns | {name: replace(old, **change)}
    return replace(schema, tables=schema.tables | {table: replace(found, columns=columns)})


def with_key(schema: LiveSchema, key: ForeignKey) -> LiveSchema:
    return replace(schema, foreign_keys=(*schema.foreign_keys, key))


def messages(config: Config, schema: LiveSchema) -> list[str]:
    found = compare_with_live(map_of(config), schema, config.documents["people"], config.policy)
    assert all(p.fix for p in found)
    return [f"{p.field}: {p.message}" for p in found]


def test_a_database_as_the_map_says_has_no_problem(config: Config, schema: LiveSchema) -> None:
    assert messages(config, schema) == []


def test_a_new_table_is_a_problem(config: Config, schema: LiveSchema) -> None:
    new = LiveTable("exports", "table", {"email": LiveColumn("email", "text")})
    (found,) = messages(config, replace(schema, tables=schema.tables | {"exports": new}))
    assert "a table exports that the map does not know" in found


def test_a_new_column_is_a_problem_on_the_line_of_its_table(config: Config, schema: LiveSchema) -> None:
    live = column(schema, "plans", "internal_note")
    (found,) = compare_with_live(map_of(config), live, config.documents["people"])
    assert found.field == "tables.plans.columns"
    assert "internal_note" in found.message
    assert found.line == config.documents["people"].line(("tables", "plans", "columns")) > 1


def test_a_mapped_table_or_column_that_is_gone_is_a_problem(config: Config, schema: LiveSchema) -> None:
    tables = dict(schema.tables)
    del tables["plans"], tables["leads"].columns["email"]
    found = messages(config, replace(schema, tables=tables))
    assert found == [
        "tables.leads.columns.email: leads has no such column",
        "tables.plans: people has no such table",
    ]


def test_another_kind_of_table_is_a_problem(config: Config, schema: LiveSchema) -> None:
    tables = schema.tables | {"plans": replace(schema.tables["plans"], kind="foreign_table")}
    (found,) = messages(config, replace(schema, tables=tables))
    assert "is a foreign_table" in found


def test_row_security_is_a_problem_because_hidden_rows_stay(config: Config, schema: LiveSchema) -> None:
    tables = schema.tables | {"tokens": replace(schema.tables["tokens"], row_security=True)}
    (found,) = messages(config, replace(schema, tables=tables))
    assert "row-level security" in found


def test_a_privilege_that_the_role_lacks_is_a_problem(config: Config, schema: LiveSchema) -> None:
    tables = schema.tables | {"posts": replace(schema.tables["posts"], privileges=frozenset({"SELECT"}))}
    (found,) = messages(config, replace(schema, tables=tables))
    assert found == "tables.posts: this role lacks DELETE, UPDATE"


def test_a_foreign_key_from_another_schema_is_a_problem(config: Config, schema: LiveSchema) -> None:
    key = ForeignKey("log_account", "audit.log", ("account_id",), "accounts", ("id",))
    (found,) = messages(config, with_key(schema, key))
    assert "comes from outside the mapped schema" in found


def test_a_foreign_key_to_a_table_outside_the_map_is_a_problem(config: Config, schema: LiveSchema) -> None:
    key = ForeignKey("posts_topic", "posts", ("topic_id",), "topics", ("id",))
    (found,) = messages(config, with_key(schema, key))
    assert "leads to a table that the map does not know" in found


def test_a_foreign_key_that_is_no_path_is_a_problem(config: Config, schema: LiveSchema) -> None:
    key = ForeignKey("posts_token", "posts", ("id",), "tokens", ("id",), "CASCADE")
    (found,) = messages(config, with_key(schema, key))
    assert "is no path of the map" in found
    assert found.startswith("tables.posts.subjects")


def test_a_foreign_key_that_lets_go_by_itself_needs_no_path(config: Config, schema: LiveSchema) -> None:
    assert (
        messages(config, with_key(schema, ForeignKey("f", "posts", ("id",), "tokens", ("id",), "SET NULL")))
        == []
    )


def test_a_foreign_key_into_rows_of_nobody_needs_no_path(config: Config, schema: LiveSchema) -> None:
    assert messages(config, with_key(schema, ForeignKey("f", "posts", ("body",), "plans", ("code",)))) == []


def test_a_foreign_key_that_carries_the_person_needs_no_path(config: Config, schema: LiveSchema) -> None:
    key = ForeignKey("f", "posts", ("author_id", "id"), "tokens", ("account_id", "id"))
    assert messages(config, with_key(schema, key)) == []


def test_rows_of_nobody_that_point_at_a_person_are_a_problem(config: Config, schema: LiveSchema) -> None:
    (found,) = messages(config, with_key(schema, ForeignKey("f", "plans", ("code",), "accounts", ("id",))))
    assert "stop the deletion" in found


@pytest.mark.parametrize(
    ("action", "effect"), [("CASCADE", "delete the kept row"), ("NO ACTION", "stop the erasure")]
)
def test_a_kept_row_may_not_hang_on_a_deleted_one(
    tmp_path: Path, schema: LiveSchema, action: str, effect: str
) -> None:
    value = configs.people()
    del value["tables"]["invoices"]["subjects"]["holder"]["erasure"]["anonymise"]["account_id"]
    config = load_config(configs.write(tmp_path, people_value=value))
    keys = tuple(replace(k, on_delete=action) if k.table == "invoices" else k for k in schema.foreign_keys)
    (found,) = messages(config, replace(schema, foreign_keys=keys))
    assert effect in found


def test_null_in_a_column_that_must_not_be_null_is_a_problem(config: Config, schema: LiveSchema) -> None:
    (found,) = messages(config, column(schema, "invoices", "account_id", nullable=False))
    assert found.endswith("the column is NOT NULL")


def test_a_constant_in_a_unique_column_is_a_problem(config: Config, schema: LiveSchema) -> None:
    (found,) = messages(config, column(schema, "invoices", "billing_name", unique=True))
    assert "fits one person only" in found


@pytest.mark.parametrize(
    ("table", "name", "type_"),
    [
        ("accounts", "deleted_at", "timestamp without time zone"),
        ("accounts", "service_ended_at", "date"),
        ("tokens", "created_at", "bigint"),
        ("invoices", "issued_at", "text"),
    ],
)
def test_a_clock_that_names_no_instant_is_a_problem(
    config: Config, schema: LiveSchema, table: str, name: str, type_: str
) -> None:
    (found,) = messages(config, column(schema, table, name, type=type_))
    assert "names no instant" in found


def test_a_law_may_count_from_a_date(config: Config, schema: LiveSchema) -> None:
    assert messages(config, column(schema, "invoices", "issued_at", type="date")) == []


def test_a_reference_must_match_the_primary_key(config: Config, schema: LiveSchema) -> None:
    tables = schema.tables | {"posts": replace(schema.tables["posts"], primary_key=("id", "author_id"))}
    (found,) = messages(config, replace(schema, tables=tables))
    assert "primary key of posts is (id, author_id)" in found


def test_the_root_key_must_be_unique(config: Config, schema: LiveSchema) -> None:
    live = column(schema, "accounts", "id", unique=False)
    tables = live.tables | {"accounts": replace(live.tables["accounts"], primary_key=())}
    assert "root.key: is not unique in the database" in messages(config, replace(live, tables=tables))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["files/7/avatar.png", "backups/people/2026/dump"], []),
        (["exports/all.csv"], ["under exports/"]),
        (["backups/other/dump"], ["under backups/other/"]),
        (["backups/loose.dump"], ["under backups/"]),
        (["loose.csv"], ["outside any folder"]),
        (["ann@example.org/x", "Bob/x"], ["under a folder whose name is not shown here"]),
    ],
)
def test_objects_that_the_map_does_not_cover_are_a_problem(
    config: Config, keys: list[str], expected: list[str]
) -> None:
    bucket = config.data_map["archive"]
    assert isinstance(bucket, BucketMap)
    asked = []

    def folders(prefix: str) -> set[str]:
        asked.append(prefix)
        below = [k.removeprefix(prefix) for k in keys if k.startswith(prefix)]
        return {prefix + b.split("/")[0] + "/" if "/" in b else prefix for b in below}

    found = compare_prefixes(bucket, folders, config.documents["archive"])
    assert [p.message.split(" has objects ")[1].split(" that the map")[0] for p in found] == expected
    assert set(asked) <= {"", "backups/"}, "names below a mapped prefix are people's"
