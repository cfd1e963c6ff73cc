"""Build the platform in an embedded world: schemas, grants, people, uploads, backups.

``make demo`` uses the functions; docker-compose.yaml runs ``python -m include.sandbox.setup --stay``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grant_documents import sql_grants
from include.privacy.policy.loading import load_config
from include.sandbox import noticed, proven
from include.sandbox.airflow import Airflow, configure, run_command
from include.sandbox.gcs import PROJECT, close_to_the_public, gcs_client
from include.sandbox.objects import block_public_access, create_bucket, create_key, rds_client, s3_client
from include.sandbox.platform import clouds
from include.sandbox.platform.backups import BackupReport, write_backups
from include.sandbox.platform.content import ContentReport, upload_content
from include.sandbox.platform.seed import SeedReport, create_schema, seed
from include.sandbox.postgres import DAG_ROLE
from include.sandbox.processes import SandboxError
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.seeding import seed_processors
from include.sandbox.verify import Stores
from include.sandbox.world import ROOT, World, stop_world

FOLDER = ROOT / ".sandbox"
CONTENT, BACKUPS, BACKUP_COPY = (
    "practice-engine-user-content",
    "practice-engine-backups",
    "practice-engine-backups-copy",
)
ARCHIVES = "practice-engine-privacy-archives"
EVIDENCE = "practice-engine-privacy-evidence"
SOFT_DELETE_SECONDS = 7 * 24 * 3600  # Google's default
# The oldest archives are just past the target of 170 days. Google keeps what is deleted 7 days longer,
# so anything older than 173 days could no longer be gone for good within the promised 180.
OLDEST_BACKUP_DAYS = 172

Say = Callable[[str], None]


@dataclass(frozen=True)
class Platform:
    """What was put into the stores."""

    seeded: SeedReport
    content: ContentReport
    backups: BackupReport


def start(
    say: Say, folder: Path = FOLDER, overrides: Mapping[str, str] | None = None
) -> tuple[World, Airflow]:
    """A new world with empty platform databases, our ledger and work schemas, and the DAGs' grants."""
    stop_world(folder)
    say("Starting PostgreSQL, S3 with SQS, and GCS on 127.0.0.1")
    world = World(folder).start()
    config = noticed.write_version(folder)
    proven.date_audits(config)
    airflow = configure(world, {"PRIVACY_CONFIG_DIR": str(config), **(overrides or {})})
    say("Creating the platform's tables, the ledger, and the grants of the role that DAGs use")
    create_schema(world.env["PLATFORM_ACCOUNTS_DSN"], world.env["PLATFORM_PRACTICE_DSN"])
    apply_grants(world)
    privacy(airflow, "migrate")
    create_buckets(world)
    return world, airflow


def fill(world: World, say: Say, people: int, as_of: datetime) -> Platform:
    """People, uploads and backups. ``as_of`` is the instant the people's clocks are set by."""
    say(f"Filling the platform with {people:,} people and their attempts")
    seeded = seed(world.dsn("accounts"), world.dsn("practice"), people=people, as_of=as_of)
    say(f"Uploading what people made; seeded {seeded.people:,} people, {seeded.attempts:,} attempts")
    content = upload_content(s3_client(world.s3_endpoint), CONTENT, world.dsn("accounts"))
    say("Telling the processors' stand-ins who the people are")
    seed_processors(world)
    say("Writing real pg_dump backups of many past dates to S3, and their second copy to GCS")
    backups = write_backups(
        world.dsn("accounts"),
        world.dsn("practice"),
        as_of=as_of,
        s3=s3_client(world.s3_endpoint),
        s3_bucket=BACKUPS,
        gcs_bucket=gcs_client(world.gcs_endpoint).bucket(BACKUP_COPY),
        oldest_days=OLDEST_BACKUP_DAYS,
    )
    clouds.fill(world, as_of)
    return Platform(seeded, content, backups)


def create_buckets(world: World) -> None:
    """The five buckets, versioned, that of evidence with Object Lock; GCS with Google's own soft delete."""
    s3 = s3_client(world.s3_endpoint)
    for name in (CONTENT, BACKUPS, ARCHIVES):
        block_public_access(s3, create_bucket(s3, name))
    block_public_access(s3, create_bucket(s3, EVIDENCE, object_lock=True))
    create_key(world.s3_endpoint)
    google = gcs_client(world.gcs_endpoint)
    copy = close_to_the_public(google.bucket(BACKUP_COPY))
    copy.versioning_enabled = True
    copy.soft_delete_policy.retention_duration_seconds = SOFT_DELETE_SECONDS
    google.create_bucket(copy)


def privacy(airflow: Airflow, *arguments: str) -> str:
    """Run ``python -m include.privacy …`` in the world and return its output."""
    return run_command([sys.executable, "-m", "include.privacy", *arguments], airflow.env, seconds=120)


def stores(world: World) -> Stores:
    """The stores as their owners reach them, for checking."""
    return Stores(
        world.dsn("accounts"),
        world.dsn("practice"),
        s3_client(world.s3_endpoint),
        gcs_client(world.gcs_endpoint),
        CONTENT,
        BACKUPS,
        BACKUP_COPY,
        rds_client(world.processor_endpoints[RDS]),
        f"{world.processor_endpoints[GOOGLE_CLOUD]}/v1/projects/{PROJECT}/instances/{clouds.STANDBY}",
    )


def apply_grants(world: World) -> None:
    """Give the DAGs' role what the data map asks for, and nothing else."""
    config = load_config()
    for store in config.data_map.stores:
        if isinstance(store, DatabaseMap):
            statements = sql_grants(config, store, DAG_ROLE)
            with psycopg.connect(world.dsn(store.store), autocommit=True) as conn:
                conn.execute(statements.encode())


def main(argv: list[str] | None = None) -> int:
    """Build everything but Airflow; with ``--stay`` keep it running until told to stop."""
    parser = argparse.ArgumentParser(prog="include.sandbox.setup", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--stay", action="store_true", help="run until SIGTERM, then stop every server")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of Airflow"
    )
    arguments = parser.parse_args(argv)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)

    overrides: dict[str, Any] = dict(pair.split("=", 1) for pair in arguments.set)
    ready = FOLDER / "ready"
    ready.unlink(missing_ok=True)
    try:
        _, airflow = start(say, overrides=overrides)
        fill(_, say, arguments.people, datetime.now(UTC))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    ready.touch()
    say(
        f"Ready. Airflow's address and login once it runs: {airflow.url}  {airflow.user} / {airflow.password}"
    )
    if arguments.stay:
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.set())
        told.wait()
        stop_world(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
