"""What a server refuses, and what the engine makes of it: reported by count and reason, never green."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from include.privacy.planning.models import PlanError
from include.privacy.stores.objects.model import BucketError
from include.privacy.stores.s3 import S3Store
from tests.contracts.servers import Server
from tests.stores.buckets import CONTENT, Gate, Log, content_map, days, utc_now
from tests.stores.test_s3_erasure import everything, planned, put

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Buckets = Callable[..., str]


@pytest.mark.parametrize("action", ["s3:DeleteObjectVersion", "s3:DeleteObject*"])
def test_a_bucket_policy_against_deleting_is_counted_and_the_run_is_not_clean(
    s3_client: S3Client, bucket: Buckets, action: str
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a", "user-content/12/a", "user-content/12/b", "user-content/13/a")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": f"arn:aws:s3:::{name}/user-content/12/*",
    }
    s3_client.put_bucket_policy(
        Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    log = Log()
    store = S3Store(content_map(name), s3_client, batch_log=log)
    plan, people = planned(store, "12", "13")
    outcome = store.execute(plan, people, Gate())
    s3_client.delete_bucket_policy(Bucket=name)
    assert outcome.blocked == [
        f"{CONTENT}: 3 objects: access denied (needs s3:DeleteObjectVersion, and no bucket policy against it)"
    ]
    assert outcome.removed == {CONTENT: 1}
    assert list(log.done.values()) == [(1, 3)]
    assert store.deferred(plan) == {"12"}
    probe = store.probe(plan, people)
    assert (probe.clean, probe.remaining) == (False, {CONTENT: 3})


def test_wrong_credentials_are_refused_and_the_error_says_so_without_naming_anything(
    server: Server, s3_client: S3Client, bucket: Buckets
) -> None:
    name, stranger = bucket(), server.client(secret_key="not-the-secret")
    put(s3_client, name, "user-content/12/passport")
    with pytest.raises(PlanError, match="credentials of the connection are refused") as caught:
        planned(S3Store(content_map(name), stranger), "12")
    said = str(caught.value)
    assert name in said
    assert not any(word in said for word in ("not-the-secret", "sandbox", "passport", "user-content/12"))
    assert len(everything(s3_client, name)) == 1


def test_credentials_that_stop_being_valid_stop_the_run(
    server: Server, s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    put(s3_client, name, "user-content/12/a")
    plan, people = planned(S3Store(content_map(name), s3_client), "12")
    with pytest.raises(BucketError, match="credentials of the connection are refused"):
        S3Store(content_map(name), server.client(secret_key="expired")).execute(plan, people, Gate())
    assert len(everything(s3_client, name)) == 1


def test_a_bucket_that_goes_between_plan_and_run_is_told_by_name(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name = bucket()
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    s3_client.delete_bucket(Bucket=name)
    with pytest.raises(BucketError, match=f"bucket '{name}' does not exist"):
        store.execute(plan, people, Gate())


def test_no_more_than_1000_keys_are_taken_at_once(s3_client: S3Client, bucket: Buckets) -> None:
    """Why ``S3Bucket.batch_size`` is what it is."""
    name = bucket()
    keys: Any = [{"Key": f"none/{n}"} for n in range(1001)]
    with pytest.raises(ClientError):
        s3_client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})


def test_a_compliance_lock_cannot_be_shortened_and_is_told_with_its_date(
    s3_client: S3Client, bucket: Buckets
) -> None:
    name, until = bucket(object_lock=True), (utc_now() + days(30)).replace(microsecond=0)
    locked: Any = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    put(s3_client, name, "user-content/12/locked", **locked)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3_client.put_object_retention(
            Bucket=name,
            Key="user-content/12/locked",
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until - days(29)},
        )
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate())
    assert outcome.blocked == [f"{CONTENT}: 1 objects: Object Lock COMPLIANCE until {until:%Y-%m-%d}"]


def test_a_governance_lock_is_not_bypassed(s3_client: S3Client, bucket: Buckets) -> None:
    """Whoever set it decides; the engine never asks for the bypass."""
    name, until = bucket(object_lock=True), (utc_now() + days(9)).replace(microsecond=0)
    locked: Any = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    put(s3_client, name, "user-content/12/locked", **locked)
    put(s3_client, name, "user-content/12/free")
    store = S3Store(content_map(name), s3_client)
    plan, people = planned(store, "12")
    outcome = store.execute(plan, people, Gate())
    assert outcome.blocked == [f"{CONTENT}: 1 objects: Object Lock GOVERNANCE until {until:%Y-%m-%d}"]
    assert everything(s3_client, name) == {("version", "user-content/12/locked")}
