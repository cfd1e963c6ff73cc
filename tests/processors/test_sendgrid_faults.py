"""SendGrid's fault matrix: every right, every fault, at several calls; what is there in the end counts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.advancing import Action
from include.privacy.processors.protocol import ProcessorRefusedError, State
from tests.processors.matrix import FAULTS, carry_out
from tests.processors.sendgrid_account import (
    MARKETING,
    account,
    adapter,
    emails,
    mailed,
    now,
    person,
    sendgrid,
)
from tests.processors.standing import Standing

COHORT = (1, 2, 3, 4)
OTHERS = {f"user{n}@practice.example" for n in (5, 6)}
ACTIONS: dict[Action, list[dict[str, Any]]] = {
    "erase": [
        {"path": "scopes"},
        {"path": "contacts/search"},
        {"path": "contacts$", "method": "DELETE"},
        {"path": "bounces", "method": "DELETE"},
        {"path": "erasejob"},
        {"path": "imports"},
        {"path": "logs", "skip": 2},
    ],
    "rectify": [
        {"path": "contacts/search", "skip": 1},
        {"path": "contacts$", "method": "PUT"},
        {"path": "contacts$", "method": "PUT", "skip": 1},
        {"path": "contacts$", "method": "DELETE"},
        {"path": "groups/1002/suppressions$", "method": "POST"},
        {"path": "groups/1002/suppressions/", "method": "DELETE"},
    ],
    "object": [{"path": "groups/1001$"}, {"path": "groups/1001/suppressions"}],
    "restrict": [{"path": "groups/1001/suppressions"}],
}
CASES = [(action, place) for action, places in ACTIONS.items() for place in places]


def prepared(running: Standing) -> None:
    running.stand_in.suppressions.put("bounces", "user1@practice.example")
    running.stand_in.suppressions.put("bounces", "user5@practice.example")
    running.stand_in.suppressions.members[1002].update({"user2@practice.example", "user6@practice.example"})


def act(running: Standing, action: Action) -> dict[str, Any]:
    values = {f"request-{n}": {"email": f"new{n}@practice.example"} for n in COHORT}
    before = running.control.state()
    reports = carry_out(
        adapter(running), action, [person(n) for n in COHORT], as_of=now(), values=values, purpose=MARKETING
    )
    after = running.control.state()
    wanted = {State.erased, State.retained, State.corrected, State.stopped}
    assert {r.state for r in reports.values()} <= wanted, reports
    assert len(reports) == len(COHORT)
    assert_others_untouched(before, after)
    return after


def assert_others_untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    def of_others(state: dict[str, Any]) -> Any:
        lists = {**state["suppressions"], **state["suppressions"]["groups"]}
        lists.pop("groups")
        return (
            [c for c in state["contacts"] if c["email"] in OTHERS],
            [m for m in state["log"] if m["to_email"] in OTHERS],
            {name: OTHERS & set(rows) for name, rows in lists.items()},
        )

    assert of_others(before) == of_others(after)


def assert_done(action: Action, state: dict[str, Any], old: list[dict[str, Any]]) -> None:
    people = {f"user{n}@practice.example" for n in COHORT}
    groups = state["suppressions"]["groups"]
    if action == "erase":
        assert emails(state) == mailed(state) == OTHERS
        assert state["suppressions"]["bounces"] == ["user5@practice.example"]
        assert groups["1002"] == ["user2@practice.example", "user6@practice.example"]
    elif action == "rectify":
        new = {f"new{n}@practice.example" for n in COHORT}
        assert sorted(c["email"] for c in state["contacts"]) == sorted(OTHERS | new)
        assert {c["external_id"] for c in state["contacts"]} == {c["external_id"] for c in old}
        assert groups["1002"] == ["new2@practice.example", "user6@practice.example"]
    else:
        assert set(groups["1001"]) == people
        assert state["suppressions"]["unsubscribes"] == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("action", "place"), CASES, ids=[f"{a}-{n}" for n, (a, _) in enumerate(CASES)])
def test_whatever_fails_wherever_it_ends_as_if_nothing_had(
    tmp_path: Path, action: Action, place: dict[str, Any], fault: dict[str, Any]
) -> None:
    with sendgrid(tmp_path, [account(n) for n in (*COHORT, 5, 6)]) as running:
        prepared(running)
        old = running.control.state()["contacts"]
        running.control.fail(**(fault | place))
        state = act(running, action)
        assert running.control.faults() == [], "the fault was never reached"
        assert_done(action, state, old)


@pytest.mark.parametrize("action", ACTIONS)
def test_jobs_that_take_an_hour_end_the_same(tmp_path: Path, action: Action) -> None:
    with sendgrid(tmp_path, [account(n) for n in (*COHORT, 5, 6)]) as running:
        prepared(running)
        old = running.control.state()["contacts"]
        running.control.configure(job_seconds=3_000, erase_seconds=5_000)
        values = {f"request-{n}": {"email": f"new{n}@practice.example"} for n in COHORT}
        carry_out(
            adapter(running),
            action,
            [person(n) for n in COHORT],
            as_of=now(),
            values=values,
            purpose=MARKETING,
            calls=20,
            before=lambda n: running.control.configure(clock_offset_seconds=900 * n),
        )
        assert_done(action, running.control.state(), old)


@pytest.mark.parametrize("skip", range(0, 20, 2))
def test_a_process_that_dies_at_any_call_of_an_erasure_leaves_work_that_can_be_gone_on_with(
    tmp_path: Path, skip: int
) -> None:
    """The memo of the dying run is lost: everything begins anew."""
    with sendgrid(tmp_path, [account(n) for n in (*COHORT, 5, 6)]) as running:
        prepared(running)
        running.control.fail(kind="status", status=403, skip=skip)
        try:
            list(adapter(running).erase([person(n) for n in COHORT], as_of=now()))
        except ProcessorRefusedError:
            assert not running.control.faults()
        running.control.clear_faults()
        assert_done("erase", act(running, "erase"), [])


def test_the_erase_job_that_is_switched_off_between_question_and_call_is_done_without(tmp_path: Path) -> None:
    with sendgrid(tmp_path, [account(n) for n in (*COHORT, 5, 6)]) as running:
        running.control.fail(kind="status", status=403, path="erasejob")
        reports = carry_out(
            adapter(running),
            "erase",
            [person(n) for n in COHORT],
            as_of=now(),
            calls=40,
            step=timedelta(days=1),
            before=lambda n: running.control.configure(clock_offset_seconds=86_400 * n),
        )
        assert {r.state for r in reports.values()} == {State.erased}
        assert emails(running.control.state()) == OTHERS
        assert all(not f.counts for f in adapter(running).find([person(n) for n in COHORT]))


def test_a_cohort_of_hundreds_with_one_that_is_refused_stops_for_nobody(tmp_path: Path) -> None:
    from include.privacy.processors.protocol import Person

    with sendgrid(tmp_path, [account(n) for n in range(300)]) as running:
        cohort = [person(n) for n in range(300)]
        cohort.insert(150, Person("request-bad", ("bad address@practice.example",)))
        reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=3)
        searches = running.calls("POST", "contacts/search")
        assert reports["request-bad"].state is State.failed
        assert {r.state for k, r in reports.items() if k != "request-bad"} == {State.erased}
        assert emails(running.control.state()) == set()
    assert searches < 60, "one bad address costs a few calls, not one for each person"
