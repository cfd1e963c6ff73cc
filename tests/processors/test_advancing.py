"""One step further: what is said to be gone is looked for, and what is found again begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from include.privacy.processors.advancing import FOUND_AGAIN, Work, advance
from include.privacy.processors.protocol import Found, ObjectOutcome, Person, Report, State

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)


class Forgetful:
    """A processor that says one thing and holds another."""

    name = "forgetful"
    probes_what_is_manual = False

    def __init__(self, says: State, holds: int) -> None:
        self.says, self.holds = says, holds
        self.looked: list[str] = []

    def erase(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Report]:
        for person in people:
            yield Report(person.reference, (ObjectOutcome("thing", self.says),), {"seen": 1})

    settle = erase

    def verify(self, people: Sequence[Person], *, as_of: datetime) -> Iterator[Found]:
        for person in people:
            self.looked.append(person.reference)
            yield Found(person.reference, {"thing": self.holds})


def _one(processor: Any, **work: Any) -> Report:
    (report,) = advance(processor, [Work(Person("r-1"), "erase", **work)], as_of=AS_OF)
    return report


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("says", [State.erased, State.redacted, State.retained, State.not_held])
def test_what_is_said_to_be_done_is_looked_for(says: State, begun: bool) -> None:
    gone = _one(Forgetful(says, 0), begun=begun)
    assert gone.state is says and gone.memo == {"seen": 1}
    there = _one(Forgetful(says, 2), begun=begun)
    assert there.state is State.failed and there.memo == {}, "it begins anew"
    assert [(o.count, o.code) for o in there.outcomes if o.state is State.failed] == [(2, FOUND_AGAIN)]


@pytest.mark.parametrize("says", [State.pending, State.failed, State.manual])
def test_what_is_not_done_is_not_looked_for(says: State) -> None:
    processor = Forgetful(says, 2)
    assert _one(processor).state is says
    assert processor.looked == []


def test_where_a_part_is_left_to_staff_ours_is_looked_for_if_the_adapter_can_tell_them_apart() -> None:
    processor = Forgetful(State.manual, 0)
    processor.probes_what_is_manual = True
    assert _one(processor).state is State.manual and processor.looked == ["r-1"]
    processor.holds = 1
    assert _one(processor).state is State.failed
