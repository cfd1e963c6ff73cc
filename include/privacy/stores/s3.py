"""Amazon S3, and servers that speak its protocol, as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.aws import aws_session, tls_13_only
from include.privacy.stores.endpoints import require_safe_endpoint
from include.privacy.stores.objects.model import BatchLog, BucketError
from include.privacy.stores.objects.store import ObjectStore
from include.privacy.stores.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

__all__ = ["BucketError", "S3Store", "s3_client"]


class S3Store(ObjectStore):
    """One S3 bucket. ``client`` is a boto3 client, see :func:`s3_client`."""

    def __init__(self, bucket_map: BucketMap, client: S3Client, *, batch_log: BatchLog | None = None) -> None:
        super().__init__(bucket_map, S3Bucket(client, bucket_map.bucket), batch_log)


def s3_client(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> S3Client:
    """A boto3 client with time-outs, retries and enough connections for the listing threads.

    Without keys the usual chain applies (role, environment). Plain HTTP is for loopback only.
    """
    session = aws_session(region, access_key, secret_key)
    client = session.client(
        "s3",
        endpoint_url=require_safe_endpoint(endpoint_url),
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 4},
            max_pool_connections=24,
            signature_version="s3v4",  # older regions would sign links the old way, which KMS refuses
            s3={"addressing_style": "path"} if endpoint_url else None,
        ),
    )
    return tls_13_only(client)
