"""Backups on the embedded S3 and GCS: dry, live, twice."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.runs.conftest import BACKUPS, Estate

pytestmark = pytest.mark.timeout(150)
DAG = "enforce_backup_retention"


def _archives(s3_client: Any) -> int:
    pages = s3_client.get_paginator("list_object_versions").paginate(Bucket=BACKUPS, Prefix="backups/")
    return sum(len(page.get("Versions", [])) for page in pages)


def test_a_bucket_that_cannot_be_reached_turns_the_run_red_and_stops_no_other(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "AIRFLOW_CONN_BACKUPS_S3"
    there = json.loads(os.environ[variable])
    nobody_listens = {"extra": there["extra"] | {"endpoint_url": "http://127.0.0.1:9"}}
    monkeypatch.setenv(variable, json.dumps(there | nobody_listens))

    run = estate.run(DAG)

    assert run.state == "failed"
    summary = estate.ledger.latest_run("backup_retention").summary
    assert all("backups_s3" in line for line in summary["red"])
    assert any("backups_s3_accounts" in line and "could not be planned" in line for line in summary["red"])
    away, there_still = (summary["rules"][f"backups_{cloud}_accounts"] for cloud in ("s3", "gcs"))
    assert away["unmeasured"]
    assert there_still["stores"]["backups_gcs"]["removed"] > 0
    assert there_still["overdue"] == 0
    ledger = json.loads(os.environ["AIRFLOW_CONN_PRIVACY_LEDGER"])["schema"]
    with psycopg.connect(estate.world.dsn(ledger, "ledger_owner")) as connection:
        batches = connection.execute(
            "SELECT store, count(done_at) = count(*), sum(batch.removed) > 0 "
            "FROM ledger.batch JOIN ledger.plan ON plan.id = batch.plan_id GROUP BY store"
        ).fetchall()
    assert batches == [("backups_gcs", True, True)]


def test_old_archives_go_and_young_ones_stay(estate: Estate, s3_client: Any) -> None:
    before = _archives(s3_client)
    dry = estate.run(DAG, {"dry_run": True})
    assert dry.state == "success", estate.states(dry)
    assert _archives(s3_client) == before
    planned = estate.ledger.latest_run("backup_retention").summary["rules"]["backups_s3_accounts"]["matched"]
    assert planned > 0

    live = estate.run(DAG)

    assert live.state == "success", estate.states(live)
    summary = estate.ledger.latest_run("backup_retention").summary
    assert summary["red"] == []
    put_right = [line for line in summary["findings"] if "backups_s3: rule backups_s3_accounts: our" in line]
    assert len(put_right) == 1, summary["findings"]
    rules = summary["rules"]
    removed = sum(r["stores"]["backups_s3"]["removed"] for n, r in rules.items() if "s3" in n)
    assert removed > 0
    assert 0 < _archives(s3_client) < before
    assert all(figures["overdue"] == 0 for figures in rules.values())

    again = estate.run(DAG, as_of=estate.as_of + timedelta(minutes=1))
    assert again.state == "success", estate.states(again)
    summary = estate.ledger.latest_run("backup_retention").summary
    rules = summary["rules"]
    assert not any("set now" in line for line in summary["findings"])
    assert sum(r["matched"] for r in rules.values()) == 0
