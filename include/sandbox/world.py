"""The embedded world: PostgreSQL, S3 with SQS, GCS and the processors on 127.0.0.1.

``start_world(folder)`` … ``stop_world(folder)``; ``with World(folder) as world:`` does both. What runs
is in ``<folder>/state.json``, what others need to reach it in ``world.env`` and ``<folder>/env``.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from include.sandbox import gcs, objects, postgres, processors
from include.sandbox.processes import ProcessTable, SandboxError, wait_until
from include.sandbox.processors import postmark

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
GCS_PROJECT = "practice-engine-sandbox"


class World:
    """A running (or to be started) world in a folder of its own.

    ``durable=False`` switches fsync off; ``tied`` ends the servers with this process; both for tests.
    """

    def __init__(self, folder: Path, *, durable: bool = True, tied: bool = False) -> None:
        self.folder = folder.resolve()
        self.table = ProcessTable(self.folder)
        self.durable = durable
        self.tied = tied
        self.postgres: postgres.PostgresServer
        self.s3_endpoint = ""
        self.gcs_endpoint = ""
        self.processor_endpoints: dict[str, str] = {}
        self.processor_keys: dict[str, str] = {}
        self.queue_url = ""
        self.dead_letter_url = ""
        self.master_key = ""
        self.suppression_key = ""
        self.evidence_key = ""

    def __enter__(self) -> World:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> World:
        """Begin anew in the folder: old data go, servers start, databases, roles and the queue exist.

        Raises :class:`SandboxError` when a world already runs here, or a server does not come up
        (then everything started is stopped again).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # PostgreSQL runs as another account and has to pass through; the files keep their own modes.
            self.folder.chmod(self.folder.stat().st_mode | 0o011)
        with _locked(self.folder):
            running = self.table.running()
            if running:
                names = ", ".join(process.name for process in running)
                raise SandboxError(
                    f"A world already runs in {self.folder} ({names}). Stop it first: make stop."
                )
            # What a crash left running without a record is found by its token.
            self.table.stop()
            _clear(self.folder)
            try:
                self._start()
            except BaseException:
                self.table.stop()
                raise
        return self

    def _start(self) -> None:
        objects_process, self.s3_endpoint = objects.start_objects(self.table, tied=self.tied)
        gcs_process, self.gcs_endpoint = gcs.start_gcs(self.table, root=ROOT, tied=self.tied)
        self.processor_keys = {name: processors.new_key(name) for name in processors.MAKERS}
        processors_process, self.processor_endpoints = processors.start_processors(
            self.table, self.processor_keys, root=ROOT, tied=self.tied
        )
        self.postgres = postgres.create_server(self.folder, durable=self.durable, tied=self.tied)
        self.postgres.start(self.table)
        postgres.create_roles_and_databases(self.postgres)
        wait_until(lambda: objects.answers(self.s3_endpoint), process=objects_process, seconds=60)
        wait_until(lambda: gcs.answers(self.gcs_endpoint), process=gcs_process, seconds=60)
        wait_until(lambda: processors.ready(self.processor_endpoints), process=processors_process, seconds=60)
        sqs = objects.sqs_client(self.s3_endpoint)
        self.dead_letter_url = objects.create_queue(sqs, objects.DEAD_LETTERS)
        self.queue_url = objects.create_queue(sqs, dead_letters=self.dead_letter_url)
        self.master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.suppression_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.evidence_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.table.update(world=self._facts())
        write_env(self.folder / "env", self.env)

    def _facts(self) -> dict[str, Any]:
        server = asdict(self.postgres) | {
            "data": str(self.postgres.data),
            "binaries": str(self.postgres.binaries),
        }
        return {
            "postgres": server,
            "s3_endpoint": self.s3_endpoint,
            "gcs_endpoint": self.gcs_endpoint,
            "processor_endpoints": self.processor_endpoints,
            "processor_keys": self.processor_keys,
            "queue_url": self.queue_url,
            "dead_letter_url": self.dead_letter_url,
            "master_key": self.master_key,
            "suppression_key": self.suppression_key,
            "evidence_key": self.evidence_key,
        }

    def stop(self) -> None:
        """Stop every process of this world, those that others added to its table included."""
        stop_world(self.folder)

    def stop_postgres(self) -> None:
        """Take the databases down; :meth:`start_postgres` brings them back as they were."""
        self.table.stop(["postgres"])

    def start_postgres(self) -> None:
        """Start the databases again after :meth:`stop_postgres`, or after they were killed."""
        deadline = time.monotonic() + 5
        while self.table.find("postgres"):
            if time.monotonic() > deadline:
                raise SandboxError(f"PostgreSQL already runs in {self.folder}.")
            time.sleep(0.05)
        try:
            self.postgres.start(self.table)
        except SandboxError:
            # After a kill, sessions need a moment to let go of the shared memory.
            time.sleep(1)
            self.postgres.start(self.table)

    def dsn(self, database: str, role: str = postgres.SUPERUSER) -> str:
        """A PostgreSQL URL with password. Roles: see ``include/sandbox/postgres.py``."""
        return self.postgres.dsn(database, role)

    @property
    def env(self) -> dict[str, str]:
        """Everything a process needs to talk to this world: connections, addresses, keys."""
        server = self.postgres
        google = {"project": GCS_PROJECT, "endpoint_url": self.gcs_endpoint}
        queue = self._aws(queue_url=self.queue_url, dead_letter_url=self.dead_letter_url)
        env = {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(value)
            for name, value in {
                "accounts_db": self._database("accounts", postgres.DAG_ROLE),
                "practice_db": self._database("practice", postgres.DAG_ROLE),
                "drill_accounts_db": self._database("accounts_drill", postgres.DAG_ROLE),
                "drill_practice_db": self._database("practice_drill", postgres.DAG_ROLE),
                "privacy_ledger": self._database("ledger", postgres.DAG_ROLE),
                "privacy_ledger_owner": self._database("ledger", "ledger_owner"),
                "airflow_metadata": self._database("airflow", "airflow"),
                "user_content_s3": self._aws(),
                "privacy_archives": self._aws(kms_key_id=objects.ARCHIVE_KEY),
                "backups_s3": self._aws(),
                "backups_gcs": {"conn_type": "google_cloud_platform", "extra": google},
                "request_queue": queue,
                "privacy_suppression_key": {"conn_type": "generic", "password": self.suppression_key},
                "privacy_evidence": self._aws(),
                "privacy_evidence_key": {"conn_type": "generic", "password": self.evidence_key},
                "aws_rds": self._aws(endpoint_url=self.processor_endpoints[processors.RDS]),
                "aws_logs": self._aws(),
                **{name: self._security() for name in ("aws_iam", "aws_guardduty", "aws_cloudtrail")},
                "google_cloud_sql": self._google(),
                "google_cloud_logging": self._google(),
                **{
                    name: self._processor(name)
                    for name in processors.MAKERS
                    if name not in (processors.RDS, processors.GOOGLE_CLOUD, processors.AWS_SECURITY)
                },
            }.items()
        }
        return env | {
            "PRIVACY_MASTER_KEY": self.master_key,
            "PRIVACY_ROOT": str(ROOT),
            "AWS_ENDPOINT_URL": self.s3_endpoint,
            "AWS_ACCESS_KEY_ID": objects.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": objects.SECRET_KEY,
            "AWS_DEFAULT_REGION": objects.REGION,
            "AWS_REGION": objects.REGION,
            "SQS_QUEUE_URL": self.queue_url,
            "SQS_DEAD_LETTER_URL": self.dead_letter_url,
            "STORAGE_EMULATOR_HOST": self.gcs_endpoint,
            "GOOGLE_CLOUD_PROJECT": GCS_PROJECT,
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": postgres.SUPERUSER,
            "PGPASSWORD": server.passwords[postgres.SUPERUSER],
            "AIRFLOW_DATABASE_URL": self.dsn("airflow", "airflow").replace(
                "postgresql:", "postgresql+psycopg2:", 1
            ),
            "PLATFORM_ACCOUNTS_DSN": self.dsn("accounts", "platform"),
            "PLATFORM_PRACTICE_DSN": self.dsn("practice", "platform"),
            "PLATFORM_SUPPRESSION_KEY": self.suppression_key,
        }

    def _database(self, database: str, role: str) -> dict[str, Any]:
        server = self.postgres
        return {
            "conn_type": "postgres",
            "host": server.host,
            "port": server.port,
            "login": role,
            "password": server.passwords[role],
            "schema": database,
        }

    def _processor(self, name: str) -> dict[str, Any]:
        endpoint = {"endpoint_url": self.processor_endpoints[name]}
        login = {"login": processors.LOGINS[name]} if name in processors.LOGINS else {}
        if name == "postmark":
            endpoint["account_token"] = postmark.account_token(self.processor_keys[name])
        return {"conn_type": "generic", **login, "password": self.processor_keys[name], "extra": endpoint}

    def _security(self) -> dict[str, Any]:
        return self._aws(endpoint_url=self.processor_endpoints[processors.AWS_SECURITY])

    def _google(self) -> dict[str, Any]:
        endpoint = self.processor_endpoints[processors.GOOGLE_CLOUD]
        return {
            "conn_type": "google_cloud_platform",
            "extra": {"project": GCS_PROJECT, "endpoint_url": endpoint},
        }

    def _aws(self, **extra: str) -> dict[str, Any]:
        return {
            "conn_type": "aws",
            "login": objects.ACCESS_KEY,
            "password": objects.SECRET_KEY,
            "extra": {"region_name": objects.REGION, "endpoint_url": self.s3_endpoint, **extra},
        }


def start_world(folder: Path, *, durable: bool = True, tied: bool = False) -> World:
    """Start a world from nothing in ``folder``; see :meth:`World.start`."""
    return World(folder, durable=durable, tied=tied).start()


def open_world(folder: Path) -> World:
    """The world that already runs in ``folder``.

    Raises :class:`SandboxError` when it, or a part of it, does not run.
    """
    world = World(folder)
    facts = world.table.read().get("world")
    missing = {"postgres", "objects", "gcs", "processors"} - {
        process.name for process in world.table.running()
    }
    if not facts or missing:
        raise SandboxError(
            f"No complete world runs in {folder} (missing: {', '.join(sorted(missing))}). Run make demo."
        )
    server = facts["postgres"]
    user = tuple(server["user"]) if server["user"] else None
    paths = {"data": Path(server["data"]), "binaries": Path(server["binaries"])}
    world.postgres = postgres.PostgresServer(**{**server, **paths, "user": user})
    world.s3_endpoint, world.gcs_endpoint = facts["s3_endpoint"], facts["gcs_endpoint"]
    world.processor_endpoints = facts["processor_endpoints"]
    world.processor_keys = facts["processor_keys"]
    world.queue_url, world.dead_letter_url = facts["queue_url"], facts["dead_letter_url"]
    world.master_key, world.suppression_key = facts["master_key"], facts["suppression_key"]
    world.evidence_key = facts["evidence_key"]
    return world


def stop_world(folder: Path) -> list[str]:
    """Stop what runs in ``folder``, also after a crash; data and logs stay. Returns what had to be killed."""
    if not folder.exists():
        return []
    with _locked(folder):
        return ProcessTable(folder.resolve()).stop()


def write_env(path: Path, env: Mapping[str, str]) -> None:
    """Write ``export K='V'`` lines for a shell; readable by the owner only, as it holds passwords."""
    path.touch(mode=0o600)
    lines = [f"export {name}={_quoted(value)}\n" for name, value in sorted(env.items())]
    path.write_text("".join(lines))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _clear(folder: Path) -> None:
    postgres.remove_data(folder)
    for name in ("objects", "gcs", "mailbox", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("state.json", "env"):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One start or stop at a time in a folder; the lock goes with the process that holds it."""
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SandboxError(
                f"Another process is starting or stopping the world in {folder}; wait for it."
            ) from None
        yield
