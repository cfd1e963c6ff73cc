"""Another policy on real counts: nothing is deleted, and a live run then does what was said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import yaml

from include.privacy import runtime
from include.privacy.__main__ import main
from include.privacy.policy.data_map import DataMap
from include.privacy.policy.loading import Config, load_config
from include.privacy.retention import cohorts, guard, lifecycle
from include.privacy.retention.simulating import Simulation, simulate
from include.privacy.steps import executing, planning, runs
from include.sandbox.platform import clouds
from include.sandbox.processors import GOOGLE_CLOUD, RDS
from include.sandbox.processors.control import ProcessorControl
from tests.runs.conftest import ROOT, Estate

pytestmark = pytest.mark.timeout(170)
DAG = "simulate_policy_change"
TARGETS = {
    "deleted_account_purge": 12, "old_access_log": 30, "expired_verification_tokens": 2,
    "backups_s3_accounts": 100, "backups_gcs_practice": 100,
}  # fmt: skip


def policy(targets: dict[str, int], **guard: Any) -> str:
    """The shipped policy with other targets, and guards that let everything through unless it says so."""
    found = yaml.safe_load((ROOT / "config" / "policy.yaml").read_text())
    found["version"] = "2027-01"
    for rule in found["rules"]:
        rule["guard"] = {"max_share": 1.0, "max_count": 1_000_000, **guard}
        rule["target_days"] = targets.get(rule["id"], rule["target_days"])
    return yaml.safe_dump(found, default_flow_style=False)


Using = Callable[[str], Config]


@pytest.fixture
def own_buckets(
    estate: Estate, s3_client: Any, bucket: Callable[..., str], gcs_bucket: Callable[..., Any]
) -> Iterator[DataMap]:
    """The data map with buckets of backups that belong to this test, and snapshots in both clouds."""
    s3, gcs = bucket(), gcs_bucket()
    for days in (5, 90, 110, 175):
        for store in ("accounts", "practice"):
            folder = f"backups/{store}/{(estate.as_of - timedelta(days=days)):%Y-%m-%dT%H%M%SZ}"
            s3_client.put_object(Bucket=s3, Key=f"{folder}/archive.dump", Body=b"x")
            gcs.blob(f"{folder}/archive.dump").upload_from_string(b"x")
    clouds.fill(estate.world, estate.as_of)
    names = {"backups_s3": s3, "backups_gcs": gcs.name}
    stores = load_config(ROOT / "config").data_map.stores
    yield DataMap(
        stores=tuple(
            each.model_copy(update={"bucket": names[each.store]}) if each.store in names else each
            for each in stores
        )
    )
    for name in (RDS, GOOGLE_CLOUD):
        ProcessorControl(estate.world.processor_endpoints[name]).configure(forget=True)


def everything(estate: Estate, s3_client: Any, data_map: DataMap, gcs_client: Any) -> dict[str, int]:
    """Rows of every table, work tables too, and objects of every bucket."""
    found: dict[str, int] = {}
    for store in ("accounts", "practice"):
        with psycopg.connect(estate.platform.dsn(store)) as connection:
            tables = connection.execute(
                "SELECT relnamespace::regnamespace::text, relname FROM pg_class WHERE relkind IN ('r', 'p') "
                "AND NOT relispartition AND relnamespace::regnamespace::text !~ '^(pg_|information)'"
            ).fetchall()
            for schema, table in tables:
                row = connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"'.encode()).fetchone()
                found[f"{store}.{schema}.{table}"] = row[0] if row else 0
    for each in data_map.stores:
        if each.kind == "s3":
            pages = s3_client.get_paginator("list_object_versions").paginate(Bucket=each.bucket)
            listed = [(page.get("Versions", []), page.get("DeleteMarkers", [])) for page in pages]
            found[each.store] = sum(len(versions) + len(markers) for versions, markers in listed)
        elif each.kind == "gcs":
            found[each.store] = sum(1 for _ in gcs_client.list_blobs(each.bucket, versions=True))
    state = ProcessorControl(estate.world.processor_endpoints[RDS]).state()
    found["snapshots_rds"] = len(state["snapshots"])
    state = ProcessorControl(estate.world.processor_endpoints[GOOGLE_CLOUD]).state()
    found["snapshots_cloud_sql"] = len(state["backup_runs"]) + len(state["backups"])
    return found


def carry_out(kind: str, estate: Estate) -> None:
    """A live run up to its last deletion: the steps of the two retention DAGs, in their order."""
    dag_run = SimpleNamespace(dag_id=kind, run_id="live", run_after=estate.as_of)
    run = runs.open_run(kind, params={}, dag_run=dag_run)
    if kind == "database_retention":
        lifecycle.mark_deleted(run)
        items = cohorts.freeze_cohorts(run)
    else:
        items = cohorts.list_backup_rules(run)
    for item in items:
        planning.plan(run, **item)
    cleared = guard.guard(run, items)
    for shard in executing.shards(cleared):
        executing.execute(run, **shard)
    for shard in executing.release_roots(run, cleared):
        executing.execute(run, **shard)


def said(found: Simulation) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """By store and table what would go and what would be changed; buckets and clouds as a whole."""
    going, changing = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for figures in found.then:
        assert figures.refused is None, figures
        whole = figures.store not in ("accounts", "practice")
        for table, count in figures.removed.items():
            going[figures.store, "" if whole else table] += count
        for table, count in figures.anonymised.items():
            changing[figures.store, table] += count
    return +going, +changing


def done(estate: Estate) -> Counter[tuple[str, str]]:
    """What the live run says that it changed."""
    total = Counter[tuple[str, str]]()
    for row in estate.ledger.plans(estate.ledger.latest_run("database_retention").id):
        for shard in estate.ledger.plan_outcomes(row.plan.id):
            for table, count in shard.outcome.anonymised.items():
                total[row.plan.store, table] += count
    return +total


def test_nothing_is_deleted_and_a_live_run_under_that_policy_does_what_was_said(
    estate: Estate,
    own_buckets: DataMap,
    content: Callable[[int], int],
    s3_client: Any,
    gcs_client: Any,
) -> None:
    text = policy(TARGETS)
    present = replace(load_config(ROOT / "config"), data_map=own_buckets)
    held = estate.due()[0]
    estate.ledger.place_hold("2026-200", "litigation", "counsel", "subject", str(held))
    before = everything(estate, s3_client, own_buckets, gcs_client)
    with runtime.use_runtime(runtime.Runtime(load=lambda: present)) as rt:
        found = simulate(text, estate.as_of)
        rt.close()
    assert everything(estate, s3_client, own_buckets, gcs_client) == before

    other = replace(load_config(ROOT / "config", policy_text=text), data_map=own_buckets)
    with runtime.use_runtime(runtime.Runtime(load=lambda: other)) as rt:
        carry_out("database_retention", estate)
        carry_out("backup_retention", estate)
        rt.close()
    after = everything(estate, s3_client, own_buckets, gcs_client)
    gone = Counter[tuple[str, str]]()
    for name, count in before.items():
        if after.get(name, 0) != count and ".privacy_work." not in name:
            store, _, table = name.partition(".public.")
            gone[store, table] += count - after.get(name, 0)
    expected, changed = said(found)
    assert gone == expected
    assert done(estate) == changed
    assert {"accounts", "practice", "user_content", "backups_s3", "backups_gcs"} <= {s for s, _ in expected}

    purge = {f.store: f for f in found.then if f.rule == "deleted_account_purge"}
    now = {f.store: f for f in found.now if f.rule == "deleted_account_purge"}
    assert purge["accounts"].held >= 1
    assert purge["accounts"].people > now["accounts"].people > 0
    by_rule = {f.rule: f for f in found.then}
    assert (by_rule["backups_s3_accounts"].deletes, by_rule["backups_s3_practice"].deletes) == (2, 1)
    assert any("acts after 12 days instead of 30" in str(c) for c in found.changes)
    table = "\n".join(found.lines())
    assert "now: 2026-10" in table and "then: 2027-01" in table and "old_access_log, practice" in table


@pytest.mark.whole_dag
def test_the_form_reports_refuses_what_a_promise_forbids_and_says_what_would_wait(estate: Estate) -> None:
    worse = policy({"old_access_log": 80}, max_count=1)
    run = estate.run(DAG, {"policy": worse})
    assert run.state == "success", estate.states(run)
    summary = estate.ledger.latest_run("policy_simulation").summary
    then = {(f["rule"], f["store"]): f for f in summary["then"]}
    assert "the rule allows 1 in one run" in then["deleted_account_purge", "accounts"]["refused"]
    assert "weaker: rule old_access_log acts after 80 days instead of 45" in summary["changes"]
    assert estate.ledger.evidence(kind="policy_simulation")[0].body["refused"] == []
    assert "[redacted]" not in json.dumps(summary)

    broken = yaml.safe_load(policy({}))
    for rule in broken["rules"]:
        if rule["id"] == "deleted_account_purge":
            rule["limit_days"] = 120
    assert estate.run(DAG, {"policy": yaml.safe_dump(broken)}).state == "failed"
    summary = estate.ledger.latest_run("policy_simulation").summary
    assert any("P4.2 promises 90 days at most; write 90 or less" in line for line in summary["refused"])
    assert summary["then"] == [] and len(summary["now"]) > 0


def test_the_command_prints_both_reports_and_fails_for_a_refused_policy(
    estate: Estate, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clouds.fill(estate.world, estate.as_of)
    file = tmp_path / "policy.yaml"
    file.write_text(policy({"expired_verification_tokens": 2}))
    at = ["--as-of", estate.as_of.isoformat()]
    assert main(["simulate", str(file), *at]) == 0
    shown = capsys.readouterr().out
    assert "Nothing is deleted." in shown and "expired_verification_tokens, accounts" in shown
    file.write_text("version: 1")
    assert main(["simulate", str(file), *at]) == 1
    assert "REFUSED" in capsys.readouterr().out
    assert main(["simulate", str(tmp_path / "nowhere"), *at]) == 1
    assert "cannot be read" in capsys.readouterr().err
