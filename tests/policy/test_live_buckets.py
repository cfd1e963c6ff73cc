"""The comparison of buckets with the map, against real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from include.privacy.policy.bucket_map import BucketMap, ContentPrefix
from include.privacy.policy.live_prefixes import compare_prefixes
from include.privacy.stores.gcs import GcsStore, gcs_client
from include.privacy.stores.s3 import S3Store
from include.sandbox.world import GCS_PROJECT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from include.sandbox.world import World

KEYS = ["user-content/1/a.png", "user-content/2/a.png", "exports/all.csv", "loose.csv"]
FOUND = ["outside any folder", "under exports/"]


def mapped(kind: str, bucket: str) -> BucketMap:
    content = ContentPrefix(prefix="user-content/{subject}/", category="user.content", purposes=("x",))
    return BucketMap(store="files", kind=kind, connection="files", bucket=bucket, content=(content,))  # type: ignore[arg-type]


def places(bucket: BucketMap, folders: Callable[[str], Iterator[str]]) -> list[str]:
    return [
        p.message.split(" has objects ")[1].split(" that the map")[0]
        for p in compare_prefixes(bucket, folders)
    ]


def test_unknown_prefixes_in_s3_are_found(s3_client: S3Client, bucket: Callable[..., str]) -> None:
    name = bucket()
    for key in KEYS:
        s3_client.put_object(Bucket=name, Key=key, Body=b"x")
    store = S3Store(mapped("s3", name), s3_client)
    assert places(store.map, store.folder_names) == FOUND


def test_a_prefix_of_which_only_old_versions_are_left_is_still_found(
    s3_client: S3Client, bucket: Callable[..., str]
) -> None:
    name = bucket()
    s3_client.put_object(Bucket=name, Key="exports/all.csv", Body=b"x")
    s3_client.delete_object(Bucket=name, Key="exports/all.csv")
    store = S3Store(mapped("s3", name), s3_client)
    assert places(store.map, store.folder_names) == ["under exports/"]


@pytest.mark.parametrize("versioning", [True, False])
def test_unknown_prefixes_in_cloud_storage_are_found(world: World, versioning: bool) -> None:
    client = gcs_client(project=GCS_PROJECT, endpoint_url=world.gcs_endpoint)
    name = f"policy-{uuid4().hex[:12]}"
    found = client.bucket(name)
    found.versioning_enabled = versioning
    found.create()
    for key in KEYS:
        found.blob(key).upload_from_string(b"x")
    store = GcsStore(mapped("gcs", name), client)
    assert places(store.map, store.folder_names) == FOUND
