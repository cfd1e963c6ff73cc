"""Where a person could have left traces: dumps of every database, the bytes of every object, every log.

Each haystack is a named stretch of bytes. A needle is looked for as it is and as software would have
written it: JSON with escapes, URL-quoted, hexadecimal, base64 at each of its three alignments.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from include.sandbox.platform.dumps import dump
from include.sandbox.postgres import find_binaries

Haystack = tuple[str, bytes]
_TABLE = re.compile(rb"^COPY ([\w.\"]+) \(", re.MULTILINE)


def spellings(needle: str) -> set[bytes]:
    """The needle in every encoding that the search knows."""
    plain = needle.encode()
    found = {plain, quote(needle, safe="").encode(), json.dumps(needle)[1:-1].encode()}
    if len(plain) >= 6:  # shorter ones are found by chance
        found |= {plain.hex().encode(), plain.hex().upper().encode()}
        for shift in range(3):
            # The characters at both ends mix with whatever stood beside the needle.
            encoded = base64.b64encode(bytes(shift) + plain).rstrip(b"=")
            found.add(encoded[(0, 2, 3)[shift] : -1])
    return found


def search(haystacks: Iterable[Haystack], needles: Iterable[str]) -> dict[str, set[str]]:
    """Needles found, by the name of the haystack."""
    patterns = {needle: _pattern(needle) for needle in needles}
    found: dict[str, set[str]] = {}
    for name, data in haystacks:
        hits = {needle for needle, pattern in patterns.items() if pattern.search(data)}
        if hits:
            found.setdefault(name, set()).update(hits)
    return found


def _pattern(needle: str) -> re.Pattern[bytes]:
    either = b"|".join(re.escape(spelling) for spelling in sorted(spellings(needle)))
    # An account's id within a longer number is somebody else's, or a time.
    whole = (rb"(?<!\d)(?:", rb")(?!\d)") if needle.isdigit() else (b"(?:", b")")
    return re.compile(whole[0] + either + whole[1])


def archive_text(archive: Path, *, whole: bool = True) -> bytes:
    """A ``pg_dump`` archive as SQL text: what somebody who steals a backup can read.

    ``whole=False`` takes what can be read of an archive that was cut off.
    """
    restore = [find_binaries() / "pg_restore", "--file=-", str(archive)]
    return subprocess.run(restore, capture_output=True, check=whole).stdout


def database(name: str, dsn: str) -> Iterator[Haystack]:
    """A new backup of a PostgreSQL database, table by table."""
    with tempfile.TemporaryDirectory() as folder:
        text = archive_text(dump(dsn, name, Path(folder), find_binaries()).path)
    starts = list(_TABLE.finditer(text))
    yield f"{name}: definitions", text[: starts[0].start()] if starts else text
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        yield f"{name}: {start[1].decode()}", text[start.start() : following.start() if following else None]


def sqlite(path: Path) -> Iterator[Haystack]:
    """Airflow's metadata, row by row and as the files' own pages (which keep what was overwritten).

    Read by another process: closing a file gives up all locks that this one holds on it, Airflow's too.
    """
    dump = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1], timeout=30).iterdump(), sep='\\n')"
    found = subprocess.run([sys.executable, "-c", dump, path], capture_output=True, check=True)
    yield "airflow: rows", found.stdout
    for file in (path, path.with_name(f"{path.name}-wal")):
        if file.exists():
            yield "airflow: pages", subprocess.run(["cat", file], capture_output=True, check=True).stdout


def files(folder: Path, label: str) -> Iterator[Haystack]:
    """Every file below a folder, its name included."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = f"{label}: {path.relative_to(folder)}"
            yield name, name.encode() + b"\n" + path.read_bytes()


def s3_objects(client: Any, bucket: str) -> Iterator[Haystack]:
    """Key, metadata and bytes of every version, and the keys of markers and unfinished uploads."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for marker in page.get("DeleteMarkers", []):
            yield f"s3 {bucket} marker", marker["Key"].encode()
        for version in page.get("Versions", []):
            key, version_id = version["Key"], version["VersionId"]
            got = client.get_object(Bucket=bucket, Key=key, VersionId=version_id)
            text = f"{key}\n{got['Metadata']}\n".encode()
            yield f"s3 {bucket} {key}", text + _readable(key, got["Body"].read())
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        yield f"s3 {bucket} upload", upload["Key"].encode()


def gcs_objects(client: Any, bucket: str) -> Iterator[Haystack]:
    """Name, metadata and bytes of every generation; the names of what is soft-deleted."""
    for blob in client.list_blobs(bucket, versions=True):
        text = f"{blob.name}\n{blob.metadata}\n".encode()
        yield f"gcs {bucket} {blob.name}", text + _readable(blob.name, blob.download_as_bytes())
    for blob in client.list_blobs(bucket, soft_deleted=True):
        yield f"gcs {bucket} soft-deleted", f"{blob.name}\n{blob.metadata}".encode()


def _readable(key: str, body: bytes) -> bytes:
    if not body.startswith(b"PGDMP"):
        return body
    with tempfile.NamedTemporaryFile(suffix=".dump") as archive:
        archive.write(body)
        archive.flush()
        return body + archive_text(Path(archive.name), whole=False)
