"""Exports from PostgreSQL: what is shown, what is withheld, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from include.privacy.planning.exporting import Extract, Reason
from include.privacy.planning.models import Cohort, Member, PlanError
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.stores.postgres import PostgresStore
from include.privacy.stores.postgres.export_statements import INLINE_FILE_BYTES
from tests.stores.postgres.support import cohort, database, rows, run

SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TABLE person (id bigint PRIMARY KEY, email text UNIQUE, invited_by bigint REFERENCES person);
CREATE TABLE note (id bigint PRIMARY KEY, person_id bigint REFERENCES person, body text, reply_to bigint);
CREATE INDEX ON note (person_id);
CREATE TABLE review (id bigint PRIMARY KEY, learner_id bigint, mentor_id bigint, mentor_name text, words text,
                     checked_by bigint);
CREATE TABLE newsletter (email text PRIMARY KEY, since date);
CREATE TABLE secret (person_id bigint PRIMARY KEY, hash bytea, changed_at timestamptz);
CREATE TABLE upload (id bigint PRIMARY KEY, person_id bigint, name text, content bytea);
CREATE TABLE guess (id bigint PRIMARY KEY, person_id bigint, score real);
CREATE TABLE device (id bigint PRIMARY KEY, code text, person_id bigint);
CREATE TABLE visit (id bigint PRIMARY KEY, device_code text);
CREATE TABLE odd (person_id bigint, i int, r real, n numeric, b boolean, d date, ts timestamptz, naive timestamp,
                  u uuid, ip inet, c char(4), m mood, tags text[], doc json, docb jsonb, span interval);
INSERT INTO person SELECT i, 'p' || i || '@example.org', NULLIF(i - 1, 0) FROM generate_series(1, 120) i;
INSERT INTO note SELECT i * 100 + k, i, 'note ' || k || ' of person' || i || '.', CASE WHEN k = 1 THEN (i - 1) * 100 END
  FROM generate_series(1, 120) i, generate_series(0, 9) k;
INSERT INTO review VALUES (1, 1, 2, 'Mentor Two', 'about person1.', 7), (2, 2, 1, 'Mentor One', 'about person2.', 7),
  (3, 1, 1, 'Self One', 'own words.', NULL), (4, 1, NULL, NULL, 'unsigned.', NULL);
INSERT INTO newsletter VALUES ('p1@example.org', '2026-01-01'), ('old1@example.org', '2020-01-01'),
  ('p2@example.org', '2026-01-02');
INSERT INTO secret VALUES (1, 'hush', '2026-01-01 10:00+01');
INSERT INTO guess VALUES (1, 1, 0.5), (2, 2, 0.25);
INSERT INTO device VALUES (1, 'same', 1), (2, 'same', 1), (3, 'other', 2);
INSERT INTO visit VALUES (1, 'same'), (2, 'other');
"""  # noqa: E501 - a schema reads better in one piece
ODD = ("i", "r", "n", "b", "d", "ts", "naive", "u", "ip", "c", "m", "tags", "doc", "docb", "span")
HIDDEN = "[redacted]"
KEY, TEXT, PLAIN = "user.unique_id", "user.content", "system.operations"


def school(**changes: object) -> DatabaseMap:
    """The map of the schema above; ``changes`` replace whole tables."""

    def owned(*columns: str, category: str = TEXT, **more: object) -> dict[str, object]:
        path = {"owner": {"path": "person_id", "erasure": "delete"}}
        return {"subjects": path, "columns": {"person_id": KEY, **dict.fromkeys(columns, category)}, **more}

    def cut(column: str, path: object = None) -> dict[str, object]:
        return {"path": path or column, "erasure": {"anonymise": {column: {"set": None}}}}

    tables: dict[str, Any] = {
        "person": {
            "subjects": {"self": {"path": "id", "erasure": "delete"}, "inviter": cut("invited_by")},
            "columns": {
                "id": KEY,
                "email": {"category": "user.contact.email", "identifier": "email"},
                "invited_by": KEY,
            },
        },
        "note": {
            "subjects": {
                "author": {"path": "person_id", "erasure": "delete"},
                "replied_to": cut(
                    "reply_to", {"columns": ["reply_to"], "references": "note", "role": "author"}
                ),
            },
            "columns": {"id": PLAIN, "person_id": KEY, "body": TEXT, "reply_to": PLAIN},
        },
        "review": {
            "subjects": {
                "learner": {"path": "learner_id", "erasure": "delete", "origin": "inferred"},
                "mentor": cut("mentor_id"),
            },
            "columns": {
                "id": PLAIN,
                "learner_id": KEY,
                "mentor_id": KEY,
                "mentor_name": {"category": "user.name", "of": ["mentor"]},
                "words": {"category": TEXT, "of": ["learner", "mentor"]},
                "checked_by": {"category": PLAIN, "of": ["staff"]},
            },
        },
        "newsletter": {
            "subjects": {"reader": {"path": {"column": "email", "identifier": "email"}, "erasure": "delete"}},
            "columns": {"email": {"category": "user.contact.email", "origin": "provided"}, "since": PLAIN},
        },
        "secret": owned("changed_at"),
        "upload": owned("id", "name"),
        "guess": owned("score", origin="inferred"),
        "device": owned("code"),
        "visit": {
            "subjects": {
                "owner": {
                    "path": {"columns": ["device_code"], "references": "device", "key": ["code"]},
                    "erasure": "delete",
                }
            },
            "columns": {"id": PLAIN, "device_code": TEXT},
        },
        "odd": owned(*ODD),
    }
    tables["secret"]["columns"]["hash"] = {"category": "user.authorization.password", "secret": True}
    tables["upload"]["columns"]["content"] = {"category": TEXT, "file_name": "name"}
    tables["guess"]["columns"]["id"] = PLAIN
    tables["device"]["columns"]["id"] = PLAIN
    return database({**tables, **changes})


@pytest.fixture(scope="module")
def dsn(fresh_database_module: Callable[[], str]) -> str:
    made = fresh_database_module()
    run(made, SCHEMA, "ANALYZE")
    return made


def people(*keys: int) -> Cohort:
    """A cohort whose members each have their own address."""
    members = [Member(str(k), {"email": (f"p{k}@example.org", f"old{k}@example.org")}) for k in keys]
    return cohort(*keys) if not keys else Cohort(cohort(1).id, len(members), lambda: iter(members))


def extracts(
    store: PostgresStore, who: Cohort, *, portable: bool = False
) -> Iterator[tuple[int, Member, Extract]]:
    with store.export(who, portable=portable) as export:
        for ordinal, member in enumerate(who.members(), start=1):
            for extract in export.of(ordinal, member):
                yield ordinal, member, extract


def everything(store: PostgresStore, who: Cohort, *, portable: bool = False) -> dict[str, Any]:
    """``key.collection`` → rows."""
    return {
        f"{member.key}.{extract.collection.name}": found
        for _, member, extract in extracts(store, who, portable=portable)
        if (found := [json.loads(line) for batch in extract.lines() for line in batch])
    }


def test_each_person_gets_their_own_rows_and_nobody_elses(dsn: str) -> None:
    found = everything(PostgresStore(school(), dsn), people(5, 3, 119))
    assert {k.split(".")[0] for k in found} == {"3", "5", "119"}
    for key in (3, 5, 119):
        notes = found[f"{key}.note"]
        assert len(notes) == 10 and all(f"of person{key}." in n["body"] for n in notes)
        assert found[f"{key}.person"] == [
            {"id": key, "email": f"p{key}@example.org", "invited_by": "[redacted]"}
        ]


def test_a_row_of_two_people_is_redacted_of_the_other(dsn: str) -> None:
    found = everything(PostgresStore(school(), dsn), people(1, 2))
    assert found["1.review"] == [
        {"id": 1, "learner_id": 1, "mentor_id": HIDDEN, "mentor_name": HIDDEN, "words": "about person1."},
        {"id": 3, "learner_id": 1, "mentor_id": 1, "mentor_name": "Self One", "words": "own words."},
        {"id": 4, "learner_id": 1, "mentor_id": None, "mentor_name": None, "words": "unsigned."},
    ]  # fmt: skip
    assert found["1.review.mentor"] == [
        {"id": 2, "mentor_id": 1, "mentor_name": "Mentor One", "words": "about person2."}
    ]
    assert "Mentor Two" not in json.dumps([v for k, v in found.items() if k.startswith("1.")])


def test_redactions_are_counted_and_what_is_withheld_has_a_reason(dsn: str) -> None:
    seen = {}
    for _, _, extract in extracts(PostgresStore(school(), dsn), people(1)):
        list(extract.lines())
        seen[extract.collection.name] = extract
    assert seen["review"].redacted == {"mentor_id": 1, "mentor_name": 1}
    assert [(w.column, w.reason) for w in seen["review"].collection.withheld] == [
        ("checked_by", Reason.staff)
    ]
    assert [(w.column, w.reason, w.roles) for w in seen["review.mentor"].collection.withheld] == [
        ("learner_id", Reason.other_person, ("learner",)),
        ("checked_by", Reason.staff, ()),
    ]
    assert [(w.column, w.reason) for w in seen["secret"].collection.withheld] == [("hash", Reason.secret)]
    assert seen["person.inviter"].redacted == {}


def test_a_row_that_a_person_has_in_two_roles_comes_once(dsn: str) -> None:
    run(dsn, "INSERT INTO note VALUES (99901, 7, 'to myself', 705)")
    try:
        found = everything(PostgresStore(school(), dsn), people(7))
    finally:
        run(dsn, "DELETE FROM note WHERE id = 99901")
    assert [n["id"] for n in found["7.note"]].count(99901) == 1
    assert found["7.note.replied_to"] == [{"id": 801, "reply_to": 700}]


def test_a_row_that_two_hops_lead_to_comes_once(dsn: str) -> None:
    found = everything(PostgresStore(school(), dsn), people(1, 2))
    assert found["1.visit"] == [{"id": 1, "device_code": "same"}]
    assert found["2.visit"] == [{"id": 2, "device_code": "other"}]


def test_former_addresses_lead_to_rows_too(dsn: str) -> None:
    found = everything(PostgresStore(school(), dsn), people(1))
    assert {r["email"] for r in found["1.newsletter"]} == {"p1@example.org", "old1@example.org"}


def test_inferred_data_and_bare_keys_are_no_part_of_a_portable_export(dsn: str) -> None:
    found = everything(PostgresStore(school(), dsn), people(1), portable=True)
    assert set(found) == {
        "1.person", "1.note", "1.review.mentor", "1.newsletter", "1.secret", "1.device",
    }  # fmt: skip
    assert found["1.person"] == [{"id": 1, "email": "p1@example.org", "invited_by": None}]


def test_lines_and_table_hold_the_same_values_in_odd_types_too(dsn: str) -> None:
    run(
        dsn,
        """INSERT INTO odd VALUES
           (8, 1, 1.5, 12345678901234567890.123, true, '2026-02-28', '2026-02-28 23:30:00.25-03', '2026-02-28 01:02:03',
            '6f1c5b1e-0000-4000-8000-000000000001', '203.0.113.7', 'ab', 'wild', '{x,"y,z"}',
            '{"a":
              1}', '{"b": [1, null]}', '1 day'),
           (8, NULL, 'NaN', 'Infinity', false, NULL, NULL, NULL, NULL, '2001:db8::/32', NULL, NULL, '{}', NULL, '"text"', NULL),
           (8, -1, '-Infinity', 0, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL)""",  # noqa: E501
    )
    try:
        for portable in (False, True):
            for _, _, extract in extracts(PostgresStore(school(), dsn), people(8), portable=portable):
                if extract.collection.name == "odd":
                    lines = [line for batch in extract.lines() for line in batch]
                    table = [row for batch in extract.table() for row in batch]
    finally:
        run(dsn, "DELETE FROM odd")
    assert len(lines) == 3 and not any("\n" in line for line in lines)
    records = [json.loads(line, parse_float=str, parse_int=str) for line in lines]
    for record, row in zip(records, table, strict=True):
        for value, text in zip(record.values(), row, strict=True):
            if isinstance(value, dict | list):
                assert text is not None and json.loads(text, parse_int=str) == value
            elif value == "text":
                assert text == '"text"'
            else:
                assert text == (str(value).lower() if isinstance(value, bool) else value)
    assert records[0]["ts"] == "2026-03-01T02:30:00.25+00:00"
    assert records[0]["n"] == "12345678901234567890.123"
    assert (records[1]["r"], records[1]["n"], records[2]["r"]) == ("NaN", "INF", "-INF")


def test_files_are_named_without_telling_anything_and_read_in_pieces(dsn: str) -> None:
    large = bytes(range(256)) * (INLINE_FILE_BYTES // 64)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE upload")
        connection.execute("ALTER TABLE upload ALTER content SET STORAGE EXTERNAL")
        connection.execute(
            "INSERT INTO upload VALUES (1, 9, 'Holiday of Zdenka.PDF', %s), (2, 9, '../../etc/passwd', %s),"
            " (3, 9, 'nothing', NULL), (4, 10, 'x.png', 'other'), (5, 9, 'empty.txt', '')",
            (b"small", large),
        )
    for _, _, extract in extracts(PostgresStore(school(), dsn), people(9)):
        if extract.collection.name == "upload":
            files = {f.path: b"".join(f.chunks) for f in extract.files()}
            index = [json.loads(line) for batch in extract.lines() for line in batch]
    run(dsn, "TRUNCATE upload")
    by_id = {row["id"]: row["content"] for row in index}
    assert by_id[3] is None
    assert {files.pop(by_id[1]), files.pop(by_id[5])} == {b"small", b""}
    assert files.pop(by_id[2]) == large
    assert files == {}
    assert by_id[1].startswith("files/shop/upload/") and by_id[1].endswith(".pdf")
    assert "Zdenka" not in by_id[1] and "passwd" not in by_id[2]


def test_one_person_may_be_passed_over_in_the_middle(dsn: str) -> None:
    store = PostgresStore(school(), dsn)
    run(
        dsn,
        "INSERT INTO note SELECT 500000 + i, 11, repeat('long ', 50), NULL FROM generate_series(1, 9000) i",
    )
    try:
        who = people(10, 11, 12)
        with store.export(who) as export:
            counts = {}
            for ordinal, member in enumerate(who.members(), start=1):
                for extract in export.of(ordinal, member):
                    if extract.collection.name == "note":
                        for batch in extract.lines():
                            counts[member.key] = counts.get(member.key, 0) + len(batch)
                            if member.key == "11":
                                break
    finally:
        run(dsn, "DELETE FROM note WHERE id > 500000")
    assert counts["10"] == counts["12"] == 10
    assert 0 < counts["11"] < 9010


def test_an_export_sees_one_instant(dsn: str) -> None:
    store, who = PostgresStore(school(), dsn), people(20, 21)
    with store.export(who) as export:
        first = [e.collection.name for e in export.of(1, Member("20")) if list(e.lines())]
        run(dsn, "DELETE FROM note WHERE person_id = 21", "UPDATE person SET email = 'new@x' WHERE id = 21")
        try:
            second = [json.loads(r) for e in export.of(2, Member("21")) for b in e.lines() for r in b]
        finally:
            run(
                dsn,
                "UPDATE person SET email = 'p21@example.org' WHERE id = 21",
                "INSERT INTO note SELECT 2100 + k, 21, 'of person21.', NULL FROM generate_series(0, 9) k",
            )
    assert "note" in first
    assert sum("body" in row for row in second) == 10
    assert any(row.get("email") == "p21@example.org" for row in second)


def _counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that goes to the database from now on."""
    said: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: psycopg.Cursor[Any], query: Any, *args: Any, **more: Any) -> Any:
        said.append(query.as_string(None) if isinstance(query, sql.Composable) else str(query))
        return execute(self, query, *args, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    return said


def test_a_hundred_people_cost_the_statements_of_one(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, said = PostgresStore(school(), dsn), _counting(monkeypatch)
    totals, declared = {}, {}
    for size in (1, 100):
        said.clear()
        found = everything(store, people(*range(1, size + 1)))
        assert len({k.split(".")[0] for k in found}) == size
        totals[size], declared[size] = len(said), sum(s.startswith("DECLARE") for s in said)
    assert declared[100] == declared[1]
    assert totals[100] <= totals[1] + 10, "rows of more than one batch may need some more fetches"


def test_an_export_only_reads_and_leaves_nothing(dsn: str, fresh_role: Callable[[str], str]) -> None:
    role = fresh_role(dsn)
    name = psycopg.conninfo.conninfo_to_dict(role)["user"]
    run(dsn, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    assert everything(PostgresStore(school(), role), people(1, 2))
    left = rows(
        dsn, "SELECT relname FROM pg_class WHERE relname LIKE 'cohort%' OR relname LIKE 'identifier%'"
    )
    assert left == []


def test_what_would_be_missing_unnoticed_is_refused(dsn: str, fresh_role: Callable[[str], str]) -> None:
    role = fresh_role(dsn)
    name = psycopg.conninfo.conninfo_to_dict(role)["user"]
    run(
        dsn,
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
        f"REVOKE SELECT ON guess FROM {name}",
        "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
    )
    wrong = school(
        device={
            "subjects": {"owner": {"path": "person_id", "erasure": "delete"}},
            "columns": {"person_id": KEY, "colour": TEXT, "code": TEXT, "id": PLAIN},
        },
        gone={"subjects": {"owner": {"path": "x", "erasure": "delete"}}, "columns": {"x": KEY}},
    )
    try:
        with pytest.raises(PlanError) as refused, PostgresStore(wrong, role).export(people(1)):
            pass
    finally:
        run(dsn, "ALTER TABLE note DISABLE ROW LEVEL SECURITY")
    for words in ("lacks SELECT on 'guess'", "row-level security hides rows of 'note'", "no column colour",
                  "'gone' is in the data map"):  # fmt: skip
        assert words in str(refused.value)


def test_nobody_found_is_an_empty_export(dsn: str) -> None:
    assert everything(PostgresStore(school(), dsn), people(4711)) == {}
    assert everything(PostgresStore(school(), dsn), Cohort(cohort(1).id, 0, lambda: iter(()))) == {}


def test_a_connection_lost_midway_is_an_error_not_an_end(dsn: str) -> None:
    store, who = PostgresStore(school(), dsn), people(30)
    run(
        dsn,
        "INSERT INTO note SELECT 600000 + i, 30, repeat('long ', 99), NULL FROM generate_series(1, 9000) i",
    )
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend' AND datname = "
    )

    def read_and_lose() -> None:
        with store.export(who) as export:
            for extract in export.of(1, Member("30")):
                for _ in extract.lines():
                    if extract.collection.name == "note":
                        run(dsn, f"{cut} current_database()")

    try:
        with pytest.raises(psycopg.OperationalError):
            read_and_lose()
        assert len(everything(store, who)["30.note"]) == 9010
    finally:
        run(dsn, "DELETE FROM note WHERE id > 600000")
