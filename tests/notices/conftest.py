"""A campaign's world: a platform, a ledger, two providers of mail in this process, and the next version."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from include.privacy import runtime
from include.privacy.connections import ConnectionInfo
from include.privacy.ledger import Ledger, migrate
from include.privacy.notices import campaigns, deciding
from include.privacy.policy.loading import load_config
from include.privacy.steps import runs
from include.sandbox import next_version
from include.sandbox.processors.mailbox import arrivals
from tests.notices import sender
from tests.processors.standing import Standing, standing

if TYPE_CHECKING:
    from include.sandbox.world import World
    from tests.conftest import Platform

MASTER_KEY = bytes(range(32))
VERSION = next_version.VERSION
KEYS = {"sendgrid": "SG." + "n" * 22 + "." + "k" * 43, "postmark": "00000000-1111-2222-3333-444444444444"}


@dataclass(frozen=True)
class Providers:
    """Who delivers: SendGrid and Postmark with their keys, and the folder with the mailbox of both."""

    sendgrid: Standing
    postmark: Standing
    folder: Path
    keys: dict[str, str]


@dataclass
class Campaign:
    """What a test does with it; ``now`` is the instant of every run and every call."""

    platform: Platform
    ledger: Ledger
    sendgrid: Standing
    postmark: Standing
    config: Path
    now: datetime
    folder: Path
    connect: Callable[[str], ConnectionInfo]
    earlier: Counter[str]
    runs: int = 0
    done: dict[str, Any] = field(default_factory=dict)

    def open_run(self, *, dry_run: bool = False) -> str:
        """A run of the DAG."""
        self.runs += 1
        config = runtime.runtime().config()
        return str(
            self.ledger.open_run(
                "policy_notice", f"run {self.runs}", self.now, dry_run, config.policy.version, config.digest
            )
        )

    def turn(self, *, dry_run: bool = False) -> dict[str, Any]:
        """One run of the DAG, its tasks in their order."""
        self.done = sender.turn(self.open_run(dry_run=dry_run), self.now)
        return self.done

    def approve(self) -> None:
        """Somebody approves what is proposed."""
        run = self.open_run()
        campaigns.take_up(run)
        answer = {"chosen_options": [deciding.APPROVE], "responded_by_user": {"id": "7", "name": "dpo"}}
        deciding.write_decision([answer], deciding.take())

    def later(self, **by: float) -> None:
        """Time passes."""
        self.at(self.now + timedelta(**by))

    def at(self, now: datetime) -> None:
        """It is this time, here and at the providers."""
        self.now = now
        for provider in (self.sendgrid, self.postmark):
            offset = (now - datetime.now(UTC)).total_seconds()
            provider.control.configure(clock_offset_seconds=offset)

    @property
    def row(self) -> Any:
        """The campaign in the ledger."""
        return self.ledger.notice_campaign(VERSION)

    def states(self) -> dict[str, int]:
        """How many people are in which state."""
        reached = self.ledger.coverage(self.row.id)
        return dict(Counter(reached.states) + Counter(reached.joined))

    def mailbox(self) -> Counter[str]:
        """Letters of this campaign by the address that they arrived at, over both providers."""
        return arrivals(self.folder) - self.earlier

    def addresses(self) -> set[str]:
        """Who is to hear of it, by the platform's own rows."""
        rows = self.rows(
            "accounts",
            "SELECT email FROM accounts a WHERE deleted_at IS NULL AND NOT EXISTS "
            "(SELECT FROM privacy_restrictions r WHERE r.account_id = a.id AND r.purpose = '*')",
        )
        return {row[0] for row in rows}

    def rows(self, store: str, query: str, *parameters: Any) -> list[Any]:
        """Rows of a store, as its owner; what is no query is carried out."""
        with psycopg.connect(self.platform.dsn(store), autocommit=True) as opened:
            cursor = opened.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def notice_ledger(world: World) -> Iterator[str]:
    """A migrated, empty ledger; every test copies it."""
    name = f"ledger_notices_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), "privacy_dags")
    yield name
    world.postgres.drop_database(name)


def connections(
    world: World, databases: dict[str, str], endpoints: dict[str, str], keys: dict[str, str]
) -> Callable[[str], ConnectionInfo]:
    """The world's connections, with other databases and providers behind some of them."""

    def connect(conn_id: str) -> ConnectionInfo:
        value = json.loads(world.env[f"AIRFLOW_CONN_{conn_id.upper()}"])
        extra = dict(value.get("extra") or {})
        if conn_id in endpoints:
            extra["endpoint_url"] = endpoints[conn_id]
        return ConnectionInfo(
            conn_id,
            value["conn_type"],
            value.get("host"),
            value.get("port"),
            value.get("login"),
            keys.get(conn_id, value.get("password")),
            databases.get(conn_id, value.get("schema")),
            extra,
        )

    return connect


@pytest.fixture
def accounts_only(platform_template: Platform) -> Iterator[Platform]:
    """A copy of the accounts; of the practice database notices read the sessions and nothing else."""
    world, name = platform_template.world, f"accounts_{uuid4().hex[:10]}"
    world.postgres.create_database(name, "platform", platform_template.accounts)
    yield replace(platform_template, accounts=name)
    world.postgres.drop_database(name)


@pytest.fixture
def providers(tmp_path: Path) -> Iterator[Providers]:
    """Stand-ins in this process, with a mailbox of their own."""
    folder = tmp_path / "stands"
    with (
        standing("sendgrid", folder, KEYS["sendgrid"]) as sendgrid,
        standing("postmark", folder, KEYS["postmark"]) as postmark,
    ):
        yield Providers(sendgrid, postmark, folder, KEYS)


@pytest.fixture
def campaign(
    world: World,
    accounts_only: Platform,
    notice_ledger: str,
    providers: Providers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Campaign]:
    """A version that applies in 40 days, drafted and complete; nothing is approved yet."""
    database = f"ledger_{uuid4().hex[:10]}"
    world.postgres.create_database(database, "ledger_owner", notice_ledger)
    with psycopg.connect(world.dsn(database), autocommit=True) as connection:
        # As in a deployment: the DAGs' role makes no table in the ledger, not even a temporary one.
        connection.execute(f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC'.encode())
    config = next_version.copy_config(tmp_path / "config")
    now = datetime.now(UTC)
    next_version.announce(config, (now + timedelta(days=40)).date())
    monkeypatch.setenv("PRIVACY_MASTER_KEY", base64.b64encode(MASTER_KEY).decode())
    with ExitStack() as stack:
        databases = {"accounts_db": accounts_only.accounts, "practice_db": accounts_only.practice}
        connect = connections(
            world,
            databases | {"privacy_ledger": database},
            {"sendgrid": providers.sendgrid.endpoint, "postmark": providers.postmark.endpoint},
            providers.keys,
        )
        ledger = stack.enter_context(Ledger(world.dsn(database, "privacy_dags"), MASTER_KEY))
        rt = stack.enter_context(runtime.use_runtime(runtime.Runtime(connect, lambda: load_config(config))))
        made = Campaign(
            accounts_only,
            ledger,
            providers.sendgrid,
            providers.postmark,
            config,
            now,
            providers.folder,
            connect,
            arrivals(providers.folder),
        )
        monkeypatch.setattr(runs, "current_instant", lambda: made.now)
        yield made
        rt.close()
    world.postgres.drop_database(database)


@pytest.fixture
def approved(campaign: Campaign) -> Campaign:
    """The same, approved, on the day on which sending begins."""
    campaign.approve()
    campaign.later(days=5, hours=1)
    return campaign
