"""Backups in S3: versions, markers, uploads, locks and lifecycle on a server that keeps them all.

The server stamps LastModified itself, so these tests look from a later day instead of storing earlier.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from include.privacy.planning.models import Holds, Outcome, Plan, PlanError
from include.privacy.stores.s3 import S3Store
from tests.stores.buckets import BACKUPS, Gate, backup_map, days, rule, utc_now
from tests.stores.test_s3_erasure import Answers, error, everything, put

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Buckets = Callable[..., str]


def expire(store: S3Store, as_of: datetime) -> tuple[Plan, Outcome]:
    plan = store.plan_expiry(rule(), uuid4(), as_of=as_of)
    return plan, store.execute(plan, None, Gate())


def put_archive(client: S3Client, bucket: str, name: str, captured: datetime, **more: Any) -> None:
    """An archive and its manifest, as the backup job writes them."""
    put(client, bucket, f"{BACKUPS}{name}/accounts.dump", **more)
    manifest = json.dumps({"captured_at": captured.isoformat()}).encode()
    client.put_object(Bucket=bucket, Key=f"{BACKUPS}{name}/manifest.json", Body=manifest)


def test_expired_archives_go_with_versions_markers_manifests_and_uploads(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name, now = bucket(), utc_now()
    put_archive(s3_client, name, "old", now - days(171))
    put_archive(s3_client, name, "old", now - days(171))
    s3_client.delete_object(Bucket=name, Key=f"{BACKUPS}old/accounts.dump")
    s3_client.delete_object(Bucket=name, Key=f"{BACKUPS}stray-marker/accounts.dump")
    put_archive(s3_client, name, "new", now - days(169))
    s3_client.delete_object(Bucket=name, Key=f"{BACKUPS}new/accounts.dump")
    put(s3_client, name, "backups/accounts-of-others/x", "other/y")
    store = S3Store(backup_map(name), s3_client)
    plan, outcome = expire(store, now)
    assert (plan.matched, plan.population) == (6, 9)
    assert outcome.removed == {BACKUPS: 6}
    assert everything(s3_client, name) == {
        ("version", f"{BACKUPS}new/accounts.dump"),
        ("marker", f"{BACKUPS}new/accounts.dump"),
        ("version", f"{BACKUPS}new/manifest.json"),
        ("version", "backups/accounts-of-others/x"),
        ("version", "other/y"),
    }
    assert store.probe(plan, None).clean


def test_copying_an_archive_does_not_make_it_younger(s3_client: S3Client, bucket: Buckets) -> None:
    name, now = bucket(), utc_now()
    dated = f"{BACKUPS}{now - days(300):%Y-%m-%dT%H%M%SZ}/accounts.dump"
    stated = f"{BACKUPS}undated/accounts.dump"
    put(s3_client, name, "elsewhere/a")
    put(s3_client, name, "elsewhere/b", Metadata={"captured-at": (now - days(300)).isoformat()})
    for source, target in (("elsewhere/a", dated), ("elsewhere/b", stated)):
        s3_client.copy_object(Bucket=name, Key=target, CopySource={"Bucket": name, "Key": source})
    store = S3Store(backup_map(name), s3_client)
    assert expire(store, now)[1].removed == {BACKUPS: 2}
    assert store.overdue(rule(), as_of=now, holds=Holds()).count == 0


@pytest.mark.parametrize(("late_by_microseconds", "removed"), [(0, 2), (1, 0)])
def test_the_boundary_is_exact(
    s3_client: S3Client, bucket: Buckets, late_by_microseconds: int, removed: int
) -> None:
    name, now = bucket(), utc_now().replace(microsecond=500)
    put_archive(s3_client, name, "edge", now - days(170) + late_by_microseconds * days(1 / 86_400_000_000))
    _, outcome = expire(S3Store(backup_map(name), s3_client), now)
    assert outcome.removed.get(BACKUPS, 0) == removed


def test_without_a_witness_last_modified_counts(s3_client: S3Client, bucket: Buckets) -> None:
    name, now = bucket(), utc_now()
    put(s3_client, name, f"{BACKUPS}bare.dump", f"{BACKUPS}folder/a.dump")
    s3_client.create_multipart_upload(Bucket=name, Key=f"{BACKUPS}folder/unfinished")
    store = S3Store(backup_map(name), s3_client)
    assert expire(store, now + days(169))[1].removed.get(BACKUPS, 0) == 0
    behind = store.overdue(rule(), as_of=now + days(181), holds=Holds())
    assert behind.count == 3
    assert behind.gone.count == 3
    assert expire(store, now + days(171))[1].removed == {BACKUPS: 3}
    assert not everything(s3_client, name)


def test_a_manifest_under_a_delete_marker_still_testifies(s3_client: S3Client, bucket: Buckets) -> None:
    name, now = bucket(), utc_now()
    put_archive(s3_client, name, "hidden", now - days(200))
    for entry in ("accounts.dump", "manifest.json"):
        s3_client.delete_object(Bucket=name, Key=f"{BACKUPS}hidden/{entry}")
    assert expire(S3Store(backup_map(name), s3_client), now)[1].removed == {BACKUPS: 4}
    assert not everything(s3_client, name)


def test_more_due_versions_than_a_page_holds_all_go(s3_client: S3Client, bucket: Buckets) -> None:
    name, now = bucket(), utc_now()
    put(s3_client, name, *[f"{BACKUPS}set/{n:04}" for n in range(700)], *[f"{BACKUPS}set/0500"] * 400)
    store = S3Store(backup_map(name), s3_client)
    plan, outcome = expire(store, now + days(171))
    assert plan.matched == 1100
    assert outcome.removed == {BACKUPS: 1100}
    assert not everything(s3_client, name)


def test_a_lock_beyond_the_limit_is_told_at_plan_time_and_at_the_refusal(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name, now = bucket(object_lock=True), utc_now()
    until = (now + days(400)).replace(microsecond=0)
    locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    put_archive(s3_client, name, "locked-new", now - days(10), **locked)
    put_archive(s3_client, name, "locked-old", now - days(175), **locked)
    put_archive(s3_client, name, "free-old", now - days(175))
    store = S3Store(backup_map(name), s3_client)
    plan, outcome = expire(store, now)
    assert plan.notes == (
        f"2 objects under {BACKUPS} will outlive the promise on {now + days(5):%Y-%m-%d} because "
        f"Object Lock COMPLIANCE until {until:%Y-%m-%d}",
    )
    assert outcome.blocked == [f"{BACKUPS}: 1 objects: Object Lock COMPLIANCE until {until:%Y-%m-%d}"]
    # The manifest of the archive that stays stays with it: it is what knows its age.
    assert ("version", f"{BACKUPS}locked-old/manifest.json") in everything(s3_client, name)
    behind = store.overdue(rule(), as_of=now + days(6), holds=Holds())
    assert behind.count == 2


def test_a_default_retention_longer_than_the_promise_is_told(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket(object_lock=True)
    s3_client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 365}},
        },
    )
    plan = S3Store(backup_map(name), s3_client).plan_expiry(rule(), uuid4(), as_of=utc_now())
    assert plan.notes == (
        f"every new object under {BACKUPS} will outlive the promise because the default Object Lock "
        "(GOVERNANCE) of the bucket keeps it 365 days, the promise allows 180",
    )


def test_lock_settings_that_cannot_be_read_stop_the_plan(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    put(s3_client, name, f"{BACKUPS}x/a")
    with Answers(s3_client, "GetObjectLockConfiguration") as answers:
        answers.prepared = [(403, error("AccessDenied"))]
        with pytest.raises(PlanError, match="grant s3:GetBucketObjectLockConfiguration"):
            S3Store(backup_map(name), s3_client).plan_expiry(rule(), uuid4(), as_of=utc_now() + days(500))


def test_a_manifest_that_cannot_be_read_for_lack_of_permission_stops_the_plan(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name, now = bucket(), utc_now()
    put_archive(s3_client, name, "x", now - days(200))
    with Answers(s3_client, "GetObject") as answers:
        answers.prepared = [(403, error("AccessDenied"))]
        with pytest.raises(PlanError, match="reading a manifest is denied"):
            S3Store(backup_map(name), s3_client).plan_expiry(rule(), uuid4(), as_of=now)


# Lifecycle.

THEIRS: Any = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "logs/"},
    "Expiration": {"Days": 3},
}


def rules(client: S3Client, bucket: str) -> list[Any]:
    return list(client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])


def test_the_lifecycle_is_set_and_other_peoples_rules_stay(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    s3_client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [THEIRS]})
    theirs = rules(s3_client, name)
    store = S3Store(backup_map(name, lifecycle="manage"), s3_client)
    assert len(store.bucket_lifecycle(rule()).differences) == 4
    report = store.bucket_lifecycle(rule(), apply=True)
    assert (report.applied, report.differences) == (True, ())
    assert not store.bucket_lifecycle(rule(), apply=True).applied
    assert rules(s3_client, name)[:1] == theirs
    assert [r["ID"] for r in rules(s3_client, name)] == [
        "theirs",
        "privacy-expire_accounts",
        "privacy-expire_accounts-markers",
    ]
    ours = rules(s3_client, name)[1]
    assert ours["Expiration"]["Days"] == 170
    assert ours["NoncurrentVersionExpiration"]["NoncurrentDays"] == 8


def test_a_rule_of_ours_that_somebody_changed_is_put_right(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    store = S3Store(backup_map(name, lifecycle="manage"), s3_client)
    store.bucket_lifecycle(rule(), apply=True)
    changed: Any = rules(s3_client, name)
    changed[0]["Expiration"] = {"Days": 999}
    s3_client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": changed})
    assert "expires after 999 + 8 days, limit 180" in store.bucket_lifecycle(rule()).differences[0]
    assert store.bucket_lifecycle(rule(), apply=True).applied
    assert store.bucket_lifecycle(rule()).differences == ()


def test_an_audited_bucket_is_compared_and_never_written(s3_client: S3Client, bucket: Buckets) -> None:
    name = bucket()
    store = S3Store(backup_map(name, lifecycle="audit"), s3_client)
    report = store.bucket_lifecycle(rule(), apply=True)
    assert not report.applied
    assert len(report.differences) == 4
    with pytest.raises(s3_client.exceptions.ClientError):
        rules(s3_client, name)


def test_a_lifecycle_that_cannot_be_read_is_not_overwritten(s3_client: S3Client, bucket: Buckets) -> None:
    from include.privacy.stores.s3 import BucketError

    name = bucket()
    s3_client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [THEIRS]})
    store = S3Store(backup_map(name, lifecycle="manage"), s3_client)
    with Answers(s3_client, "GetBucketLifecycleConfiguration") as answers:
        answers.prepared = [(403, error("AccessDenied"))]
        with pytest.raises(BucketError, match="grant s3:GetLifecycleConfiguration"):
            store.bucket_lifecycle(rule(), apply=True)
    assert len(rules(s3_client, name)) == 1
