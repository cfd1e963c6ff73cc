"""S3, SQS and CloudWatch Logs on 127.0.0.1 by ministack, and the clients and fixtures that go with them.

ministack stores what it is given and enforces versioning, Object Lock and legal holds; it checks no
credentials but those of signed links, stores bucket policies without applying them and runs no
lifecycle rules. It keeps its state in memory: a restart begins empty. ``LastModified`` cannot be set
through its API; start the server under libfaketime, or give objects a capture time of their own
(manifest, metadata, key).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from botocore.config import Config

from include.sandbox.processes import ProcessTable, Running, free_port, responds

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

HOST = "127.0.0.1"
REGION: Final = "eu-central-1"
# Any pair will do; a number of twelve digits would select another account.
ACCESS_KEY, SECRET_KEY = "sandbox", "sandbox-secret"
SERVICES = "s3,sqs,sts,kms,iam,logs"
QUEUE = "privacy-requests"
DEAD_LETTERS = "privacy-requests-dead-letters"
MAX_RECEIVES = 50
ARCHIVE_KEY = "alias/privacy-archives"


def start_objects(table: ProcessTable, *, tied: bool = False) -> tuple[Running, str]:
    """Spawn the server and return it with its endpoint URL; not yet answering."""
    port = free_port()
    scratch = table.folder / "objects"
    scratch.mkdir(exist_ok=True)
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MINISTACK_", "S3_", "IOT_"))
    }
    env |= {
        "GATEWAY_PORT": str(port),
        # Without this it listens on every interface.
        "BIND_HOST": HOST,
        # Its IoT listener ignores BIND_HOST and opens 8883 on every interface.
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        # Signed links are the one thing whose signature it checks, against its own secret.
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "SERVICES": SERVICES,
        "LOG_LEVEL": "WARNING",
        "S3_PERSIST": "0",
        "PERSIST_STATE": "0",
        "S3_DATA_DIR": str(scratch / "s3"),
        "STATE_DIR": str(scratch / "state"),
        "TMPDIR": str(scratch),
        # It starts containers for some services when it finds an engine; none is wanted here.
        "DOCKER_HOST": "unix:///nonexistent",
    }
    process = table.spawn("objects", [sys.executable, "-m", "ministack"], env=env, cwd=scratch, tied=tied)
    return process, f"http://{HOST}:{port}"


def answers(endpoint: str) -> bool:
    """Whether the server takes requests."""
    return responds(endpoint, "/_ministack/health")


def s3_client(endpoint: str) -> S3Client:
    """A boto3 S3 client for the sandbox: path style, few retries, short time-outs."""
    return boto3.client("s3", **_arguments(endpoint, s3={"addressing_style": "path"}))


def sqs_client(endpoint: str) -> SQSClient:
    """A boto3 SQS client for the sandbox."""
    return boto3.client("sqs", **_arguments(endpoint))


def logs_client(endpoint: str) -> Any:
    """A boto3 client of CloudWatch Logs for the sandbox."""
    return cast(Any, boto3).client("logs", **_arguments(endpoint))


def rds_client(endpoint: str) -> Any:
    """A boto3 client of RDS for the sandbox's stand-in."""
    return cast(Any, boto3).client("rds", **_arguments(endpoint))


def _arguments(endpoint: str, **options: Any) -> Any:
    config = Config(
        connect_timeout=5, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"}, **options
    )
    return {
        "endpoint_url": endpoint,
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "config": config,
    }


def create_queue(
    sqs: SQSClient, name: str = QUEUE, *, visibility_seconds: int = 30, dead_letters: str | None = None
) -> str:
    """Create a queue (idempotent) and return its URL.

    ``dead_letters``: URL of the queue that takes what was received too often to be of use.
    """
    # Encryption is AWS's default, and ministack's only when asked for.
    attributes: dict[Any, str] = {
        "VisibilityTimeout": str(visibility_seconds),
        "SqsManagedSseEnabled": "true",
    }
    if dead_letters:
        target = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])
        attributes["RedrivePolicy"] = json.dumps(
            {"deadLetterTargetArn": target["Attributes"]["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
        )
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def create_bucket(s3: S3Client, name: str, *, versioning: bool = True, object_lock: bool = False) -> str:
    """Create a bucket, versioned by default; Object Lock can only be had at creation."""
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=object_lock,
    )
    if versioning and not object_lock:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def block_public_access(s3: S3Client, name: str) -> None:
    """What AWS does to every new bucket, and ministack does not."""
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )


def create_key(endpoint: str, alias: str = ARCHIVE_KEY) -> str:
    """A KMS key under that alias (idempotent); returns the alias, which S3 takes as a key's id.

    ministack stores the id beside the object and encrypts nothing.
    """
    kms = boto3.client("kms", **_arguments(endpoint))
    known = {found["AliasName"] for found in kms.list_aliases()["Aliases"]}
    if alias not in known:
        key = kms.create_key(Description="archives of privacy requests")["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=alias, TargetKeyId=key)
        kms.enable_key_rotation(KeyId=key)
    return alias


def empty_bucket(s3: S3Client, name: str) -> None:
    """Remove every version, marker and unfinished upload, whatever protects it; for tidying tests up."""
    for batch in _batches(s3, name):
        for version in batch:
            _release(s3, name, version)
        s3.delete_objects(
            Bucket=name, Delete={"Objects": batch, "Quiet": True}, BypassGovernanceRetention=True
        )
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])


def _batches(s3: S3Client, name: str) -> Iterator[list[Any]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]


def _release(s3: S3Client, bucket: str, version: Any) -> None:
    try:
        s3.put_object_legal_hold(Bucket=bucket, LegalHold={"Status": "OFF"}, **version)
    except s3.exceptions.ClientError:
        # No Object Lock on this bucket, or a delete marker: nothing to release.
        return
