"""What keeps and what removes an object version, driven with the real google-cloud-storage client."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.api_core import exceptions

from tests.sandbox.gcs_objects import put, reason, soft_deleted, versions


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
