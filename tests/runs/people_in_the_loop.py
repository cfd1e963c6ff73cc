"""A person at the required-actions page, for DAGs that dag.test() runs in the main thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def answering(task_id: str, options: list[str], user: str = "priya") -> Iterator[None]:
    """Answer every waiting task of that id in the background."""
    over = threading.Event()
    thread = threading.Thread(target=_answer, args=(task_id, options, user, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def _answer(task_id: str, options: list[str], user: str, over: threading.Event) -> None:
    from airflow._shared.timezones import timezone
    from airflow.models.hitl import HITLDetail, HITLUser
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    # An answer in the instant of parking would be lost: look twice a second.
    while not over.wait(0.5):
        with create_session() as session:
            waiting = select(TaskInstance).where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)
            for ti in session.scalars(waiting):
                if ti.task_id != task_id:
                    continue
                detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                detail.responded_by = HITLUser(id=f"id-of-{user}", name=user)
                detail.responded_at = timezone.utcnow()
                detail.chosen_options, detail.params_input = options, {}
                event = TriggerEvent(detail.as_resume_event_payload())
                handle_event_submit(event, task_instance=ti, session=session)


def shown_body(run: Any) -> str:
    """What the page showed in a run."""
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ids = [ti.id for ti in run.get_task_instances()]
    with create_session() as session:
        return str(session.scalar(select(HITLDetail.body).where(HITLDetail.ti_id.in_(ids))))


def run_ids(dag_id: str) -> set[str]:
    """The ids of every run of a DAG."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return set(session.scalars(select(DagRun.run_id).where(DagRun.dag_id == dag_id)))


def triggered(dag_id: str) -> list[dict[str, Any]]:
    """The conf of every run of a DAG."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return [
            dict(conf or {}) for conf in session.scalars(select(DagRun.conf).where(DagRun.dag_id == dag_id))
        ]
