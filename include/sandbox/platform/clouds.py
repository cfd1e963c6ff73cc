"""What the platform has at AWS and Google Cloud beside its stores: snapshots of its databases, and logs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.sandbox.objects import logs_client
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl

if TYPE_CHECKING:
    from include.sandbox.world import World

ACCOUNTS, PRACTICE, STANDBY = (
    "practice-engine-accounts",
    "practice-engine-practice",
    "practice-engine-standby",
)
OLD, YOUNG = timedelta(days=172), timedelta(days=12)
"""Just past the target of 170 days, and far from it."""
LOG_GROUPS = {"/practice-engine/api": 30, "/practice-engine/worker": 90}


def fill(world: World, as_of: datetime) -> None:
    """Snapshots, backups and log groups; a second time changes nothing."""
    fill_rds(world.processor_endpoints[RDS], as_of)
    fill_cloud_sql(world.processor_endpoints[GOOGLE_CLOUD], as_of)
    logs = logs_client(world.s3_endpoint)
    known = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    for name, days in LOG_GROUPS.items():
        if name not in known:
            logs.create_log_group(logGroupName=name)
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)


def fill_rds(endpoint: str, as_of: datetime) -> None:
    """Manual snapshots before two releases, the older one copied since; last night's automated ones."""
    old, young, night = (text(as_of - age) for age in (OLD, YOUNG, timedelta(hours=9)))
    snapshots: list[dict[str, Any]] = []
    for source in (ACCOUNTS, PRACTICE):
        snapshots += [
            # A copy was created lately; what it holds is as old as the original.
            {"id": f"{source}-before-7", "source": source, "created": young, "original": old, "copy_of": "x"},
            {"id": f"{source}-before-8", "source": source, "created": young},
            {"id": f"rds:{source}-nightly", "source": source, "created": night, "type": "automated"},
        ]
    ProcessorControl(endpoint).configure(snapshots=snapshots)


def fill_cloud_sql(endpoint: str, as_of: datetime) -> None:
    """An on-demand backup that is too old and one that is not, last night's, and a final one."""
    runs = [
        {"id": "1001", "type": "ON_DEMAND", "startTime": text(as_of - OLD)},
        {"id": "1002", "type": "ON_DEMAND", "startTime": text(as_of - YOUNG)},
        {"id": "1003", "type": "AUTOMATED", "startTime": text(as_of - timedelta(hours=7))},
    ]
    backups = [
        {
            "name": "projects/practice-engine-sandbox/backups/final-1",
            "instance": STANDBY,
            "type": "FINAL",
            "state": "SUCCESSFUL",
            "backupInterval": {"startTime": text(as_of - YOUNG), "endTime": text(as_of - YOUNG)},
        }
    ]
    ProcessorControl(endpoint).configure(
        backup_runs=[{"instance": STANDBY, "status": "SUCCESSFUL", **run} for run in runs], backups=backups
    )


def text(moment: datetime) -> str:
    """As both clouds write instants."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
