"""The GCS server, driven with the real google-cloud-storage client."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client
from google.cloud.storage.retry import DEFAULT_RETRY

from include.sandbox.gcs.control import GcsControl

THEN = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def put(bucket: Bucket, name: str = "a", data: str = "x") -> int:
    """Upload; the new generation."""
    blob = bucket.blob(name)
    blob.upload_from_string(data)
    return int(blob.generation)


def versions(bucket: Bucket, **options: object) -> list[tuple[str, int]]:
    """Names and generations, in the order listed."""
    return [
        (blob.name, int(blob.generation))
        for blob in bucket.client.list_blobs(bucket, versions=True, **options)
    ]


def soft_deleted(bucket: Bucket) -> list[int]:
    """Generations of soft-deleted versions."""
    return [int(blob.generation) for blob in bucket.client.list_blobs(bucket, soft_deleted=True)]


def reason(error: exceptions.GoogleAPICallError) -> str:
    """The first documented reason of an error; the library drops it from those of uploads."""
    if not error.errors:
        return "objectUnderActiveHold" if "is under active" in error.message else error.message
    return str(error.errors[0]["reason"])


def test_an_overwrite_keeps_the_older_generation_when_versioning_is_on(gcs_bucket):
    bucket = gcs_bucket()
    first, second = put(bucket, data="one"), put(bucket, data="two")
    assert versions(bucket) == [("a", first), ("a", second)]
    old, new = bucket.client.list_blobs(bucket, versions=True)
    assert old.time_deleted is not None
    assert new.time_deleted is None
    assert bucket.blob("a", generation=first).download_as_bytes() == b"one"
    assert [blob.generation for blob in bucket.list_blobs()] == [second]


def test_an_overwrite_soft_deletes_the_older_generation_when_versioning_is_off(gcs_bucket):
    bucket = gcs_bucket(versioning=False)
    first, second = put(bucket), put(bucket)
    assert versions(bucket) == [("a", second)]
    assert soft_deleted(bucket) == [first]


def test_deleting_without_a_generation_only_makes_it_noncurrent(gcs_bucket):
    bucket = gcs_bucket()
    generation = put(bucket)
    bucket.blob("a").delete()
    assert list(bucket.list_blobs()) == []
    assert versions(bucket) == [("a", generation)]
    assert soft_deleted(bucket) == []
    with pytest.raises(exceptions.NotFound):
        bucket.blob("a").reload()


def test_deleting_a_generation_soft_deletes_it_for_seven_days(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    generation = put(bucket)
    bucket.blob("a", generation=generation).delete()
    assert versions(bucket) == []
    (found,) = bucket.client.list_blobs(bucket, soft_deleted=True)
    assert found.hard_delete_time - found.soft_delete_time == timedelta(days=7)
    gcs_control.advance(timedelta(days=6, hours=23))
    assert soft_deleted(bucket) == [generation]
    gcs_control.advance(timedelta(hours=2))
    assert soft_deleted(bucket) == []
    with pytest.raises(exceptions.NotFound):
        bucket.restore_blob("a", generation=generation)


def test_without_soft_delete_a_deleted_generation_is_gone_at_once(gcs_bucket):
    bucket = gcs_bucket(soft_delete_seconds=0)
    bucket.blob("a", generation=put(bucket)).delete()
    assert versions(bucket) == []
    assert soft_deleted(bucket) == []


def test_a_changed_soft_delete_policy_does_not_reach_what_is_already_deleted(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    generation = put(bucket)
    bucket.blob("a", generation=generation).delete()
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket.patch()
    assert soft_deleted(bucket) == [generation]


def test_a_soft_delete_policy_outside_its_limits_is_refused(gcs_bucket):
    bucket = gcs_bucket()
    for seconds in (86_400, 91 * 86_400):
        bucket.soft_delete_policy.retention_duration_seconds = seconds
        with pytest.raises(exceptions.BadRequest):
            bucket.patch()


def test_a_soft_deleted_version_can_be_restored_as_a_new_generation(gcs_bucket):
    bucket = gcs_bucket()
    generation = put(bucket, data="precious")
    bucket.blob("a", generation=generation).delete()
    restored = bucket.restore_blob("a", generation=generation)
    assert int(restored.generation) > generation
    assert bucket.blob("a").download_as_bytes() == b"precious"


@pytest.mark.parametrize("flag", ["temporary_hold", "event_based_hold"])
def test_a_held_object_can_neither_be_deleted_nor_replaced_nor_archived(gcs_bucket, flag):
    bucket = gcs_bucket()
    generation = put(bucket)
    blob = bucket.blob("a")
    blob.reload()
    setattr(blob, flag, True)
    blob.patch()
    for attempt in (
        bucket.blob("a").delete,
        bucket.blob("a", generation=generation).delete,
        lambda: put(bucket),
    ):
        with pytest.raises(exceptions.Forbidden) as caught:
            attempt()
        assert reason(caught.value) == "objectUnderActiveHold"
    setattr(blob, flag, False)
    blob.patch()
    bucket.blob("a", generation=generation).delete()
    assert versions(bucket) == []


def test_the_buckets_retention_period_is_enforced_until_it_is_over(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    generation = put(bucket)
    bucket.retention_period = 30 * 86_400
    bucket.patch()
    blob = bucket.get_blob("a")
    assert blob.retention_expiration_time - blob.time_created == timedelta(days=30)
    with pytest.raises(exceptions.Forbidden) as caught:
        bucket.blob("a", generation=generation).delete()
    assert reason(caught.value) == "retentionPolicyNotMet"
    gcs_control.advance(timedelta(days=31))
    bucket.blob("a", generation=generation).delete()
    assert versions(bucket) == []


def test_releasing_an_event_based_hold_starts_the_retention_period_anew(gcs_bucket, gcs_control):
    bucket = gcs_bucket()
    bucket.default_event_based_hold = True
    bucket.retention_period = 10 * 86_400
    bucket.patch()
    put(bucket)
    blob = bucket.get_blob("a")
    assert blob.event_based_hold
    assert blob.retention_expiration_time is None
    gcs_control.advance(timedelta(days=100))
    blob.event_based_hold = False
    blob.patch()
    assert blob.retention_expiration_time - gcs_control.now() > timedelta(days=9)
    with pytest.raises(exceptions.Forbidden):
        blob.delete()


def test_a_locked_retention_policy_can_only_be_made_longer(gcs_bucket):
    bucket = gcs_bucket()
    bucket.retention_period = 1000
    bucket.patch()
    bucket.lock_retention_policy()
    assert bucket.retention_policy_locked
    for period in (500, None):
        bucket.retention_period = period
        with pytest.raises(exceptions.Forbidden):
            bucket.patch()
    bucket.reload()
    bucket.retention_period = 2000
    bucket.patch()
    assert bucket.retention_period == 2000


def test_locking_needs_the_current_metageneration(gcs_bucket):
    bucket = gcs_bucket()
    bucket.retention_period = 1000
    bucket.patch()
    stale = bucket.client.get_bucket(bucket.name)
    bucket.labels = {"changed": "since"}
    bucket.patch()
    with pytest.raises(exceptions.PreconditionFailed):
        stale.lock_retention_policy()


def test_object_retention_forbids_deletion_but_lets_the_version_become_noncurrent(gcs_bucket, gcs_control):
    bucket = gcs_bucket(object_retention=True)
    generation = put(bucket)
    blob = bucket.get_blob("a")
    blob.retention.mode = "Locked"
    blob.retention.retain_until_time = gcs_control.now() + timedelta(days=5)
    blob.patch()
    bucket.blob("a").delete()
    with pytest.raises(exceptions.Forbidden) as caught:
        bucket.blob("a", generation=generation).delete()
    assert reason(caught.value) == "retentionPolicyNotMet"
    gcs_control.advance(timedelta(days=6))
    bucket.blob("a", generation=generation).delete()
    assert versions(bucket) == []


def test_a_locked_object_retention_cannot_be_shortened_and_an_unlocked_one_needs_an_override(
    gcs_bucket, gcs_control
):
    bucket = gcs_bucket(object_retention=True)
    put(bucket)
    blob = bucket.get_blob("a")
    blob.retention.mode = "Unlocked"
    blob.retention.retain_until_time = gcs_control.now() + timedelta(days=50)
    blob.patch()
    blob.retention.retain_until_time = gcs_control.now() + timedelta(days=5)
    with pytest.raises(exceptions.Forbidden):
        blob.patch()
    blob.patch(override_unlocked_retention=True)
    blob.retention.mode, blob.retention.retain_until_time = None, None
    blob.patch(override_unlocked_retention=True)
    assert bucket.get_blob("a").retention_expiration_time is None
    blob.retention.mode = "Locked"
    blob.retention.retain_until_time = gcs_control.now() + timedelta(days=5)
    blob.patch(override_unlocked_retention=True)
    blob.retention.retain_until_time = gcs_control.now() + timedelta(days=1)
    with pytest.raises(exceptions.Forbidden):
        blob.patch(override_unlocked_retention=True)


def test_a_delete_with_a_stale_precondition_changes_nothing(gcs_bucket):
    bucket = gcs_bucket()
    first, second = put(bucket), put(bucket)
    with pytest.raises(exceptions.PreconditionFailed) as caught:
        bucket.blob("a").delete(if_generation_match=first)
    assert reason(caught.value) == "conditionNotMet"
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a", generation=second).delete(if_metageneration_match=9)
    assert len(versions(bucket)) == 2
    bucket.blob("a").delete(if_generation_match=second)
    assert list(bucket.list_blobs()) == []


def test_an_upload_with_generation_zero_only_creates(gcs_bucket):
    bucket = gcs_bucket()
    bucket.blob("a").upload_from_string("x", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").upload_from_string("y", if_generation_match=0)


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
