"""The documents that `python -m include.privacy grants` prints: one for each store and each cloud's entry."""

from __future__ import annotations

import json

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.clouds import Clouds
from include.privacy.policy.control_validation import columns_read
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import DOCUMENTS, database_grants, gcs_role, s3_policy
from include.privacy.policy.loading import Config

SQL = "SQL"


def documents(config: Config, role: str) -> dict[str, tuple[str, str]]:
    """By name of a store or an entry of ``config/clouds.yaml``: what the document is, and its text.

    ``role``: the database role that DAGs use.
    """
    found: dict[str, tuple[str, str]] = {}
    for store in config.data_map.stores:
        if isinstance(store, DatabaseMap):
            found[store.store] = SQL, sql_grants(config, store, role)
        else:
            document = s3_policy(store) if store.kind == "s3" else gcs_role(store)
            found[store.store] = DOCUMENTS[store.kind], json.dumps(document, indent=2)
    for name, permissions in cloud_permissions(config.clouds).items():
        found[name] = "permissions in its cloud", json.dumps(permissions, indent=2)
    if asked := control_permissions(config):
        found["controls"] = "permissions by connection, for audit_controls", json.dumps(asked, indent=2)
    return found


def control_permissions(config: Config) -> dict[str, list[str]]:
    """Connection → what its role has to be allowed for the looks at controls, besides what stores need."""
    controls, found = config.controls, dict[str, list[str]]()
    kinds = (
        (controls.administrators.aws, ("iam:GenerateCredentialReport", "iam:GetCredentialReport")),
        ([w.connection for w in controls.administrators.workspaces], ("admin.directory.user.readonly",)),
        (controls.intrusion.guardduty, ("guardduty:ListDetectors", "guardduty:GetDetector")),
        (controls.intrusion.cloudtrail, ("cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus")),
        (controls.intrusion.google, ("logging.logEntries.list", "logging.privateLogEntries.list")),
        (controls.at_rest.queues, ("sqs:GetQueueAttributes",)),
        ([t.connection for t in controls.at_rest.topics], ("sns:GetTopicAttributes",)),
        ([k.connection for k in controls.keys.cloud if k.kind == "aws"], _KMS),
        ([k.connection for k in controls.keys.cloud if k.kind == "google"], ("cloudkms.cryptoKeys.get",)),
        ([s.connection for s in config.data_map.stores if isinstance(s, BucketMap) and s.archives], _KMS),
    )
    for connections, permissions in kinds:
        for connection in connections:
            found.setdefault(connection, []).extend(permissions)
    return {name: list(dict.fromkeys(permissions)) for name, permissions in found.items()}


_KMS = ("kms:DescribeKey", "kms:GetKeyRotationStatus")


def sql_grants(config: Config, store: DatabaseMap, role: str) -> str:
    """What the role needs in this database, as SQL for its administrator."""
    policy, read = config.policy, columns_read(config.controls, store)
    return database_grants(store, policy.rules, role, policy.purposes, read, config.notices.recorded())


def cloud_permissions(clouds: Clouds) -> dict[str, list[str]]:
    """What the role of each entry of ``config/clouds.yaml`` has to be allowed, in its cloud's words.

    RDS deletes by the snapshot's name, which says nothing about its source: narrow the role to snapshots
    by their tags or names where you have a convention.
    """
    found = {each.store: list(_SNAPSHOTS[each.kind]) for each in clouds.snapshots}
    for logs in clouds.logs:
        reading, managing = _LOGS[logs.kind]
        found[logs.name] = [*reading, *([managing] if logs.mode == "manage" else [])]
    return found


_SNAPSHOTS = {
    "rds": (
        "rds:DescribeDBSnapshots",
        "rds:DescribeDBClusterSnapshots",
        "rds:DescribeDBInstances",
        "rds:DescribeDBClusters",
        "rds:DescribeDBSnapshotAttributes",
        "rds:DescribeDBClusterSnapshotAttributes",
        "rds:DeleteDBSnapshot",
        "rds:DeleteDBClusterSnapshot",
    ),
    "cloud_sql": ("cloudsql.backupRuns.list", "cloudsql.backupRuns.delete", "cloudsql.instances.get"),
}
_LOGS = {
    "cloudwatch": (
        ("logs:DescribeLogGroups", "logs:DescribeSubscriptionFilters"),
        "logs:PutRetentionPolicy",
    ),
    "cloud_logging": (("logging.buckets.list", "logging.sinks.list"), "logging.buckets.update"),
}
