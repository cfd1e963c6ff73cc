"""What the clouds tell of themselves, read by their own clients: AWS as moto plays it, and our stand-ins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from include.privacy.stores import at_rest, detection, identities, key_rotation
from include.privacy.stores.aws import CloudError, aws_client
from include.privacy.stores.google_api import GoogleRefusedError, google_api
from include.privacy.stores.objects.model import BucketError
from include.privacy.stores.s3 import s3_client as make_s3
from include.sandbox import objects
from tests.processors.standing import Standing, standing

PROJECT = "some-project"
KEY = f"projects/{PROJECT}/locations/eu/keyRings/r/cryptoKeys/k"


def client(service: str) -> Any:
    return aws_client(service, region="eu-central-1", access_key="a", secret_key="b")


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def test_iams_report_counts_who_has_no_second_factor(aws: None) -> None:
    iam = client("iam")
    for name in ("with", "without", "no-console"):
        iam.create_user(UserName=name)
    for name in ("with", "without"):
        iam.create_login_profile(UserName=name, Password="Long-enough-1")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(
        UserName="with", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    found = identities.console_users(iam, sleep=lambda _: None)
    assert (found.with_password, found.without_factor) == (2, 1)


def test_a_report_that_never_comes_cannot_be_told() -> None:
    class Slow:
        def generate_credential_report(self) -> dict[str, str]:
            return {"State": "INPROGRESS"}

    waited: list[float] = []
    with pytest.raises(CloudError, match="not ready in time"):
        identities.console_users(Slow(), sleep=waited.append)
    assert sum(waited) == 30


def test_guardduty_and_cloudtrail_are_read_as_they_are(aws: None) -> None:
    guard, trail = client("guardduty"), client("cloudtrail")
    assert detection.detectors(guard) == []
    made = guard.create_detector(Enable=True)["DetectorId"]
    assert detection.detectors(guard) == [True]
    guard.update_detector(DetectorId=made, Enable=False)
    assert detection.detectors(guard) == [False]

    assert list(detection.trails(trail)) == []
    s3 = client("s3")
    s3.create_bucket(Bucket="trail-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    trail.create_trail(Name="everything", S3BucketName="trail-bucket", IsMultiRegionTrail=True)
    [stopped] = detection.trails(trail)
    assert (stopped.logging, stopped.every_region) == (False, True)
    trail.start_logging(Name="everything")
    [started] = detection.trails(trail)
    assert started.logging and started.delivered is not None and not started.failing


def test_keys_queues_and_topics(aws: None) -> None:
    kms, sqs, sns = client("kms"), client("sqs"), client("sns")
    made = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/ours", TargetKeyId=made)
    assert key_rotation.aws_rotation(kms, "alias/ours").days is None
    kms.enable_key_rotation(KeyId=made)
    assert key_rotation.aws_rotation(kms, "alias/ours").days == 365

    url = sqs.create_queue(QueueName="q", Attributes={"SqsManagedSseEnabled": "false"})["QueueUrl"]
    assert at_rest.queue_key(sqs, url) is None
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert at_rest.queue_key(sqs, url) == "SQS"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": made})
    assert at_rest.queue_key(sqs, url) == made

    plain = sns.create_topic(Name="plain")["TopicArn"]
    sealed = sns.create_topic(Name="sealed", Attributes={"KmsMasterKeyId": made})["TopicArn"]
    assert (at_rest.topic_key(sns, plain), at_rest.topic_key(sns, sealed)) == (None, made)


def test_servers_and_snapshots_of_rds(aws: None) -> None:
    rds = client("rds")
    for name, encrypted in (("good", True), ("bad", False), ("theirs", False)):
        rds.create_db_instance(
            DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres",
            AllocatedStorage=20, MasterUsername="u", MasterUserPassword="password1",
            StorageEncrypted=encrypted,
        )  # fmt: skip
        rds.create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=f"{name}-1")
    found = {(kind, name): ok for kind, name, ok in at_rest.rds_storage(rds, {"good", "bad"})}
    assert {name for _, name in found} <= {"good", "bad", "good-1", "bad-1"} | {
        name for _, name in found if name.startswith("rds:")
    }
    assert found["instance", "good"] and found["snapshot", "good-1"]
    assert not found["instance", "bad"] and not found["snapshot", "bad-1"]


def test_every_refusal_names_the_permission(world: Any) -> None:
    from include.sandbox.processors import AWS_SECURITY
    from include.sandbox.processors.control import ProcessorControl

    control = ProcessorControl(world.processor_endpoints[AWS_SECURITY])
    endpoint = world.processor_endpoints[AWS_SECURITY]

    def made(service: str) -> Any:
        return aws_client(
            service, region="eu-central-1", endpoint_url=endpoint, access_key="a", secret_key="b"
        )

    control.configure(denied=["GetDetector", "GetTrailStatus", "GetCredentialReport"])
    try:
        with pytest.raises(CloudError, match="grant guardduty:GetDetector"):
            detection.detectors(made("guardduty"))
        with pytest.raises(CloudError, match="grant cloudtrail:GetTrailStatus"):
            list(detection.trails(made("cloudtrail")))
        with pytest.raises(CloudError, match="grant iam:GetCredentialReport"):
            identities.console_users(made("iam"), sleep=lambda _: None)
    finally:
        control.configure(denied=[])


def test_buckets_tell_region_and_encryption(
    s3_client: Any, bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between attempts
    name = bucket()
    assert at_rest.s3_settings(s3_client, name) == at_rest.BucketSettings("AES256", None, objects.REGION)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/k"}}
    s3_client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert at_rest.s3_settings(s3_client, name).key == "alias/k"
    assert at_rest.newest_object(s3_client, name, "archives/", head=4) is None
    for key in ("archives/1", "archives/2"):
        s3_client.put_object(Bucket=name, Key=key, Body=key.encode(), ServerSideEncryption="AES256")
    newest = at_rest.newest_object(s3_client, name, "archives/", head=4)
    assert newest is not None and (newest.algorithm, newest.head) == ("AES256", b"arch")
    assert at_rest.newest_object(s3_client, name, "archives/") == at_rest.NewestObject("AES256", b"")
    nobody = make_s3(region="eu-central-1", endpoint_url="http://127.0.0.1:9", access_key="a", secret_key="b")
    with pytest.raises(BucketError):
        at_rest.s3_location(nobody, name)


def test_googles_bucket_tells_its_key(gcs_client: Any, gcs_bucket: Callable[..., Any]) -> None:
    made = gcs_bucket()
    found = at_rest.gcs_settings(gcs_client, made.name)
    assert (found.algorithm, found.key) == ("AES256", None) and found.location
    with pytest.raises(BucketError, match="does not exist"):
        at_rest.gcs_settings(gcs_client, "nobodys-bucket")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Standing]:
    with standing("google_cloud", tmp_path, "k") as running:
        yield running


def test_google_tells_of_administrators_keys_instances_and_entries(there: Standing) -> None:
    api = google_api(endpoint_url=there.endpoint)
    person = {"isAdmin": True, "isEnrolledIn2Sv": True, "isEnforcedIn2Sv": True}
    there.control.configure(
        people=[
            person,
            {**person, "isAdmin": False, "isDelegatedAdmin": True, "isEnforcedIn2Sv": False},
            {**person, "suspended": True, "isEnrolledIn2Sv": False},
            {"isAdmin": False, "isEnrolledIn2Sv": False},
        ],
        page_size=2,
        keys={KEY: "7776000s", f"{KEY}2": None},
        audit={"activity": "2026-11-20T09:00:00.123456789Z", "data_access": None},
        gone=["gone"],
    )
    assert identities.directory_administrators(api, "my_customer") == identities.DirectoryAdministrators(
        2, 0, 1
    )
    assert key_rotation.google_rotation(api, KEY).days == 90
    assert key_rotation.google_rotation(api, f"{KEY}2").days is None
    last = detection.last_audit_entry(api, PROJECT, "activity")
    assert last is not None and last.isoformat() == "2026-11-20T09:00:00.123456+00:00"
    assert detection.last_audit_entry(api, PROJECT, "data_access") is None
    assert at_rest.cloud_sql_key(api, PROJECT, "main") is None
    with pytest.raises(GoogleRefusedError) as refused:
        at_rest.cloud_sql_key(api, PROJECT, "gone")
    assert refused.value.status == 404
    there.control.configure(denied=["/admin/", "/v1/projects/", "/v2/entries"])
    for ask in (
        lambda: identities.directory_administrators(api, "my_customer"),
        lambda: key_rotation.google_rotation(api, KEY),
        lambda: detection.last_audit_entry(api, PROJECT, "activity"),
    ):
        with pytest.raises(CloudError, match="is denied; grant"):
            ask()
