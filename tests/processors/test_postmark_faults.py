"""Postmark's fault matrix: every right, every fault, at several calls; what is there in the end counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.privacy.processors.advancing import Action
from include.privacy.processors.protocol import Person, ProcessorRefusedError, State
from tests.processors.matrix import FAULTS, carry_out
from tests.processors.postmark_account import (
    MARKETING,
    adapter,
    address,
    mailed,
    now,
    person,
    postmark,
    suppressed,
)
from tests.processors.standing import Standing

COHORT = (1, 2, 3, 4)
OTHERS = {address(5), address(6)}
ACTIONS: dict[Action, list[dict[str, Any]]] = {
    "erase": [
        {"path": "message-streams$"},
        {"path": "broadcast/suppressions/dump"},
        {"path": "suppressions/delete"},
        {"path": "data-removals$", "method": "POST"},
        {"path": "data-removals$", "method": "POST", "skip": 2},
        {"path": "data-removals/", "method": "GET", "skip": 1},
        {"path": "messages/outbound", "skip": 1},
        {"path": "bounces"},
    ],
    "rectify": [
        {"path": "outbound/suppressions/dump"},
        {"path": "broadcast/suppressions$", "method": "POST"},
        {"path": "suppressions/delete"},
    ],
    "object": [{"path": "broadcast/suppressions$"}],
    "restrict": [{"path": "broadcast/suppressions$"}],
}
CASES = [(action, place) for action, places in ACTIONS.items() for place in places]


def prepared(running: Standing) -> None:
    server = running.stand_in.server
    server.bounce(server.messages[0])
    server.bounce(server.messages[4])
    for n in (2, 6):
        server.suppress("broadcast", address(n), "ManualSuppression", "Recipient")


def act(running: Standing, action: Action) -> dict[str, Any]:
    values = {f"request-{n}": {"email": f"new{n}@practice.example"} for n in COHORT}
    before = running.control.state()
    reports = carry_out(
        adapter(running), action, [person(n) for n in COHORT], as_of=now(), values=values, purpose=MARKETING
    )
    after = running.control.state()
    wanted = {State.erased, State.retained, State.corrected, State.not_held, State.stopped}
    assert {r.state for r in reports.values()} <= wanted, reports
    assert len(reports) == len(COHORT)
    assert of_others(before) == of_others(after)
    return after


def of_others(state: dict[str, Any]) -> Any:
    return (
        [m for m in state["messages"] if OTHERS & set(m["Recipients"])],
        [e for e in state["opens"] if e["Recipient"] in OTHERS],
        [b for b in state["bounces"] if b["Email"] in OTHERS],
        [[r for r in rows if r["EmailAddress"] in OTHERS] for rows in state["suppressions"].values()],
    )


def assert_done(action: Action, state: dict[str, Any]) -> None:
    people = {address(n) for n in COHORT}
    if action == "erase":
        assert mailed(state) == OTHERS
        assert suppressed(state, "outbound") == {address(5)}
        assert suppressed(state, "broadcast") == {address(2), address(6)}
    elif action == "rectify":
        assert mailed(state) == people | OTHERS
        assert suppressed(state, "broadcast") == {"new2@practice.example", address(6)}
    else:
        assert suppressed(state, "broadcast") == people | {address(6)}
        assert suppressed(state, "outbound") == {address(1), address(5)}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("action", "place"), CASES, ids=[f"{a}-{n}" for n, (a, _) in enumerate(CASES)])
def test_whatever_fails_wherever_it_ends_as_if_nothing_had(
    tmp_path: Path, action: Action, place: dict[str, Any], fault: dict[str, Any]
) -> None:
    with postmark(tmp_path, 6) as running:
        prepared(running)
        running.control.fail(**(fault | place))
        state = act(running, action)
        assert running.control.faults() == [], "the fault was never reached"
        assert_done(action, state)


def test_removals_that_take_hours_end_the_same(tmp_path: Path) -> None:
    with postmark(tmp_path, 6, removal_seconds=5_000) as running:
        prepared(running)
        carry_out(
            adapter(running),
            "erase",
            [person(n) for n in COHORT],
            as_of=now(),
            before=lambda n: running.control.configure(clock_offset_seconds=900 * n),
        )
        assert_done("erase", running.control.state())
        assert running.calls("POST", "data-removals") == len(COHORT), "nothing was asked for twice"


@pytest.mark.parametrize("skip", range(10))
def test_a_process_that_dies_at_any_call_of_an_erasure_leaves_work_that_can_be_gone_on_with(
    tmp_path: Path, skip: int
) -> None:
    """The memo of the dying run is lost: everything begins anew."""
    with postmark(tmp_path, 6) as running:
        prepared(running)
        running.control.fail(kind="status", status=401, skip=skip)
        try:
            list(adapter(running).erase([person(n) for n in COHORT], as_of=now()))
        except ProcessorRefusedError:
            assert not running.control.faults()
        running.control.clear_faults()
        assert_done("erase", act(running, "erase"))


def test_a_cohort_of_hundreds_with_one_that_is_refused_stops_for_nobody(tmp_path: Path) -> None:
    with postmark(tmp_path, 200) as running:
        cohort = [person(n) for n in range(1, 201)]
        cohort.insert(100, Person("request-bad", ("bad address@practice.example",)))
        reports = carry_out(adapter(running), "erase", cohort, as_of=now(), calls=3)
        assert reports["request-bad"].state is State.failed
        assert {r.state for k, r in reports.items() if k != "request-bad"} == {State.erased}
        assert mailed(running.control.state()) == set()
