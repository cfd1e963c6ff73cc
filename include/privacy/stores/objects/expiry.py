"""Which objects under a backup prefix are due, in two looks.

First the data. Then, from a fresh listing, what only makes sense once its data are gone: delete
markers (removing one early would bring the version under it back) and manifests (they testify to
the age of the archive beside them), and any data that the first look missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from include.privacy.policy.data_map import BackupPrefix
from include.privacy.stores.objects.capture import CaptureTimes, archive_folder
from include.privacy.stores.objects.model import Kind, ObjectBucket, ObjectVersion, Part


@dataclass
class DueCount:
    """What a plan reports: entries due and entries in all."""

    due: int = 0
    total: int = 0


class Expiry:
    """Listings of what is due under one prefix at one cutoff (due: captured at or before it)."""

    def __init__(self, bucket: ObjectBucket, backup: BackupPrefix, cutoff: datetime) -> None:
        self.times = CaptureTimes(bucket, backup)
        self._bucket, self._backup, self._cutoff = bucket, backup, cutoff

    def first_look(self) -> Iterator[Part]:
        """Due data and unfinished uploads; no markers, no manifests."""
        for page, due in self._judged(self._bucket.versions(self._backup.prefix)):
            yield self._part(
                o
                for o, is_due in zip(page, due, strict=True)
                if is_due and o.kind is Kind.version and not self.times.is_manifest(o.key)
            )
        for page in self._bucket.uploads(self._backup.prefix):
            yield self._part(o for o in page if o.modified <= self._cutoff)

    def second_look(self) -> Iterator[Part]:
        """Markers without data, manifests without archive, and due data still there."""
        archive = _Archive()
        for page, due in self._judged(self._bucket.versions(self._backup.prefix)):
            ready: list[ObjectVersion] = []
            for found, is_due in zip(page, due, strict=True):
                folder = archive_folder(self._backup, found.key)
                ready += archive.next(folder, found.key)
                is_manifest = self.times.is_manifest(found.key)
                if found.kind is Kind.version and is_due and not is_manifest:
                    ready.append(found)
                archive.add(found, is_manifest=is_manifest, is_due=is_due)
            yield self._part(ready)
        yield self._part(archive.end())

    def count(self) -> DueCount:
        """What both looks would remove, without removing anything."""
        count, key, markers, survives = DueCount(), "", 0, False
        for page, due in self._judged(self._bucket.versions(self._backup.prefix)):
            count.total += len(page)
            for found, is_due in zip(page, due, strict=True):
                if found.key != key:
                    count.due += 0 if survives else markers
                    key, markers, survives = found.key, 0, False
                if found.kind is Kind.marker:
                    markers += 1
                elif is_due:
                    count.due += 1
                else:
                    survives = True
        count.due += 0 if survives else markers
        for page in self._bucket.uploads(self._backup.prefix):
            count.total += len(page)
            count.due += sum(o.modified <= self._cutoff for o in page)
        return count

    def _judged(
        self, pages: Iterator[list[ObjectVersion]]
    ) -> Iterator[tuple[list[ObjectVersion], list[bool]]]:
        for page in pages:
            yield page, [t <= self._cutoff for t in self.times.of(page, due_by=self._cutoff)]

    def _part(self, objects: Iterable[ObjectVersion]) -> Part:
        return Part(self._backup.prefix, None, list(objects))


class _Archive:
    """One archive folder passing by in a sorted listing: holds back its markers and manifests."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._key = ""
        self._data_in_folder = self._data_under_key = False
        self._markers: list[ObjectVersion] = []
        self._manifests: list[ObjectVersion] = []

    def next(self, folder: str | None, key: str) -> list[ObjectVersion]:
        """What may go now that the listing has reached ``key``."""
        if key == self._key:
            return []
        ready = self._end_key()
        if folder is None or folder != self._folder:
            ready += self._end_folder()
            self._folder = folder
        self._key = key
        return ready

    def add(self, found: ObjectVersion, *, is_manifest: bool, is_due: bool) -> None:
        """Note one entry of the current key."""
        if found.kind is Kind.marker:
            self._markers.append(found)
        elif is_manifest and is_due:
            self._manifests.append(found)
        else:
            self._data_under_key = self._data_in_folder = True

    def end(self) -> list[ObjectVersion]:
        """What may go after the last entry."""
        return self._end_key() + self._end_folder()

    def _end_key(self) -> list[ObjectVersion]:
        # A marker over a manifest goes one look later than the manifest.
        over_manifest = any(m.key == self._key for m in self._manifests)
        ready = [] if self._data_under_key or over_manifest else self._markers
        self._markers, self._data_under_key = [], False
        return ready

    def _end_folder(self) -> list[ObjectVersion]:
        ready = [] if self._data_in_folder else self._manifests
        self._manifests, self._data_in_folder = [], False
        return ready
