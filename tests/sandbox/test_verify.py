"""The demo's proof is worth something only if it fails when it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.sandbox.gcs import gcs_client
from include.sandbox.objects import create_bucket
from include.sandbox.platform.people import MARKERS
from include.sandbox.platform.seed import create_schema, seed
from include.sandbox.report import Column, table, what_was_found
from include.sandbox.verify import (
    Check,
    Stores,
    captured_at,
    check_backups,
    check_content,
    check_people,
    check_residue,
    take_baseline,
)
from include.sandbox.world import World

AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONTENT, BACKUPS, COPY = "verify-content", "verify-backups", "verify-backups-copy"
WANTED = MARKERS[1].account_id


@pytest.fixture
def stores(world: World, fresh_database: Callable[..., str], s3_client: Any) -> Iterator[Stores]:
    accounts, practice = fresh_database(), fresh_database()
    create_schema(accounts, practice)
    superuser = [world.dsn(dsn.rsplit("/", 1)[1]) for dsn in (accounts, practice)]
    seed(*superuser, people=60, attempts_per_person=3, as_of=AS_OF)
    for bucket in (CONTENT, BACKUPS):
        create_bucket(s3_client, bucket)
    google = gcs_client(world.gcs_endpoint)
    google.create_bucket(COPY)
    yield Stores(*superuser, s3_client, google, CONTENT, BACKUPS, COPY)
    for bucket in (CONTENT, BACKUPS):
        for page in s3_client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3_client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
        s3_client.delete_bucket(Bucket=bucket)
    google.bucket(COPY).delete(force=True)


def failing(checks: list[Check]) -> str:
    return " | ".join(f"{c.statement}: {c.detail}" for c in checks if not c.ok)


def test_a_purge_that_never_ran_is_noticed_in_both_databases(stores: Stores) -> None:
    before = take_baseline(stores, [WANTED], AS_OF)
    assert MARKERS[0].account_id in before.due
    found = failing(check_people(stores, before))
    assert "accounts database" in found
    assert "practice database" in found
    assert "people still have their account" in found
    assert "undeleted 30 days" in found
    assert "verification token" in found


def test_a_neighbour_who_was_deleted_too_is_noticed(stores: Stores) -> None:
    before = take_baseline(stores, [], AS_OF)
    with psycopg.connect(stores.practice_dsn) as practice:
        practice.execute("SET session_replication_role = replica")
        practice.execute("DELETE FROM attempts WHERE learner_id = %s", [WANTED])
    assert "attempts are all there" in failing(check_people(stores, before))


def test_a_held_person_who_was_purged_is_noticed(stores: Stores) -> None:
    held = MARKERS[0].account_id
    before = take_baseline(stores, [], AS_OF, [held])
    assert held not in before.erased
    with psycopg.connect(stores.accounts_dsn) as accounts:
        accounts.execute("SET session_replication_role = replica")
        accounts.execute("DELETE FROM accounts WHERE id = %s", [held])
    assert "legal hold" in failing(check_people(stores, before))


def test_a_version_left_behind_in_a_bucket_is_noticed(stores: Stores) -> None:
    key = f"user-content/{WANTED}/avatar.png"
    stores.s3.put_object(Bucket=CONTENT, Key=key, Body=b"1")
    stores.s3.delete_object(Bucket=CONTENT, Key=key)  # a delete marker only: the picture is still there
    before = take_baseline(stores, [WANTED], AS_OF)
    assert "all 2 versions of the erased" in failing(check_content(stores, before))


def test_an_old_archive_that_is_left_and_a_young_one_that_is_lost_are_noticed(stores: Stores) -> None:
    for days in (171, 169):
        folder = f"backups/accounts/{AS_OF - timedelta(days=days):%Y-%m-%dT%H%M%SZ}/"
        stores.s3.put_object(Bucket=BACKUPS, Key=f"{folder}accounts.dump", Body=b"1")
    before = take_baseline(stores, [], AS_OF)
    for page in stores.s3.get_paginator("list_object_versions").paginate(Bucket=BACKUPS):
        for item in page["Versions"]:
            captured = captured_at(item["Key"])
            assert captured is not None
            if captured > AS_OF - timedelta(days=170):
                stores.s3.delete_object(Bucket=BACKUPS, Key=item["Key"], VersionId=item["VersionId"])
    found = failing(check_backups(stores, before))
    assert "1 objects of archives past 170 days are gone: 1" in found
    assert "1 lost" in found


def test_a_name_that_is_left_anywhere_is_noticed(stores: Stores) -> None:
    found = failing(check_residue({"practice": stores.practice_dsn}, MARKERS))
    assert "public.learners" in found


def test_the_table_wraps_long_cells_and_keeps_its_shape() -> None:
    drawn = table([Column("A", 6), Column("n", 4, number=True)], [["three words here", "7"], ["", "12"]])
    lines = drawn.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[3:6] == ["│ three  │  7 │", "│ words  │    │", "│ here   │    │"]


def test_the_verdict_counts_what_does_not_hold() -> None:
    checks = [Check("P4.2", "all gone", True), Check("P4.3", "none left", False, "3")]
    assert what_was_found(checks).endswith("1 of 2 statements do not hold.")
    assert what_was_found(checks[:1]).endswith("Everything is as promised.")
