"""Backup archives of the platform, one set for each of many past dates, in S3 and a copy in GCS.

A set is ``backups/<database>/<capture time>/`` with the archive and ``manifest.json``. Some sets have
what happens to backups in real life: a manifest that was lost, a folder without a date, an archive
somebody deleted (and a versioned bucket kept), an archive written twice, an upload never finished.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from include.sandbox.platform.dumps import BULKY, Dump, dump
from include.sandbox.postgres import find_binaries

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

CAPTURED_AT = "captured-at"
"""Name of the object metadata that states the capture time."""

KEY_TIME = "%Y-%m-%dT%H%M%SZ"


@dataclass(frozen=True)
class BackupSet:
    """One archive with its manifest, and what is odd about it."""

    database: str
    folder: str
    captured_at: datetime
    trap: str | None = None


@dataclass(frozen=True)
class BackupReport:
    """The sets written, per bucket the same. ``bytes`` is what one copy of everything weighs."""

    sets: tuple[BackupSet, ...]
    bytes: int
    oldest: datetime
    unfinished_uploads: tuple[str, ...] = field(default=())
    """Keys of multipart uploads that were begun and never completed (S3 only)."""

    def captured_before(self, cutoff: datetime) -> tuple[BackupSet, ...]:
        """The sets captured at or before an instant."""
        return tuple(s for s in self.sets if s.captured_at <= cutoff)


class _Target(Protocol):
    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None: ...

    def delete(self, key: str) -> None: ...


class _S3:
    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=dict(metadata))

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def begin_upload(self, key: str, body: bytes) -> None:
        upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)


class _Gcs:
    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        blob = self._bucket.blob(key)
        blob.metadata = dict(metadata)
        blob.upload_from_string(body, content_type="application/octet-stream")

    def delete(self, key: str) -> None:
        self._bucket.blob(key).delete()


def write_backups(
    accounts_dsn: str,
    practice_dsn: str,
    *,
    as_of: datetime,
    s3: S3Client | None = None,
    s3_bucket: str = "practice-engine-backups",
    gcs_bucket: Any = None,
    oldest_days: int = 200,
    every_days: int = 7,
    newest_days: int = 1,
    traps: bool = True,
) -> BackupReport:
    """Dump both databases and upload one set for every ``every_days`` from ``oldest_days`` ago on.

    The buckets exist and are versioned. ``gcs_bucket`` is a ``google.cloud.storage`` Bucket. The same
    archive stands for several dates (only the newest has the attempts); each manifest states the
    instant its set stands for, and each archive can be restored with ``pg_restore``.
    """
    targets: list[_Target] = []
    if s3 is not None:
        targets.append(_S3(s3, s3_bucket))
    if gcs_bucket is not None:
        targets.append(_Gcs(gcs_bucket))
    with tempfile.TemporaryDirectory(prefix="practice-engine-dumps-") as folder:
        binaries = find_binaries()
        full = {
            "accounts": dump(accounts_dsn, "accounts", Path(folder), binaries),
            "practice": dump(practice_dsn, "practice", Path(folder), binaries),
        }
        lean = {
            **full,
            "practice": dump(practice_dsn, "practice", Path(folder), binaries, exclude=BULKY),
        }
        sets = tuple(plan_sets(as_of, oldest_days, every_days, newest_days, traps=traps))
        newest = max(s.captured_at for s in sets)
        chosen = [(s, (full if s.captured_at == newest else lean)[s.database]) for s in sets]
        bodies = {archive.path: archive.path.read_bytes() for _, archive in chosen}

        def write(job: tuple[_Target, BackupSet, Dump]) -> None:
            _write_set(*job, bodies[job[2].path])

        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(write, [(t, s, archive) for t in targets for s, archive in chosen]))
        unfinished: list[str] = []
        for target in targets:
            if traps and isinstance(target, _S3):
                oldest = min(sets, key=lambda s: s.captured_at)
                unfinished.append(f"{oldest.folder}{oldest.database}.dump.part")
                target.begin_upload(unfinished[-1], bodies[lean[oldest.database].path])
        report = BackupReport(
            sets=sets,
            bytes=sum(len(bodies[archive.path]) for _, archive in chosen),
            oldest=min(s.captured_at for s in sets),
            unfinished_uploads=tuple(unfinished),
        )
    log.info("wrote %s backup sets to %s buckets, %s bytes each", len(sets), len(targets), report.bytes)
    return report


def plan_sets(
    as_of: datetime, oldest_days: int, every_days: int, newest_days: int, *, traps: bool
) -> Iterator[BackupSet]:
    """Which sets there are; the traps are among the oldest, where they matter."""
    days = [*range(oldest_days, newest_days, -every_days), newest_days]
    for database in ("accounts", "practice"):
        odd = iter(("manifest_lost", "deleted_by_hand", "written_twice") if traps else ())
        for age in days:
            captured = (as_of - timedelta(days=age)).replace(microsecond=0)
            folder = f"backups/{database}/{captured.strftime(KEY_TIME)}/"
            yield BackupSet(database, folder, captured, next(odd, None) if age != newest_days else None)
        if traps:
            captured = (as_of - timedelta(days=oldest_days - 1)).replace(microsecond=0)
            yield BackupSet(database, f"backups/{database}/before-the-move/", captured, "folder_without_date")


def _write_set(target: _Target, found: BackupSet, archive: Dump, body: bytes) -> None:
    stated = found.captured_at.isoformat()
    manifest = {
        "database": found.database,
        "captured_at": stated,
        "archive": f"{found.database}.dump",
        "format": "pg_dump custom",
        "pg_dump": archive.pg_dump,
        "bytes": archive.bytes,
        "sha256": archive.sha256,
        "excluded_data": list(archive.excluded_data),
    }
    key = f"{found.folder}{found.database}.dump"
    # A lost manifest leaves the key's date, a folder without a date the metadata.
    metadata = {} if found.trap == "manifest_lost" else {CAPTURED_AT: stated}
    if found.trap == "written_twice":
        target.put(key, body[: len(body) // 2], metadata)
    target.put(key, body, metadata)
    if found.trap == "deleted_by_hand":
        target.delete(key)
    if found.trap not in ("manifest_lost", "folder_without_date"):
        target.put(f"{found.folder}manifest.json", json.dumps(manifest, indent=2).encode(), {})
