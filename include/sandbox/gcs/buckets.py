"""Creating and changing buckets, with the documented limits on each policy."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from include.sandbox.gcs.clock import text
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.resources import BUCKET_FIELDS, Bucket

DAY = 86_400
DEFAULT_SOFT_DELETE = 7 * DAY
LONGEST_SOFT_DELETE = 90 * DAY
LONGEST_RETENTION = 3_155_760_000
_ACTIONS = ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload")
_CONDITIONS = {
    "age", "createdBefore", "customTimeBefore", "daysSinceCustomTime", "daysSinceNoncurrentTime", "isLive",
    "matchesPattern", "matchesPrefix", "matchesStorageClass", "matchesSuffix", "noncurrentTimeBefore",
    "numNewerVersions",
}  # fmt: skip


def new_bucket(body: dict[str, Any], project: str, now: datetime, *, object_retention: bool) -> Bucket:
    """A bucket as ``buckets.insert`` makes it: soft delete for seven days unless said otherwise."""
    name = body.get("name", "")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name):
        raise ApiError(400, f"Invalid bucket name: '{name}'", location="name")
    properties: dict[str, Any] = {
        "location": "US",
        "storageClass": "STANDARD",
        "softDeletePolicy": {"retentionDurationSeconds": str(DEFAULT_SOFT_DELETE)},
    }
    bucket = Bucket(name, project, now, {}, now, object_retention=object_retention)
    _apply(bucket, properties | {field: body[field] for field in BUCKET_FIELDS if field in body}, now)
    return bucket


def change_bucket(bucket: Bucket, body: dict[str, Any], now: datetime, *, replace: bool) -> None:
    """``buckets.patch``, or ``buckets.update`` with ``replace``: what the body leaves out is then cleared.

    A locked retention policy can only be made longer.
    """
    changes = {field: body[field] for field in BUCKET_FIELDS if field in body}
    if replace:
        kept = ("location", "storageClass", "softDeletePolicy", "retentionPolicy")
        changes = {field: None for field in bucket.properties if field not in kept} | changes
    _apply(bucket, changes, now)
    bucket.metageneration += 1
    bucket.updated = now


def _apply(bucket: Bucket, changes: dict[str, Any], now: datetime) -> None:
    """Check everything before anything is changed."""
    if "softDeletePolicy" in changes:
        changes["softDeletePolicy"] = _soft_delete_policy(changes["softDeletePolicy"], now)
    if "retentionPolicy" in changes:
        changes["retentionPolicy"] = _retention_policy(bucket, changes["retentionPolicy"], now)
    if changes.get("lifecycle") is not None:
        _check_lifecycle(changes["lifecycle"])
    if isinstance(changes.get("labels"), dict):
        merged = {**(bucket.properties.get("labels") or {}), **changes["labels"]}
        changes["labels"] = {key: value for key, value in merged.items() if value is not None} or None
    bucket.properties |= changes
    bucket.properties = {field: value for field, value in bucket.properties.items() if value is not None}


def _soft_delete_policy(policy: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    seconds = _seconds(
        (policy or {}).get("retentionDurationSeconds", 0), "softDeletePolicy.retentionDurationSeconds"
    )
    if seconds and not DEFAULT_SOFT_DELETE <= seconds <= LONGEST_SOFT_DELETE:
        raise ApiError(
            400, "Soft delete retention must be 0 or between 7 and 90 days.", location="softDeletePolicy"
        )
    return {"retentionDurationSeconds": str(seconds), "effectiveTime": text(now)}


def _retention_policy(bucket: Bucket, policy: dict[str, Any] | None, now: datetime) -> dict[str, Any] | None:
    old = bucket.properties.get("retentionPolicy") or {}
    seconds = _seconds((policy or {}).get("retentionPeriod", 0), "retentionPolicy.retentionPeriod")
    if old.get("isLocked") and seconds < int(old["retentionPeriod"]):
        message = f"Cannot reduce or remove the locked retention policy of bucket '{bucket.name}'."
        raise ApiError(403, message, reason="forbidden")
    if not seconds:
        if policy:
            raise ApiError(400, "retentionPeriod must be greater than zero.", location="retentionPolicy")
        return None
    if seconds > LONGEST_RETENTION:
        raise ApiError(400, "retentionPeriod must be below 100 years.", location="retentionPolicy")
    return {
        "retentionPeriod": str(seconds),
        "effectiveTime": text(now),
        "isLocked": bool(old.get("isLocked")),
    }


def lock_retention(bucket: Bucket, now: datetime) -> None:
    """``buckets.lockRetentionPolicy``: from here on the policy can only be made longer."""
    policy = bucket.properties.get("retentionPolicy")
    if not policy:
        raise ApiError(400, f"Bucket '{bucket.name}' does not have a retention policy.")
    bucket.properties["retentionPolicy"] = {**policy, "isLocked": True}
    bucket.metageneration += 1
    bucket.updated = now


def _check_lifecycle(lifecycle: dict[str, Any]) -> None:
    rules = lifecycle.get("rule") or []
    if len(rules) > 100:
        raise ApiError(400, "A lifecycle configuration has at most 100 rules.", location="lifecycle")
    for rule in rules:
        action, condition = rule.get("action") or {}, rule.get("condition") or {}
        if action.get("type") not in _ACTIONS:
            raise ApiError(
                400, f"Invalid lifecycle action: {action.get('type')!r}", location="lifecycle.rule.action"
            )
        if not condition or set(condition) - _CONDITIONS:
            raise ApiError(400, "Invalid lifecycle condition.", location="lifecycle.rule.condition")
        for field in ("age", "daysSinceNoncurrentTime", "daysSinceCustomTime", "numNewerVersions"):
            if field in condition and _seconds(condition[field], field) < 0:
                raise ApiError(400, f"{field} must not be negative.", location="lifecycle.rule.condition")


def _seconds(value: Any, location: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ApiError(400, f"Invalid value for {location}: {value!r}", location=location) from None
