"""One person with a million and a half versions: everything streams, nothing is kept in memory."""

from __future__ import annotations

import gc
import sys
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

from include.privacy.stores.s3 import S3Store
from tests.stores.buckets import CONTENT, Gate, cohort, content_map

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
PAGE = 1000


class EndlessClient:
    """The listing and deleting half of a boto3 client, for one folder of very many versions.

    No server holds as many within a test's time; what it answers has the shape of the real answers.
    """

    def __init__(self, count: int) -> None:
        self.left = bytearray(b"\1" * count)
        self.most_blocks = 0

    def get_bucket_versioning(self, **_: Any) -> dict[str, Any]:
        return {"Status": "Enabled"}

    def get_object_lock_configuration(self, **_: Any) -> dict[str, Any]:
        return {}

    def list_multipart_uploads(self, **_: Any) -> dict[str, Any]:
        return {"IsTruncated": False}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"CommonPrefixes": [{}], "IsTruncated": False}

    def list_object_versions(self, **asked: Any) -> dict[str, Any]:
        self.most_blocks = max(self.most_blocks, sys.getallocatedblocks())
        found: list[dict[str, Any]] = []
        at = self.left.find(1, int(asked.get("VersionIdMarker", -1)) + 1)
        while at >= 0 and len(found) < PAGE:
            key = f"{asked['Prefix']}{at // 700:05}"
            found.append({"Key": key, "VersionId": f"{at}", "LastModified": AS_OF})
            at = self.left.find(1, at + 1)
        answer: dict[str, Any] = {"Versions": found, "IsTruncated": at >= 0}
        if at >= 0:
            answer |= {"NextKeyMarker": found[-1]["Key"], "NextVersionIdMarker": found[-1]["VersionId"]}
        return answer

    def delete_objects(self, **asked: Any) -> dict[str, Any]:
        for named in asked["Delete"]["Objects"]:
            self.left[int(named["VersionId"])] = 0
        return {}


class CountingLog:
    """A batch log that remembers nothing but how many batches there were."""

    batches = 0

    def record_batch_intent(self, *_: object) -> None:
        self.batches += 1

    def record_batch_done(self, *_: object) -> None:
        pass


def blocks_needed(versions: int) -> int:
    """The most memory blocks alive at once while so many versions are planned, erased and probed."""
    client, people, log = EndlessClient(versions), cohort("12"), CountingLog()
    store = S3Store(content_map("content"), cast("Any", client), batch_log=log)
    gc.collect()
    before = sys.getallocatedblocks()
    plan = store.plan_erasure(people, uuid4(), as_of=AS_OF)
    assert plan.matched == versions
    outcome = store.execute(plan, people, Gate())
    assert (outcome.removed, outcome.blocked) == ({CONTENT: versions}, [])
    assert store.probe(plan, people).clean
    assert not any(client.left)
    assert log.batches == versions / PAGE
    return client.most_blocks - before


def test_a_million_and_a_half_versions_of_one_person_need_the_memory_of_a_few_pages() -> None:
    few, many = blocks_needed(30_000), blocks_needed(1_500_000)
    assert many < 1.5 * few, f"{few} blocks for 30,000 versions, {many} for 1,500,000"
