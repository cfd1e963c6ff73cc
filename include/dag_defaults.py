"""What all DAGs share: default arguments, tags and the failure hook. Imports no Airflow."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)

OWNER = "privacy-engineering"
# Switching a DAG on makes up for the one slot it has just missed. A deployment that wants its first run
# in the next slot instead (the demo does) says from when on there are slots.
START = datetime.fromisoformat(os.environ.get("PRIVACY_START", "2026-01-01T00:00:00+00:00")).astimezone(UTC)

EXECUTION_TIMEOUT = timedelta(hours=1)
ERASING_TIMEOUT = timedelta(hours=6)  # a task that erases works chunk by chunk and may be resumed

RETENTION_POOL = "retention"
REQUESTS_POOL = "requests"
PROCESSORS_POOL = "processors"
"""Tasks that touch stores, in two pools, so that a long retention run never keeps a request waiting; and
tasks that speak to processors, of which one at a time works with each (``Ledger.turn``).
Airflow knows a mapped task's pool before it knows the store; within a store the plan's shards
(``max_shards`` in the data map) are the limit."""


class Tag(StrEnum):
    """The only tags in use: one for what a DAG serves, one for how it starts."""

    retention = "retention"
    requests = "requests"
    holds = "legal-holds"
    audits = "audits"
    notices = "policy-notices"
    decisions = "decisions"
    scheduled = "scheduled"
    event = "event-driven"
    form = "form"


def note_failure(context: Mapping[str, Any]) -> None:
    """Failure hook of every task: evidence in the ledger, and one line that an alert can match.

    Whatever sends alarms (a log metric, an Airflow listener, a notifier added to :func:`default_args`) needs
    no more than this. The exception's text stays in the task's own log.
    """
    ti = context["ti"]
    error = context.get("exception")
    what = {
        "dag_id": str(ti.dag_id),
        "task_id": str(ti.task_id),
        "map_index": int(getattr(ti, "map_index", -1)),
        "try_number": int(ti.try_number),
        "error": type(error).__name__ if error is not None else "unknown",
        "airflow_run": hashlib.sha256(str(ti.run_id).encode()).hexdigest(),
    }
    log.error("privacy task failed: %s", what)
    try:
        from include.privacy.runtime import runtime

        runtime().ledger().append_evidence("task_failed", what)
    except Exception as failure:  # noqa: BLE001 - the ledger may be the very thing that is down; the task is red already
        log.error("the failure could not be put on record: %s", type(failure).__name__)


def only_these_requests() -> dict[str, Any]:
    """The parameter of every DAG that fulfils a right."""
    from airflow.sdk import Param

    return {
        "request_ids": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "format": "uuid"},
            description="Only these requests, by id. Empty: all that wait.",
        )
    }


def default_args() -> dict[str, Any]:
    """Arguments of every task: retries with growing pauses, a time-out, the failure hook.

    A finding, a bad parameter or an unusable configuration fails at once: trying again changes nothing.
    """
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

    final = [
        "include.privacy.steps.runs.FindingError",
        "include.privacy.steps.runs.ParameterError",
        "include.privacy.policy.problems.ConfigError",
        "include.privacy.planning.models.PlanError",
    ]
    return {
        "owner": OWNER,
        "retries": 3,
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": ExceptionRetryPolicy(rules=[RetryRule(exception=final, action=RetryAction.FAIL)]),
        "execution_timeout": EXECUTION_TIMEOUT,
        "on_failure_callback": note_failure,
        "depends_on_past": False,
    }
