"""Snapshots of Amazon RDS and Aurora: of instances and of clusters, manual, automated and AWS Backup's.

Age counts from ``OriginalSnapshotCreateTime``, which a copy keeps, where RDS has it: snapshots of clusters do
not. A tag ``captured-at`` says it for those; whichever is the earliest counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from include.privacy.clock import parse_instant, require_utc
from include.privacy.stores.aws import DENIED, code_of, told
from include.privacy.stores.objects.model import METADATA_CAPTURED_AT
from include.privacy.stores.snapshots import Snapshot

CLUSTER = "cluster "
_WHERE = "Amazon RDS"
_GONE = frozenset({"DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault"})
_FINAL = frozenset({"InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault"})
_KEPT_BY = {
    "automated": "automated ones go by the backup retention period alone; shorten it, or delete the retained "
    "automated backup of an instance that is gone",
    "awsbackup": "AWS Backup keeps them; delete the recovery points in their vault and shorten its plan",
}
# RDS lists these only when asked for by name.
_LISTINGS: tuple[Mapping[str, str], ...] = ({}, {"SnapshotType": "awsbackup"})


class Rds:
    """The snapshots of one account and region, as the role of ``client`` sees them. A boto3 client of RDS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def snapshots(self) -> Iterator[Snapshot]:
        """Those of instances, then those of clusters; what others share with us is not ours."""
        for kind, raw in self.described():
            yield _snapshot(kind, raw)

    def described(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each snapshot as RDS describes it, with what it is of: ``""`` or :data:`CLUSTER`."""
        for kind, call, items in (
            ("", "describe_db_snapshots", "DBSnapshots"),
            (CLUSTER, "describe_db_cluster_snapshots", "DBClusterSnapshots"),
        ):
            permission = f"rds:{'DescribeDBClusterSnapshots' if kind else 'DescribeDBSnapshots'}"
            seen: set[str] = set()
            for listing in _LISTINGS:
                with told(_WHERE, "listing snapshots", permission):
                    for page in self._client.get_paginator(call).paginate(**listing):
                        for raw in page[items]:
                            if (key := _key(kind, raw)) not in seen:
                                seen.add(key)
                                yield kind, raw

    def delete(self, snapshot: Snapshot) -> str | None:
        """Delete a manual snapshot; one that is gone already is deleted."""
        cluster = snapshot.kind.startswith(CLUSTER)
        permission = f"rds:{'DeleteDBClusterSnapshot' if cluster else 'DeleteDBSnapshot'}"
        with told(_WHERE, "deleting a snapshot", permission):
            try:
                if cluster:
                    self._client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot.key)
                else:
                    self._client.delete_db_snapshot(DBSnapshotIdentifier=snapshot.key)
            except ClientError as error:
                code = code_of(error)
                if code in _GONE:
                    return None
                if code in _FINAL:
                    return f"in use or being copied ({code})"
                if code in DENIED or "Throttl" in code:
                    raise
                return f"RDS refuses it ({code})"
        return None

    def settle(self, snapshot: Snapshot) -> str | None:
        """RDS deletes at once."""
        return None

    def shared_with(self, kind: str, raw: Mapping[str, Any]) -> tuple[str, ...]:
        """The accounts that may restore a snapshot; ``all`` is everybody."""
        key = _key(kind, raw)
        with told(_WHERE, "reading with whom a snapshot is shared", "rds:DescribeDB*SnapshotAttributes"):
            if kind:
                found = self._client.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=key)
                result = found["DBClusterSnapshotAttributesResult"]
                attributes = result.get("DBClusterSnapshotAttributes", [])
            else:
                found = self._client.describe_db_snapshot_attributes(DBSnapshotIdentifier=key)
                attributes = found["DBSnapshotAttributesResult"].get("DBSnapshotAttributes", [])
        values = [a.get("AttributeValues", []) for a in attributes if a["AttributeName"] == "restore"]
        return tuple(sorted(account for each in values for account in each))


def _snapshot(kind: str, raw: Mapping[str, Any]) -> Snapshot:
    source = raw.get("DBClusterIdentifier" if kind else "DBInstanceIdentifier", "")
    stated = _stated(raw)
    original = raw.get("OriginalSnapshotCreateTime")
    known = [t for t in (stated, original, raw.get("SnapshotCreateTime")) if t is not None]
    copy_of = raw.get("SourceDBClusterSnapshotArn") or raw.get("SourceDBSnapshotIdentifier")
    type_ = str(raw.get("SnapshotType", "manual"))
    return Snapshot(
        source=str(source),
        key=_key(kind, raw),
        kind=f"{kind}{type_}",
        captured=min((require_utc(t) for t in known), default=None),
        copied=bool(copy_of) and stated is None and original is None,
        kept_by=_KEPT_BY.get(type_),
    )


def _key(kind: str, raw: Mapping[str, Any]) -> str:
    return str(raw["DBClusterSnapshotIdentifier" if kind else "DBSnapshotIdentifier"])


def _stated(raw: Mapping[str, Any]) -> datetime | None:
    for tag in raw.get("TagList") or ():
        if tag.get("Key") == METADATA_CAPTURED_AT:
            try:
                return parse_instant(str(tag.get("Value", "")))
            except ValueError:
                return None
    return None
