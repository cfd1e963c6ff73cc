"""The state of the server and the moves an object version can make: live, noncurrent, soft-deleted, gone."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from include.sandbox.gcs.clock import SettableClock
from include.sandbox.gcs.content import Content, store
from include.sandbox.gcs.errors import ApiError, no_such_object
from include.sandbox.gcs.protection import check_retention_change, forbid_removal
from include.sandbox.gcs.resources import OBJECT_FIELDS, Bucket, Version


class Store:
    """All buckets. ``lock`` is held for the whole of a request, so that each is atomic."""

    def __init__(self, folder: Path, clock: SettableClock) -> None:
        self.folder = folder
        self.clock = clock
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self._expiring: list[tuple[datetime, int, Bucket, Version]] = []
        self._count = 0

    def bucket(self, name: str) -> Bucket:
        """The bucket, or 404."""
        try:
            return self.buckets[name]
        except KeyError:
            raise ApiError(404, "The specified bucket does not exist.") from None

    def keep(self, data: bytes) -> Content:
        """Store bytes for a version to be."""
        return store(data, self.folder)

    def find(self, bucket: Bucket, name: str, generation: int | None) -> Version:
        """The live version, or the one of that generation (live or noncurrent), or 404."""
        if generation is None:
            version = bucket.live(name)
        else:
            version = next((each for each in bucket.versions.of(name) if each.generation == generation), None)
        if version is None:
            raise no_such_object(bucket.name, name)
        return version

    def find_soft_deleted(self, bucket: Bucket, name: str, generation: int) -> Version:
        """The soft-deleted version of that generation, or 404."""
        self.purge()
        for version in bucket.soft_deleted.of(name):
            if version.generation == generation:
                return version
        raise no_such_object(bucket.name, name)

    def insert(self, bucket: Bucket, name: str, content: Content, attributes: Mapping[str, Any]) -> Version:
        """A new live version; the one before becomes noncurrent, or is deleted without versioning.

        Raises 403 when that one is held or retained.
        """
        check_name(name)
        now = self.clock.now()
        before = bucket.live(name)
        given = {field: attributes[field] for field in OBJECT_FIELDS if attributes.get(field) is not None}
        given.setdefault("storageClass", bucket.properties.get("storageClass", "STANDARD"))
        if bucket.properties.get("defaultEventBasedHold") and "eventBasedHold" not in given:
            given["eventBasedHold"] = True
        version = Version(name, self._generation(bucket, name, now), content, now, given, now, now)
        if "retention" in given:
            retention = _retention(version.attributes.pop("retention"))
            check_retention_change(bucket, version, retention, override=False)
            version.attributes["retention"] = retention
        if before is not None:
            self._retire(bucket, before, now)
        bucket.versions.add(version)
        return version

    def delete(self, bucket: Bucket, version: Version, *, permanently: bool) -> None:
        """Delete: without a generation a live version becomes noncurrent where versioning is on.

        ``permanently`` (a generation was named): soft-deleted, or gone where soft delete is off.
        Raises 403 when held or retained.
        """
        now = self.clock.now()
        if permanently:
            forbid_removal(bucket, version, now, archiving=False)
            self._remove(bucket, version, now)
        else:
            self._retire(bucket, version, now)

    def restore(self, bucket: Bucket, version: Version) -> Version:
        """A new live version with the content and metadata of a soft-deleted one, which stays."""
        return self.insert(bucket, version.name, version.content, version.attributes)

    def patch(
        self, bucket: Bucket, version: Version, body: dict[str, Any], *, replace: bool, override: bool
    ) -> None:
        """Change metadata. Releasing an event-based hold starts the bucket's retention period anew."""
        now = self.clock.now()
        changes = {field: body[field] for field in OBJECT_FIELDS if field in body}
        if "retention" in changes:
            changes["retention"] = _retention(changes["retention"])
            check_retention_change(bucket, version, changes["retention"], override=override)
        if changes.get("eventBasedHold") and (
            changes.get("retention") or version.attributes.get("retention")
        ):
            raise ApiError(400, "An object cannot have an event-based hold and a retention configuration.")
        if isinstance(changes.get("metadata"), dict) and not replace:
            merged = {**(version.attributes.get("metadata") or {}), **changes["metadata"]}
            changes["metadata"] = {key: value for key, value in merged.items() if value is not None} or None
        if replace:
            kept = ("contentType", "storageClass", "retention", "temporaryHold", "eventBasedHold")
            changes = {field: None for field in version.attributes if field not in kept} | changes
        if version.attributes.get("eventBasedHold") and changes.get("eventBasedHold", True) in (False, None):
            version.retention_base = now
        version.attributes |= changes
        version.attributes = {
            field: value for field, value in version.attributes.items() if value not in (None, {})
        }
        version.metageneration += 1
        version.updated = now

    def purge(self) -> None:
        """Forget every soft-deleted version whose hard delete time has come."""
        now = self.clock.now()
        while self._expiring and self._expiring[0][0] <= now:
            _, _, bucket, version = heapq.heappop(self._expiring)
            bucket.soft_deleted.remove(version)

    def _retire(self, bucket: Bucket, version: Version, now: datetime) -> None:
        forbid_removal(bucket, version, now, archiving=bucket.versioning)
        if bucket.versioning:
            version.noncurrent_at = now
        else:
            self._remove(bucket, version, now)

    def _remove(self, bucket: Bucket, version: Version, now: datetime) -> None:
        bucket.versions.remove(version)
        if bucket.soft_delete:
            # The policy of this moment counts; later changes do not reach what is already deleted.
            version.soft_deleted_at, version.hard_delete_at = now, now + bucket.soft_delete
            bucket.soft_deleted.add(version)
            self._count += 1
            heapq.heappush(self._expiring, (version.hard_delete_at, self._count, bucket, version))

    def _generation(self, bucket: Bucket, name: str, now: datetime) -> int:
        """Microseconds of the clock, but later than every earlier generation of the name."""
        earlier = [*bucket.versions.of(name)[-1:], *bucket.soft_deleted.of(name)[-1:]]
        return max(int(now.timestamp() * 1_000_000), *(each.generation + 1 for each in earlier), 1)


def _retention(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """A retention configuration without what the client cannot set; None to remove it."""
    kept = {field: (given or {}).get(field) for field in ("mode", "retainUntilTime")}
    return kept if any(kept.values()) else None


def check_name(name: str) -> None:
    """400 for a name that the documentation forbids."""
    if not name:
        raise ApiError(400, "Required", reason="required", location="name")
    bad = (
        "\r" in name or "\n" in name or name in (".", "..") or name.startswith(".well-known/acme-challenge/")
    )
    if bad or len(name.encode("utf-8", "surrogatepass")) > 1024:
        raise ApiError(400, "The specified object name is not valid.", location="name")
