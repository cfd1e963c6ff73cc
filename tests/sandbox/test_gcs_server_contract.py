"""Where another emulator does the same as ours, both must: one test, two servers, the real client.

gcp-storage-emulator keeps no older generations and enforces neither holds nor retention, so those are
tested against ours alone (``test_gcs_server.py``).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client

from include.sandbox.gcs import gcs_client as client_of
from include.sandbox.gcs.server import GcsServer
from include.sandbox.processes import free_port


@pytest.fixture(scope="module", params=["ours", "gcp-storage-emulator"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The real client against each server."""
    if request.param == "ours":
        with serving(tmp_path_factory.mktemp("gcs")) as endpoint:
            yield client_of(endpoint)
        return
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    logging.getLogger("gcp_storage_emulator").setLevel(logging.WARNING)
    port = free_port()
    server = emulator.create_server("127.0.0.1", port, in_memory=True)
    server.start()
    yield client_of(f"http://127.0.0.1:{port}")
    server.stop()


class serving:  # noqa: N801 - reads as a verb
    """``with serving(folder) as endpoint``: our server in a thread."""

    def __init__(self, folder: Path) -> None:
        self.server = GcsServer(0, folder)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def bucket(client: Client) -> Bucket:
    return client.create_bucket(f"contract-{uuid.uuid4().hex[:10]}")


def test_what_was_uploaded_comes_back(bucket: Bucket):
    blob = bucket.blob("folder/ä b.txt")
    blob.metadata = {"captured": "2026-01-01T00:00:00Z"}
    blob.upload_from_string(b"body", content_type="text/x-test")
    found = bucket.get_blob("folder/ä b.txt")
    assert found.download_as_bytes() == b"body"
    assert (found.size, found.content_type, found.metadata) == (4, "text/x-test", blob.metadata)
    assert found.crc32c


def test_a_listing_pages_through_a_prefix_in_order(bucket: Bucket):
    for number in range(7):
        bucket.blob(f"p/{number}").upload_from_string("x")
    bucket.blob("q").upload_from_string("x")
    pages = list(bucket.list_blobs(prefix="p/", page_size=3).pages)
    assert [blob.name for page in pages for blob in page] == [f"p/{number}" for number in range(7)]


def test_a_delimiter_folds_names_into_prefixes(bucket: Bucket):
    for name in ("a/1", "a/2", "b"):
        bucket.blob(name).upload_from_string("x")
    listing = bucket.list_blobs(delimiter="/")
    assert [blob.name for blob in listing] == ["b"]
    assert listing.prefixes == {"a/"}


def test_a_missing_object_and_a_missing_bucket_are_not_found(bucket: Bucket, client: Client):
    assert bucket.get_blob("missing") is None
    with pytest.raises(exceptions.NotFound):
        bucket.blob("missing").delete()
    with pytest.raises(exceptions.NotFound):
        client.get_bucket("contract-missing-bucket")


def test_an_upload_with_generation_zero_only_creates(bucket: Bucket, request: pytest.FixtureRequest):
    if "gcp-storage-emulator" in request.node.name:
        pytest.xfail("gcp-storage-emulator ignores preconditions")
    bucket.blob("a").upload_from_string("x", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").upload_from_string("y", if_generation_match=0)
    assert bucket.blob("a").download_as_bytes() == b"x"


def test_a_batch_answers_each_call_on_its_own(bucket: Bucket, client: Client):
    for name in ("a", "c"):
        bucket.blob(name).upload_from_string("x")
    with client.batch(raise_exception=False) as batch:
        for name in ("a", "b", "c"):
            bucket.blob(name).delete()
    assert [answer.status_code for answer in batch._responses] == [204, 404, 204]
    assert list(bucket.list_blobs()) == []


def test_soft_delete_is_on_for_seven_days_by_default(bucket: Bucket):
    bucket.reload()
    assert bucket.soft_delete_policy.retention_duration_seconds == 604_800
    blob = bucket.blob("a")
    blob.upload_from_string("precious")
    blob.delete()
    (found,) = bucket.list_blobs(soft_deleted=True)
    assert found.hard_delete_time - found.soft_delete_time == timedelta(days=7)
    bucket.restore_blob("a", generation=found.generation)
    assert bucket.blob("a").download_as_bytes() == b"precious"


def test_lifecycle_rules_come_back_as_written(bucket: Bucket):
    bucket.add_lifecycle_delete_rule(age=173)
    bucket.patch()
    rules = [dict(rule) for rule in bucket.client.get_bucket(bucket.name).lifecycle_rules]
    assert rules == [{"action": {"type": "Delete"}, "condition": {"age": 173}}]
