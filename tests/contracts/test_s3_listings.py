"""Listings that the engine has to read to their end, and deletions that it may repeat."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from include.privacy.stores.objects.model import Kind
from include.privacy.stores.s3 import S3Store
from include.privacy.stores.s3_bucket import S3Bucket
from tests.contracts.differences import DIFFERENCES
from tests.contracts.servers import STARTERS
from tests.stores.buckets import CONTENT, Gate, backup_map, content_map, rule
from tests.stores.test_backups_s3 import THEIRS, rules
from tests.stores.test_s3_erasure import everything, planned, put

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Buckets = Callable[..., str]


def plan_and_erase(client: S3Client, name: str, expected: int) -> None:
    """Person 12 has exactly so many entries, they all go, and nothing else is in the bucket."""
    store = S3Store(content_map(name), client)
    plan, people = planned(store, "12")
    assert plan.matched == expected
    assert store.execute(plan, people, Gate()).removed == {CONTENT: expected}
    assert not everything(client, name)


def test_more_unfinished_uploads_than_a_page_holds_are_all_aborted(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()

    def begin(number: int) -> None:
        s3_client.create_multipart_upload(Bucket=name, Key=f"user-content/12/{number // 2:04}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(1010)))
    plan_and_erase(s3_client, name, 1010)


def test_deleting_the_same_versions_and_uploads_again_is_no_error(
    s3_client: S3Client, bucket: Buckets
) -> None:
    """A worker that died after the call, or a second copy of the task, does exactly this."""
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/a", "user-content/12/b")
    s3_client.delete_object(Bucket=name, Key="user-content/12/b")
    s3_client.create_multipart_upload(Bucket=name, Key="user-content/12/big")
    adapter = S3Bucket(s3_client, name)
    found = [o for page in adapter.versions("user-content/12/") for o in page]
    found += [o for page in adapter.uploads("user-content/12/") for o in page]
    assert sorted(o.kind for o in found) == sorted([*[Kind.version] * 3, Kind.marker, Kind.upload])
    for _ in ("first", "again"):
        result = adapter.delete(found)
        assert not result.refused
        assert not result.again
    assert not everything(s3_client, name)


def test_a_version_written_after_the_plan_is_no_obstacle(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    put(s3_client, name, "user-content/12/a", "user-content/12/later")
    assert store.execute(plan, people, Gate()).removed == {CONTENT: 3}
    assert store.probe(plan, people).clean


def test_suspending_versions_keeps_the_older_ones_and_erasure_removes_them(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/a")
    s3_client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    put(s3_client, name, "user-content/12/a", "user-content/12/a")
    # Two versions from before, and the one called null, which each later write replaces.
    plan_and_erase(s3_client, name, 3)


def test_folders_are_told_apart_whatever_the_server_makes_of_a_delimiter(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/b", "other/x/y", "bare")
    s3_client.delete_object(Bucket=name, Key="other/x/y")
    assert list(S3Store(content_map(name), s3_client).folder_names("")) == ["", "other/", "user-content/"]


def test_a_rule_of_others_that_keeps_newer_versions_comes_through_ours_unchanged(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    keeping: Any = {
        "ID": "keeping",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 5, "NewerNoncurrentVersions": 3},
    }
    s3_client.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [THEIRS, keeping]}
    )
    assert (
        S3Store(backup_map(name, lifecycle="manage"), s3_client).bucket_lifecycle(rule(), apply=True).applied
    )
    kept = {r["ID"]: r.get("NoncurrentVersionExpiration") for r in rules(s3_client, name)}
    assert kept["keeping"] == keeping["NoncurrentVersionExpiration"]


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row.server}-{row.test}")
def test_every_expected_difference_names_a_server_and_a_test(row: Any) -> None:
    from tests.contracts import test_s3_contract, test_s3_listings, test_s3_refusals

    assert row.server in STARTERS
    assert row.reason
    assert any(hasattr(m, row.test) for m in (test_s3_contract, test_s3_listings, test_s3_refusals))
