"""Whole DAGs on the embedded world: an Airflow of the tests' own, with sqlite as its metadata.

Airflow reads its settings when it is imported, so they are set as soon as this file is.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import PLATFORM_AS_OF

if TYPE_CHECKING:
    from include.privacy.ledger import Ledger
    from include.sandbox.world import World
    from tests.conftest import Platform

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="privacy-airflow-"))
MASTER_KEY = bytes(range(32))
CONTENT, BACKUPS, COPY = (
    "practice-engine-user-content",
    "practice-engine-backups",
    "practice-engine-backups-copy",
)
ARCHIVES = "practice-engine-privacy-archives"
EVIDENCE = "practice-engine-privacy-evidence"

RUNS: set[str] = set()
"""The DAGs that this session has run."""
DEFAULTS: dict[str, dict[str, Any]] = {}

AIRFLOW_ENV = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW_CONFIG": str(ROOT / "config" / "airflow.cfg"),
    "PRIVACY_ROOT": str(ROOT),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(HOME / "bundles"),
    "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "AIRFLOW__API_AUTH__JWT_SECRET": "tests-only-" * 6,
}
os.environ.update(AIRFLOW_ENV)


@pytest.fixture(scope="session")
def airflow() -> Iterator[Any]:
    """The DAGs of the bundle, with metadata to run in."""
    from airflow.utils.db import initdb

    initdb()
    from airflow.dag_processing import dagbag
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=str(ROOT), bundle_path=str(ROOT), bundle_name="privacy")
    assert not bag.import_errors
    # dag.test() parses and stores the whole bundle at every call; it does not change in a session.
    stored: set[str] = set()
    store = dagbag.sync_bag_to_db

    def store_once(given: Any, bundle: str, *more: Any, **options: Any) -> None:
        if bundle not in stored:
            store(given, bundle, *more, **options)
            stored.add(bundle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dagbag, "sync_bag_to_db", store_once)
        patch.setattr(dagbag, "BundleDagBag", lambda **_: bag)
        yield bag
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def ledger_template(world: World) -> str:
    """A migrated, empty ledger; every test copies it."""
    from include.privacy.ledger import migrate

    name = f"ledger_runs_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), "privacy_dags")
    return name


@pytest.fixture(scope="session")
def buckets(world: World, platform_template: Platform, s3_client: Any, gcs_client: Any) -> None:
    """The platform's three buckets with their backups, and ours for archives."""
    from include.sandbox.gcs import close_to_the_public
    from include.sandbox.objects import block_public_access, create_bucket
    from include.sandbox.platform.backups import write_backups

    for name in (CONTENT, BACKUPS, ARCHIVES):
        block_public_access(s3_client, create_bucket(s3_client, name))
    block_public_access(s3_client, create_bucket(s3_client, EVIDENCE, object_lock=True))
    copy = close_to_the_public(gcs_client.bucket(COPY))
    copy.versioning_enabled = True
    copy.soft_delete_policy.retention_duration_seconds = 7 * 24 * 3600
    copy.create()
    write_backups(
        platform_template.dsn("accounts"),
        platform_template.dsn("practice"),
        as_of=PLATFORM_AS_OF,
        s3=s3_client,
        s3_bucket=BACKUPS,
        gcs_bucket=copy,
        oldest_days=172,
        every_days=43,
    )


@dataclass
class Estate:
    """One test's own databases behind the real DAGs."""

    platform: Platform
    world: World
    ledger: Ledger
    bag: Any
    as_of: datetime = PLATFORM_AS_OF
    whole: bool = False

    def run(
        self,
        dag_id: str,
        conf: dict[str, Any] | None = None,
        *,
        as_of: datetime | None = None,
        retries: int = 0,
    ) -> Any:
        """Run a DAG to its end, with no retries or some at once, and return its run.

        By Airflow (``dag.test()``) in tests marked ``whole_dag`` and where people or other DAGs take part;
        otherwise its tasks only (see ``quick.py``).
        """
        from airflow.sdk.definitions._internal.types import is_arg_set

        from tests.runs.quick import can_run, run_quickly

        dag = self.bag.dags[dag_id]
        # dag.test() leaves one run's conf in the DAG's params: every run says what it wants.
        given = DEFAULTS.setdefault(dag_id, {k: v for k, v in dag.params.dump().items() if is_arg_set(v)})
        wanted = {**given, **(conf or {})}
        if not self.whole and can_run(dag):
            return run_quickly(dag, wanted, as_of or self.as_of, retries=retries)
        for each in dag.tasks:
            each.retries, each.retry_delay, each.retry_exponential_backoff = retries, timedelta(0), 0
        run = dag.test(run_after=as_of or self.as_of, logical_date=None, run_conf=wanted)
        RUNS.add(dag_id)
        return run

    def states(self, run: Any) -> dict[str, list[str]]:
        """State of every task instance of a run, by task."""
        found: dict[str, list[str]] = {}
        for ti in run.get_task_instances():
            found.setdefault(ti.task_id, []).append(str(ti.state))
        return found

    def value(self, store: str, query: str, *parameters: Any) -> Any:
        """One value from a store, asked as its owner."""
        with psycopg.connect(self.platform.dsn(store)) as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return row[0] if row else None

    def due(self) -> list[int]:
        """Accounts that the purge is due for."""
        with psycopg.connect(self.platform.dsn("accounts")) as connection:
            rows = connection.execute(
                "SELECT id FROM accounts WHERE deleted_at <= %s ORDER BY id",
                (self.as_of - timedelta(days=30),),
            )
            return [row[0] for row in rows]

    def fulfil(self, right: str, *, as_of: datetime | None = None) -> Any:
        """Take in what waits, run the DAG of the right, and let the recipients finish; returns its run."""
        intake = self.run("intake_subject_requests", as_of=as_of)
        assert intake.state == "success", self.states(intake)
        run = self.run(f"fulfil_{right}_requests", as_of=as_of)
        self.settle(as_of=as_of)
        return run

    def settle(self, *, as_of: datetime | None = None) -> None:
        """Staff see to what is manual, and the processors finish what they have begun."""
        for minutes in (5, 20):
            waiting = self.ledger.requests(["awaiting_recipients"])
            if not waiting:
                return
            for request in waiting:
                for row in self.ledger.recipients(request.id):
                    if row.state == "manual":
                        form = {"request_id": str(request.id), "recipient": row.recipient, "proof": "PR-1"}
                        assert self.run("confirm_recipient", form).state == "success"
            self.run("settle_recipients", as_of=(as_of or self.as_of) + timedelta(minutes=minutes))

    def ask(
        self,
        account_id: int,
        right: str = "erasure",
        *,
        verified: bool = True,
        details: dict[str, Any] | None = None,
        channel: str = "app",
    ) -> str:
        """The platform's click; no doorbell."""
        from include.sandbox.platform.app import open_request

        with psycopg.connect(self.platform.dsn("accounts")) as accounts:
            return open_request(
                accounts,
                None,
                "",
                account_id,
                right,
                channel=channel,
                session=verified,
                details=details,
                at=self.as_of - timedelta(hours=2),
            )

    def answers(self) -> list[dict[str, Any]]:
        """What waits in the platform's outbox."""
        from include.sandbox.platform.app import deliver_answers

        with psycopg.connect(self.platform.dsn("accounts")) as accounts:
            return deliver_answers(accounts)


@pytest.fixture(scope="session")
def prompt_processors(world: World) -> None:
    """Jobs at the stand-ins are done when they are asked about; each adapter is tested with long ones."""
    from include.sandbox.processors.control import ProcessorControl

    for name, settings in {
        "postmark": {"removal_seconds": 0},
        "sendgrid": {"job_seconds": 0, "erase_seconds": 0},
        "stripe": {"job_seconds": 0},
    }.items():
        ProcessorControl(world.processor_endpoints[name]).configure(**settings)


@pytest.fixture
def estate(
    world: World,
    platform: Platform,
    ledger_template: str,
    buckets: None,
    prompt_processors: None,
    airflow: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Estate]:
    """The platform, a ledger and connections for one test; "now" is shortly after the platform's instant."""
    from include.privacy import runtime
    from include.privacy.ledger import Ledger
    from include.privacy.processors.pacing import Pace
    from include.privacy.steps import runs

    name = f"ledger_{uuid4().hex[:10]}"
    world.postgres.create_database(name, "ledger_owner", ledger_template)
    env = dict(world.env) | {"PRIVACY_MASTER_KEY": base64.b64encode(MASTER_KEY).decode()}
    for conn_id, database in (
        ("ACCOUNTS_DB", platform.accounts),
        ("PRACTICE_DB", platform.practice),
        ("PRIVACY_LEDGER", name),
    ):
        key = f"AIRFLOW_CONN_{conn_id}"
        env[key] = json.dumps(json.loads(env[key]) | {"schema": database})
    for key, value in env.items():
        if key.startswith(("AIRFLOW_CONN_", "PRIVACY_MASTER")):
            monkeypatch.setenv(key, value)
    # dag.test() sleeps a second whenever nothing can be scheduled in a pass.
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.02)))
    # The stand-ins have no limits here: what the pace does is tested by itself.
    monkeypatch.setattr(Pace, "wait", lambda self: None)
    monkeypatch.setattr(runs, "current_instant", lambda: PLATFORM_AS_OF + timedelta(days=30))
    with (
        Ledger(world.dsn(name, "privacy_dags"), MASTER_KEY) as ledger,
        runtime.use_runtime(runtime.Runtime()) as rt,
    ):
        whole = request.node.get_closest_marker("whole_dag") is not None
        yield Estate(platform, world, ledger, airflow, whole=whole)
        rt.close()
    world.postgres.drop_database(name)


@pytest.fixture
def content(platform: Platform, s3_client: Any, buckets: None) -> Callable[[int], int]:
    """Uploads everybody's content; returns a counter of a person's versions."""
    from include.sandbox.platform.content import upload_content

    upload_content(s3_client, CONTENT, platform.dsn("accounts"), share=0.02, limit=40)

    def versions(account_id: int) -> int:
        found = s3_client.list_object_versions(Bucket=CONTENT, Prefix=f"user-content/{account_id}/")
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))

    return versions
