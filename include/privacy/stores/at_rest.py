"""How buckets, database servers, queues and topics encrypt what they keep, as their clouds tell it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from include.privacy.stores.aws import told
from include.privacy.stores.gcs_errors import told as gcs_told
from include.privacy.stores.rds import CLUSTER, Rds
from include.privacy.stores.s3_errors import code_of
from include.privacy.stores.s3_errors import told as s3_told

if TYPE_CHECKING:
    from include.privacy.stores.google_api import GoogleApi

AES_256 = frozenset({"AES256", "aws:kms", "aws:kms:dsse"})
"""What S3 calls its ways of encrypting; each is AES-256."""
_NOT_SET = "ServerSideEncryptionConfigurationNotFoundError"
_SQL_HOST = "sqladmin.googleapis.com"
_GCS_TIMEOUT_S = (5, 60)


@dataclass(frozen=True)
class BucketSettings:
    """``algorithm``: what new objects are encrypted with; ``None``: nothing. ``key``: a KMS key, if any.

    ``location``: region, dual- or multi-region, lower case.
    """

    algorithm: str | None
    key: str | None
    location: str


def s3_settings(client: Any, bucket: str) -> BucketSettings:
    """Of a bucket in S3. Raises ``BucketError``."""
    algorithm = key = None
    with s3_told(bucket, "reading its encryption", "s3:GetEncryptionConfiguration"):
        try:
            rules = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        except ClientError as error:
            if code_of(error) != _NOT_SET:
                raise
            rules = []
    if rules:
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {})
        algorithm, key = default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")
    return BucketSettings(algorithm, key, s3_location(client, bucket))


def s3_location(client: Any, bucket: str) -> str:
    """The region of a bucket in S3; the oldest has no name of its own. Raises ``BucketError``."""
    with s3_told(bucket, "reading its region", "s3:GetBucketLocation"):
        found = client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    return "eu-west-1" if found == "EU" else str(found or "us-east-1").lower()


def gcs_settings(client: Any, bucket: str) -> BucketSettings:
    """Of a bucket of Google's, which encrypts everything with AES-256 and lets nobody switch it off."""
    with gcs_told(bucket, "reading its settings", "storage.buckets.get"):
        found = client.get_bucket(bucket, timeout=_GCS_TIMEOUT_S)
    return BucketSettings("AES256", found.default_kms_key_name or None, str(found.location or "").lower())


@dataclass(frozen=True)
class NewestObject:
    """The object stored last under a prefix: the store's encryption, and its first bytes."""

    algorithm: str | None
    head: bytes


def newest_object(client: Any, bucket: str, prefix: str, *, head: int = 0) -> NewestObject | None:
    """The youngest by LastModified; ``None`` when there is none. Raises ``BucketError``."""
    with s3_told(bucket, "listing what is stored", "s3:ListBucket"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        newest = max(
            (each for page in pages for each in page.get("Contents", ())),
            key=lambda each: each["LastModified"],
            default=None,
        )
    if newest is None:
        return None
    with s3_told(bucket, "opening what is stored", "s3:GetObject"):
        options = {"Range": f"bytes=0-{head - 1}"} if head else {}
        if not head:
            found = client.head_object(Bucket=bucket, Key=newest["Key"])
            return NewestObject(found.get("ServerSideEncryption"), b"")
        found = client.get_object(Bucket=bucket, Key=newest["Key"], **options)
        with found["Body"] as body:
            return NewestObject(found.get("ServerSideEncryption"), body.read(head))


def rds_storage(client: Any, sources: Collection[str]) -> Iterator[tuple[str, str, bool]]:
    """Kind, name and whether it is encrypted: of the sources' servers, and of all their snapshots.

    Raises ``CloudError``. ``client``: boto3's for RDS.
    """
    for kind, call, items, name in (
        ("instance", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
        ("cluster", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    ):
        permission = "rds:DescribeDBInstances" if kind == "instance" else "rds:DescribeDBClusters"
        with told("Amazon RDS", f"listing {kind}s", permission):
            for page in client.get_paginator(call).paginate():
                for raw in page[items]:
                    if raw[name] in sources:
                        yield kind, str(raw[name]), bool(raw.get("StorageEncrypted"))
    for word, raw in Rds(client).described():
        cluster = word == CLUSTER
        source = raw["DBClusterIdentifier" if cluster else "DBInstanceIdentifier"]
        shown = raw["DBClusterSnapshotIdentifier" if cluster else "DBSnapshotIdentifier"]
        if source in sources:
            encrypted = raw.get("StorageEncrypted" if cluster else "Encrypted")
            yield f"{word}snapshot", str(shown), bool(encrypted)


def cloud_sql_key(api: GoogleApi, project: str, instance: str) -> str | None:
    """The KMS key of an instance's disks; ``None``: Google's own. Raises ``GoogleRefusedError``."""
    path = f"/v1/projects/{quote(project, safe='')}/instances/{quote(instance, safe='')}"
    found = api.call("GET", _SQL_HOST, path, permission="cloudsql.instances.get")
    key = (found.get("diskEncryptionConfiguration") or {}).get("kmsKeyName")
    return str(key) if key else None


def queue_key(client: Any, queue_url: str) -> str | None:
    """What encrypts a queue: a KMS key, ``SQS``, or ``None``. Raises ``CloudError``."""
    names = ["SqsManagedSseEnabled", "KmsMasterKeyId"]
    with told("Amazon SQS", "reading a queue's encryption", "sqs:GetQueueAttributes"):
        found = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names).get("Attributes", {})
    managed = str(found.get("SqsManagedSseEnabled", "")).lower() == "true"
    return str(found["KmsMasterKeyId"]) if found.get("KmsMasterKeyId") else "SQS" if managed else None


def topic_key(client: Any, arn: str) -> str | None:
    """The KMS key of a topic; without one it is not encrypted. Raises ``CloudError``."""
    with told("Amazon SNS", "reading a topic's encryption", "sns:GetTopicAttributes"):
        found = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    return str(found["KmsMasterKeyId"]) if found.get("KmsMasterKeyId") else None
