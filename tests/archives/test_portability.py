"""The portability package: valid by its own schema, the same rows again, nothing inferred."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frictionless
import psycopg
import pytest

from include.privacy.archives.datapackage import NULL, field_type
from include.privacy.archives.portability import PortabilityArchive
from include.privacy.planning.exporting import Records
from include.privacy.stores.postgres import PostgresStore
from tests.archives.conftest import ADA, BEN, Estate
from tests.archives.support import ANSWER, cohort, collection, config, found_in, opened
from tests.stores.postgres.support import database, run


def build(estate: Estate, *keys: int) -> list[dict[str, bytes]]:
    return estate.build(
        lambda p: opened(PortabilityArchive(p.extracts(), ANSWER, config())), *keys, portable=True
    )


def lines(files: dict[str, bytes], path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[path].decode().split("\n")[:-1]]


def validate(files: dict[str, bytes], folder: Path) -> frictionless.Package:
    """The package as a receiver opens it.

    frictionless reads JSON Lines only with an extra that is not installed here: those resources are
    handed over as rows, their digests are compared with the manifest instead.
    """
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    described = json.loads(files["datapackage.json"])
    digests = {f["path"]: f["sha256"] for f in json.loads(files["manifest.json"])["files"]}
    for resource in described["resources"]:
        assert resource["hash"] == f"sha256:{digests[resource['path']]}"
        if resource.get("format") == "jsonl":
            resource["data"] = lines(files, resource["path"])
            for name in ("path", "hash", "bytes", "format", "mediatype", "encoding"):
                del resource[name]
    package = frictionless.Package.from_descriptor(described, basepath=str(folder))
    report = package.validate()
    assert report.valid, report.flatten(["name", "rowNumber", "fieldName", "type", "message"])[:5]
    return package


def test_the_package_is_valid_by_its_own_schema(estate: Estate, tmp_path: Path) -> None:
    (files,) = build(estate, BEN.account_id)
    package = validate(files, tmp_path)
    assert len(package.resources) > 40
    kinds = {resource.type for resource in package.resources}
    assert kinds == {"table", "file"}
    listed = {r["path"] for r in json.loads(files["datapackage.json"])["resources"]}
    assert {p for p in files if p.startswith(("data/", "files/"))} == listed


def test_a_changed_file_is_no_longer_valid(estate: Estate, tmp_path: Path) -> None:
    (files,) = build(estate, BEN.account_id)
    path = "data/practice/attempts.csv"
    files[path] = files[path].replace(b"true", b"false", 1)
    with pytest.raises(AssertionError, match=r"hash|checksum"):
        validate(files, tmp_path)


def test_both_forms_hold_the_same_rows(estate: Estate, tmp_path: Path) -> None:
    (files,) = build(estate, BEN.account_id)
    package = validate(files, tmp_path)
    for resource in package.resources:
        if resource.name.endswith(".csv"):
            documents = {f.name for f in resource.schema.fields if f.custom.get("contentMediaType")}
            twin = package.get_resource(resource.name.removesuffix("csv") + "jsonl")
            table = [_plain(row, documents) for row in resource.read_rows()]
            assert table == [_plain(row, set()) for row in twin.read_rows()], resource.name
            assert table


def _plain(row: Any, documents: set[str]) -> dict[str, Any]:
    return {k: json.loads(v) if k in documents and v is not None else v for k, v in row.to_dict().items()}


def test_the_rows_are_those_of_the_database(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    for table, link in (("attempts", "learner_id"), ("comments", "author_id"), ("devices", "learner_id")):
        held = estate.query("practice", f"SELECT * FROM {table} WHERE {link} = %s", BEN.account_id)
        exported = lines(files, f"data/practice/{table}.jsonl")
        assert sorted(exported, key=lambda row: row["id"]) == sorted(held, key=lambda row: row["id"]) != []


def test_what_was_inferred_is_no_part_of_it(estate: Estate) -> None:
    for files in build(estate, ADA.account_id, BEN.account_id):
        assert not [p for p in files if "recommendations" in p or "leaderboard" in p]
        assert "data/practice/mentor_reviews.jsonl" not in files, "somebody else wrote those"
        assert all(
            "level" not in row and "points" in row for row in lines(files, "data/practice/progress.jsonl")
        )
        assert all("feedback" not in row for row in lines(files, "data/practice/assessments.jsonl"))
        assert not found_in(files, ["weak in skill"])


def test_what_the_person_wrote_about_others_is_part_of_it(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    assert "shared review" in str(lines(files, "data/practice/mentor_reviews.mentor.jsonl"))


def test_nothing_of_another_person_is_in_it(estate: Estate) -> None:
    for other, files in zip((BEN, ADA), build(estate, ADA.account_id, BEN.account_id), strict=True):
        assert found_in(files, other.needles) == {}
        invited = [
            r for r in lines(files, "data/practice/invitations.jsonl") if r["message"] == "shared invitation"
        ]
        assert all(row["invitee_email"] is None for row in invited)


def test_uploads_are_taken_along(estate: Estate) -> None:
    (files,) = build(estate, BEN.account_id)
    index = lines(files, "data/user_content/user-content.jsonl")
    assert len(index) > 3
    assert all(len(files[row["file"]]) == row["bytes"] for row in index)


def test_nothing_found_is_a_valid_package_too(estate: Estate, tmp_path: Path) -> None:
    (files,) = build(estate, 4711)
    assert set(files) == {"datapackage.json", "index.html", "manifest.json"}
    assert "We hold no such data about you" in files["index.html"].decode()
    assert json.loads(files["datapackage.json"])["resources"] == []


TYPES = """
CREATE TABLE person (id bigint PRIMARY KEY);
CREATE TABLE all_types (
  id bigint PRIMARY KEY, person_id bigint, s smallint, i integer, r real, dp double precision, n numeric(30, 6),
  b boolean, d date, ts timestamptz, naive timestamp, t time, span interval, u uuid, ip inet, net cidr, c char(5),
  v varchar(20), txt text, tags text[], numbers int[], doc json, docb jsonb, raw bytea);
INSERT INTO all_types VALUES
  (1, 1, -32768, 2147483647, 0.1, 1e-300, 123456789012345678901234.567891, true, '0001-01-01',
   '2026-10-25 02:30:00.123456+02', '2026-10-25 02:30:00', '23:59:59.5', '1 mon 2 days', gen_random_uuid(),
   '2001:db8::1', '10.0.0.0/8', 'ab', E'tab\\t', E'a "quoted",\\r\\nnew line ✓ ', '{"a,b",NULL,"c\\"d"}', '{1,2}',
   '{"a": 1}', '{"b": ["x", null]}', 'file'),
  (2, 1, 0, 0, 'NaN', 'Infinity', 0, false, '9999-12-31', '1970-01-01 00:00:00Z', NULL, NULL, NULL, NULL, NULL, NULL,
   '', '', '', '{}', '{}', '[1, 2]', '"just text"', ''),
  (3, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL);
"""  # noqa: E501 - one row of every type


def test_every_type_of_postgresql_survives_the_round_trip(
    fresh_database: Callable[..., str], tmp_path: Path
) -> None:
    dsn = fresh_database()
    run(dsn, TYPES)
    store = PostgresStore(_types(dsn), dsn)
    with store.export(cohort([_member()]), portable=True) as export:
        files = opened(PortabilityArchive(export.of(1, _member()), ANSWER, config()))
    package = validate(files, tmp_path)
    schema = {f.name: f.type for f in package.get_resource("data.shop.all_types.csv").schema.fields}
    assert schema == {
        "id": "integer", "person_id": "integer", "s": "integer", "i": "integer", "r": "number",
        "dp": "number",
        "n": "number", "b": "boolean", "d": "date", "ts": "datetime", "naive": "datetime", "t": "string",
        "span": "string", "u": "string", "ip": "string", "net": "string", "c": "string", "v": "string",
        "txt": "string", "tags": "array", "numbers": "array", "doc": "any", "docb": "any", "raw": "string",
    }  # fmt: skip
    back = "".join(f'"{name}" text,' for name in schema)[:-1]
    run(dsn, f"CREATE TABLE back ({back})")
    with psycopg.connect(dsn) as connection:
        with connection.cursor().copy(b"COPY back FROM STDIN (FORMAT csv, HEADER match, NULL '\\N')") as copy:
            copy.write(files["data/shop/all_types.csv"])
        differing = connection.execute(
            """SELECT b.id FROM back b JOIN all_types a ON a.id = b.id::bigint WHERE
               (b.s::smallint, b.i::int, b.r::real, b.dp::float8, b.n::numeric, b.b::bool, b.d::date, b.ts::timestamptz,
                b.naive::timestamp, b.t::time, b.span::interval, b.u::uuid, b.ip::inet, b.net::cidr, b.c::char(5), b.v,
                b.txt, b.docb::jsonb, b.doc::jsonb)
               IS DISTINCT FROM
               (a.s, a.i, a.r, a.dp, a.n, a.b, a.d, a.ts, a.naive, a.t, a.span, a.u, a.ip, a.net, a.c, a.v, a.txt, a.docb,
                a.doc::jsonb)
               OR b.tags::jsonb IS DISTINCT FROM to_jsonb(a.tags)
               OR b.numbers::jsonb IS DISTINCT FROM to_jsonb(a.numbers)"""  # noqa: E501 - a list of columns
        ).fetchall()
        counted = connection.execute("SELECT count(*) FROM back").fetchone()
    assert (differing, counted) == ([], (3,))
    raws = [row["raw"] for row in lines(files, "data/shop/all_types.jsonl")]
    assert [files[path] if path else None for path in raws] == [b"file", b"", None]


def _member() -> Any:
    from include.privacy.planning.models import Member

    return Member("1")


def _types(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection:
        names = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'all_types'::regclass AND attnum > 0 "
            "ORDER BY attnum"
        ).fetchall()
    columns = {name: "user.content" for (name,) in names}
    return database(
        {
            "person": {
                "subjects": {"self": {"path": "id", "erasure": "delete"}},
                "columns": {"id": "user.unique_id"},
            },
            "all_types": {
                "subjects": {"owner": {"path": "person_id", "erasure": "delete"}},
                "columns": columns,
            },
        }
    )


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("bigint", "integer"), ("numeric(10,2)", "number"), ("character varying(20)", "string"),
        ("timestamp(3) with time zone", "datetime"), ("text[]", "array"), ("numeric(5,1)[]", "array"),
        ("jsonb", "any"), ("mood", "string"), ("interval", "string"),
    ],
)  # fmt: skip
def test_types_come_from_the_catalogue(type_: str, expected: str) -> None:
    assert field_type(type_) == expected


def test_the_word_for_nothing_is_in_the_schema_and_on_the_page() -> None:
    files = opened(
        PortabilityArchive([Records(collection(), [{"note": None}, {"note": ""}])], ANSWER, config())
    )
    table = list(csv.reader(io.StringIO(files["data/ledger/things.csv"].decode(), newline="")))
    assert table == [["note"], [NULL], [""]]
    (resource,) = (r for r in json.loads(files["datapackage.json"])["resources"] if r["format"] == "csv")
    assert resource["schema"]["missingValues"] == [NULL]
    assert NULL in files["index.html"].decode()
