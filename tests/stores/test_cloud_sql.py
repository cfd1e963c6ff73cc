"""Backups of Cloud SQL: two lists made one, deletions that take time, requests as Google documents them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from include.privacy.planning.models import PlanError
from include.privacy.policy.clouds import Snapshots
from include.privacy.policy.policy import SnapshotAgeRule
from include.privacy.stores.aws import CloudError
from include.privacy.stores.cloud_sql import CloudSql
from include.privacy.stores.google_api import google_api
from include.privacy.stores.log_retention import CloudLogging
from include.privacy.stores.snapshots import SnapshotStore
from tests.processors.standing import Standing, standing
from tests.stores.buckets import Gate
from tests.stores.discovery import judge

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
PROJECT = "some-project"
SNAPSHOTS = Snapshots(
    store="snapshots", kind="cloud_sql", connection="c", sources={"main": "accounts", "gone": "practice"}
)
RULE = SnapshotAgeRule(
    id="r",
    kind="snapshot_age",
    promise="P4.3",
    store="snapshots",
    target_days=170,
    limit_days=180,
    guard={"max_share": 1.0, "max_count": 10},
)


def ago(days: float) -> str:
    return (AS_OF - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.123Z")


def run(number: int, days: float, **more: Any) -> dict[str, Any]:
    return {
        "id": str(number), "instance": "main", "status": "SUCCESSFUL", "type": "ON_DEMAND",
        "startTime": ago(days), **more,
    }  # fmt: skip


def backup(name: str, instance: str, days: float, **more: Any) -> dict[str, Any]:
    interval = {"startTime": ago(days), "endTime": ago(days)}
    named = {"name": f"projects/{PROJECT}/backups/{name}", "instance": instance, "state": "SUCCESSFUL"}
    return {**named, "type": "FINAL", "backupInterval": interval, **more}


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Standing]:
    with standing("google_cloud", tmp_path, "key") as running:
        yield running


@pytest.fixture
def service(there: Standing) -> CloudSql:
    return CloudSql(
        google_api(endpoint_url=there.endpoint),
        PROJECT,
        tuple(SNAPSHOTS.sources),
        patience_s=10.0,
        sleep=lambda _: None,
    )


def test_what_is_in_both_lists_is_one_backup_and_those_of_lost_instances_are_found(
    there: Standing, service: CloudSql
) -> None:
    there.control.configure(
        gone=["gone"],
        backup_runs=[run(1, 200), run(2, 3, type="AUTOMATED"), run(3, 9, status="FAILED")],
        backups=[
            backup("b1", "main", 200, backupRun=f"projects/{PROJECT}/instances/main/backupRuns/1"),
            backup("b2", "gone", 175),
            backup("b3", "gone", 1, state="FAILED"),
        ],
        page_size=1,
    )
    found = {s.key: (s.source, s.kind) for s in service.snapshots()}
    assert found == {
        "instances/main/backupRuns/1": ("main", "on_demand"),
        "instances/main/backupRuns/2": ("main", "automated"),
        "backups/b2": ("gone", "final"),
    }


def test_due_backups_go_one_after_the_other_and_are_waited_for(there: Standing, service: CloudSql) -> None:
    there.control.configure(
        backup_runs=[run(1, 200), run(2, 171), run(3, 169)],
        backups=[backup("b", "gone", 180)],
        operation_polls=2,
    )
    snapshots = SnapshotStore(SNAPSHOTS, service)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    outcome = snapshots.execute(plan, None, Gate())
    assert outcome.removed == {"main": 2, "gone": 1}
    assert not outcome.blocked
    assert there.control.state()["backup_runs"] == ["main/3"]
    assert snapshots.probe(plan, None).clean
    assert snapshots.newest_capture() is not None
    judge("sqladmin.v1", there.said)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"operation_polls": 100}, "not over yet"),
        ({"operation_error": "INTERNAL_ERROR"}, "INTERNAL_ERROR"),
    ],
)
def test_a_deletion_that_does_not_end_is_not_called_done(
    there: Standing, service: CloudSql, settings: dict[str, Any], reason: str
) -> None:
    there.control.configure(backup_runs=[run(1, 200)], **settings)
    snapshots = SnapshotStore(SNAPSHOTS, service)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    outcome = snapshots.execute(plan, None, Gate())
    assert outcome.removed["main"] == 0
    assert reason in outcome.blocked[0]
    assert not snapshots.probe(plan, None).clean


def test_an_instance_at_work_is_left_to_the_next_run(there: Standing, service: CloudSql) -> None:
    there.control.configure(backup_runs=[run(1, 200), run(2, 200)])
    there.control.fail(status=409, method="DELETE")
    snapshots = SnapshotStore(SNAPSHOTS, service)
    plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
    first = snapshots.execute(plan, None, Gate())
    assert first.removed["main"] == 1
    assert "the next run tries again" in first.blocked[0]
    assert snapshots.execute(plan, None, Gate()).removed["main"] == 1


def test_faults_on_the_way_lose_nothing(
    there: Standing, service: CloudSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.privacy.stores.google_api.FIRST_PAUSE_S", 0.0)
    snapshots = SnapshotStore(SNAPSHOTS, service)
    for number, fault in enumerate(
        [
            {"kind": "status", "status": 503},
            {"kind": "status", "status": 429},
            {"kind": "reset", "when": "after"},
            {"kind": "status", "status": 500, "when": "after"},
        ],
        start=1,
    ):
        there.control.begin_again()
        there.control.configure(backup_runs=[run(number, 200)])
        plan = snapshots.plan_expiry(RULE, uuid4(), as_of=AS_OF)
        there.control.fail(method="DELETE", **fault)
        snapshots.execute(plan, None, Gate())
        snapshots.execute(plan, None, Gate())
        assert there.control.state()["backup_runs"] == [], fault
        assert not there.control.faults()


def test_a_refused_token_says_what_to_grant(there: Standing, service: CloudSql) -> None:
    there.control.fail(status=403)
    with pytest.raises(PlanError, match=r"grant cloudsql\.backupRuns\.list"):
        SnapshotStore(SNAPSHOTS, service).plan_expiry(RULE, uuid4(), as_of=AS_OF)


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="use https"):
        google_api(endpoint_url="http://sqladmin.example.org")


def test_log_buckets_are_listed_shortened_and_a_locked_one_is_not(there: Standing) -> None:
    logs = CloudLogging(google_api(endpoint_url=there.endpoint), PROJECT)
    there.control.configure(
        buckets={
            "audit": {"retentionDays": 365, "lifecycleState": "ACTIVE"},
            "eu/mine": {"lifecycleState": "ACTIVE"},
            "leaving": {"retentionDays": 3650, "lifecycleState": "DELETE_REQUESTED"},
        },
        sinks={"out": {"destination": "pubsub.googleapis.com/projects/x/topics/y"}},
    )
    found = {each.name: each for each in logs.log_stores("")}
    assert {name: each.days for name, each in found.items()} == {
        "_Required": 400, "_Default": 30, "audit": 365, "eu/mine": 30,
    }  # fmt: skip
    assert found["_Required"].locked
    assert logs.shorten(found["audit"], 90) == 90
    assert logs.shorten(found["eu/mine"], 14) == 14
    buckets = json.loads(json.dumps(there.control.state()["buckets"]))
    assert (buckets["audit"]["retentionDays"], buckets["eu/mine"]["retentionDays"]) == (90, 14)
    with pytest.raises(CloudError, match="400"):
        logs.shorten(found["_Required"], 90)
    assert list(logs.destinations("")) == [("sink out", "pubsub.googleapis.com/projects/x/topics/y")]
    judge("logging.v2", there.said)
