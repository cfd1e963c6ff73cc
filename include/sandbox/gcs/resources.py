"""What is stored: buckets, object versions, and how each looks as a JSON resource."""

from __future__ import annotations

import base64
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from include.sandbox.gcs.clock import parse, text
from include.sandbox.gcs.content import Content

# What a client may write into an object's metadata.
OBJECT_FIELDS = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime",
    "eventBasedHold", "metadata", "retention", "storageClass", "temporaryHold",
)  # fmt: skip
BUCKET_FIELDS = (
    "acl", "autoclass", "billing", "cors", "customPlacementConfig", "defaultEventBasedHold",
    "defaultObjectAcl", "encryption", "iamConfiguration", "labels", "lifecycle", "location", "logging",
    "retentionPolicy", "rpo", "softDeletePolicy", "storageClass", "versioning", "website",
)  # fmt: skip


@dataclass(eq=False)
class Version:
    """One generation of an object: live, noncurrent (``noncurrent_at``) or soft-deleted.

    ``retention_base`` is when the bucket's retention period starts: creation, or the release of an
    event-based hold.
    """

    name: str
    generation: int
    content: Content
    created: datetime
    attributes: dict[str, Any]
    retention_base: datetime
    updated: datetime
    metageneration: int = 1
    noncurrent_at: datetime | None = None
    soft_deleted_at: datetime | None = None
    hard_delete_at: datetime | None = None

    @property
    def retain_until(self) -> datetime | None:
        """The end of the object's own retention configuration."""
        retention = self.attributes.get("retention")
        return parse(retention["retainUntilTime"]) if retention else None


class Names:
    """Versions by name, with the names in order: listing a prefix costs what it returns."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Version]] = {}
        self._sorted: list[str] = []

    def of(self, name: str) -> list[Version]:
        """The versions of a name by generation; empty when there are none."""
        return self._by_name.get(name, [])

    def add(self, version: Version) -> None:
        """Put a version in its place."""
        if version.name not in self._by_name:
            insort(self._sorted, version.name)
            self._by_name[version.name] = []
        insort(self._by_name[version.name], version, key=lambda each: each.generation)

    def remove(self, version: Version) -> None:
        """Take a version out."""
        versions = self._by_name[version.name]
        versions.remove(version)
        if not versions:
            del self._by_name[version.name]
            del self._sorted[bisect_left(self._sorted, version.name)]

    def starting_at(self, name: str) -> Iterator[tuple[str, list[Version]]]:
        """Names from ``name`` on, in order, with their versions."""
        for index in range(bisect_left(self._sorted, name), len(self._sorted)):
            yield self._sorted[index], self._by_name[self._sorted[index]]

    def __len__(self) -> int:
        return len(self._sorted)


@dataclass(eq=False)
class Bucket:
    """A bucket: its properties as the client wrote them, and its versions."""

    name: str
    project: str
    created: datetime
    properties: dict[str, Any]
    updated: datetime
    metageneration: int = 1
    object_retention: bool = False
    bindings: list[dict[str, Any]] | None = None
    versions: Names = field(default_factory=Names)
    soft_deleted: Names = field(default_factory=Names)

    @property
    def versioning(self) -> bool:
        """Whether replaced and deleted versions are kept as noncurrent."""
        return bool((self.properties.get("versioning") or {}).get("enabled"))

    @property
    def soft_delete(self) -> timedelta:
        """How long deleted versions can be restored; zero when soft delete is off."""
        policy = self.properties.get("softDeletePolicy") or {}
        return timedelta(seconds=int(policy.get("retentionDurationSeconds", 0)))

    @property
    def retention(self) -> timedelta:
        """The bucket's retention period; zero without a policy."""
        policy = self.properties.get("retentionPolicy") or {}
        return timedelta(seconds=int(policy.get("retentionPeriod", 0)))

    def live(self, name: str) -> Version | None:
        """The live version of a name."""
        versions = self.versions.of(name)
        return versions[-1] if versions and versions[-1].noncurrent_at is None else None

    def retention_expires(self, version: Version) -> datetime | None:
        """When bucket policy and object retention are both met; None without either.

        Unknown, hence None, while an event-based hold is on.
        """
        if version.attributes.get("eventBasedHold"):
            return None
        ends = [version.retain_until]
        if self.retention:
            ends.append(version.retention_base + self.retention)
        known = [end for end in ends if end is not None]
        return max(known) if known else None


def etag(number: int) -> str:
    """An entity tag that changes with the number."""
    return base64.b64encode(number.to_bytes(10, "big")).decode()


def bucket_resource(bucket: Bucket, base_url: str) -> dict[str, Any]:
    """The bucket as the API shows it."""
    resource = {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{base_url}/storage/v1/b/{bucket.name}",
        "projectNumber": "1",
        "metageneration": str(bucket.metageneration),
        "etag": etag(bucket.metageneration),
        "timeCreated": text(bucket.created),
        "updated": text(bucket.updated),
        "locationType": "region",
        **{name: value for name, value in bucket.properties.items() if value is not None},
    }
    if bucket.object_retention:
        resource["objectRetention"] = {"mode": "Enabled"}
    return resource


def object_resource(bucket: Bucket, version: Version, base_url: str) -> dict[str, Any]:
    """The object version as the API shows it; absent fields are left out."""
    path = f"b/{bucket.name}/o/{quote(version.name, safe='')}"
    times = {
        "timeCreated": version.created,
        "updated": version.updated,
        "timeStorageClassUpdated": version.created,
        "timeDeleted": version.noncurrent_at,
        "softDeleteTime": version.soft_deleted_at,
        "hardDeleteTime": version.hard_delete_at,
        "retentionExpirationTime": bucket.retention_expires(version),
    }
    return {
        "kind": "storage#object",
        "id": f"{bucket.name}/{version.name}/{version.generation}",
        "selfLink": f"{base_url}/storage/v1/{path}",
        "mediaLink": f"{base_url}/download/storage/v1/{path}?generation={version.generation}&alt=media",
        "name": version.name,
        "bucket": bucket.name,
        "generation": str(version.generation),
        "metageneration": str(version.metageneration),
        "etag": etag(version.generation * 1000 + version.metageneration % 1000),
        "size": str(version.content.size),
        "md5Hash": version.content.md5,
        "crc32c": version.content.crc32c,
        **{name: text(instant) for name, instant in times.items() if instant is not None},
        **{name: value for name, value in version.attributes.items() if value is not None},
    }
