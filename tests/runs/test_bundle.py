"""The DAGs as Airflow finds them: parsed from the bundle, fast, with the same shape."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.dag_defaults import PROCESSORS_POOL, REQUESTS_POOL, RETENTION_POOL, Tag
from tests.runs.conftest import AIRFLOW_ENV, ROOT

DAGS = {
    "announce_policy_change",
    "approve_policy_notice",
    "preview_policy_notice",
    "steer_policy_notice",
    "ask_decisions",
    "audit_data_map",
    "audit_controls",
    "audit_recipients",
    "confirm_recipient",
    "decide_guarded_plan",
    "decide_subject_request",
    "deliver_status_callbacks",
    "enforce_backup_retention",
    "enforce_database_retention",
    "enforce_own_retention",
    "expire_request_archives",
    "extend_subject_request",
    "fulfil_access_requests",
    "fulfil_erasure_requests",
    "fulfil_objection_requests",
    "fulfil_portability_requests",
    "fulfil_rectification_requests",
    "intake_subject_requests",
    "open_subject_request",
    "place_legal_hold",
    "probe_again",
    "publish_evidence",
    "refuse_subject_request",
    "release_legal_hold",
    "replay_after_restore",
    "revoke_request_archive",
    "run_drill",
    "settle_recipients",
    "simulate_policy_change",
    "watch_request_deadlines",
}
SECTIONS = ["What it does", "What it does not do", "Triggers", "Parameters", "If it fails", "Promises"]
HEAVY = (
    "airflow.providers.amazon.aws",
    "airflow.providers.google.cloud",
    "airflow.providers.postgres.hooks",
    "aiobotocore",
    "boto3",
    "google.cloud.storage",
    "psycopg",
)


def test_the_bundle_holds_exactly_these_dags(airflow: Any) -> None:
    assert set(airflow.dags) == DAGS
    assert {p.stem for p in (ROOT / "dags").glob("*.py")} == DAGS


def test_airflow_finds_the_dags_with_nothing_but_its_settings_and_the_root(
    airflow: Any, tmp_path: Path
) -> None:
    kept = {"AIRFLOW_HOME", "AIRFLOW_CONFIG", "PRIVACY_ROOT", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    env = {name: value for name, value in AIRFLOW_ENV.items() if name in kept}
    command = [
        Path(sys.executable).with_name("airflow"),
        "dags",
        "list-import-errors",
        "--local",
        "-B",
        "privacy",
    ]
    done = subprocess.run(
        [*command],
        env={**env, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No data found" in done.stdout


def test_every_dag_says_what_it_does_in_the_same_sections(airflow: Any) -> None:
    for dag_id, dag in airflow.dags.items():
        assert re.findall(r"^## (.*)$", dag.doc_md, re.MULTILINE) == SECTIONS, dag_id


def test_every_task_has_retries_a_time_limit_an_owner_and_the_failure_hook(airflow: Any) -> None:
    from include.dag_defaults import default_args

    expected = default_args()
    for dag_id, dag in airflow.dags.items():
        assert dag.tags <= {str(tag) for tag in Tag}, dag_id
        assert dag.catchup is False
        assert {"owner", "retry_exponential_backoff", "on_failure_callback"} <= set(dag.default_args), dag_id
        assert dag.default_args["retries"] == expected["retries"]
        for task in dag.tasks:
            assert task.owner == expected["owner"]
            assert task.execution_timeout or task.task_id == "decide", f"{dag_id}.{task.task_id}"
            assert task.pool in (PROCESSORS_POOL, REQUESTS_POOL, RETENTION_POOL, "default_pool")


def test_parsing_imports_no_provider_of_a_store_and_is_fast() -> None:
    script = f"""
import sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "plugins")!r}]
import airflow.sdk, airflow.triggers.shared_stream, airflow.plugins_manager
import airflow.providers.standard.operators.hitl, airflow.providers.standard.operators.trigger_dagrun
import importlib.util, pathlib
worst = 0.0
for path in sorted(pathlib.Path({str(ROOT / "dags")!r}).glob("*.py")):
    began = time.perf_counter()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    worst = max(worst, time.perf_counter() - began)
print(worst, [m for m in sys.modules if m.startswith({HEAVY!r})])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, timeout=60, check=True
    )
    seconds, modules = done.stdout.strip().splitlines()[-1].split(" ", 1)
    assert ast.literal_eval(modules) == []
    assert float(seconds) < 1.5, "aim is 0.3 s on an idle machine; this bound only catches an eager import"


@pytest.mark.parametrize("dag_id", sorted(DAGS))
def test_a_dag_file_is_a_page_of_wiring(dag_id: str) -> None:
    text = (ROOT / "dags" / f"{dag_id}.py").read_text()
    assert len(text.splitlines()) <= 120
    tree = ast.parse(text)
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.name == dag_id
    assert not any(isinstance(node, ast.If | ast.For | ast.While) for node in ast.walk(function))
