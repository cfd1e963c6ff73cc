"""The embedded world for tests: one per test run, databases and buckets of its own for each test.

Nothing starts until a test asks for it. The servers die with the test run, even if that is killed.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from include.sandbox.gcs.control import GcsControl
    from include.sandbox.platform.seed import SeedReport
    from include.sandbox.world import World

PLATFORM_AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """PostgreSQL, S3, SQS and GCS on free ports; see ``include/sandbox/world.py``."""
    from include.sandbox.world import World

    # Not tmp_path_factory: its parents are closed to the account that runs PostgreSQL under root.
    folder = Path(tempfile.mkdtemp(prefix="privacy-tests-"))
    try:
        with World(folder, durable=False, tied=True) as running:
            yield running
    finally:
        from include.sandbox.postgres import remove_data

        remove_data(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_database(world: World) -> Iterator[Callable[..., str]]:
    """``fresh_database(owner="platform", template=None) -> dsn`` of the owner; dropped after the test.

    ``world.dsn(name, role)`` gives another role's URL: ``psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]``
    is the name.
    """
    created: list[str] = []

    def create(owner: str = "platform", template: str | None = None) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        dsn = world.postgres.create_database(name, owner, template or "template1")
        created.append(name)
        return dsn

    yield create
    for name in created:
        world.postgres.drop_database(name)


@pytest.fixture(scope="session")
def s3_client(world: World) -> S3Client:
    """A boto3 client for the world's S3."""
    from include.sandbox import objects

    return objects.s3_client(world.s3_endpoint)


@pytest.fixture(scope="session")
def sqs_client(world: World) -> SQSClient:
    """A boto3 client for the world's SQS."""
    from include.sandbox import objects

    return objects.sqs_client(world.s3_endpoint)


@pytest.fixture
def queue_url(sqs_client: SQSClient) -> Iterator[str]:
    """A queue of this test's own."""
    from include.sandbox import objects

    url = objects.create_queue(sqs_client, f"test-{uuid.uuid4().hex[:12]}")
    yield url
    sqs_client.delete_queue(QueueUrl=url)


@pytest.fixture
def bucket(s3_client: S3Client) -> Iterator[Callable[..., str]]:
    """``bucket(versioning=True, object_lock=False) -> name`` of an empty S3 bucket of this test's own."""
    from include.sandbox import objects

    created: list[str] = []

    def create(*, versioning: bool = True, object_lock: bool = False) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        created.append(objects.create_bucket(s3_client, name, versioning=versioning, object_lock=object_lock))
        return name

    yield create
    for name in created:
        # COMPLIANCE locks cannot be lifted, and tests delete buckets themselves: the world ends with the run.
        with contextlib.suppress(s3_client.exceptions.ClientError):
            objects.empty_bucket(s3_client, name)
            s3_client.delete_bucket(Bucket=name)


@pytest.fixture(scope="session")
def gcs_client(world: World) -> Client:
    """The real google-cloud-storage client against the world's GCS."""
    from include.sandbox import gcs

    return gcs.gcs_client(world.gcs_endpoint)


@pytest.fixture
def gcs_control(world: World) -> Iterator[GcsControl]:
    """The clock and the faults of the world's GCS; both are put right after the test."""
    from include.sandbox.gcs.control import GcsControl

    control = GcsControl(world.gcs_endpoint)
    yield control
    control.clear_faults()
    control.reset_clock()


@pytest.fixture
def gcs_bucket(gcs_client: Client) -> Callable[..., Bucket]:
    """``gcs_bucket(versioning=True, soft_delete_seconds=None, object_retention=False) -> Bucket``, empty.

    ``soft_delete_seconds`` None keeps Google's default of seven days; 0 switches soft delete off.
    """

    def create(
        *, versioning: bool = True, soft_delete_seconds: int | None = None, object_retention: bool = False
    ) -> Bucket:
        bucket = gcs_client.bucket(f"test-{uuid.uuid4().hex[:12]}")
        bucket.versioning_enabled = versioning
        if soft_delete_seconds is not None:
            bucket.soft_delete_policy.retention_duration_seconds = soft_delete_seconds
        bucket.create(enable_object_retention=object_retention)
        return bucket

    return create


@dataclass(frozen=True)
class Platform:
    """A seeded platform: the names of its two databases, and who is in them."""

    world: World
    accounts: str
    practice: str
    report: SeedReport

    def dsn(self, store: str, role: str = "postgres") -> str:
        """The URL of ``accounts`` or ``practice``; ``role="privacy_dags"`` is what DAGs use."""
        return self.world.dsn({"accounts": self.accounts, "practice": self.practice}[store], role)


@pytest.fixture(scope="session")
def platform_template(world: World) -> Iterator[Platform]:
    """300 people at ``PLATFORM_AS_OF``, work schemas, the grants of the DAGs' role; do not change it."""
    import psycopg

    from include.privacy.policy.data_map import DatabaseMap
    from include.privacy.policy.grant_documents import sql_grants
    from include.privacy.policy.loading import load_config
    from include.privacy.stores.postgres import PostgresStore
    from include.sandbox.platform.seed import create_schema, seed
    from include.sandbox.postgres import DAG_ROLE
    from include.sandbox.world import ROOT

    config = load_config(ROOT / "config")
    names = {store: f"{store}_template_{uuid.uuid4().hex[:8]}" for store in ("accounts", "practice")}
    for name in names.values():
        world.postgres.create_database(name, "platform")
    dsns = [world.dsn(name) for name in names.values()]
    create_schema(*dsns)
    report = seed(*dsns, people=300, attempts_per_person=20, as_of=PLATFORM_AS_OF)
    for store, name in names.items():
        mapped = config.data_map[store]
        assert isinstance(mapped, DatabaseMap)
        with psycopg.connect(world.dsn(name), autocommit=True) as conn:
            grants = sql_grants(config, mapped, DAG_ROLE)
            conn.execute(grants.encode())
        adapter = PostgresStore(mapped, world.dsn(name, DAG_ROLE))
        adapter.migrate_workspace()
        adapter.migrate_views(config.policy.purposes)
    yield Platform(world, **names, report=report)
    for name in names.values():
        world.postgres.drop_database(name)


@pytest.fixture
def platform(platform_template: Platform) -> Iterator[Platform]:
    """A copy of the seeded platform for this test alone."""
    world, copies = platform_template.world, {}
    for store in ("accounts", "practice"):
        copies[store] = f"{store}_{uuid.uuid4().hex[:10]}"
        world.postgres.create_database(copies[store], "platform", getattr(platform_template, store))
    yield Platform(world, **copies, report=platform_template.report)
    for name in copies.values():
        world.postgres.drop_database(name)
