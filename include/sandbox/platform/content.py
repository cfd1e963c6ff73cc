"""What people uploaded: avatars and recordings in the versioned content bucket."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from include.sandbox.platform.people import MARKERS, pick

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

PREFIX = "user-content"
# People name files as they like; every one of these has broken a key listing somewhere.
_ODD_NAMES = (
    "take 1 + notes (final)?.webm",
    "Übung №3 %2F é.webm",
    "a//b/../c&d=e.webm",
    "tab\there #1.webm",
)


@dataclass(frozen=True)
class ContentReport:
    """``accounts`` have content; ``versions`` counts stored versions without ``delete_markers``."""

    accounts: tuple[int, ...]
    versions: int
    delete_markers: int


@dataclass(frozen=True)
class _Upload:
    key: str
    bodies: tuple[bytes, ...]
    """One for each version, oldest first; empty body list never happens."""
    deleted: bool
    """A delete marker lies on top: gone for the platform, there for anyone who asks for versions."""
    content_type: str


def upload_content(
    s3: S3Client, bucket: str, accounts_dsn: str, *, seed: int = 7, share: float = 0.1, limit: int = 1000
) -> ContentReport:
    """Upload content for about ``share`` of the people, at most ``limit``; deterministic for a seed.

    Everyone who is deleted or whose service has ended and the two markers come first, so that a purge
    has something to find. Creates the bucket when it is missing and switches versioning on.
    """
    _ensure_versioned(s3, bucket)
    accounts = _chosen(accounts_dsn, seed, share, limit)
    uploads = [upload for account in accounts for upload in _uploads(account, seed)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda upload: _put(s3, bucket, upload), uploads))
    report = ContentReport(
        accounts, sum(len(u.bodies) for u in uploads), sum(1 for u in uploads if u.deleted)
    )
    log.info(
        "uploaded content of %s people: %s versions, %s delete markers",
        len(report.accounts),
        report.versions,
        report.delete_markers,
    )
    return report


def _ensure_versioned(s3: S3Client, bucket: str) -> None:
    known = {found["Name"] for found in s3.list_buckets()["Buckets"]}
    if bucket not in known:
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},  # type: ignore[typeddict-item]
        )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _chosen(accounts_dsn: str, seed: int, share: float, limit: int) -> tuple[int, ...]:
    with psycopg.connect(accounts_dsn) as connection:
        rows = connection.execute(
            "SELECT id, service_ended_at IS NOT NULL OR deleted_at IS NOT NULL FROM accounts ORDER BY id"
        ).fetchall()
    special = {m.account_id for m in MARKERS}
    first = sorted((i for i, leaving in rows if leaving or i in special), key=lambda i: i not in special)
    rest = (i for i, leaving in rows if not leaving and i not in special)
    chosen = [*first, *(i for i in rest if pick(seed, i, 40, 10_000) < share * 10_000)]
    return tuple(sorted(chosen[:limit]))


def _uploads(account: int, seed: int) -> Iterator[_Upload]:
    marker = next((m for m in MARKERS if m.account_id == account), None)
    words = f"{marker.full_name} {marker.texts[0]}" if marker else f"account {account}"
    versions = 3 if marker else 1 + pick(seed, account, 41, 3)
    avatars = tuple(_png(pick(seed, account, 42 + n, 1 << 24), words) for n in range(versions))
    yield _Upload(f"{PREFIX}/{account}/avatar.png", avatars, account % 8 == 3, "image/png")
    for n in range(1 + account % 2):
        name = _ODD_NAMES[account // 10 % len(_ODD_NAMES)] if account % 10 == 7 else f"{n + 1:04d}.webm"
        sound = (f"WEBM {words} " * 40).encode()
        body = (sound, sound[::-1]) if n else (sound,)
        yield _Upload(f"{PREFIX}/{account}/recordings/{n}-{name}", body, bool(marker) or n == 1, "video/webm")


def _png(colour: int, comment: str) -> bytes:
    """A valid picture of one pixel, with a text chunk as cameras and editors leave behind."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + chunk(b"tEXt", b"Comment\x00" + comment.encode("latin-1", "replace"))
        + chunk(b"IDAT", zlib.compress(b"\x00" + colour.to_bytes(3, "big")))
        + chunk(b"IEND", b"")
    )


def _put(s3: S3Client, bucket: str, upload: _Upload) -> None:
    for body in upload.bodies:
        s3.put_object(Bucket=bucket, Key=upload.key, Body=body, ContentType=upload.content_type)
    if upload.deleted:
        s3.delete_object(Bucket=bucket, Key=upload.key)
