"""What forbids deleting or replacing an object version: holds and retention.

Documented at https://cloud.google.com/storage/docs/object-holds, …/bucket-lock and …/object-lock.
An object's own retention lets the live version become noncurrent; holds do not. Whether a bucket's
retention policy does is not settled there, so it is refused here: the cautious reading for a client
that deletes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from include.sandbox.gcs.clock import parse, text
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.resources import Bucket, Version


def forbid_removal(bucket: Bucket, version: Version, now: datetime, *, archiving: bool) -> None:
    """Raise 403 while the version is protected. ``archiving``: it would only become noncurrent."""
    name = f"Object '{bucket.name}/{version.name}'"
    for flag, label in (("temporaryHold", "Temporary"), ("eventBasedHold", "Event-Based")):
        if version.attributes.get(flag):
            rest = "cannot be deleted, overwritten or archived until hold is removed."
            message = f"{name} is under active {label} hold and {rest}"
            raise ApiError(403, message, reason="objectUnderActiveHold")
    ends = [version.retention_base + bucket.retention] if bucket.retention else []
    if version.retain_until is not None and not archiving:
        ends.append(version.retain_until)
    if ends and max(ends) > now:
        rest = f"cannot be deleted or overwritten until {text(max(ends))}"
        message = f"{name} is subject to bucket's retention policy or object retention and {rest}"
        raise ApiError(403, message, reason="retentionPolicyNotMet")


def check_retention_change(
    bucket: Bucket, version: Version, new: dict[str, Any] | None, *, override: bool
) -> None:
    """Refuse what an object's retention configuration does not allow.

    Locked: the end may only move later. Unlocked: removing, shortening or locking needs
    ``overrideUnlockedRetention=true``. Not together with an event-based hold.
    """
    if new is not None:
        _validate_retention(bucket, version, new)
    old = version.attributes.get("retention")
    if not old:
        return
    sooner = new is None or parse(new["retainUntilTime"]) < parse(old["retainUntilTime"])
    if old["mode"] == "Locked":
        if sooner or (new or {}).get("mode") != "Locked":
            raise ApiError(403, "A Locked retention configuration can only be extended.", reason="forbidden")
    elif (sooner or (new or {}).get("mode") == "Locked") and not override:
        message = (
            "Removing, shortening or locking an Unlocked retention needs overrideUnlockedRetention=true."
        )
        raise ApiError(403, message, reason="forbidden", location="overrideUnlockedRetention")


def _validate_retention(bucket: Bucket, version: Version, new: dict[str, Any]) -> None:
    if not bucket.object_retention:
        raise ApiError(400, "Object retention is not enabled on this bucket.", location="retention")
    if version.attributes.get("eventBasedHold"):
        raise ApiError(400, "An object cannot have an event-based hold and a retention configuration.")
    if new.get("mode") not in ("Locked", "Unlocked"):
        raise ApiError(400, "retention.mode must be Locked or Unlocked.", location="retention.mode")
    try:
        parse(str(new.get("retainUntilTime")))
    except ValueError:
        raise ApiError(
            400, "retention.retainUntilTime is not an RFC 3339 time.", location="retention"
        ) from None
