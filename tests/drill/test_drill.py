"""Drills from the planting to the verdict, in the embedded world."""

from __future__ import annotations

import pytest

from tests.drill.conftest import Drilled

pytestmark = pytest.mark.timeout(300)


def test_a_synthetic_person_uses_every_right_and_is_found_nowhere_afterwards(drilled: Drilled) -> None:
    run = drilled.until("passed")
    print(drilled.report(), [e.body for e in drilled.estate.ledger.evidence(kind="drill")])
    assert run.state == "success", drilled.states()
    assert drilled.latest().state == "passed"
