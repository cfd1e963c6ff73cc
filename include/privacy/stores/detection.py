"""Whether somebody watches: GuardDuty, CloudTrail, and the audit logs of Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.clock import parse_instant, require_utc
from include.privacy.stores.aws import told

if TYPE_CHECKING:
    from include.privacy.stores.google_api import GoogleApi

LOGGING_HOST = "logging.googleapis.com"
AUDIT_LOGS = ("activity", "data_access")
"""What administrators did, and who read or wrote data."""


def detectors(client: Any) -> list[bool]:
    """Of each GuardDuty detector in this account and region, whether it is enabled. Raises ``CloudError``."""
    with told("GuardDuty", "listing detectors", "guardduty:ListDetectors"):
        pages = client.get_paginator("list_detectors").paginate()
        ids = [each for page in pages for each in page["DetectorIds"]]
    found = []
    for each in ids:
        with told("GuardDuty", "reading a detector", "guardduty:GetDetector"):
            found.append(client.get_detector(DetectorId=each).get("Status") == "ENABLED")
    return found


@dataclass(frozen=True)
class Trail:
    """A trail of CloudTrail. ``failing``: its last delivery ended with an error."""

    logging: bool
    every_region: bool
    delivered: datetime | None
    failing: bool


def trails(client: Any) -> Iterator[Trail]:
    """The trails that this region has part in. Raises ``CloudError``."""
    with told("CloudTrail", "listing trails", "cloudtrail:DescribeTrails"):
        found = client.describe_trails(includeShadowTrails=True)["trailList"]
    for each in found:
        with told("CloudTrail", "reading a trail's status", "cloudtrail:GetTrailStatus"):
            status = client.get_trail_status(Name=each["TrailARN"])
        delivered = status.get("LatestDeliveryTime")
        yield Trail(
            bool(status.get("IsLogging")),
            bool(each.get("IsMultiRegionTrail")),
            require_utc(delivered) if delivered else None,
            bool(status.get("LatestDeliveryError")),
        )


def last_audit_entry(api: GoogleApi, project: str, log: str) -> datetime | None:
    """When the project's audit log got its last entry; ``None`` if it has none. Raises ``CloudError``.

    Data access is not logged unless somebody switched it on.
    """
    answer = api.call(
        "POST",
        LOGGING_HOST,
        "/v2/entries:list",
        permission="logging.logEntries.list and logging.privateLogEntries.list",
        body={
            "resourceNames": [f"projects/{project}"],
            "filter": f'logName="projects/{project}/logs/cloudaudit.googleapis.com%2F{log}"',
            "orderBy": "timestamp desc",
            "pageSize": 1,
        },
    )
    entries = answer.get("entries") or []
    return parse_instant(str(entries[0]["timestamp"])) if entries else None
