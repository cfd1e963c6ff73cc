"""The platform that the promises are kept on: its schema, its people, its data map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
import yaml
from psycopg import sql

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap, IdentifierPath, KeyPath, ReferencePath
from include.sandbox.platform.people import MARKERS, generate_people, pick
from include.sandbox.platform.seed import SeedReport, create_schema, digest, seed

if TYPE_CHECKING:
    from include.sandbox.world import World

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
MAPS = Path(__file__).parents[2] / "config" / "data_map"


@dataclass(frozen=True)
class Platform:
    accounts: str
    practice: str
    report: SeedReport


def build(
    world: World, *, people: int = 400, attempts: int = 20, **options: bool
) -> tuple[Platform, list[str]]:
    names = [f"platform_{uuid4().hex[:10]}" for _ in range(2)]
    for name in names:
        world.postgres.create_database(name, "platform")
    accounts, practice = (world.dsn(name) for name in names)
    create_schema(accounts, practice)
    report = seed(
        accounts, practice, people=people, attempts_per_person=attempts, seed=7, as_of=AS_OF, **options
    )
    return Platform(accounts, practice, report), names


@pytest.fixture(scope="module")
def platform(world: World) -> Iterator[Platform]:
    built, names = build(world)
    yield built
    for name in names:
        world.postgres.drop_database(name)


def maps() -> dict[str, DatabaseMap | BucketMap]:
    result: dict[str, DatabaseMap | BucketMap] = {}
    for path in sorted(MAPS.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        model = DatabaseMap if document["kind"] == "postgres" else BucketMap
        result[document["store"]] = model.model_validate(document)
    return result


def columns(dsn: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with psycopg.connect(dsn) as connection:
        for table, column in connection.execute(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'm')"
            " AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"
        ):
            found.setdefault(table, set()).add(column)
    return found


FOREIGN_KEYS = """
SELECT c.conrelid::regclass::text, c.confrelid::regclass::text, c.confdeltype,
       array(SELECT attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.o),
       array(SELECT attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.o)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE c.contype = 'f' AND c.conparentid = 0 AND NOT t.relispartition
"""


def foreign_keys(dsn: str) -> list[tuple[str, str, str, list[str], list[str]]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(FOREIGN_KEYS).fetchall()  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["accounts", "practice"])
def test_the_map_knows_every_live_table_and_column_and_no_other(platform: Platform, name: str) -> None:
    mapped = maps()[name]
    assert isinstance(mapped, DatabaseMap)
    assert columns(getattr(platform, name)) == {t: set(m.columns) for t, m in mapped.tables.items()}


@pytest.mark.parametrize("name", ["accounts", "practice"])
def test_every_foreign_key_to_a_person_is_a_path_of_the_map(platform: Platform, name: str) -> None:
    mapped = maps()[name]
    assert isinstance(mapped, DatabaseMap)
    for child, parent, _, keys, _ in foreign_keys(getattr(platform, name)):
        if not mapped.tables[parent].subjects or not any(
            c.personal for c in mapped.tables[child].columns.values()
        ):
            continue
        paths = [s.path for s in mapped.tables[child].subjects.values()]
        along = [
            p for p in paths
            if (isinstance(p, ReferencePath) and list(p.columns) == keys and p.references == parent)
            or (isinstance(p, KeyPath) and [p.column] == keys)
        ]  # fmt: skip
        assert along, f"{child}{keys} -> {parent} has no path in the map"


@pytest.mark.parametrize("name", ["accounts", "practice"])
def test_no_row_is_an_orphan(platform: Platform, name: str) -> None:
    """Seeding switches the checks off for speed; this makes them all."""
    dsn = getattr(platform, name)
    with psycopg.connect(dsn) as connection:
        for child, parent, _, keys, referenced in foreign_keys(dsn):
            pairs = [
                sql.SQL("p.{} = c.{}").format(sql.Identifier(r), sql.Identifier(k))
                for k, r in zip(keys, referenced, strict=True)
            ]
            given = [sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(k)) for k in keys]
            query = sql.SQL(
                "SELECT count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})"
            ).format(
                sql.Identifier(child), sql.SQL(" AND ").join(given),
                sql.Identifier(parent), sql.SQL(" AND ").join(pairs),
            )  # fmt: skip
            assert connection.execute(query).fetchone() == (0,), f"{child}{keys} -> {parent}"


def test_the_schema_has_the_traps_of_real_ones(platform: Platform) -> None:
    keys = foreign_keys(platform.accounts) + foreign_keys(platform.practice)
    actions = {(child, parent): action for child, parent, action, _, _ in keys}
    edges = set(actions)
    assert {("accounts", "subscriptions"), ("subscriptions", "accounts")} <= edges, (
        "a cycle that can be nulled"
    )
    assert {("practice_plans", "plan_revisions"), ("plan_revisions", "practice_plans")} <= edges, (
        "one that cannot"
    )
    assert {("accounts", "accounts"), ("comments", "comments"), ("learners", "learners")} <= edges
    assert actions["invoices", "accounts"] == "r"
    assert actions["assessments", "learners"] == "r"
    assert actions["sessions", "learners"] == "c"
    assert any(len(columns) == 2 and child == "attempt_events" for child, _, _, columns, _ in keys)


def test_every_foreign_key_is_indexed_but_the_documented_one(platform: Platform) -> None:
    bare = set()
    for dsn in (platform.accounts, platform.practice):
        with psycopg.connect(dsn) as connection:
            for child, _, _, keys, _ in foreign_keys(dsn):
                indexes = connection.execute(
                    "SELECT array(SELECT attname::text FROM unnest(i.indkey) WITH ORDINALITY k(n, o)"
                    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.o)"
                    " FROM pg_index i WHERE i.indrelid = %s::regclass",
                    (child,),
                ).fetchall()
                if not any(index[: len(keys)] == keys for (index,) in indexes):
                    bare.add((child, *keys))
    assert bare == {("attempts", "exercise_id")}


def test_deleting_an_account_writes_its_address_down_again(platform: Platform) -> None:
    with psycopg.connect(platform.accounts) as connection:
        connection.execute(
            "INSERT INTO accounts (public_id, email, full_name)"
            " VALUES (gen_random_uuid(), 'one@example.com', 'One')"
        )
        deleted = connection.execute(
            "DELETE FROM accounts WHERE email = 'one@example.com' RETURNING id"
        ).fetchone()
        assert deleted is not None
        trail = connection.execute(
            "SELECT operation, old_email FROM account_audit WHERE account_id = %s", deleted
        )
        assert trail.fetchall() == [("DELETE", "one@example.com")]
        connection.rollback()


def test_the_same_seed_gives_the_same_rows(world: World, platform: Platform) -> None:
    again, names = build(world)
    try:
        assert digest(again.accounts) == digest(platform.accounts)
        assert digest(again.practice) == digest(platform.practice)
        assert again.report.states == platform.report.states
    finally:
        for name in names:
            world.postgres.drop_database(name)


def test_there_is_somebody_the_day_before_on_and_after_each_boundary(platform: Platform) -> None:
    with psycopg.connect(platform.accounts) as connection:
        ended = {
            row[0] for row in connection.execute(
                "SELECT %s - service_ended_at FROM accounts"
                " WHERE deleted_at IS NULL AND service_ended_at IS NOT NULL",
                (AS_OF,),
            )
        }  # fmt: skip
        deleted = {
            row[0]
            for row in connection.execute(
                "SELECT %s - deleted_at FROM accounts WHERE deleted_at IS NOT NULL", (AS_OF,)
            )
        }
    days = {timedelta(days=n) for n in (29, 30, 31)}
    assert days <= ended
    assert days | {timedelta(days=89)} <= deleted
    assert max(deleted) < timedelta(days=90), "nothing is past the promise unless asked for"
    assert max(ended) < timedelta(days=37)


def test_overdue_people_and_broken_clocks_come_when_asked_for() -> None:
    people = list(generate_people(200, seed=1, as_of=AS_OF, overdue=True, bad_clocks=True))
    ages = {AS_OF - p.deleted_at for p in people if p.deleted_at}
    assert {timedelta(days=90), timedelta(days=91), timedelta(days=200)} <= ages
    assert any(p.deleted_at and p.deleted_at > AS_OF for p in people)
    assert any(p.status == "deleted" and p.deleted_at is None for p in people)
    assert len({p.id for p in people}) == len({p.email for p in people}) == 200


def test_one_to_two_percent_are_due_for_the_purge() -> None:
    people = list(generate_people(5000, seed=3, as_of=AS_OF))
    due = [p for p in people if p.deleted_at and p.deleted_at <= AS_OF - timedelta(days=30)]
    assert 0.01 <= len(due) / len(people) <= 0.02


def test_too_few_people_and_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        list(generate_people(5, seed=1, as_of=AS_OF))
    with pytest.raises(ValueError, match="UTC"):
        list(generate_people(100, seed=1, as_of=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_picks_are_even_and_repeatable() -> None:
    drawn = [pick(7, index, 1, 10) for index in range(5000)]
    assert drawn == [pick(7, index, 1, 10) for index in range(5000)]
    assert all(400 < drawn.count(number) < 600 for number in range(10))


@pytest.mark.parametrize("name", ["accounts", "practice"])
def test_the_markers_have_rows_in_every_table_that_belongs_to_people(platform: Platform, name: str) -> None:
    """Else a residue test could not tell an erased table from one that was never filled."""
    mapped = maps()[name]
    assert isinstance(mapped, DatabaseMap)
    with psycopg.connect(getattr(platform, name)) as connection:
        for marker in MARKERS:
            for table, model in mapped.tables.items():
                for role, subject in model.subjects.items():
                    found = connection.execute(
                        *owned_rows(mapped, table, role, marker.account_id, marker.emails)
                    )
                    if subject.erasure.delete or role in ("mentor", "author", "replied_to", "referrer"):
                        lately = table == "access_log" and marker is MARKERS[0]
                        row = found.fetchone()
                        assert row is not None
                        assert lately or row[0] > 0, f"{table}.{role} of {marker.account_id}"


def owned_rows(
    mapped: DatabaseMap, table: str, role: str, key: int, emails: tuple[str, ...]
) -> tuple[sql.Composed, list[object]]:
    """Count the rows of a role by following the map, as nested IN queries."""

    def where(name: str, role: str | None) -> tuple[sql.Composable, list[object]]:
        subjects = mapped.tables[name].subjects
        path = subjects[role or next(iter(subjects))].path
        if isinstance(path, KeyPath):
            return sql.SQL("{} = %s").format(sql.Identifier(path.column)), [key]
        if isinstance(path, IdentifierPath):
            return sql.SQL("{} = ANY(%s)").format(sql.Identifier(path.column)), [list(emails)]
        inner, values = where(path.references, path.role)
        parent_keys = path.key or PRIMARY[path.references]
        return (
            sql.SQL("({}) IN (SELECT {} FROM {} WHERE {})").format(
                sql.SQL(", ").join(map(sql.Identifier, path.columns)),
                sql.SQL(", ").join(map(sql.Identifier, parent_keys)),
                sql.Identifier(path.references),
                inner,
            ),
            values,
        )

    condition, values = where(table, role)
    return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table), condition), values


PRIMARY = {
    "subscriptions": ("id",), "support_tickets": ("id",), "ticket_messages": ("ticket_id", "seq"),
    "attempts": ("id", "attempted_at"), "assessments": ("id",), "devices": ("id",), "comments": ("id",),
    "plan_revisions": ("id",), "practice_plans": ("id",),
}  # fmt: skip


def test_every_needle_of_a_marker_is_somewhere(platform: Platform) -> None:
    haystack = ""
    for dsn in (platform.accounts, platform.practice):
        with psycopg.connect(dsn) as connection:
            for table in columns(dsn):
                for (text,) in connection.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                ):
                    haystack += text if "residue" in text or "9100000" in text or "marker" in text else ""
    for marker in MARKERS:
        assert [needle for needle in marker.needles if needle not in haystack] == []


def test_the_platform_goes_on_after_seeding(platform: Platform) -> None:
    """Sequences are past the seeded ids, partitions exist for the coming month, triggers fire again."""
    with psycopg.connect(platform.practice) as connection:
        inserted = connection.execute(
            "INSERT INTO attempts (learner_id, exercise_id, attempted_at, duration_ms, score, completed)"
            " SELECT min(account_id), 1, %s, 1, 1, true FROM learners RETURNING id",
            (AS_OF + timedelta(days=30),),
        ).fetchone()
        assert inserted is not None
        assert inserted[0] == 400 * 20 + 1
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("DELETE FROM learners WHERE account_id = %s", (MARKERS[1].account_id,))
        connection.rollback()


def test_tables_belong_to_the_owner_of_the_database(platform: Platform) -> None:
    for dsn in (platform.accounts, platform.practice):
        with psycopg.connect(dsn) as connection:
            owners = connection.execute(
                "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace"
            ).fetchall()
        assert owners == [("platform",)]


def test_seeding_without_the_right_to_it_says_what_is_missing(world: World, platform: Platform) -> None:
    name = psycopg.conninfo.conninfo_to_dict(platform.accounts)["dbname"]
    with pytest.raises(PermissionError, match="superuser"):
        seed(world.dsn(str(name), "platform"), platform.practice, people=50, as_of=AS_OF)
