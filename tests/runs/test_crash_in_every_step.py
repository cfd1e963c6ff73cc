"""Every task of a right dies once, after its work and before Airflow knows: nothing is lost or done twice."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from include.sandbox.platform.people import MARKERS
from include.sandbox.processors.mailbox import read_mailbox
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(400)
ASKER = MARKERS[1].account_id
DETAILS: dict[str, dict[str, Any]] = {
    "rectification": {"corrections": {"full_name": "Perpetua Lindqvist"}},
    "objection": {"purposes": ["personalize.content"]},
}
RIGHTS = ("access", "portability", "rectification", "objection", "erasure")


class DiedError(RuntimeError):
    """Stands for a process that was killed: what it did is done, and nobody heard of it."""


def dying_once(function: Callable[..., Any], died: set[object], name: str) -> Callable[..., Any]:
    def task(*args: Any, **more: Any) -> Any:
        result = function(*args, **more)
        which = (name, str(more.get("store")), str(more.get("shard")))
        if which not in died:
            died.add(which)
            raise DiedError(name)
        return result

    # Airflow hands over what the signature asks for.
    task.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    task.__name__ = function.__name__
    return task


@contextmanager
def every_task_dies_once(estate: Estate, dag_id: str) -> Iterator[set[object]]:
    died: set[object] = set()
    dag = estate.bag.dags[dag_id]
    before = {task.task_id: task.python_callable for task in dag.tasks}
    for task in dag.tasks:
        task.python_callable = dying_once(task.python_callable, died, task.task_id)
    try:
        yield died
    finally:
        for task in dag.tasks:
            task.python_callable = before[task.task_id]


def run(estate: Estate, dag_id: str) -> None:
    """Run a DAG in which every task dies once; Airflow tries each again at once."""
    with every_task_dies_once(estate, dag_id) as died:
        done = estate.run(dag_id, retries=1)
    assert done.state == "success", estate.states(done)
    ran = {task for task, states in estate.states(done).items() if "success" in states}
    assert {name for name, *_ in died} == ran and len(ran) >= 3  # type: ignore[misc]


def test_every_task_of_the_intake_may_die_and_nobody_is_written_to_twice(estate: Estate) -> None:
    known, unknown = estate.ask(ASKER, "access"), estate.ask(ASKER, "portability", verified=False)
    run(estate, "intake_subject_requests")
    assert estate.ledger.find_request(known).state == "assessing"
    assert estate.ledger.find_request(unknown).state == "verifying"
    assert sum(known in mail.text for mail in read_mailbox(estate.world)) == 1
    assert sum(unknown in mail.text for mail in read_mailbox(estate.world)) == 2
    assert Counter(a["kind"] for a in estate.answers()) == {"access_received": 1, "portability_received": 1}


@pytest.mark.parametrize("right", RIGHTS)
def test_every_task_of_a_right_may_die_and_the_request_is_answered_once(estate: Estate, right: str) -> None:
    external = estate.ask(ASKER, right, details=DETAILS.get(right))
    assert estate.run("intake_subject_requests").state == "success"
    run(estate, f"fulfil_{right}_requests")
    estate.settle()

    row = estate.ledger.find_request(external)
    assert row.closed_at is not None and row.state.startswith("completed")
    kinds = Counter(a["kind"] for a in estate.answers() if a["request_id"] == external)
    kinds.pop(f"{right}_received", None)
    assert len(kinds) == 1 and set(kinds.values()) == {1}
    assert sum(external in mail.text for mail in read_mailbox(estate.world)) == 2, "confirmed and answered"
    later = estate.run(f"fulfil_{right}_requests", as_of=estate.as_of + timedelta(minutes=15))
    assert later.state == "success"
    living = [a for a in estate.ledger.archives(row.id) if a.deleted_at is None and a.delete_reason is None]
    assert len(living) == (1 if right in ("access", "portability") else 0)
