"""Snapshots of RDS and Cloud SQL in the backup DAG: dry, live, twice; held, kept by the cloud, too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from include.sandbox.platform import clouds
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(150)
DAG = "enforce_backup_retention"
OLD = {f"{clouds.ACCOUNTS}-before-7", f"{clouds.PRACTICE}-before-7"}


class Clouds:
    """Both stand-ins, emptied of what earlier tests left by being filled anew."""

    def __init__(self, estate: Estate) -> None:
        endpoints = estate.world.processor_endpoints
        self.rds, self.google = ProcessorControl(endpoints[RDS]), ProcessorControl(endpoints[GOOGLE_CLOUD])
        self.as_of = estate.as_of
        clouds.fill_rds(self.rds.endpoint, estate.as_of)
        clouds.fill_cloud_sql(self.google.endpoint, estate.as_of)

    def snapshots(self) -> set[str]:
        return set(self.rds.state()["snapshots"])

    def runs(self) -> set[str]:
        return set(self.google.state()["backup_runs"])


@pytest.fixture
def there(estate: Estate) -> Iterator[Clouds]:
    return Clouds(estate)


def _rule(estate: Estate, rule: str) -> dict[str, Any]:
    figures: dict[str, Any] = estate.ledger.latest_run("backup_retention").summary["rules"][rule]
    return figures


def test_old_snapshots_go_from_both_clouds_and_young_ones_stay(estate: Estate, there: Clouds) -> None:
    before = there.snapshots(), there.runs()
    dry = estate.run(DAG, {"dry_run": True})
    assert dry.state == "success", estate.states(dry)
    assert (there.snapshots(), there.runs()) == before
    assert (_rule(estate, "snapshots_rds")["matched"], _rule(estate, "snapshots_cloud_sql")["matched"]) == (
        2,
        1,
    )

    live = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=1))

    assert live.state == "success", estate.ledger.latest_run("backup_retention").summary["red"]
    assert before[0] - there.snapshots() == OLD
    assert before[1] - there.runs() == {f"{clouds.STANDBY}/1001"}
    for rule, store, count in (
        ("snapshots_rds", "snapshots_rds", 2),
        ("snapshots_cloud_sql", "snapshots_cloud_sql", 1),
    ):
        figures = _rule(estate, rule)
        assert figures["stores"][store]["removed"] == count
        assert figures["overdue"] == 0

    again = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=2))
    assert again.state == "success"
    assert _rule(estate, "snapshots_rds")["matched"] == 0
    assert there.snapshots() == before[0] - OLD


def test_a_hold_keeps_the_snapshots_of_one_server(estate: Estate, there: Clouds) -> None:
    form = {"scope": "collection", "store": "snapshots_rds", "collection": clouds.ACCOUNTS}
    placed = estate.run("place_legal_hold", {**form, "matter": "2026-9", "reason": "litigation"})
    assert placed.state == "success"

    estate.run(DAG)

    assert f"{clouds.ACCOUNTS}-before-7" in there.snapshots()
    assert f"{clouds.PRACTICE}-before-7" not in there.snapshots()


def test_what_the_cloud_keeps_past_the_limit_is_a_breach_until_it_is_gone(
    estate: Estate, there: Clouds
) -> None:
    late = clouds.text(estate.as_of - timedelta(days=190))
    kept = {"id": "vault-1", "source": clouds.ACCOUNTS, "created": late, "type": "awsbackup"}
    stranger = {"id": "theirs", "source": "somebody-elses", "created": late}
    there.rds.configure(snapshots=[kept, stranger])

    run = estate.run(DAG)

    assert run.state == "failed"
    summary = estate.ledger.latest_run("backup_retention").summary
    assert any("AWS Backup keeps them" in line for line in summary["red"])
    assert any("1 snapshots of somebody-elses" in line for line in summary["findings"])
    assert {"vault-1", "theirs"} <= there.snapshots()
    [breach] = [b for b in estate.ledger.open_breaches() if b.rule == "snapshots_rds"]
    assert (breach.count, breach.oldest_overdue) == (1, timedelta(days=10))

    there.rds.configure(snapshots=[kept | {"type": "manual"}])
    again = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=1))
    assert again.state == "success", estate.ledger.latest_run("backup_retention").summary["red"]
    assert "vault-1" not in there.snapshots()
    assert not [b for b in estate.ledger.open_breaches() if b.rule == "snapshots_rds"]


def test_more_than_the_guard_allows_waits_for_a_decision(estate: Estate, there: Clouds) -> None:
    old = clouds.text(estate.as_of - timedelta(days=175))
    many = [{"id": f"many-{n}", "source": clouds.ACCOUNTS, "created": old} for n in range(20)]
    there.rds.configure(snapshots=many)

    run = estate.run(DAG)

    assert run.state == "success"
    assert {m["id"] for m in many} | OLD <= there.snapshots()
    summary = estate.ledger.latest_run("backup_retention").summary
    assert "snapshots_rds" in summary["awaiting_approval"]
    assert f"{clouds.STANDBY}/1001" not in there.runs()


def test_a_cloud_that_does_not_answer_stops_no_other(estate: Estate, there: Clouds) -> None:
    there.google.fail(kind="status", status=403, count=100)
    try:
        run = estate.run(DAG)
    finally:
        there.google.clear_faults()

    assert run.state == "failed"
    red = estate.ledger.latest_run("backup_retention").summary["red"]
    assert red
    assert all("snapshots_cloud_sql" in line for line in red)
    assert not OLD & there.snapshots()


def test_a_person_erased_today_is_told_of_the_newest_snapshot(estate: Estate, there: Clouds) -> None:
    from include.privacy.steps.residue import residual_until

    taken, erased = estate.as_of + timedelta(days=9), estate.as_of + timedelta(days=10)
    before = residual_until(erased)
    there.rds.configure(
        snapshots=[{"id": "new", "source": clouds.PRACTICE, "created": clouds.text(taken)}],
    )
    after = residual_until(erased)
    assert before is not None
    assert after == taken + timedelta(days=180)
    assert before < after
