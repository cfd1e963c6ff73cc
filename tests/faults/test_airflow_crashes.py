"""A running Airflow whose processes are killed in the middle of an erasure.

The engine is stopped inside a chunk by a row lock that the test holds: there the task, its supervisor
or the scheduler is killed, and then the run has to go on without losing or repeating anything.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
import pytest

from include.sandbox import setup
from include.sandbox.airflow import COMPONENTS, Airflow, start_airflow
from include.sandbox.objects import sqs_client
from include.sandbox.platform.app import request_erasure
from include.sandbox.postgres import remove_data
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.world import ROOT, World, stop_world

# Only a backstop: what is waited for in vain is given up long before, see Running.wait_for.
pytestmark = pytest.mark.timeout(1800)
DAG_ID = "fulfil_erasure_requests"
INTAKE = "intake_subject_requests"
SETTLE = "settle_recipients"
PATIENCE = 240.0
# Crashes are noticed sooner than in production, and retried at once.
FAST = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
}

T = TypeVar("T")


@dataclass
class Running:
    """A world with people in it and an Airflow beside it."""

    world: World
    airflow: Airflow

    def people(self, count: int) -> list[int]:
        """Active people with attempts who have not asked for anything yet, and for whom no gateway waits."""
        with psycopg.connect(self.world.dsn("accounts")) as accounts:
            asked = [r[0] for r in accounts.execute("SELECT account_id FROM privacy_inbox")]
            active = [
                r[0]
                for r in accounts.execute(
                    "SELECT id FROM accounts WHERE status = 'active' "
                    "AND id NOT IN (SELECT account_id FROM gateway_customers)"
                )
            ]
        with psycopg.connect(self.world.dsn("practice")) as practice:
            busy = practice.execute(
                "SELECT learner_id FROM attempts WHERE learner_id = ANY(%s) AND learner_id <> ALL(%s) "
                "GROUP BY 1 ORDER BY 1 LIMIT %s",
                (active, asked, count),
            )
            return [r[0] for r in busy]

    def ask(self, *people: int) -> list[str]:
        """These people click; returns the platform's ids of their requests."""
        sqs = sqs_client(self.world.s3_endpoint)
        with psycopg.connect(self.world.env["PLATFORM_ACCOUNTS_DSN"]) as accounts:
            return [str(request_erasure(accounts, sqs, self.world.queue_url, person)) for person in people]

    def attempts(self, person: int) -> int:
        """How many attempts the person has."""
        with psycopg.connect(self.world.dsn("practice")) as practice:
            row = practice.execute(
                "SELECT count(*) FROM attempts WHERE learner_id = %s", (person,)
            ).fetchone()
        return int(row[0]) if row else 0

    def closed(self, request: str) -> bool:
        """Whether the request has been answered; who waits for processors need not wait for the quarter."""
        with psycopg.connect(self.world.dsn("ledger")) as ledger:
            row = ledger.execute(
                "SELECT state FROM ledger.request WHERE external_id = %s", (request,)
            ).fetchone()
        state = row[0] if row else ""
        if state == "awaiting_recipients":
            api = self.airflow.api()
            if all(run.ended for run in api.runs(SETTLE)):
                api.trigger(SETTLE)
        return state.startswith("completed")

    def removed_attempts(self, request: str) -> int:
        """What the ledger says was removed from ``attempts`` in the run that closed the request."""
        with psycopg.connect(self.world.dsn("ledger")) as ledger:
            row = ledger.execute(
                "SELECT coalesce(sum((o.body -> 'removed' ->> 'attempts')::bigint), 0) "
                "FROM ledger.request r JOIN ledger.plan p ON p.run_id = r.run_id "
                "JOIN ledger.outcome o ON o.plan_id = p.id WHERE r.external_id = %s AND p.store = 'practice'",
                (request,),
            ).fetchone()
        return int(row[0]) if row else 0

    def answers(self, request: str) -> int:
        """How many answers the platform got."""
        with psycopg.connect(self.world.dsn("accounts")) as accounts:
            row = accounts.execute(
                "SELECT count(*) FROM privacy_outbox WHERE request_id = %s", (request,)
            ).fetchone()
        return int(row[0]) if row else 0

    def moved(self) -> object:
        """Differs from look to look as long as any run in Airflow gets on."""
        with psycopg.connect(self.world.dsn("airflow")) as airflow:
            return airflow.execute(
                "SELECT 'run', state, count(*) FROM dag_run GROUP BY 2 "
                "UNION ALL SELECT 'task', state, count(*) FROM task_instance GROUP BY 2 "
                "UNION ALL SELECT 'tries', NULL, sum(try_number) FROM task_instance ORDER BY 1, 2"
            ).fetchall()

    def wait_for(self, look: Callable[[], T | None], what: str) -> T:
        """Polls until there is something.

        A busy machine is slow, but it moves: fails with what was waited for, and with the state of
        every run, when nothing has got on for ``PATIENCE`` seconds.
        """
        moved, deadline = self.moved(), time.monotonic() + PATIENCE
        while (found := look()) is None:
            if (now := self.moved()) != moved:
                moved, deadline = now, time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                api = self.airflow.api()
                for run in api.runs(DAG_ID):
                    print(run, api.task_states(run))
                pytest.fail(f"waited for {what}; nothing has got on for {PATIENCE:.0f} s")
            time.sleep(0.2)
        return found

    def process(self, name: str) -> psutil.Process:
        """A running component."""
        recorded = self.world.table.find(name)
        assert recorded is not None
        return psutil.Process(recorded.pid)

    def freeze_the_scheduler_with_a_run_in_its_hands(self) -> None:
        """Stops the scheduler inside a transaction that has locked a run in order to schedule it.

        Which is where it is for a good part of its time. The lock is seen from outside: a running
        run that cannot be locked.
        """
        scheduler = self.process("airflow-scheduler")

        def frozen() -> bool | None:
            scheduler.suspend()
            ports = [c.laddr.port for c in scheduler.net_connections(kind="tcp") if c.laddr]
            with psycopg.connect(self.world.dsn("airflow")) as observer:
                held = observer.execute(
                    "SELECT EXISTS (SELECT FROM dag_run WHERE state = 'running' AND id NOT IN "
                    "(SELECT id FROM dag_run WHERE state = 'running' FOR NO KEY UPDATE SKIP LOCKED)) "
                    "AND EXISTS (SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' "
                    "AND datname = 'airflow' AND client_port = ANY(%s))",
                    (ports,),
                ).fetchone()
            if held == (True,):
                return True
            scheduler.resume()
            return None

        self.wait_for(frozen, "an instant at which the scheduler holds a run")

    def restart(self, name: str) -> None:
        """Kills a component, and only it, without warning; starts it again under another name."""
        self.process(name).kill()
        command, wave = COMPONENTS[name]
        self.world.table.spawn(f"{name}-again", command, env=self.airflow.env, cwd=ROOT, wave=wave)

    @contextmanager
    def blocked(self, person: int) -> Iterator[Callable[[], psutil.Process]]:
        """Holds a lock on the person's attempts; the callable waits for the task that runs into it."""
        with psycopg.connect(self.world.dsn("practice")) as lock:
            lock.execute("SELECT 1 FROM attempts WHERE learner_id = %s FOR UPDATE", (person,))
            yield self._task_in_a_chunk
            lock.rollback()

    def _task_in_a_chunk(self) -> psutil.Process:
        server = self.world.postgres.port

        def waiting() -> psutil.Process | None:
            with psycopg.connect(self.world.dsn("practice"), autocommit=True) as observer:
                rows = observer.execute(
                    "SELECT client_port FROM pg_stat_activity WHERE application_name = 'privacy' "
                    "AND wait_event_type = 'Lock' AND datname = 'practice'"
                ).fetchall()
            ports = {row[0] for row in rows}
            for process in psutil.process_iter():
                try:
                    connections = process.net_connections(kind="tcp")
                except psutil.Error:
                    continue
                # A port alone may be a stranger's: it is free again for connections to other servers.
                if any(c.raddr and c.raddr.port == server and c.laddr.port in ports for c in connections):
                    return process
            return None

        return self.wait_for(waiting, "a task that waits inside a chunk")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Everything, for the tests of this file."""
    folder = Path(tempfile.mkdtemp(prefix="privacy-faults-"))
    try:
        world, airflow = setup.start(print, folder, FAST)
        setup.fill(world, print, 60, datetime.now(UTC))
        start_airflow(world, airflow, print, seconds=300)
        api = airflow.api()
        api.wait_for_dags({DAG_ID, INTAKE, SETTLE}, seconds=300)
        ProcessorControl(world.processor_endpoints["postmark"]).configure(removal_seconds=0)
        ProcessorControl(world.processor_endpoints["sendgrid"]).configure(erase_seconds=0)
        for dag_id in (DAG_ID, INTAKE, SETTLE):
            api.unpause(dag_id)
        yield Running(world, airflow)
    finally:
        stop_world(folder)
        remove_data(folder)
        shutil.rmtree(folder, ignore_errors=True)


def finished_once(running: Running, request: str, attempts: int) -> None:
    """The request is closed, every row was removed and counted once, and one answer was given."""
    running.wait_for(lambda: running.closed(request) or None, "the request to be closed")
    assert running.removed_attempts(request) == attempts
    assert running.answers(request) == 1


def test_a_task_killed_inside_a_chunk_is_run_again_and_repeats_nothing(running: Running) -> None:
    (person,) = running.people(1)
    attempts = running.attempts(person)
    with running.blocked(person) as task:
        (request,) = running.ask(person)
        task().kill()
    finished_once(running, request, attempts)


def test_a_supervisor_killed_inside_a_chunk_leaves_an_orphan_that_does_no_harm(running: Running) -> None:
    (person,) = running.people(1)
    attempts = running.attempts(person)
    with running.blocked(person) as task:
        (request,) = running.ask(person)
        supervisor = task().parent()
        assert supervisor is not None
        supervisor.kill()
    finished_once(running, request, attempts)


def test_a_scheduler_killed_inside_a_chunk_goes_on_after_its_restart(running: Running) -> None:
    # At the worst instant: its session outlives it in the workers that it forked, and holds the run.
    (person,) = running.people(1)
    attempts = running.attempts(person)
    with running.blocked(person) as task:
        (request,) = running.ask(person)
        task()
        running.freeze_the_scheduler_with_a_run_in_its_hands()
        running.restart("airflow-scheduler")
    finished_once(running, request, attempts)


def test_a_triggerer_killed_with_a_burst_of_doorbells_in_flight_loses_no_request(running: Running) -> None:
    people = running.people(8)
    attempts = {person: running.attempts(person) for person in people}
    requests = running.ask(*people)
    sqs = sqs_client(running.world.s3_endpoint)
    sqs.send_message(QueueUrl=running.world.queue_url, MessageBody="nonsense")
    running.restart("airflow-triggerer")
    # One more click wakes the run that drains the inbox, however many doorbells were lost or doubled.
    (last,) = running.people(1)
    requests += running.ask(last)
    for request in requests:
        running.wait_for(
            lambda r=request: running.closed(r) or None, "every request of the burst to be closed"
        )
        assert running.answers(request) == 1
    assert all(running.attempts(person) == 0 for person in [*people, last])
    assert sum(attempts.values()) > 0
    # What was malformed may still be in the dead one's hands; the queue gives it out again.
    kept = running.wait_for(
        lambda: sqs.receive_message(QueueUrl=running.world.dead_letter_url).get("Messages"),
        "the malformed message to be put aside",
    )
    assert [message["Body"] for message in kept] == ["nonsense"]
