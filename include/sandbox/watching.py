"""Wait in the demo: until runs are over, requests closed, and the drill has come to its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid5

import psycopg

from include.sandbox.airflow_api import AirflowApi, AirflowApiError, Run
from include.sandbox.results import read_requests
from include.sandbox.rights import Asked
from include.sandbox.verify import Check
from include.sandbox.world import World

RIGHTS = ("access", "portability", "rectification", "erasure", "objection")
REQUESTS = ("intake_subject_requests", *(f"fulfil_{right}_requests" for right in RIGHTS))
DEADLINES, SETTLE, DRILL = "watch_request_deadlines", "settle_recipients", "run_drill"
UNSETTLED = """
SELECT count(*) FILTER (WHERE next_at <= now()), count(*) FROM ledger.recipient_task
 WHERE settled_at IS NULL AND state <> 'manual' AND next_at <= now() + interval '2 minutes'
"""
"""What a processor may have done by now, and soon; all else waits for a date or for staff."""
PATIENCE = 120.0
"""Seconds without anything new; a busy machine is slow, but it moves."""
AWAITING = "awaiting_recipients"


class Story:
    """Tells what is happening, with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    def say(self, text: str) -> None:
        """One line."""
        # One write: print() sends the line's end apart, and two threads tell their parts at once.
        sys.stdout.write(f"[{self.seconds:6.1f} s] {text}\n")
        sys.stdout.flush()


class Watch:
    """What runs and what was asked, told as it changes; triggers at once what the schedule would later."""

    def __init__(self, api: AirflowApi, world: World, asked: Sequence[Asked], story: Story) -> None:
        self._api, self._world, self._asked, self._story = api, world, asked, story
        self._told: dict[str, str] = {}
        self._ours: set[str] = set()

    def until_over(self, runs: Sequence[Run]) -> list[Run]:
        """Wait for the runs, the requests and the drill; returns the runs that failed."""
        self._ours |= {run.run_id for run in runs}
        known, deadline = 0, time.monotonic() + PATIENCE
        while True:
            # Two calls for everything: the API server shares two cores with the tasks.
            watched = [r for r in self._api.runs() if r.run_id in self._ours or r.dag_id in REQUESTS]
            running = self._api.running()
            for each in watched:
                self._tell_run(each, running.get((each.dag_id, each.run_id), set()))
            states = {r.external_id: r.state for r in read_requests(self._world.dsn("ledger"))}
            moved = self._move_requests(states)
            drilling = not all(r.ended for r in watched if r.dag_id == DRILL) or self._move_drill(states)
            failed = [r for r in watched if r.state == "failed"]
            over = not moved and not drilling and all(r.ended for r in watched)
            if over and not self._look_again() and (failed or self._closed(states)):
                return failed
            if (now := hash(tuple(self._told.items()))) != known:
                known, deadline = now, time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                hanging = [f"{r.dag_id} {r.state}" for r in watched if not r.ended]
                raise AirflowApiError(
                    f"nothing moved for {', '.join(hanging) or 'requests still open'}. "
                    "Airflow's page shows where it hangs."
                )
            time.sleep(1)

    def trigger(self, dag_id: str) -> None:
        """Start a run, and wait for it like for the others."""
        self._ours.add(self._api.trigger(dag_id).run_id)

    def _move_requests(self, states: Mapping[str, str]) -> bool:
        for each in self._asked:
            state = states.get(each.external_id, "on its way")
            self._tell(each.external_id, f"{each.right} {each.external_id}: {state}")
            if state == "verifying" and self._tell(
                DEADLINES,
                f"Nobody proved who wrote that letter, and its time is over: triggering {DEADLINES}",
            ):
                self.trigger(DEADLINES)
                return True
        return False

    def _move_drill(self, states: Mapping[str, str]) -> bool:
        """The schedule would come every half hour: whether there was something to wait for, or is."""
        with psycopg.connect(self._world.dsn("ledger")) as ledger:
            row = ledger.execute("SELECT id, state, ended_at FROM ledger.drill").fetchone()
        if row is None:
            return False
        drill, state, ended_at = row
        self._tell(DRILL, f"The drill's person who does not exist: {state.replace('_', ' ')}")
        if ended_at is not None:
            return False
        request = _request(drill, state)
        if request and not states.get(request, "").startswith("completed"):
            return states.get(request) != AWAITING
        self.trigger(DRILL)
        return True

    def _look_again(self) -> bool:
        """Look at the processors again, as the schedule would within a quarter of an hour."""
        with psycopg.connect(self._world.dsn("ledger")) as ledger:
            due, soon = ledger.execute(UNSETTLED).fetchone() or (0, 0)
        if due:
            self._story.say(f"{soon} jobs at processors may be done: triggering {SETTLE}")
            self.trigger(SETTLE)
        return bool(soon)

    def _closed(self, states: Mapping[str, str]) -> bool:
        there = ((states.get(each.external_id), each) for each in self._asked)
        return all(state in each.ends for state, each in there if state != AWAITING)

    def _tell_run(self, run: Run, doing: set[str]) -> None:
        key = f"{run.dag_id} {run.run_id}"
        if not run.ended:
            if doing:
                self._tell(key, f"{run.dag_id}: {', '.join(sorted(doing))}")
            return
        text = f"{run.dag_id}: {run.state}"
        if run.state == "failed":
            if self._told.get(key, "").startswith(text):
                return
            text += f" in {', '.join(t for t, state in self._api.task_states(run) if state == 'failed')}"
        self._tell(key, text)

    def _tell(self, key: str, text: str) -> bool:
        if self._told.get(key) == text:
            return False
        self._told[key] = text
        self._story.say(text)
        return True


def _request(drill: UUID, state: str) -> str:
    """The request that a drill waits for in this state, or nothing."""
    right = state.removeprefix("asked_")
    return str(uuid5(drill, right)) if right in RIGHTS else ""


def check_drill(world: World) -> list[Check]:
    """Whether the drill has passed, by the ledger."""
    with psycopg.connect(world.dsn("ledger")) as ledger:
        row = ledger.execute("SELECT state, failure FROM ledger.drill").fetchone()
        rows = ledger.execute("SELECT body FROM ledger.evidence WHERE kind = 'drill'").fetchall()
    facts = {body["state"]: body for (body,) in rows}
    places = len(facts.get("planted", {}).get("planted_in", []))
    return [
        Check(
            "P4.3",
            f"a planted person used three rights in {places} places, and neither they nor a restored "
            "backup shows them",
            row is not None and row[0] == "passed" and places > 0,
            f"{row[0]}: {row[1] or ''}" if row else "no drill",
        )
    ]
