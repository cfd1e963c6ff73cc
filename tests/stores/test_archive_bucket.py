"""The bucket where archives wait: whole or not at all, encrypted, under links that end."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen
from uuid import UUID, uuid4

import pytest

from include.privacy.planning.models import Superseded
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.policy import Guard, ObjectAgeRule
from include.privacy.stores.archive_bucket import LONGEST_LINK, ArchiveBucket, StoredArchive
from include.privacy.stores.objects.model import BucketError
from include.privacy.stores.s3 import S3Store, s3_client
from include.sandbox import objects
from tests.stores.buckets import Gate

PREFIX = "archives/"
KEY = "alias/privacy-archives"
WEEK = timedelta(days=7)
MIB = 1 << 20


def archive_map(bucket: str) -> BucketMap:
    return BucketMap.model_validate(
        {
            "store": "archives", "kind": "s3", "connection": "c", "bucket": bucket,
            "archives": [{"prefix": PREFIX, "purposes": ["essential.legal_obligation"]}],
        }
    )  # fmt: skip


@pytest.fixture
def client(world: Any) -> Any:
    return s3_client(
        region=objects.REGION,
        endpoint_url=world.s3_endpoint,
        access_key=objects.ACCESS_KEY,
        secret_key=objects.SECRET_KEY,
    )


@pytest.fixture
def archives(bucket: Callable[..., str], client: Any) -> ArchiveBucket:
    return ArchiveBucket(archive_map(bucket()), client, KEY)


def entries(client: Any, archives: ArchiveBucket) -> dict[str, int]:
    name = archives._name
    listed = client.list_object_versions(Bucket=name)
    return {
        "versions": len(listed.get("Versions", [])),
        "markers": len(listed.get("DeleteMarkers", [])),
        "uploads": len(client.list_multipart_uploads(Bucket=name).get("Uploads", [])),
    }


def chunks(total: int, size: int = 65536) -> Iterator[bytes]:
    for start in range(0, total, size):
        yield os.urandom(min(size, total - start))


NOTHING = {"versions": 0, "markers": 0, "uploads": 0}


@pytest.mark.parametrize("total", [0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 17])
def test_an_archive_comes_back_as_it_was_sent(archives: ArchiveBucket, client: Any, total: int) -> None:
    sent = list(chunks(total))
    stored = archives.upload(uuid4(), sent)
    whole = b"".join(sent)
    assert b"".join(archives.read(stored)) == whole
    assert (stored.bytes, stored.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert entries(client, archives) == NOTHING | {"versions": 1}


def test_it_is_encrypted_with_the_key_of_the_connection(archives: ArchiveBucket, client: Any) -> None:
    for total in (10, 9 * MIB):
        stored = archives.upload(uuid4(), chunks(total))
        head = client.head_object(Bucket=archives._name, Key=stored.key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY)


def test_its_key_says_nothing_but_its_id(archives: ArchiveBucket) -> None:
    archive_id = uuid4()
    assert archives.upload(archive_id, [b"x"]).key == f"{PREFIX}{archive_id.hex}.zip"


class Unencrypting:
    """A server that takes the order to encrypt, and does not."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **order: Any) -> Any:
        return self._client.put_object(
            **{k: v for k, v in order.items() if not k.startswith(("Server", "SSE"))}
        )


def test_what_the_server_did_not_encrypt_is_removed_again(bucket: Callable[..., str], client: Any) -> None:
    unsafe: Any = Unencrypting(client)
    archives = ArchiveBucket(archive_map(bucket()), unsafe, KEY)
    with pytest.raises(BucketError, match="not stored as asked"):
        archives.upload(uuid4(), [b"x"])
    assert entries(client, archives) == NOTHING


class LostError(RuntimeError):
    """A store is lost while the archive is being made."""


@pytest.mark.parametrize("before", [0, 3 * MIB, 12 * MIB, 30 * MIB])
def test_a_failure_midway_leaves_nothing_and_repeats_harmlessly(
    archives: ArchiveBucket, client: Any, before: int
) -> None:
    def breaking() -> Iterator[bytes]:
        yield from chunks(before)
        raise LostError

    archive_id = uuid4()
    with pytest.raises(LostError):
        archives.upload(archive_id, breaking())
    assert entries(client, archives) == NOTHING
    archives.upload(archive_id, chunks(9 * MIB))
    archives.upload(archive_id, [b"again"])
    assert entries(client, archives) == NOTHING | {"versions": 1}


KILLED = """
import os, sys, time
from uuid import UUID
from tests.stores.test_archive_bucket import archive_map, KEY
from include.privacy.stores.archive_bucket import ArchiveBucket
from include.privacy.stores.s3 import s3_client
from include.sandbox import objects
bucket, endpoint, archive = sys.argv[1:]
client = s3_client(region=objects.REGION, endpoint_url=endpoint,
                   access_key=objects.ACCESS_KEY, secret_key=objects.SECRET_KEY)
def forever():
    while True:
        yield bytes(1 << 20)
        time.sleep(0.005)
ArchiveBucket(archive_map(bucket), client, KEY).upload(UUID(archive), forever())
"""


def test_a_killed_upload_is_cleared_away_by_the_next_one(
    archives: ArchiveBucket, client: Any, world: Any
) -> None:
    archive_id, bystander = uuid4(), archives.upload(uuid4(), [b"somebody else's"])
    command = [sys.executable, "-c", KILLED, archives._name, world.s3_endpoint, str(archive_id)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 90
        while not entries(client, archives)["uploads"]:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert entries(client, archives) == {"versions": 1, "markers": 0, "uploads": 1}
    archives.upload(archive_id, chunks(MIB))
    assert entries(client, archives) == {"versions": 2, "markers": 0, "uploads": 0}
    assert b"".join(archives.read(bystander)) == b"somebody else's"


def test_an_older_copy_of_the_task_stops(archives: ArchiveBucket, client: Any) -> None:
    archive_id, begun, go_on = uuid4(), threading.Event(), threading.Event()
    outcome: list[BaseException] = []

    def slow() -> Iterator[bytes]:
        yield bytes(17 * MIB)
        begun.set()
        go_on.wait(60)
        yield bytes(17 * MIB)

    def older() -> None:
        try:
            archives.upload(archive_id, slow())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=older)
    thread.start()
    assert begun.wait(60)
    while not entries(client, archives)["uploads"]:
        time.sleep(0.02)
    newer = archives.upload(archive_id, [b"newer"])
    go_on.set()
    thread.join(60)
    assert isinstance(outcome[0], Superseded)
    assert b"".join(archives.read(newer)) == b"newer"
    assert entries(client, archives) == NOTHING | {"versions": 1}


def test_a_link_leads_to_the_archive_until_it_is_revoked(archives: ArchiveBucket, client: Any) -> None:
    stored = archives.upload(uuid4(), [b"for one person"])
    link = archives.link(stored, WEEK)
    with urlopen(link) as answer:
        assert answer.read() == b"for one person"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="archive.zip"'
    assert archives.revoke(stored.archive_id) == 1
    assert archives.revoke(stored.archive_id) == 0
    with pytest.raises(HTTPError) as gone:
        urlopen(link)
    assert gone.value.code == 404
    gone.value.close()
    assert entries(client, archives) == NOTHING
    with pytest.raises(BucketError, match="is gone"):
        archives.read(stored)


def test_a_link_names_one_version_and_ends_within_a_week(archives: ArchiveBucket) -> None:
    stored = StoredArchive(uuid4(), f"{PREFIX}x.zip", "v1", 1, "")
    query = parse_qs(urlsplit(archives.link(stored, timedelta(days=2))).query)
    assert query["versionId"] == ["v1"]
    assert query["X-Amz-Expires"] == [str(2 * 24 * 3600)]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    for wrong in (LONGEST_LINK + timedelta(seconds=1), timedelta(0), -WEEK):
        with pytest.raises(ValueError, match="up to 7 days"):
            archives.link(stored, wrong)
    assert "versionId" not in archives.link(replace(stored, version="null"), WEEK)


def test_errors_name_the_bucket_and_the_archive_but_nothing_of_its_content(
    client: Any, bucket: Callable[..., str]
) -> None:
    missing = ArchiveBucket(archive_map("no-such-bucket-anywhere"), client, KEY)
    with pytest.raises(BucketError, match="'no-such-bucket-anywhere' does not exist"):
        missing.upload(uuid4(), [b"x"])
    with pytest.raises(ValueError, match="no `archives:`"):
        ArchiveBucket(archive_map(bucket()).model_copy(update={"archives": ()}), client, KEY)


def test_archives_expire_by_the_rule_of_the_policy(archives: ArchiveBucket, client: Any) -> None:
    store = S3Store(archive_map(archives._name), client)
    rule = ObjectAgeRule(
        id="request_archives", kind="object_age", promise="P2.4", store="archives", prefix=PREFIX,
        target_days=7, limit_days=30, guard=Guard(max_share=1, max_count=100),
    )  # fmt: skip
    archives.upload(uuid4(), [b"x"])
    now = datetime.now(UTC)
    young = store.plan_expiry(rule, uuid4(), as_of=now + timedelta(days=6))
    assert young.matched == 0
    plan = store.plan_expiry(rule, uuid4(), as_of=now + timedelta(days=8))
    assert plan.matched == 1
    assert store.execute(plan, None, Gate()).removed == {PREFIX: 1}
    assert entries(client, archives) == NOTHING


def test_an_opaque_id_is_all_that_an_archive_is_known_by() -> None:
    fields = StoredArchive(UUID(int=1), "k", "v", 1, "s")
    assert set(vars(fields)) == {"archive_id", "key", "version", "bytes", "sha256"}


def test_a_link_of_last_week_is_dead(archives: ArchiveBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = archives.upload(uuid4(), [b"x"])
    signed_at = datetime.now(UTC) - WEEK - timedelta(minutes=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: signed_at.replace(tzinfo=None))
    link = archives.link(stored, WEEK)
    with pytest.raises(HTTPError) as expired:
        urlopen(link)
    assert expired.value.code == 403
    expired.value.close()


def test_a_link_cannot_be_bent_towards_another_archive(archives: ArchiveBucket) -> None:
    mine, other = (archives.upload(uuid4(), [b"x"]) for _ in range(2))
    bent = archives.link(replace(mine, version="null"), WEEK).replace(
        mine.archive_id.hex, other.archive_id.hex
    )
    with pytest.raises(HTTPError) as refused:
        urlopen(bent)
    assert refused.value.code == 403
    refused.value.close()
