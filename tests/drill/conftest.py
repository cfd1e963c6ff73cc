"""A drill in the embedded world: an estate of its own, with the sandbox's planter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.runs.conftest import *  # noqa: F403 - the estate and what it needs
from tests.runs.conftest import BACKUPS, Estate

if TYPE_CHECKING:
    from include.privacy.ledger.drills import DrillRow

STEP = timedelta(minutes=30)


@dataclass
class Drilled:
    """The estate, and its clock."""

    estate: Estate
    as_of: datetime

    def drill(self, after: timedelta = STEP) -> Any:
        """The next run of the DAG."""
        self.as_of += after
        return self.estate.run("run_drill", as_of=self.as_of)

    def until(self, *states: str) -> Any:
        """Runs of the drill, and of whatever answers it in between, until it is in one of the states."""
        for _ in range(12):
            run = self.drill()
            state = self.latest().state
            if state in states or run.state == "failed":
                break
            # A failed drill asks for an erasure too.
            right = "erasure" if state == "clearing" else state.removeprefix("asked_")
            assert self.estate.fulfil(right, as_of=self.as_of).state == "success"
        return run

    def latest(self) -> DrillRow:
        found = self.estate.ledger.latest_drill()
        assert found is not None
        return found

    def report(self) -> dict[str, Any]:
        row = self.estate.ledger.latest_run("drill")
        assert row is not None and row.summary is not None
        return dict(row.summary)

    def states(self) -> list[str]:
        """Every state that the evidence has."""
        return [e.body["state"] for e in self.estate.ledger.evidence(kind="drill")]

    def breaches(self) -> dict[tuple[str, str], int]:
        found = self.estate.ledger.open_breaches()
        return {(b.rule, b.store): b.count for b in found if b.rule.endswith(" drill")}


@pytest.fixture
def drilled(
    estate: Estate, queue_url: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Drilled]:
    """Restored copies, doorbell and superuser of this test's own world; its backups go with it."""
    env = estate.world.env
    for store in ("accounts", "practice"):
        key = f"AIRFLOW_CONN_DRILL_{store.upper()}_DB"
        name = f"{getattr(estate.platform, store)}_drill"
        monkeypatch.setenv(key, json.dumps(json.loads(env[key]) | {"schema": name}))
    queue = json.loads(env["AIRFLOW_CONN_REQUEST_QUEUE"])
    queue["extra"] |= {"queue_url": queue_url}
    monkeypatch.setenv("AIRFLOW_CONN_REQUEST_QUEUE", json.dumps(queue))
    monkeypatch.setenv("PGPASSWORD", env["PGPASSWORD"])
    before = _versions(s3_client)
    yield Drilled(estate, estate.as_of)
    for key, version in _versions(s3_client) - before:
        s3_client.delete_object(Bucket=BACKUPS, Key=key, VersionId=version)
    for store in ("accounts", "practice"):
        estate.world.postgres.drop_database(f"{getattr(estate.platform, store)}_drill")


def _versions(s3_client: Any) -> set[tuple[str, str]]:
    pages = s3_client.get_paginator("list_object_versions").paginate(Bucket=BACKUPS)
    return {(v["Key"], v["VersionId"]) for page in pages for v in page.get("Versions", [])}
