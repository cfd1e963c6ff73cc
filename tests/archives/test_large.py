"""An account of any size: from cursors to a multipart upload in the memory of a few batches."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest

from include.privacy.archives.access import AccessArchive
from include.privacy.archives.portability import PortabilityArchive
from include.privacy.archives.writer import new_passphrase
from include.privacy.planning.exporting import Collection, ExportField, StoredFile
from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.data_map import DataMap
from include.privacy.stores.postgres import PostgresStore
from tests.archives.support import ANSWER, collection, config
from tests.stores.postgres.support import database, run

MIB = 1 << 20
ROWS = 600_000


class Endless:
    """As many rows as wanted, and files of any size, made when they are asked for."""

    def __init__(self, rows: int, file_bytes: int) -> None:
        self.collection: Collection = collection(
            "large", ExportField("id", "bigint", "A number."), ExportField("text", "text", "Words.")
        )
        self.redacted: Counter[str] = Counter()
        self._rows, self._file_bytes = rows, file_bytes

    def files(self) -> Iterator[StoredFile]:
        yield StoredFile("files/ledger/large.bin", (os.urandom(MIB) for _ in range(self._file_bytes // MIB)))

    def _ids(self) -> Iterator[list[int]]:
        ids = iter(range(self._rows))
        while batch := list(islice(ids, 5000)):
            yield batch

    def lines(self) -> Iterator[Sequence[str]]:
        for batch in self._ids():
            yield [f'{{"id":{n},"text":"{n * 7919 % 1000003:0120d}"}}' for n in batch]

    def table(self) -> Iterator[Sequence[Sequence[str | None]]]:
        for batch in self._ids():
            yield [(str(n), f"{n * 7919 % 1000003:0120d}") for n in batch]


def peak_mib() -> int:
    """The most memory that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def synthetic(kind: str, rows: int) -> tuple[int, int]:
    """Bytes of content that went through an archive, and how much memory that took beyond a small one."""
    make: Any = AccessArchive if kind == "access" else PortabilityArchive
    before = 0
    for size, file_bytes in ((1000, MIB), (rows, 64 * MIB)):
        archive = make([Endless(size, file_bytes)], ANSWER, config())
        for _ in archive.packed(new_passphrase()):
            pass
        before = before or peak_mib()
    return sum(e.bytes for e in archive.listing.entries.values()), peak_mib() - before


def from_database(dsn: str, bucket: str, endpoint: str) -> tuple[int, int]:
    """The same for a person's rows, read from PostgreSQL and stored in S3."""
    from include.privacy.stores.archive_bucket import ArchiveBucket
    from include.privacy.stores.s3 import s3_client
    from include.sandbox import objects
    from tests.stores.test_archive_bucket import KEY, archive_map

    client = s3_client(
        region=objects.REGION, endpoint_url=endpoint,
        access_key=objects.ACCESS_KEY, secret_key=objects.SECRET_KEY,
    )  # fmt: skip
    archives, store = ArchiveBucket(archive_map(bucket), client, KEY), PostgresStore(_map(), dsn)
    here = replace(config(), data_map=DataMap(stores=(_map(),)))
    before = size = 0
    for key in ("1", "2"):
        member = Member(key)
        who = Cohort(uuid4(), 1, lambda member=member: iter([member]))
        with store.export(who) as export:
            archive = AccessArchive(export.of(1, member), ANSWER, here)
            archives.upload(uuid4(), archive.packed(new_passphrase()))
        before = before or peak_mib()
        size = sum(e.bytes for e in archive.listing.entries.values())
    return size, peak_mib() - before


def _map() -> Any:
    owned = {"subjects": {"owner": {"path": "person_id", "erasure": "delete"}}}
    return database(
        {
            "person": {
                "subjects": {"self": {"path": "id", "erasure": "delete"}},
                "columns": {"id": "user.unique_id"},
            },
            "attempts": owned
            | {"columns": dict.fromkeys(("id", "person_id", "at", "words"), "user.behavior")},
            "files": owned | {"columns": dict.fromkeys(("person_id", "content"), "user.content")},
        },
    )


def in_a_process_of_its_own(call: str) -> tuple[int, int]:
    code = f"from tests.archives.test_large import *; print(*{call})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    size, growth = done.stdout.split()
    return int(size), int(growth)


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_memory_does_not_grow_with_the_archive(kind: str) -> None:
    size, growth = in_a_process_of_its_own(f"synthetic({kind!r}, {ROWS})")
    assert size > 128 * MIB
    assert growth < 24, f"{size // MIB} MiB passed through {growth} MiB"


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_a_persons_rows(
    fresh_database: Callable[..., str], bucket: Callable[..., str], world: Any
) -> None:
    dsn = fresh_database()
    run(
        dsn,
        "CREATE TABLE person (id bigint PRIMARY KEY)",
        "CREATE TABLE attempts (id bigint PRIMARY KEY, person_id bigint, at timestamptz, words text)",
        "CREATE TABLE files (person_id bigint, content bytea)",
        "ALTER TABLE files ALTER content SET STORAGE EXTERNAL",
        "INSERT INTO attempts SELECT i, 1 + (i > 100)::int, now(), md5(i::text) || md5((i + 1)::text) "
        f"|| md5((i + 2)::text) FROM generate_series(1, {ROWS}) i",
        "INSERT INTO files SELECT 2, decode(string_agg(md5(i::text || k::text), ''), 'hex') "
        "FROM generate_series(1, 2) k, generate_series(1, 1000000) i GROUP BY k",
        "CREATE INDEX ON attempts (person_id)",
        "ANALYZE",
    )
    call = f"from_database({dsn!r}, {bucket()!r}, {world.s3_endpoint!r})"
    size, growth = in_a_process_of_its_own(call)
    assert size > 100 * MIB
    # Two parts of 8 MiB, a piece of a file, two batches, and what their copies take.
    assert growth < 80, f"{size // MIB} MiB passed through {growth} MiB"
