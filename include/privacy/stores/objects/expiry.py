"""Which objects under a backup prefix are due, in two looks.

First the data. Then, from a fresh listing, what only makes sense once its data are gone: delete
markers (removing one early would bring the version under it back) and manifests (they testify to
the age of the archive beside them), and any data that the first look missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from include.privacy.policy.bucket_map import AgedPrefix
from include.privacy.stores.objects.capture import CaptureTimes, archive_folder
from include.privacy.stores.objects.model import Kind, ObjectBucket, ObjectVersion, Part


@dataclass
class DueCount:
    """What a plan reports: entries due and entries in all."""

    due: int = 0
    total: int = 0


class Expiry:
    """Listings of what is due under one prefix at one cutoff (due: captured at or before it)."""

    def __init__(self, bucket: ObjectBucket, backup: AgedPrefix, cutoff: datetime) -> None:
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
        for page, due in self._judged(self._bucket.uploads(self._backup.prefix)):
            yield self._part(o for o, is_due in zip(page, due, strict=True) if is_due)

    def second_look(self) -> Iterator[Part]:
        """Markers without data, manifests without archive, and due data still there."""
        for _, ready in self._walk(due_data_counts=True):
            yield self._part(ready)

    def count(self) -> DueCount:
        """What both looks would remove, without removing anything."""
        count = DueCount()
        for size, ready in self._walk(due_data_counts=False):
            count.total += size
            count.due += len(ready)
        for page, due in self._judged(self._bucket.uploads(self._backup.prefix)):
            count.total += len(page)
            count.due += sum(due)
        return count

    def _walk(self, *, due_data_counts: bool) -> Iterator[tuple[int, list[ObjectVersion]]]:
        """Page sizes and what may go. ``due_data_counts``: as long as it is there, due data, too,
        keeps its markers and its manifest; otherwise it is taken for gone already.
        """
        archive = _Archive()
        for page, due in self._judged(self._bucket.versions(self._backup.prefix)):
            ready: list[ObjectVersion] = []
            for found, is_due in zip(page, due, strict=True):
                ready += archive.next(archive_folder(self._backup, found.key), found.key)
                is_manifest = self.times.is_manifest(found.key)
                if found.kind is Kind.version and is_due and not is_manifest:
                    ready.append(found)
                    if not due_data_counts:
                        continue
                archive.add(found, is_due_manifest=is_manifest and is_due)
            yield len(page), ready
        yield 0, archive.end()

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
        self._data_in_folder = self._data_under_key = self._manifest_under_key = False
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

    def add(self, found: ObjectVersion, *, is_due_manifest: bool) -> None:
        """Note one entry of the current key."""
        if found.kind is Kind.marker:
            self._markers.append(found)
        elif is_due_manifest:
            self._manifests.append(found)
            self._manifest_under_key = True
        else:
            self._data_under_key = self._data_in_folder = True

    def end(self) -> list[ObjectVersion]:
        """What may go after the last entry."""
        return self._end_key() + self._end_folder()

    def _end_key(self) -> list[ObjectVersion]:
        ready = self._markers
        if self._data_under_key:
            ready = []
        elif self._manifest_under_key:
            # They go, or stay, with the manifest.
            self._manifests += self._markers
            ready = []
        self._markers, self._data_under_key, self._manifest_under_key = [], False, False
        return ready

    def _end_folder(self) -> list[ObjectVersion]:
        ready = [] if self._data_in_folder else self._manifests
        self._manifests, self._data_in_folder = [], False
        return ready
