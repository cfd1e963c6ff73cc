"""The few calls of Airflow's public REST API that the demo needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
ENDED = ("success", "failed")


class AirflowApiError(RuntimeError):
    """The API refused; the message has its status and the first words of its answer."""


@dataclass(frozen=True)
class Run:
    """A DAG run as the API shows it."""

    dag_id: str
    run_id: str
    state: str

    @property
    def ended(self) -> bool:
        """Whether the run is over, well or badly."""
        return self.state in ENDED


class AirflowApi:
    """A signed-in client; use :meth:`sign_in`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def sign_in(cls, url: str, user: str, password: str) -> AirflowApi:
        """Exchange name and password for a token."""
        answer = httpx.post(f"{url}/auth/token", json={"username": user, "password": password}, timeout=90)
        if answer.status_code != 201:
            raise AirflowApiError(f"signing in to Airflow: HTTP {answer.status_code}")
        token = answer.json()["access_token"]
        return cls(
            httpx.Client(base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=90)
        )

    @staticmethod
    def unhealthy(url: str) -> tuple[str, ...]:
        """The components that do not report health (all of them while the API does not answer)."""
        try:
            health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return ("api_server",)
        return tuple(name for name in COMPONENTS if (health.get(name) or {}).get("status") != "healthy")

    def dags(self) -> dict[str, bool]:
        """Every parsed DAG and whether it is paused."""
        return {
            d["dag_id"]: d["is_paused"] for d in self._call("GET", "/dags", params={"limit": 100})["dags"]
        }

    def import_errors(self) -> list[str]:
        """``file: last line`` of each DAG file that does not parse."""
        errors = self._call("GET", "/importErrors")["import_errors"]
        return [f"{e['filename']}: {e['stack_trace'].strip().splitlines()[-1]}" for e in errors]

    def wait_for_dags(self, wanted: set[str], *, seconds: float) -> None:
        """Return when all wanted DAGs are parsed; fail at once when a file cannot be."""
        deadline = time.monotonic() + seconds
        while missing := wanted - self.dags().keys():
            if errors := self.import_errors():
                raise AirflowApiError("DAG files that do not parse:\n" + "\n".join(errors))
            if time.monotonic() > deadline:
                raise AirflowApiError(f"not parsed after {seconds:.0f} s: {', '.join(sorted(missing))}")
            time.sleep(0.3)

    def unpause(self, dag_id: str) -> None:
        """Let the schedule, and the queue's watcher, act on the DAG."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        """Start a run by hand, with opaque parameters only."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return self._run(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def runs(self, dag_id: str = "~") -> list[Run]:
        """The latest hundred runs of a DAG, or of all, newest first."""
        answer = self._call("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after", "limit": 100})
        return [self._run(r) for r in answer["dag_runs"]]

    def wait(self, dag_id: str, *, seconds: float) -> list[Run]:
        """The runs of the DAG, newest first, once all of them are over."""
        deadline = time.monotonic() + seconds
        while True:
            runs = self.runs(dag_id)
            if all(run.ended for run in runs):
                return runs
            if time.monotonic() > deadline:
                raise AirflowApiError(f"{dag_id} was not over after {seconds:.0f} s")
            time.sleep(0.5)

    def running(self) -> dict[tuple[str, str], set[str]]:
        """The tasks that run at this moment, by DAG and run."""
        answer = self._call(
            "GET", "/dags/~/dagRuns/~/taskInstances", params={"state": "running", "limit": 100}
        )
        found: dict[tuple[str, str], set[str]] = {}
        for task in answer["task_instances"]:
            found.setdefault((task["dag_id"], task["dag_run_id"]), set()).add(task["task_id"])
        return found

    def task_states(self, run: Run) -> list[tuple[str, str]]:
        """``(task, state)`` of each task instance, mapped ones as ``task[2]``."""
        answer = self._call(
            "GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances", params={"limit": 200}
        )
        return [
            (t["task_id"] + (f"[{t['map_index']}]" if t["map_index"] >= 0 else ""), t["state"] or "waiting")
            for t in answer["task_instances"]
        ]

    def answer(self, dag_id: str, option: str, *, seconds: float) -> None:
        """Choose an option in the required action that a run of the DAG waits with, or will."""
        deadline = time.monotonic() + seconds
        while True:
            waiting = self._call(
                "GET", f"/dags/{dag_id}/dagRuns/~/hitlDetails", params={"response_received": False}
            )["hitl_details"]
            if waiting:
                break
            if time.monotonic() > deadline:
                raise AirflowApiError(f"{dag_id} asked nothing within {seconds:.0f} s")
            time.sleep(0.5)
        # Airflow fails a task whose answer comes before its executor has reported that the task waits;
        # nobody reads a question in less than a second.
        time.sleep(3)
        task = waiting[0]["task_instance"]
        self._call(
            "PATCH",
            f"/dags/{dag_id}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            f"/{task['map_index']}/hitlDetails",
            json={"chosen_options": [option]},
        )

    @staticmethod
    def _run(body: Mapping[str, Any]) -> Run:
        return Run(body["dag_id"], body["dag_run_id"], body["state"])

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._client.request(method, path, **arguments)
        if answer.is_error:
            raise AirflowApiError(f"{method} {path}: HTTP {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())
