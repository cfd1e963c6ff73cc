"""A DAG's tasks in their order, in this process: a tenth of the price of ``dag.test()``.

Airflow's own run costs a third of a second a task, so only the tests marked ``whole_dag`` (each DAG's main
way, dry, live and twice) pay it. What this leaves out of Airflow: metadata, XCom's store (values still have
to be JSON), pools, time-outs, assets. What it keeps: the wiring, mapping, trigger rules, retries, the
failure hook, and that a task sees of its inputs nothing but their JSON.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from airflow.sdk.bases.decorator import DecoratedMappedOperator, DecoratedOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg
from airflow.sdk.exceptions import AirflowSkipException

log = logging.getLogger(__name__)

FAILED, SKIPPED, SUCCESS, UPSTREAM_FAILED = "failed", "skipped", "success", "upstream_failed"


@dataclass
class QuickTask:
    """One task instance and how it ended."""

    task_id: str
    state: str = SUCCESS
    map_index: int = -1
    try_number: int = 1
    dag_id: str = ""
    run_id: str = ""


@dataclass
class QuickRun:
    """What tasks see of their run, and tests of its end."""

    dag_id: str
    run_id: str
    run_after: datetime
    conf: dict[str, Any]
    logical_date: datetime | None = None
    triggering_user_name: str = "dag_test"
    tasks: list[QuickTask] = field(default_factory=list)
    state: str = "running"

    def get_task_instances(self) -> list[QuickTask]:
        """As Airflow's."""
        return self.tasks


class _Outlets(dict[Any, Any]):
    """Takes every event, and wakes nobody."""

    def __missing__(self, key: object) -> _Outlets:
        return self

    def add(self, *_: Any, **__: Any) -> None:
        """An event."""


def can_run(dag: Any) -> bool:
    """Whether the DAG is made of plain functions only: people and other DAGs need Airflow itself."""
    return all(isinstance(task, DecoratedOperator | DecoratedMappedOperator) for task in dag.tasks)


def run_quickly(dag: Any, conf: Mapping[str, Any], run_after: datetime, *, retries: int = 0) -> QuickRun:
    """Run every task of the DAG once its upstream has ended; returns how all of them did."""
    run = QuickRun(dag.dag_id, f"manual__{uuid4()}", run_after, dict(conf))
    results: dict[str, Any] = {}
    states: dict[str, str] = {}
    for task in dag.topological_sort():
        before = [states[each] for each in task.upstream_task_ids]
        if stopped := _stopped(task.trigger_rule.value, before):
            states[task.task_id] = stopped
            run.tasks.append(QuickTask(task.task_id, stopped))
            continue
        mapped = isinstance(task, DecoratedMappedOperator)
        outcomes = []
        try:
            calls = list(_calls(task, results)) if mapped else [_resolved(task.op_kwargs, results)]
        except (KeyError, TypeError):
            # What it maps over was never made.
            states[task.task_id] = UPSTREAM_FAILED
            run.tasks.append(QuickTask(task.task_id, UPSTREAM_FAILED))
            continue
        if not calls:
            states[task.task_id] = SKIPPED
            run.tasks.append(QuickTask(task.task_id, SKIPPED))
            continue
        positional = () if mapped else _resolved(task.op_args, results)
        for index, kwargs in enumerate(calls):
            instance = QuickTask(
                task.task_id, map_index=index if mapped else -1, dag_id=dag.dag_id, run_id=run.run_id
            )
            outcomes.append(_try(task, run, instance, positional, kwargs, retries))
            run.tasks.append(instance)
        ended = [t.state for t in run.tasks if t.task_id == task.task_id]
        states[task.task_id] = FAILED if FAILED in ended else SUCCESS if SUCCESS in ended else SKIPPED
        if mapped:
            results[task.task_id] = [o for o, state in zip(outcomes, ended, strict=True) if state == SUCCESS]
        elif states[task.task_id] == SUCCESS:
            results[task.task_id] = outcomes[0]
    leaves = {task.task_id for task in dag.leaves}
    bad = any(t.state in (FAILED, UPSTREAM_FAILED) for t in run.tasks if t.task_id in leaves)
    run.state = FAILED if bad else SUCCESS
    return run


def _stopped(rule: str, before: list[str]) -> str | None:
    if rule == "all_done":
        return None
    assert rule == "all_success", f"the trigger rule {rule} needs Airflow itself"
    if {FAILED, UPSTREAM_FAILED} & set(before):
        return UPSTREAM_FAILED
    return SKIPPED if SKIPPED in before else None


def _calls(task: DecoratedMappedOperator, results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    common = _resolved(task.partial_kwargs["op_kwargs"], results)
    over = task.op_kwargs_expand_input.value
    if isinstance(over, Mapping):  # .expand(name=values); the others are .expand_kwargs(list)
        ((name, values),) = over.items()
        yield from ({**common, name: each} for each in _resolved(values, results))
        return
    for each in results[over.operator.task_id]:  # type: ignore[union-attr]
        yield {**common, **each}


def _resolved(value: Any, results: Mapping[str, Any]) -> Any:
    if isinstance(value, PlainXComArg):
        return results.get(value.operator.task_id)
    assert not isinstance(value, XComArg), "derived XComs need Airflow itself"
    if isinstance(value, Mapping):
        return {key: _resolved(each, results) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolved(each, results) for each in value)
    return value


def _try(
    task: Any,
    run: QuickRun,
    instance: QuickTask,
    positional: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    retries: int,
) -> Any:
    function = task.python_callable
    context = {"params": run.conf, "dag_run": run, "ti": instance, "outlet_events": _Outlets()}
    wanted = inspect.signature(function).parameters
    injected = {name: value for name, value in context.items() if name in wanted}
    for attempt in range(retries + 1):
        instance.try_number = attempt + 1
        try:
            result = function(*positional, **{**injected, **kwargs})
            return json.loads(json.dumps(result))
        except AirflowSkipException:
            instance.state = SKIPPED
            return None
        except Exception as error:
            log.exception("task %s of %s failed", task.task_id, run.dag_id)
            if attempt == retries:
                instance.state = FAILED
                _hook(task, {**context, "exception": error})
    return None


def _hook(task: Any, context: Mapping[str, Any]) -> None:
    partial = getattr(task, "partial_kwargs", {})
    found = partial.get("on_failure_callback") or getattr(task, "on_failure_callback", None) or ()
    for hook in found if isinstance(found, list | tuple) else (found,):
        hook(context)
