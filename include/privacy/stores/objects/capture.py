"""When the data in a backup were captured: the age that the promise counts (DESIGN §3).

Copying an object resets its LastModified, so better witnesses are asked first, in the order of the
map: the archive's manifest, the object's metadata, the date in its key. No witness may say a later
time than LastModified: data cannot have been captured after they were stored.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime

from include.privacy.clock import parse_instant
from include.privacy.policy.bucket_map import AgedPrefix
from include.privacy.stores.objects.model import (
    METADATA_CAPTURED_AT,
    Details,
    Kind,
    ObjectBucket,
    ObjectVersion,
)

_MANIFEST_LIMIT = 1 << 20
_REMEMBERED_FOLDERS = 4096


def archive_folder(backup: AgedPrefix, key: str) -> str | None:
    """The folder of the archive that a key belongs to, with its slash; ``None`` for a bare file.

    It is as deep as the map's ``key_date``, or the first folder below the prefix.
    """
    pattern = backup.key_date or ""
    depth = pattern.count("/") if pattern.endswith("/") else backup.prefix.count("/") + 1
    pieces = key.split("/")
    return "/".join(pieces[:depth]) + "/" if len(pieces) > depth else None


def key_date(backup: AgedPrefix, key: str) -> datetime | None:
    """The date in a key, by the map's strptime pattern; UTC unless the pattern has ``%z``."""
    if backup.key_date is None:
        return None
    text = archive_folder(backup, key) if backup.key_date.endswith("/") else key
    try:
        moment = datetime.strptime(text or "", backup.key_date)  # noqa: DTZ007 - the map says UTC
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def manifest_time(data: bytes) -> datetime | None:
    """``captured_at`` of a manifest (a JSON object); ``None`` when it states none that is usable."""
    try:
        document = json.loads(data)
        stated = document.get("captured_at", document.get(METADATA_CAPTURED_AT))
        return parse_instant(stated) if isinstance(stated, str) else None
    except (ValueError, AttributeError):
        return None


class CaptureTimes:
    """Capture times of the objects under one backup prefix.

    ``unreadable`` counts manifests that exist but state no usable time; the next witness was asked.
    """

    def __init__(self, bucket: ObjectBucket, backup: AgedPrefix) -> None:
        self.unreadable = 0
        self._bucket, self._backup = bucket, backup
        self._manifests: OrderedDict[str, datetime | None] = OrderedDict()

    def is_manifest(self, key: str) -> bool:
        """Whether the key is the manifest of its archive."""
        folder = archive_folder(self._backup, key)
        return folder is not None and key == folder + self._backup.manifest

    def of(self, page: Sequence[ObjectVersion], *, due_by: datetime | None = None) -> list[datetime]:
        """The capture time of each entry, in order.

        What was stored by ``due_by`` was captured by then too: it gets its LastModified, an upper
        bound, and no witness is asked.
        """
        times: list[datetime | None] = []
        ask: list[int] = []
        for place, found in enumerate(page):
            if due_by is not None and found.modified <= due_by:
                times.append(found.modified)
                continue
            time, undecided = self._without_details(found)
            times.append(time)
            if undecided:
                ask.append(place)
        if ask:
            details = self._bucket.describe([page[place] for place in ask])
            for place, closer in zip(ask, details, strict=True):
                times[place] = self._with_details(page[place], closer)
        return [min(t or found.modified, found.modified) for t, found in zip(times, page, strict=True)]

    def _without_details(self, found: ObjectVersion) -> tuple[datetime | None, bool]:
        """The answer of the witnesses before metadata; whether metadata must be asked."""
        for source in self._backup.captured_at:
            if source == "metadata" and found.kind in (Kind.version, Kind.soft_deleted):
                return None, True
            if (time := self._ask(source, found, None)) is not None:
                return time, False
        return found.modified, False

    def _with_details(self, found: ObjectVersion, details: Details) -> datetime:
        for source in self._backup.captured_at:
            if (time := self._ask(source, found, details)) is not None:
                return time
        return found.modified

    def _ask(self, source: str, found: ObjectVersion, details: Details | None) -> datetime | None:
        if source == "manifest":
            return self._manifest(found.key)
        if source == "key":
            return key_date(self._backup, found.key)
        if source == "last_modified":
            return found.modified
        if details is None or METADATA_CAPTURED_AT not in details.metadata:
            return None
        try:
            return parse_instant(details.metadata[METADATA_CAPTURED_AT])
        except ValueError:
            return None

    def _manifest(self, key: str) -> datetime | None:
        folder = archive_folder(self._backup, key)
        if folder is None:
            return None
        if folder not in self._manifests:
            data = self._bucket.read(folder + self._backup.manifest, _MANIFEST_LIMIT)
            time = None if data is None else manifest_time(data)
            self.unreadable += data is not None and time is None
            self._manifests[folder] = time
            if len(self._manifests) > _REMEMBERED_FOLDERS:
                self._manifests.popitem(last=False)
        return self._manifests[folder]
