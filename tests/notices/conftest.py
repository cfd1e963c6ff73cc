"""A campaign's world: a platform, a ledger, two providers of mail in this process, and a version to announce."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from include.privacy import runtime
from include.privacy.connections import ConnectionInfo, connection
from include.privacy.ledger import Ledger, migrate
from include.privacy.notices import campaigns, deciding, entering, gathering, proving, reporting, sending
from include.privacy.policy.loading import load_config
from include.privacy.steps import runs
from include.sandbox import next_version
from tests.processors.standing import Standing, standing

if TYPE_CHECKING:
    from include.sandbox.world import World
    from tests.conftest import Platform

MASTER_KEY = bytes(range(32))
VERSION = next_version.VERSION
KEY = "SG." + "n" * 22 + "." + "k" * 43


@dataclass
class Campaign:
    """What a test does with it; ``now`` is the instant of every run and every call."""

    platform: Platform
    ledger: Ledger
    sendgrid: Standing
    postmark: Standing
    config: Path
    now: datetime
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
        run = self.open_run(dry_run=dry_run)
        versions = campaigns.take_up(run)
        done: dict[str, Any] = {"versions": versions, "unasked": campaigns.ring(run)}
        for version in versions:
            done["gathered"] = gathering.gather(run, version)
            done["sent"] = sending.send(run, version)
            done["looked"] = proving.look(run, version)
            done["told"] = proving.tell_in_app(run, version)
            done["concluded"] = proving.conclude(run, version)
        done["in_force"] = entering.enter(run)
        done["accepted"] = entering.accept(run)
        done["report"] = reporting.report(run, versions)
        self.done = done
        return done

    def approve(self) -> None:
        """Somebody approves what is proposed."""
        run = self.open_run()
        campaigns.take_up(run)
        (asked,) = deciding.question()
        deciding.write_decision(
            [
                {
                    "chosen_options": [deciding.APPROVE],
                    "params_input": asked["params"],
                    "responded_by_user": {"id": "7", "name": "dpo"},
                }
            ]
        )

    def later(self, **by: float) -> None:
        """Time passes."""
        self.now += timedelta(**by)

    @property
    def row(self) -> Any:
        """The campaign in the ledger."""
        return self.ledger.notice_campaign(VERSION)

    def states(self) -> dict[str, int]:
        """How many people are in which state."""
        reached = self.ledger.coverage(self.row.id)
        return dict(Counter(reached.states) + Counter(reached.joined))

    def mailbox(self) -> Counter[str]:
        """Notices by the address that they arrived at, over both providers."""
        return arrived(self.sendgrid) + arrived(self.postmark)

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


def arrived(provider: Standing) -> Counter[str]:
    """Notices that were delivered, by address."""
    raise NotImplementedError


@pytest.fixture(scope="session")
def notice_ledger(world: World) -> str:
    """A migrated, empty ledger; every test copies it."""
    name = f"ledger_notices_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), "privacy_dags")
    return name


def connector(world: World, databases: dict[str, str], endpoints: dict[str, str]) -> Any:
    """Connections of the world, with other databases and endpoints behind some of them."""

    def connect(conn_id: str) -> ConnectionInfo:
        found = connection(conn_id)
        if conn_id in databases:
            return replace(found, schema=databases[conn_id])
        if conn_id in endpoints:
            return replace(found, extra={**found.extra, "endpoint_url": endpoints[conn_id]}, password=KEY)
        return found

    return connect
