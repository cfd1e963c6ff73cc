"""Helpers for tests of bucket stores: maps, cohorts, hold gates, batch logs, a bucket in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from include.privacy.planning.models import Cohort, Holds, Member
from include.privacy.policy.bucket_map import BackupPrefix, BucketMap, ContentPrefix
from include.privacy.policy.policy import Guard, ObjectAgeRule
from include.privacy.stores.objects.model import (
    BucketPolicy,
    Deletion,
    Details,
    Kind,
    LifecycleReport,
    ObjectVersion,
    WantedLifecycle,
)

CONTENT = "user-content/{subject}/"
BACKUPS = "backups/accounts/"
KEY_DATE = BACKUPS + "%Y-%m-%dT%H%M%SZ/"


def content_map(bucket: str, kind: str = "s3") -> BucketMap:
    """A bucket with one content prefix."""
    content = ContentPrefix(prefix=CONTENT, category="user.content", purposes=("service",))
    return BucketMap.model_validate(
        {"store": "content", "kind": kind, "connection": "c", "bucket": bucket, "content": (content,)}
    )


def backup_map(bucket: str, kind: str = "s3", **settings: Any) -> BucketMap:
    """A bucket with one backup prefix."""
    fields = {"prefix": BACKUPS, "backup_of": "accounts", "key_date": KEY_DATE} | settings
    return BucketMap.model_validate(
        {
            "store": "archive",
            "kind": kind,
            "connection": "c",
            "bucket": bucket,
            "backups": (BackupPrefix(**fields),),
        }
    )


def rule(target: int = 170, limit: int = 180, prefix: str = BACKUPS) -> ObjectAgeRule:
    """An object-age rule on the backup prefix."""
    return ObjectAgeRule(
        id="expire_accounts",
        kind="object_age",
        promise="P4.3",
        store="archive",
        prefix=prefix,
        target_days=target,
        limit_days=limit,
        guard=Guard(max_share=1, max_count=1_000_000),
    )


def cohort(*keys: str) -> Cohort:
    """A cohort of people known only by their keys."""
    return Cohort(uuid4(), len(keys), lambda: iter([Member(key) for key in keys]))


class Gate:
    """A hold gate whose holds a test may change while a run is under way."""

    def __init__(self, **holds: frozenset[str]) -> None:
        self.holds = Holds(**holds)
        self.entered = 0
        self.before: Callable[[int], None] = lambda _: None

    def __call__(self) -> AbstractContextManager[Holds]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[Holds]:
        self.entered += 1
        self.before(self.entered)
        yield self.holds

    def hold(self, **holds: frozenset[str]) -> None:
        """Place holds from now on."""
        self.holds = replace(self.holds, **holds)


@dataclass
class Log:
    """A batch log in memory."""

    intents: dict[int, int] = field(default_factory=dict)
    done: dict[int, tuple[int, int]] = field(default_factory=dict)

    def record_batch_intent(self, plan_id: UUID, batch: int, count: int) -> None:
        assert batch not in self.intents
        self.intents[batch] = count

    def record_batch_done(self, plan_id: UUID, batch: int, removed: int, failed: int) -> None:
        assert batch in self.intents
        self.done[batch] = (removed, failed)


class MemoryBucket:
    """An :class:`ObjectBucket` of plain lists: pages of any size, refusals and crashes on demand."""

    name = "memory"

    def __init__(self, entries: Sequence[ObjectVersion] = (), *, page: int = 3, batch: int = 2) -> None:
        self.entries = list(entries)
        self.manifests: dict[str, bytes] = {}
        self.page = page
        self.batch_size = batch
        self.settings = BucketPolicy(versioned=True, markers=True)
        self.on_delete: Callable[[Sequence[ObjectVersion]], Deletion | None] = lambda _: None
        self.calls = 0

    def policy(self) -> BucketPolicy:
        return self.settings

    def _pages(self, prefix: str, *kinds: Kind) -> Iterator[list[ObjectVersion]]:
        last: tuple[str, float, str] | None = None
        while True:
            left = sorted(
                (o for o in self.entries if o.kind in kinds and o.key.startswith(prefix)),
                key=lambda o: (o.key, -o.modified.timestamp(), o.version),
            )
            left = [o for o in left if last is None or (o.key, -o.modified.timestamp(), o.version) > last]
            yield left[: self.page]
            if len(left) <= self.page:
                return
            end = left[self.page - 1]
            last = (end.key, -end.modified.timestamp(), end.version)

    def versions(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        return self._pages(prefix, Kind.version, Kind.marker)

    def uploads(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        return self._pages(prefix, Kind.upload)

    def soft_deleted(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        return self._pages(prefix, Kind.soft_deleted)

    def folders(self, prefix: str) -> Iterator[int]:
        yield len(
            {o.key.removeprefix(prefix).split("/")[0] for o in self.entries if o.key.startswith(prefix)}
        )

    def describe(self, objects: Sequence[ObjectVersion]) -> list[Details]:
        return [o.details or Details({}) for o in objects]

    def read(self, key: str, limit: int) -> bytes | None:
        there = any(o.key == key and o.kind is Kind.version for o in self.entries)
        return self.manifests.get(key) if there else None

    def delete(self, objects: Sequence[ObjectVersion]) -> Deletion:
        self.calls += 1
        assert len(objects) <= self.batch_size
        result = self.on_delete(objects) or Deletion()
        kept = {o.mark for o, _ in (*result.refused, *result.again)}
        gone = {o.mark for o in objects} - kept
        self.entries = [o for o in self.entries if o.mark not in gone]
        return result

    def lifecycle(self, wanted: WantedLifecycle, *, apply: bool) -> LifecycleReport:
        return LifecycleReport()


def version(key: str, modified: datetime, kind: Kind = Kind.version, **more: Any) -> ObjectVersion:
    """A listing entry with a fresh version id."""
    return ObjectVersion(key, uuid4().hex, modified, kind, **more)


def utc_now() -> datetime:
    """The servers' clock: they stamp LastModified themselves."""
    return datetime.now(UTC)


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)
