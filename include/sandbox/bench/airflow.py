"""Airflow's share: how long DAG files take to parse, and what a whole run costs beyond its work."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from include.sandbox import setup
from include.sandbox.airflow import start_airflow
from include.sandbox.bench.measure import Report
from include.sandbox.objects import sqs_client
from include.sandbox.platform.app import request_erasure
from include.sandbox.world import ROOT, World, stop_world

DAG_ID = "fulfil_erasure_requests"
# What a DAG file adds once Airflow itself is there: the DAG processor pays that at every parse.
_PARSE = """
import importlib.util, json, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/plugins"]
import airflow.sdk, airflow.providers.standard.operators.hitl, airflow.timetables.assets
times = {{}}
for path in {files!r}:
    began = time.perf_counter()
    spec = importlib.util.spec_from_file_location("parsed", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    times[path.rsplit("/", 1)[1]] = time.perf_counter() - began
print(json.dumps(times))
"""


def parse(world: World, report: Report) -> None:
    """Seconds of each DAG file, in a process that has imported Airflow and nothing of ours."""
    files = sorted(str(path) for path in (ROOT / "dags").glob("*.py"))
    times: dict[str, float] = {}
    for file in files:
        code = _PARSE.format(root=str(ROOT), files=[file])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times |= json.loads(done.stdout.splitlines()[-1])
    report.add("parse time of the DAG files, seconds", slowest=max(times.values()), **times)


def overhead(world: World, report: Report) -> None:
    """From the click to the closed request, against the seconds that the run's own steps took."""
    folder = Path(tempfile.mkdtemp(prefix="privacy-bench-airflow-"))
    try:
        own, airflow = setup.start(print, folder)
        setup.fill(own, print, 200, datetime.now(UTC))
        start_airflow(own, airflow, print)
        api = airflow.api()
        api.wait_for_dags({DAG_ID}, seconds=60)
        for dag_id in api.dags():
            api.unpause(dag_id)
        took = [_one_erasure(own) for _ in range(3)]
        report.add(
            "one person's erasure through Airflow",
            first_s=took[0][0],
            click_to_closed_s=took[-1][0],
            work_s=took[-1][1],
            overhead_s=took[-1][0] - took[-1][1],
        )
    finally:
        stop_world(folder)


def _one_erasure(world: World) -> tuple[float, float]:
    """Seconds from the click to the closed request, and seconds that stores report as their work."""
    with psycopg.connect(world.env["PLATFORM_ACCOUNTS_DSN"]) as accounts:
        row = accounts.execute(
            "SELECT min(id) FROM accounts WHERE status = 'active' AND NOT EXISTS "
            "(SELECT FROM privacy_inbox i WHERE i.account_id = accounts.id)"
        ).fetchone()
        if row is None:
            raise RuntimeError("the benchmark's platform has no active account")
        began = time.monotonic()
        request = request_erasure(accounts, sqs_client(world.s3_endpoint), world.queue_url, row[0])
    closed = "SELECT 1 FROM ledger.request WHERE external_id = %s AND state LIKE 'completed%%'"
    with psycopg.connect(world.dsn("ledger"), autocommit=True) as ledger:
        while ledger.execute(closed, (str(request),)).fetchone() is None:
            if time.monotonic() - began > 120:
                raise RuntimeError("the erasure was not closed within 120 s")
            time.sleep(0.05)
        took = time.monotonic() - began
        work = ledger.execute(
            "SELECT coalesce(sum((o.body ->> 'seconds')::float), 0) "
            "FROM ledger.outcome o JOIN ledger.plan p ON p.id = o.plan_id "
            "WHERE p.id IN (SELECT id FROM ledger.plan ORDER BY saved_at DESC LIMIT 5)"
        ).fetchone()
    return took, float(work[0]) if work else 0.0
