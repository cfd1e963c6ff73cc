"""Google Cloud Storage through its real client, against our model of the documented service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from include.privacy.planning.models import Holds, Outcome, Plan, PlanError
from include.privacy.stores.gcs import BucketError, GcsStore
from include.privacy.stores.gcs import gcs_client as make_client
from include.privacy.stores.objects import sweep as sweep_module
from include.sandbox.gcs.control import GcsControl
from tests.stores.buckets import BACKUPS, CONTENT, Gate, Log, backup_map, cohort, content_map, days, rule

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client

Buckets = Callable[..., "Bucket"]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEK = 7 * 86_400


@pytest.fixture(autouse=True)
def _now(gcs_control: GcsControl, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's clock stands near NOW, so that a test can say when things were stored."""
    gcs_control.set_clock(NOW)
    monkeypatch.setattr(sweep_module, "FIRST_PAUSE_S", 0.001)


def put(bucket: Bucket, *names: str, **metadata: str) -> None:
    for name in names:
        blob = bucket.blob(name)
        blob.metadata = metadata or None
        blob.upload_from_string(b"x")


def left(client: Client, bucket: Bucket, **options: Any) -> list[str]:
    return sorted(blob.name for blob in client.list_blobs(bucket, **({"versions": True} | options)))


def erase(store: GcsStore, *keys: str) -> tuple[Plan, Outcome]:
    people = cohort(*keys)
    plan = store.plan_erasure(people, uuid4(), as_of=NOW)
    return plan, store.execute(plan, people, Gate())


def expire(store: GcsStore, *, target: int = 170) -> tuple[Plan, Outcome]:
    plan = store.plan_expiry(rule(target), uuid4(), as_of=NOW)
    return plan, store.execute(plan, None, Gate())


def test_erasure_removes_every_generation_and_nobody_elses(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, "user-content/12/a", "user-content/12/a", "user-content/12/ü b+c%", "user-content/123/a")
    bucket.delete_blob("user-content/12/a")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    plan, outcome = erase(store, "12")
    assert (plan.matched, plan.subjects) == (3, 1)
    assert outcome.removed == {CONTENT: 3}
    assert not outcome.blocked
    assert left(gcs_client, bucket) == ["user-content/123/a"]
    assert store.probe(plan, cohort("12")).clean


def test_a_dry_run_deletes_nothing(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket()
    put(bucket, "user-content/12/a")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    people = cohort("12")
    plan = store.plan_erasure(people, uuid4(), as_of=NOW)
    outcome = store.execute(plan, people, Gate(), dry_run=True)
    assert (outcome.matched, outcome.removed) == ({CONTENT: 1}, {CONTENT: 0})
    assert left(gcs_client, bucket) == ["user-content/12/a"]


def test_batches_hold_a_hundred_calls_and_each_is_recorded(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, *[f"user-content/12/{n}" for n in range(205)])
    log = Log()
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client, batch_log=log)
    _, outcome = erase(store, "12")
    assert outcome.removed == {CONTENT: 205}
    assert list(log.intents.values()) == [100, 100, 5]
    assert left(gcs_client, bucket) == []


def test_held_objects_are_told_by_kind_others_are_deleted(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, *[f"user-content/12/{n}" for n in range(10)])
    for name, flag in (("3", "temporary_hold"), ("4", "temporary_hold"), ("5", "event_based_hold")):
        blob = bucket.blob(f"user-content/12/{name}")
        setattr(blob, flag, True)
        blob.patch()
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    plan, outcome = erase(store, "12")
    assert outcome.removed == {CONTENT: 7}
    assert outcome.blocked == [
        f"{CONTENT}: 1 objects: event-based hold",
        f"{CONTENT}: 2 objects: temporary hold",
    ]
    assert store.deferred(plan) == {"12"}
    assert len(left(gcs_client, bucket)) == 3


def test_object_retention_is_told_with_its_date(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0, object_retention=True)
    put(bucket, "user-content/12/a", "user-content/12/b")
    blob = bucket.blob("user-content/12/a")
    blob.retention.mode, blob.retention.retain_until_time = "Locked", NOW + days(40)
    blob.patch()
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    _, outcome = erase(store, "12")
    until = f"{NOW + days(40):%Y-%m-%d}"
    assert outcome.blocked == [f"{CONTENT}: 1 objects: object retention (Locked) until {until}"]
    assert left(gcs_client, bucket) == ["user-content/12/a"]


def test_a_batch_whose_answer_is_lost_counts_each_object_once(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    for status in (503, 0, 429):
        bucket = gcs_bucket(soft_delete_seconds=0)
        put(bucket, "user-content/12/a", "user-content/12/b")
        gcs_control.fail(status=status, when="after", method="POST", path="batch")
        store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
        _, outcome = erase(store, "12")
        assert outcome.removed == {CONTENT: 2}
        assert not outcome.blocked
        assert left(gcs_client, bucket) == []


def test_calls_that_fail_inside_a_batch_are_found_by_a_new_listing_and_repeated(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, *[f"user-content/12/{n}" for n in range(6)])
    held = bucket.blob("user-content/12/5")
    held.temporary_hold = True
    held.patch()
    gcs_control.fail(status=503, scope="call", skip=1, count=3, method="DELETE")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    _, outcome = erase(store, "12")
    assert outcome.removed == {CONTENT: 5}
    assert outcome.blocked == [f"{CONTENT}: 1 objects: temporary hold"]
    assert left(gcs_client, bucket) == ["user-content/12/5"]


def test_a_404_means_deleted_only_for_a_generation_that_was_asked_for(
    gcs_client: Client, gcs_bucket: Buckets
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, "user-content/12/a", "user-content/12/b")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    people = cohort("12")
    plan = store.plan_erasure(people, uuid4(), as_of=NOW)
    gate = Gate()

    def somebody_else_deletes(entered: int) -> None:
        if entered == 2:
            for blob in list(gcs_client.list_blobs(bucket, prefix="user-content/12/a", versions=True)):
                bucket.delete_blob(blob.name, generation=blob.generation)

    gate.before = somebody_else_deletes
    assert store.execute(plan, people, gate).removed == {CONTENT: 2}
    put(bucket, "user-content/12/a")

    def bucket_goes(entered: int) -> None:
        if entered == 2:
            for blob in list(gcs_client.list_blobs(bucket, versions=True)):
                bucket.delete_blob(blob.name, generation=blob.generation)
            bucket.delete()

    gate = Gate()
    gate.before = bucket_goes
    with pytest.raises(BucketError, match="does not exist"):
        store.execute(plan, people, gate)


def test_denied_deletion_and_denied_listing_are_told_without_names(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, "user-content/12/a", "user-content/12/b")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    people = cohort("12")
    plan = store.plan_erasure(people, uuid4(), as_of=NOW)
    gcs_control.fail(status=403, scope="call", count=2, method="DELETE")
    outcome = store.execute(plan, people, Gate())
    assert outcome.blocked == [f"{CONTENT}: 2 objects: access denied (needs storage.objects.delete)"]
    assert len(left(gcs_client, bucket)) == 2
    gcs_control.fail(status=403, method="GET", path="/o$")
    with pytest.raises(PlanError, match=r"grant storage\.objects\.list") as caught:
        store.plan_erasure(people, uuid4(), as_of=NOW)
    assert "user-content/12" not in str(caught.value)


def test_what_stays_unavailable_is_told_after_the_last_attempt(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, "user-content/12/a")
    gcs_control.fail(status=503, scope="call", count=sweep_module.ATTEMPTS, method="DELETE")
    store = GcsStore(content_map(bucket.name, "gcs"), gcs_client)
    _, outcome = erase(store, "12")
    assert outcome.blocked == [
        f"{CONTENT}: 1 objects: still ServiceUnavailable (503) after {sweep_module.ATTEMPTS} attempts"
    ]


def test_a_bucket_that_is_gone_is_told_by_name(gcs_client: Client) -> None:
    content = GcsStore(content_map("no-such-bucket", "gcs"), gcs_client)
    backups = GcsStore(backup_map("no-such-bucket", "gcs"), gcs_client)
    with pytest.raises(PlanError, match="bucket 'no-such-bucket' does not exist"):
        content.plan_erasure(cohort("12"), uuid4(), as_of=NOW)
    with pytest.raises(PlanError, match="bucket 'no-such-bucket' does not exist"):
        backups.plan_expiry(rule(), uuid4(), as_of=NOW)


# Backups.


def test_expiry_reads_manifest_then_metadata_then_key_then_creation(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)

    def ago(count: float) -> datetime:
        return NOW - days(count)

    put(bucket, f"{BACKUPS}by-manifest/a.dump", f"{BACKUPS}fresh/a.dump")
    for name, age in (("by-manifest", 171), ("fresh", 169)):
        text = json.dumps({"captured_at": ago(age).isoformat()})
        bucket.blob(f"{BACKUPS}{name}/manifest.json").upload_from_string(text)
    put(bucket, f"{BACKUPS}by-metadata/a.dump", **{"captured-at": ago(200).isoformat()})
    put(bucket, f"{BACKUPS}{ago(180):%Y-%m-%dT%H%M%SZ}/a.dump")
    with gcs_control.at(ago(170.01)):
        put(bucket, f"{BACKUPS}by-creation/a.dump", f"{BACKUPS}by-creation/a.dump")
    with gcs_control.at(ago(169.9)):
        put(bucket, f"{BACKUPS}not-yet/a.dump")
    gcs_control.set_clock(NOW)
    store = GcsStore(backup_map(bucket.name, "gcs"), gcs_client)
    plan, outcome = expire(store)
    assert (plan.matched, plan.population) == (6, 9)
    assert outcome.removed == {BACKUPS: 6}
    assert left(gcs_client, bucket) == [
        f"{BACKUPS}fresh/a.dump",
        f"{BACKUPS}fresh/manifest.json",
        f"{BACKUPS}not-yet/a.dump",
    ]
    assert store.probe(plan, None).clean


def test_a_manifest_that_is_only_noncurrent_still_testifies(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    put(bucket, f"{BACKUPS}x/a.dump")
    manifest = bucket.blob(f"{BACKUPS}x/manifest.json")
    manifest.upload_from_string(json.dumps({"captured_at": (NOW - days(200)).isoformat()}))
    bucket.delete_blob(manifest.name)
    store = GcsStore(backup_map(bucket.name, "gcs"), gcs_client)
    assert expire(store)[1].removed == {BACKUPS: 2}
    assert left(gcs_client, bucket) == []


def test_soft_delete_moves_the_target_and_has_a_clock_of_its_own(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=WEEK)
    with gcs_control.at(NOW - days(174)):
        put(bucket, f"{BACKUPS}x/a.dump")
    gcs_control.set_clock(NOW)
    store = GcsStore(backup_map(bucket.name, "gcs"), gcs_client)
    plan, outcome = expire(store, target=178)
    assert plan.notes == (
        "target moved from 178 to 173 days: soft delete keeps deleted objects 7 days and counts into the 180",
        f"1 objects under {BACKUPS} will outlive the promise on {NOW + days(6):%Y-%m-%d} because "
        f"soft delete keeps it restorable until {NOW + days(7):%Y-%m-%d}",
    )
    assert outcome.removed == {BACKUPS: 1}
    assert left(gcs_client, bucket) == []
    assert left(gcs_client, bucket, versions=None, soft_deleted=True) == [f"{BACKUPS}x/a.dump"]
    late = NOW + days(6.5)
    behind = store.overdue(rule(178), as_of=late, holds=Holds())
    assert (behind.count, behind.gone.count) == (0, 1)
    assert behind.gone.oldest is not None
    assert timedelta(hours=11) < behind.gone.oldest < timedelta(hours=13)
    assert "soft delete keeps it restorable" in store.plan_expiry(rule(), uuid4(), as_of=late).notes[0]
    gcs_control.set_clock(NOW + days(8))
    assert store.overdue(rule(178), as_of=NOW + days(8), holds=Holds()).gone.count == 0


def test_soft_deleted_objects_are_seen_after_the_policy_was_turned_off(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=WEEK)
    put(bucket, f"{BACKUPS}x/a.dump", **{"captured-at": (NOW - days(200)).isoformat()})
    for blob in list(gcs_client.list_blobs(bucket, versions=True)):
        bucket.delete_blob(blob.name, generation=blob.generation)
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket.patch()
    store = GcsStore(backup_map(bucket.name, "gcs"), gcs_client)
    behind = store.overdue(rule(), as_of=NOW, holds=Holds())
    assert (behind.count, behind.gone.count) == (0, 1)
    # Should the service refuse that listing for want of a policy, there is nothing to see.
    gcs_control.fail(status=400, skip=1, method="GET", path="/o$")
    assert store.overdue(rule(), as_of=NOW, holds=Holds()).gone.count == 0


def test_a_refused_listing_of_a_bucket_with_soft_delete_is_an_error(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    store = GcsStore(backup_map(gcs_bucket(soft_delete_seconds=WEEK).name, "gcs"), gcs_client)
    gcs_control.fail(status=400, skip=1, method="GET", path="/o$")
    with pytest.raises(BucketError, match="failed with BadRequest"):
        store.overdue(rule(), as_of=NOW, holds=Holds())


def test_retention_policy_and_holds_are_told_before_the_limit(
    gcs_client: Client, gcs_bucket: Buckets, gcs_control: GcsControl
) -> None:
    bucket = gcs_bucket(soft_delete_seconds=0)
    with gcs_control.at(NOW - days(171)):
        put(bucket, f"{BACKUPS}x/a.dump", f"{BACKUPS}y/a.dump")
    gcs_control.set_clock(NOW)
    held = bucket.blob(f"{BACKUPS}y/a.dump")
    held.temporary_hold = True
    held.patch()
    bucket.retention_period = 200 * 86_400
    bucket.patch()
    store = GcsStore(backup_map(bucket.name, "gcs"), gcs_client)
    plan, outcome = expire(store)
    limit, until = NOW + days(9), NOW + days(29)
    assert plan.notes == (
        f"every new object under {BACKUPS} will outlive the promise because the retention policy of the "
        "bucket keeps it 200 days, the promise allows 180",
        f"1 objects under {BACKUPS} will outlive the promise on {limit:%Y-%m-%d} because temporary hold "
        "until it is lifted",
        f"1 objects under {BACKUPS} will outlive the promise on {limit:%Y-%m-%d} because the retention "
        f"policy of the bucket until {until:%Y-%m-%d}",
    )
    assert outcome.removed == {BACKUPS: 0}
    assert len(outcome.blocked) == 2
    assert store.overdue(rule(), as_of=NOW, holds=Holds()).count == 0
    assert store.overdue(rule(), as_of=NOW + days(10), holds=Holds()).count == 2


# Lifecycle.


def test_the_lifecycle_is_set_and_other_peoples_rules_stay(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=WEEK)
    theirs = [
        {"action": {"type": "SetStorageClass", "storageClass": "COLDLINE"}, "condition": {"age": 30}},
        {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["tmp/"]}},
    ]
    bucket.lifecycle_rules = theirs
    bucket.patch()
    store = GcsStore(backup_map(bucket.name, "gcs", lifecycle="manage"), gcs_client)
    before = store.bucket_lifecycle(rule())
    assert len(before.differences) == 2
    assert not before.applied
    after = store.bucket_lifecycle(rule(), apply=True)
    assert (after.applied, after.differences) == (True, ())
    assert not store.bucket_lifecycle(rule(), apply=True).applied
    rules = [dict(r) for r in gcs_client.get_bucket(bucket.name).lifecycle_rules]
    assert rules[:2] == theirs
    assert rules[2]["condition"] == {"age": 170, "matchesPrefix": [BACKUPS]}
    assert rules[3]["action"]["type"] == "AbortIncompleteMultipartUpload"


def test_an_audited_bucket_is_compared_and_never_written(gcs_client: Client, gcs_bucket: Buckets) -> None:
    bucket = gcs_bucket(soft_delete_seconds=WEEK)
    bucket.lifecycle_rules = [{"action": {"type": "Delete"}, "condition": {"age": 175}}]
    bucket.patch()
    store = GcsStore(backup_map(bucket.name, "gcs", lifecycle="audit"), gcs_client)
    report = store.bucket_lifecycle(rule(), apply=True)
    assert not report.applied
    assert "after 175 days and soft delete keeps them 7 more, limit 180" in report.differences[0]
    assert len(list(gcs_client.get_bucket(bucket.name).lifecycle_rules)) == 1


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(ValueError, match="is refused"):
        make_client(endpoint_url="http://storage.example.org")
    assert make_client(endpoint_url="http://127.0.0.1:1").project
