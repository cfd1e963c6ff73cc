"""Clients of AWS and Google Cloud from connections: region, project, endpoint and keys in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.privacy.connections import ConnectionInfo, UnusableConnectionError, safe_endpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from include.privacy.policy.clouds import Logs, Snapshots
    from include.privacy.stores.doorbell import Doorbell
    from include.privacy.stores.google_api import GoogleApi
    from include.privacy.stores.log_retention import LogService
    from include.privacy.stores.objects.model import BatchLog
    from include.privacy.stores.snapshots import SnapshotService, SnapshotStore


def s3(info: ConnectionInfo) -> S3Client:
    """boto3's client of S3, made for many listings at once."""
    from include.privacy.stores.s3 import s3_client

    return s3_client(
        region=info.extra.get("region_name"),
        endpoint_url=safe_endpoint(info),
        access_key=info.login,
        secret_key=info.password,
    )


def doorbell(info: ConnectionInfo) -> Doorbell:
    """The queue that wakes the intake; its connection's extra names ``queue_url``."""
    from include.privacy.stores.doorbell import Doorbell, sqs_client

    if not info.extra.get("queue_url"):
        raise UnusableConnectionError(f"connection {info.conn_id!r} has no extra 'queue_url'")
    client = sqs_client(
        region=info.extra.get("region_name"),
        endpoint_url=safe_endpoint(info),
        access_key=info.login,
        secret_key=info.password,
    )
    return Doorbell(client, str(info.extra["queue_url"]))


def aws(service: str, info: ConnectionInfo) -> Any:
    """boto3's client of any other service."""
    from include.privacy.stores.aws import aws_client

    return aws_client(
        service,
        region=info.extra.get("region_name"),
        endpoint_url=safe_endpoint(info),
        access_key=info.login,
        secret_key=info.password,
    )


def gcs(info: ConnectionInfo) -> Any:
    """Google's client of Cloud Storage."""
    from include.privacy.stores.gcs import gcs_client

    return gcs_client(project=info.extra.get("project"), endpoint_url=safe_endpoint(info))


def google(info: ConnectionInfo, *scopes: str) -> GoogleApi:
    """Calls of a Google API that has no client library here. ``scopes``: Google Cloud's by default."""
    from include.privacy.stores.google_api import SCOPE, google_api

    return google_api(endpoint_url=safe_endpoint(info), scopes=scopes or (SCOPE,))


def snapshot_store(mapped: Snapshots, info: ConnectionInfo, batch_log: BatchLog | None) -> SnapshotStore:
    """The adapter of a set of snapshots."""
    from include.privacy.stores.snapshots import SnapshotStore

    service: SnapshotService
    if mapped.kind == "rds":
        from include.privacy.stores.rds import Rds

        service = Rds(aws("rds", info))
    else:
        from include.privacy.stores.cloud_sql import CloudSql

        service = CloudSql(google(info), project(info), mapped.sources)
    return SnapshotStore(mapped, service, batch_log=batch_log)


def log_service(mapped: Logs, info: ConnectionInfo) -> LogService:
    """The logs of one account."""
    from include.privacy.stores.log_retention import CloudLogging, CloudWatchLogs

    if mapped.kind == "cloudwatch":
        return CloudWatchLogs(aws("logs", info))
    return CloudLogging(google(info), project(info))


def project(info: ConnectionInfo) -> str:
    """The Google project that a connection names."""
    name = info.extra.get("project")
    if not name:
        raise UnusableConnectionError(
            f"connection {info.conn_id!r}: extra needs project, a Google project's id"
        )
    return str(name)
