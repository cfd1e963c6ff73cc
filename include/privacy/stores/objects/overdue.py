"""How far a backup prefix is behind its limit, on two clocks: readable, and restorable."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from include.privacy.clock import overdue_by
from include.privacy.stores.objects.capture import CaptureTimes
from include.privacy.stores.objects.model import Kind, ObjectBucket, ObjectVersion
from include.privacy.stores.overdue import Overdue


@dataclass(frozen=True)
class ObjectOverdue(Overdue):
    """The figures of the first clock (still readable); ``gone`` adds what can still be restored.

    A lock in the bucket is no excuse: what it keeps past the limit counts. Only legal holds of the
    ledger move objects to ``held``.
    """

    gone: Overdue = field(default_factory=Overdue)


@dataclass(frozen=True)
class CaptureSpan:
    """The oldest and newest capture times under a prefix, and how many objects there are."""

    count: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None


class _Count:
    def __init__(self) -> None:
        self.count = self.future = 0
        self.oldest: timedelta | None = None

    def add(self, captured: datetime, limit_days: int, as_of: datetime) -> None:
        self.future += captured > as_of
        if late := overdue_by(captured, limit_days, as_of):
            self.count += 1
            self.oldest = max(self.oldest or late, late)

    def figures(self, *, held: bool) -> Overdue:
        if held:
            return Overdue(held=self.count, in_future=self.future)
        return Overdue(self.count, self.oldest, in_future=self.future)


def measure(
    bucket: ObjectBucket, times: CaptureTimes, prefix: str, limit_days: int, as_of: datetime, *, held: bool
) -> ObjectOverdue:
    """Lists everything under the prefix anew; delete markers carry no data and do not count."""
    readable, restorable = _Count(), _Count()
    for source in (bucket.versions, bucket.uploads, bucket.soft_deleted):
        for page in source(prefix):
            data = [o for o in page if o.kind is not Kind.marker]
            for found, captured in zip(data, times.of(data), strict=True):
                restorable.add(captured, limit_days, as_of)
                if found.kind is not Kind.soft_deleted:
                    readable.add(captured, limit_days, as_of)
    first, second = readable.figures(held=held), restorable.figures(held=held)
    return ObjectOverdue(first.count, first.oldest, first.held, 0, first.in_future, second)


def span(bucket: ObjectBucket, times: CaptureTimes, prefix: str) -> CaptureSpan:
    """Capture times of all data under the prefix, soft-deleted included: they can be restored."""
    count, oldest, newest = 0, None, None
    for source in (bucket.versions, bucket.soft_deleted):
        for page in source(prefix):
            data: list[ObjectVersion] = [o for o in page if o.kind is not Kind.marker]
            for captured in times.of(data):
                count += 1
                oldest = min(oldest or captured, captured)
                newest = max(newest or captured, captured)
    return CaptureSpan(count, oldest, newest)
