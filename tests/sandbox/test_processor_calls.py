"""Stand-ins count what is asked of them."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processors.standing import Standing, standing


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Standing]:
    with standing("postmark", tmp_path, "a-key") as running:
        yield running


def ask(stand_in: Standing) -> int:
    connection = http.client.HTTPConnection(stand_in.endpoint.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", "/message-streams", headers={"X-Postmark-Server-Token": "a-key"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_calls_are_counted_from_many_threads_and_the_controls_own_are_not(stand_in: Standing) -> None:
    assert stand_in.control.calls() == 0
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: ask(stand_in), range(40))) == {200}
    stand_in.control.configure(removal_seconds=0)
    assert stand_in.control.state()
    assert stand_in.control.calls() == 40


def test_a_call_that_was_made_to_fail_counts_and_a_reset_begins_anew(stand_in: Standing) -> None:
    stand_in.control.fail(status=500)
    assert ask(stand_in) == 500
    assert ask(stand_in) == 200
    assert stand_in.control.calls() == 2
    stand_in.control.reset_calls()
    assert stand_in.control.calls() == 0
    ask(stand_in)
    assert stand_in.control.calls() == 1
