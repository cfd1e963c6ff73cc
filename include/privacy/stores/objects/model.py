"""Shapes that bucket adapters and the shared object code exchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

METADATA_CAPTURED_AT = "captured-at"
"""User metadata of an archive that states when its data were captured (ISO 8601 with offset)."""


class Kind(StrEnum):
    """What a listing entry is. All but ``version`` carry no readable data, or data in part."""

    version = "version"
    marker = "marker"
    upload = "upload"
    soft_deleted = "soft_deleted"


@dataclass(frozen=True, slots=True)
class Protection:
    """Why a store refuses to delete an object: ``until`` when (``None``: until somebody lifts it)."""

    reason: str
    until: datetime | None = None


class Details(NamedTuple):
    """What only a closer look at an object tells: user metadata (keys in lower case), protection."""

    metadata: Mapping[str, str]
    protection: Protection | None = None


class ObjectVersion(NamedTuple):
    """One listing entry. ``version`` is the VersionId, generation or upload id.

    ``modified`` is LastModified, timeCreated or Initiated. ``details`` are filled by stores whose
    listing includes them; ``gone_at`` is when a soft-deleted object becomes unrecoverable.
    """

    key: str
    version: str
    modified: datetime
    kind: Kind = Kind.version
    details: Details | None = None
    gone_at: datetime | None = None

    @property
    def mark(self) -> int:
        """A small stand-in for the identity, for sets that must not hold keys of people."""
        return hash((self.kind, self.key, self.version))


class Part(NamedTuple):
    """Objects of one collection (the prefix template of the map) and, for content, one person."""

    collection: str
    subject: str | None
    objects: Sequence[ObjectVersion]


@dataclass(frozen=True)
class Deletion:
    """What one batch call did. What is in neither field is gone.

    ``refused``: permanently, with the reason. ``again``: worth repeating, with the error code.
    """

    refused: Sequence[tuple[ObjectVersion, Protection]] = ()
    again: Sequence[tuple[ObjectVersion, str]] = ()


@dataclass(frozen=True)
class BucketPolicy:
    """Settings of a bucket that decide how long a deletion takes.

    ``markers``: whether deleting without a version leaves a delete marker (S3).
    ``undelete``: how long a deleted object can be restored (GCS soft delete; zero elsewhere).
    ``retention``: the least time that the bucket keeps new objects. ``protects``: whether single
    objects can be locked or held, so that a deletion may be refused.
    """

    versioned: bool = False
    markers: bool = False
    protects: bool = False
    undelete: timedelta = timedelta(0)
    retention: timedelta | None = None
    retention_reason: str = ""


@dataclass(frozen=True)
class WantedLifecycle:
    """What a bucket's own lifecycle should do under a prefix; all ages in days.

    ``expire`` + ``noncurrent`` is when the last version goes: a safety net under the sweep, which
    knows the true age.
    """

    rule: str
    prefix: str
    expire: int
    noncurrent: int
    limit: int
    abort_uploads: int = 7


@dataclass(frozen=True)
class LifecycleReport:
    """How a bucket's lifecycle differs from what the promise needs; empty: it does not."""

    differences: tuple[str, ...] = ()
    applied: bool = False


@dataclass
class Refusals:
    """How many objects were refused for one reason, and until when (first, last) where known."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, until: datetime | None) -> None:
        """Count one more."""
        self.count += 1
        if until is not None:
            self.first = min(self.first or until, until)
            self.last = max(self.last or until, until)


@dataclass
class Tally:
    """Counts of one collection during a sweep."""

    matched: int = 0
    removed: int = 0
    held: int = 0
    refused: dict[str, Refusals] = field(default_factory=dict)

    def refuse(self, protection: Protection) -> None:
        """Count a refusal under its reason."""
        self.refused.setdefault(protection.reason, Refusals()).add(protection.until)

    def reasons(self) -> list[str]:
        """One line per reason: counts and dates, never objects."""
        lines = []
        for reason, refusals in sorted(self.refused.items()):
            line = f"{refusals.count} objects: {reason}"
            if refusals.first and refusals.last:
                line += f" until {refusals.first:%Y-%m-%d}"
                if refusals.last.date() != refusals.first.date():
                    line += f" to {refusals.last:%Y-%m-%d}"
            lines.append(line)
        return lines


class BucketError(RuntimeError):
    """The bucket cannot be used; the message says which, why and what to do. Never names an object."""


class BatchLog(Protocol):
    """Where intent and result of each batch go before and after it, so that a crash loses neither."""

    def record_batch_intent(self, plan_id: UUID, batch: int, count: int) -> None:
        """So many objects are about to be deleted."""

    def record_batch_done(self, plan_id: UUID, batch: int, removed: int, failed: int) -> None:
        """So many were removed, so many were held or refused."""


class ObjectBucket(Protocol):
    """What an adapter adds: listing, closer looks, batch deletion. Everything else is shared.

    All methods raise :class:`BucketError` when the bucket is gone or access is denied.
    """

    name: str
    batch_size: int

    def policy(self) -> BucketPolicy:
        """Settings of the bucket."""

    def versions(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Pages of all versions and delete markers, sorted by key."""

    def uploads(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Pages of unfinished uploads, as far as the store's interface lists them."""

    def soft_deleted(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        """Pages of deleted objects that can still be restored."""

    def folders(self, prefix: str) -> Iterator[int]:
        """Page by page, how many folders lie directly under the prefix."""

    def folder_names(self, prefix: str) -> Iterator[str]:
        """The folders directly under the prefix, in any version; the prefix itself for objects in it."""

    def describe(self, objects: Sequence[ObjectVersion]) -> list[Details]:
        """A closer look at each, in order."""

    def read(self, key: str, limit: int) -> bytes | None:
        """The newest data of a small object, or ``None`` when there never was any."""

    def stream(self, found: ObjectVersion) -> Iterator[bytes] | None:
        """The data of one version, in pieces; ``None`` when it is gone by now."""

    def delete(self, objects: Sequence[ObjectVersion]) -> Deletion:
        """Delete at most ``batch_size`` entries, each by its version. Harmless to repeat."""

    def lifecycle(self, wanted: WantedLifecycle, *, apply: bool) -> LifecycleReport:
        """Compare the bucket's lifecycle; with ``apply`` set our rules, leaving all others alone."""
