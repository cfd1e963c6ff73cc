"""S3: a sweep of many versions against the bare list-and-delete loop in boto3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.s3 import S3Store, s3_client
from include.sandbox import objects
from include.sandbox.bench.databases import AS_OF, OpenGate
from include.sandbox.bench.measure import Report, peak_mib, seconds
from include.sandbox.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Writing them takes most of the time; fewer for a quick look: BENCH_VERSIONS=10000 make bench
VERSIONS = int(os.environ.get("BENCH_VERSIONS", "100000"))
PER_KEY = 10


def sweep(world: World, report: Report) -> None:
    """All versions under one person's prefix, by the engine and by hand.

    The loop has no plan and proves nothing, so the engine's plan and probe are shown apart.
    """
    client = _client(world)
    by_hand = _fill(world, client, VERSIONS)
    hand_s = seconds(lambda: bare_loop(client, by_hand))
    plan_s, execute_s, probe_s = engine(client, _fill(world, client, VERSIONS))
    small, large = _fill(world, client, VERSIONS // 50), _fill(world, client, VERSIONS // 10)
    report.add(
        f"S3 sweep of {VERSIONS:,} versions",
        bare_loop_s=hand_s,
        execute_s=execute_s,
        execute_vs_bare_loop=execute_s / hand_s,
        plan_s=plan_s,
        probe_s=probe_s,
        peak_small_mib=peak_mib(lambda: engine(client, small)),
        peak_five_times_larger_mib=peak_mib(lambda: engine(client, large)),
    )


def bare_loop(client: S3Client, bucket: str) -> None:
    """What one would write by hand: list a page, delete the page."""
    pages: Iterator[Any] = iter(
        client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="user-content/1/")
    )
    for page in pages:
        found = [
            {"Key": v["Key"], "VersionId": v["VersionId"]}
            for v in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if found:
            client.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})


def engine(client: S3Client, bucket: str) -> tuple[float, float, float]:
    """Seconds of the store's plan, execution and probe for one person."""
    described = {
        "store": "content",
        "kind": "s3",
        "connection": "content",
        "bucket": bucket,
        "content": [{"prefix": "user-content/{subject}/", "category": "user.content", "purposes": []}],
    }
    store = S3Store(BucketMap.model_validate(described), client)
    cohort = Cohort(uuid4(), 1, lambda: iter([Member("1")]))
    began = time.perf_counter()
    plan = store.plan_erasure(cohort, uuid4(), as_of=AS_OF)
    planned = time.perf_counter()
    store.execute(plan, cohort, OpenGate())
    executed = time.perf_counter()
    if not store.probe(plan, cohort).clean:
        raise RuntimeError("the benchmark's sweep left versions behind")
    return planned - began, executed - planned, time.perf_counter() - executed


def _client(world: World) -> S3Client:
    return s3_client(
        region=objects.REGION,
        endpoint_url=world.s3_endpoint,
        access_key=objects.ACCESS_KEY,
        secret_key=objects.SECRET_KEY,
    )


def _fill(world: World, client: S3Client, versions: int) -> str:
    """A bucket with ``versions`` versions under one prefix, ten to a key."""
    bucket = objects.create_bucket(objects.s3_client(world.s3_endpoint), f"bench-{uuid4().hex[:12]}")
    keys = (f"user-content/1/{i // PER_KEY:07}.bin" for i in range(versions))
    with ThreadPoolExecutor(max_workers=4) as threads:
        for _ in threads.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys):
            pass
    return bucket
