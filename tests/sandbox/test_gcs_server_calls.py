"""Batches, listings, uploads, the clock and failures on demand, with the real google-cloud-storage client."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY

from include.sandbox.gcs.control import GcsControl
from tests.sandbox.gcs_objects import put, versions

THEN = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def test_a_batch_answers_for_each_call_on_its_own(gcs_bucket, gcs_client: Client):
    bucket = gcs_bucket()
    generations = [put(bucket, f"k{number}") for number in range(3)]
    held = bucket.get_blob("k1")
    held.temporary_hold = True
    held.patch()
    with gcs_client.batch(raise_exception=False) as batch:
        for number, generation in enumerate(generations):
            bucket.blob(f"k{number}", generation=generation).delete()
        bucket.blob("missing", generation=7).delete()
    assert [answer.status_code for answer in batch._responses] == [204, 403, 204, 404]
    assert batch._responses[1].json()["error"]["errors"][0]["reason"] == "objectUnderActiveHold"
    assert versions(bucket) == [("k1", generations[1])]


def test_a_batch_of_more_than_a_hundred_calls_is_refused_whole(gcs_bucket, gcs_client):
    bucket = gcs_bucket()
    generation = put(bucket)
    batch = gcs_client.batch()
    for _ in range(101):
        batch._make_request(
            "DELETE", f"{batch.API_BASE_URL}/storage/v1/b/{bucket.name}/o/a?generation={generation}"
        )
    with pytest.raises(exceptions.BadRequest):
        batch.finish()
    assert len(versions(bucket)) == 1


def test_listing_pages_through_every_generation_once(gcs_bucket):
    bucket = gcs_bucket()
    expected = sorted((f"p/{number % 5}", put(bucket, f"p/{number % 5}")) for number in range(17))
    put(bucket, "q")
    assert versions(bucket, prefix="p/", page_size=3) == expected
    assert versions(bucket, prefix="p/", start_offset="p/2", end_offset="p/4", page_size=2) == [
        entry for entry in expected if "p/2" <= entry[0] < "p/4"
    ]


def test_a_delimiter_folds_names_into_prefixes_across_pages(gcs_bucket):
    bucket = gcs_bucket()
    for name in ("a/1", "a/2", "b", "c/d/1", "c/e", "z"):
        put(bucket, name)
    listing = bucket.list_blobs(delimiter="/", page_size=1)
    assert [blob.name for blob in listing] == ["b", "z"]
    assert sorted(listing.prefixes) == ["a/", "c/"]
    below = bucket.list_blobs(prefix="c/", delimiter="/")
    assert ([blob.name for blob in below], sorted(below.prefixes)) == (["c/e"], ["c/d/"])


def test_a_partial_response_has_only_the_fields_asked_for(gcs_bucket, gcs_client):
    bucket = gcs_bucket()
    put(bucket)
    (blob,) = gcs_client.list_blobs(bucket, fields="items(name,generation),nextPageToken")
    assert set(blob._properties) == {"name", "generation"}


@pytest.mark.parametrize("name", ["täg/ü.txt", "a b?c#d%2Fe", "..hidden", "x/../y", "emoji 🎯", "trailing/"])
def test_object_names_may_hold_odd_characters(gcs_bucket, name):
    bucket = gcs_bucket()
    generation = put(bucket, name, "odd")
    assert versions(bucket) == [(name, generation)]
    assert bucket.blob(name).download_as_bytes() == b"odd"
    with bucket.client.batch():
        bucket.blob(name, generation=generation).delete()
    assert versions(bucket) == []


@pytest.mark.parametrize("name", [".", "..", "a\nb", "x" * 1025])
def test_object_names_that_the_documentation_forbids_are_refused(gcs_bucket, name):
    with pytest.raises((exceptions.BadRequest, exceptions.NotFound)):
        put(gcs_bucket(), name)


def test_a_resumable_upload_appears_only_when_complete_and_keeps_its_checksum(gcs_bucket):
    bucket = gcs_bucket()
    data = bytes(range(256)) * 4096
    blob = bucket.blob("big", chunk_size=256 * 1024)
    blob.metadata = {"captured": "2026-01-01"}
    blob.upload_from_file(io.BytesIO(data), size=len(data), content_type="application/x-test")
    found = bucket.get_blob("big")
    assert (found.size, found.content_type, found.metadata) == (
        len(data),
        "application/x-test",
        blob.metadata,
    )
    assert bucket.blob("big").download_as_bytes() == data
    assert bucket.blob("big").download_as_bytes(start=10, end=19) == data[10:20]


def test_a_copy_and_a_rewrite_keep_bytes_and_metadata_but_get_their_own_times(gcs_bucket, gcs_control):
    source, target = gcs_bucket(), gcs_bucket()
    with gcs_control.at(THEN):
        blob = source.blob("a")
        blob.metadata = {"k": "v"}
        blob.upload_from_string("bytes")
    copied = source.copy_blob(source.blob("a"), target, "b")
    _, rewritten, total = target.blob("c").rewrite(source.blob("a"))
    assert (copied.metadata, rewritten, total) == ({"k": "v"}, 5, 5)
    assert copied.time_created > blob.time_created


def test_metadata_changes_raise_the_metageneration_only(gcs_bucket):
    bucket = gcs_bucket()
    generation = put(bucket)
    blob = bucket.get_blob("a")
    blob.metadata = {"one": "1", "two": "2"}
    blob.patch()
    blob.metadata = {"one": None, "three": "3"}
    blob.patch()
    again = bucket.get_blob("a")
    assert (again.generation, again.metageneration, again.metadata) == (
        generation,
        3,
        {"two": "2", "three": "3"},
    )


def test_the_clock_back_dates_objects(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    with gcs_control.at(THEN):
        put(bucket, "old")
    put(bucket, "new")
    ages = {blob.name: blob.time_created for blob in bucket.list_blobs()}
    assert abs(ages["old"] - THEN) < timedelta(seconds=10)
    assert ages["new"] - ages["old"] > timedelta(days=1)


def test_lifecycle_rules_come_back_as_written_and_bad_ones_are_refused(gcs_bucket):
    bucket = gcs_bucket()
    bucket.add_lifecycle_delete_rule(age=173, matches_prefix=["backups/"])
    bucket.add_lifecycle_delete_rule(days_since_noncurrent_time=1, is_live=False)
    bucket.patch()
    rules = [dict(rule) for rule in bucket.client.get_bucket(bucket.name).lifecycle_rules]
    assert rules[0] == {
        "action": {"type": "Delete"},
        "condition": {"age": 173, "matchesPrefix": ["backups/"]},
    }
    bucket.add_lifecycle_delete_rule(age=-1)
    with pytest.raises(exceptions.BadRequest):
        bucket.patch()


def test_a_bucket_with_noncurrent_versions_cannot_be_deleted(gcs_bucket):
    bucket = gcs_bucket()
    generation = put(bucket)
    bucket.blob("a").delete()
    with pytest.raises(exceptions.Conflict):
        bucket.delete()
    bucket.blob("a", generation=generation).delete()
    bucket.delete()
    with pytest.raises(exceptions.NotFound):
        bucket.reload()


def test_an_injected_failure_before_the_effect_changes_nothing(gcs_bucket, gcs_control: GcsControl):
    bucket = gcs_bucket()
    generation = put(bucket)
    gcs_control.fail(status=503, method="DELETE")
    with pytest.raises(exceptions.ServiceUnavailable):
        bucket.blob("a", generation=generation).delete(retry=None)
    assert len(versions(bucket)) == 1
    gcs_control.fail(status=429, count=2, method="DELETE")
    bucket.blob("a", generation=generation).delete(retry=DEFAULT_RETRY.with_delay(initial=0.01))
    assert versions(bucket) == []


def test_an_injected_failure_after_the_effect_loses_only_the_answer(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    generation = put(bucket)
    gcs_control.fail(status=503, when="after", method="DELETE")
    with pytest.raises(exceptions.ServiceUnavailable):
        bucket.blob("a", generation=generation).delete(retry=None)
    assert versions(bucket) == []


def test_a_single_call_inside_a_batch_can_fail(gcs_bucket, gcs_client, gcs_control):
    bucket = gcs_bucket()
    generations = [put(bucket, f"k{number}") for number in range(3)]
    gcs_control.fail(status=503, scope="call", method="DELETE", skip=1)
    with gcs_client.batch(raise_exception=False) as batch:
        for number, generation in enumerate(generations):
            bucket.blob(f"k{number}", generation=generation).delete()
    assert [answer.status_code for answer in batch._responses] == [204, 503, 204]
