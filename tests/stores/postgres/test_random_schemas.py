"""Random foreign-key graphs against a brute-force oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.privacy.stores.postgres import PostgresStore
from tests.stores.postgres.support import cohort, database, erase

PEOPLE = 4


@dataclass
class RandomTable:
    """A table whose rows belong to somebody, directly or through an earlier table."""

    name: str
    composite: bool
    parent: str | None
    direct_key: bool
    second_owner: str | None
    links: list[tuple[str, str, bool]] = field(default_factory=list)


@st.composite
def schemas(draw: st.DrawFn) -> list[RandomTable]:
    """Two to six tables with composite keys, paths of several hops, cycles and shared rows."""
    tables: list[RandomTable] = []
    for i in range(draw(st.integers(2, 6))):
        parent = draw(st.sampled_from([None, *[t.name for t in tables]]))
        tables.append(
            RandomTable(
                name=f"t{i}",
                composite=draw(st.booleans()),
                parent=parent,
                direct_key=draw(st.booleans()),
                second_owner=draw(st.sampled_from([None, None, "delete", "anonymise"])),
            )
        )
    for table in tables:
        for _ in range(draw(st.integers(0, 2))):
            target = draw(st.sampled_from(tables)).name
            rule = draw(st.sampled_from(["NO ACTION", "RESTRICT", "CASCADE", "SET NULL"]))
            table.links.append((target, rule, draw(st.booleans())))
    return tables


def ddl(tables: list[RandomTable]) -> list[str]:
    """CREATE statements; links between tables come afterwards, so that they may form cycles."""
    by_name = {t.name: t for t in tables}
    out = ["CREATE TABLE person (id bigint PRIMARY KEY, payload text)"]
    for t in tables:
        key = "PRIMARY KEY (id, part)" if t.composite else "PRIMARY KEY (id)"
        owner = (
            "owner bigint" + (" NOT NULL REFERENCES person" if t.direct_key else "")
            if t.parent is None
            else ""
        )
        columns = ["id bigint", "part int NOT NULL DEFAULT 1", "payload text", key]
        if owner:
            columns.append(owner)
        else:
            parent = by_name[str(t.parent)]
            columns += ["up_id bigint", "up_part int"]
            columns.append(
                f"FOREIGN KEY (up_id, up_part) REFERENCES {parent.name} (id, part)"
                if parent.composite
                else f"FOREIGN KEY (up_id) REFERENCES {parent.name} (id)"
            )
        if t.second_owner:
            columns.append("other bigint REFERENCES person")
        for n, _ in enumerate(t.links):
            columns += [f"l{n}_id bigint", f"l{n}_part int"]
        out.append(f"CREATE TABLE {t.name} ({', '.join(columns)})")
    for t in tables:
        for n, (target, rule, deferrable) in enumerate(t.links):
            pair = by_name[target].composite
            wait = " DEFERRABLE INITIALLY DEFERRED" if deferrable and rule != "RESTRICT" else ""
            own, theirs = (f"l{n}_id, l{n}_part", "id, part") if pair else (f"l{n}_id", "id")
            out.append(
                f"ALTER TABLE {t.name} ADD FOREIGN KEY ({own}) "
                f"REFERENCES {target} ({theirs}) ON DELETE {rule}{wait}"
            )
    return out


def data_map(tables: list[RandomTable]):
    """The map of the random schema."""
    by_name = {t.name: t for t in tables}
    mapped: dict[str, object] = {
        "person": {
            "subjects": {"self": {"path": "id", "erasure": "delete"}},
            "columns": {"id": "user.unique_id", "payload": "user"},
        }
    }
    for t in tables:
        columns = {"id": "system", "part": "system", "payload": "user"}
        if t.parent is None:
            path: object = "owner"
            columns["owner"] = "user.unique_id"
        else:
            pair = by_name[t.parent].composite
            path = {
                "columns": ["up_id", "up_part"] if pair else ["up_id"],
                "references": t.parent,
                "role": "owner",
            }
            columns |= {"up_id": "system", "up_part": "system"}
        subjects: dict[str, object] = {"owner": {"path": path, "erasure": "delete"}}
        if t.second_owner:
            columns["other"] = "user.unique_id"
            erasure = "delete" if t.second_owner == "delete" else {"anonymise": {"other": {"set": None}}}
            subjects["other"] = {"path": "other", "erasure": erasure}
        mapped[t.name] = {"subjects": subjects, "columns": columns}
    return database(mapped)


@pytest.fixture(scope="module")
def scratch(fresh_database_module: Callable[[], str]) -> str:
    """One database for all examples; each builds its schema anew."""
    return fresh_database_module()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), tables=schemas())
def test_nothing_reachable_of_the_erased_is_left_and_nothing_of_anyone_else_has_changed(  # noqa: C901
    scratch: str, data: st.DataObject, tables: list[RandomTable]
) -> None:
    gone = set(data.draw(st.sets(st.integers(1, PEOPLE), min_size=1, max_size=PEOPLE - 1)))
    rows: dict[str, dict[int, dict[str, object]]] = {}
    owner: dict[tuple[str, int], int] = {}
    for t in tables:
        rows[t.name] = {}
        for i in range(1, 7):
            row: dict[str, object] = {"payload": f"{t.name}.{i}"}
            if t.parent is None:
                owner[t.name, i] = data.draw(st.integers(1, PEOPLE))
                row["owner"] = owner[t.name, i]
            else:
                up = data.draw(st.integers(1, 6))
                owner[t.name, i] = owner[t.parent, up]
                row |= {"up_id": up, "up_part": 1}
            if t.second_owner == "anonymise":
                row["other"] = data.draw(st.sampled_from([None, *range(1, PEOPLE + 1)]))
            elif t.second_owner == "delete":
                # Whoever else's erasure deletes the row must not leave the first owner's children dangling.
                row["other"] = owner[t.name, i]
            rows[t.name][i] = row
    for t in tables:
        for n, (target, _, _) in enumerate(t.links):
            for i, row in rows[t.name].items():
                same = [j for j in rows[target] if owner[target, j] == owner[t.name, i]]
                choice = data.draw(st.sampled_from([None, *same]))
                row |= {f"l{n}_id": choice, f"l{n}_part": 1 if choice else None}
    with psycopg.connect(scratch, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS privacy_work CASCADE")
        connection.execute("CREATE SCHEMA public")
        for statement in ddl(tables):
            connection.execute(statement)  # type: ignore[arg-type]  # built above
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
            for i in range(1, PEOPLE + 1):
                connection.execute("INSERT INTO person VALUES (%s, 'p')", (i,))
            for t in tables:
                for i, row in rows[t.name].items():
                    first = {k: v for k, v in row.items() if not k.startswith("l")}
                    names = ", ".join(["id", *first])
                    marks = ", ".join(["%s"] * (len(first) + 1))
                    connection.execute(
                        f"INSERT INTO {t.name} ({names}) VALUES ({marks})", [i, *first.values()]
                    )  # type: ignore[arg-type]
            for t in tables:
                for i, row in rows[t.name].items():
                    links = {k: v for k, v in row.items() if k.startswith("l")}
                    if links:
                        sets = ", ".join(f"{k} = %s" for k in links)
                        connection.execute(f"UPDATE {t.name} SET {sets} WHERE id = %s", [*links.values(), i])  # type: ignore[arg-type]
    store = PostgresStore(data_map(tables), scratch)
    store.migrate_workspace()
    _, _, probe = erase(store, cohort(*sorted(gone)))
    assert probe.clean
    with psycopg.connect(scratch) as connection:
        assert {r[0] for r in connection.execute("SELECT id FROM person")} == set(range(1, PEOPLE + 1)) - gone
        for t in tables:
            columns = ["id", *rows[t.name][1]]
            found = {
                r[0]: dict(zip(columns[1:], r[1:], strict=True))
                for r in connection.execute(f"SELECT {', '.join(columns)} FROM {t.name}")  # type: ignore[arg-type]
            }
            expected = {
                i: {**row, "other": None} if "other" in row and row["other"] in gone else row
                for i, row in rows[t.name].items()
                if owner[t.name, i] not in gone
            }
            assert found == expected
