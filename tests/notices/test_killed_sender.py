"""Once, or said so, when the worker is killed by SIGKILL: real processes, the real database and stand-ins."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import text

from include.privacy.runtime import runtime
from include.sandbox.processors.control import ProcessorControl
from tests.notices import sender
from tests.notices.conftest import VERSION, Campaign, Providers
from tests.notices.sender import Point
from tests.processors.standing import Standing

if TYPE_CHECKING:
    from include.sandbox.world import World

PATIENCE_S = 60.0
"""A backstop for a busy machine; nothing here depends on how fast anything is."""
PER_CALL = 2
SLOW_PEOPLE_PER_MINUTE, FAST_PEOPLE_PER_MINUTE = 1_500, 600_000
LOG_LAG_S = 30 * 60
"""SendGrid's log does not show at once what was sent: who takes absence for proof too early, sends twice."""
CALLS = {"sendgrid": "/v3/mail/send", "postmark": "/email/batch"}
# The provider has carried the call out and keeps the answer to itself, or swallows it.
CARRIED_OUT = {"kind": "slow", "seconds": 0.5}
SWALLOWED = {"kind": "timeout", "when": "before", "seconds": 0.5}


@dataclass(frozen=True)
class Blow:
    """Where a sender dies: held at the point, or some milliseconds after it has been there, still at work."""

    point: Point
    fault: Mapping[str, Any] = field(default_factory=dict)
    held: bool = True


HELD = [
    *(Blow(point) for point in Point if point not in (Point.beginning, Point.freezing)),
    Blow(Point.calling, CARRIED_OUT),
    Blow(Point.calling, SWALLOWED),
]
AT_ANY_TIME = [
    Blow(point, held=False)
    for point in (Point.beginning, Point.before_claim, Point.calling, Point.after_call, Point.booking)
]


@pytest.fixture
def providers(world: World) -> Iterator[Providers]:
    """The world's own, in a process that survives every sender, as if nobody had used them before."""
    stands = []
    for name in CALLS:
        control = ProcessorControl(world.processor_endpoints[name])
        control.begin_again()
        stands.append(Standing(control.endpoint, None, control))
    # Nothing is told to be delivered: there is always something to look at again.
    stands[0].control.configure(log_lag_seconds=LOG_LAG_S, deliver_seconds=30 * 24 * 3600)
    yield Providers(stands[0], stands[1], world.folder, {})
    for stand in stands:
        stand.control.begin_again()


class Killer:
    """Starts one sender after the other and kills it."""

    def __init__(self, campaign: Campaign, provider: str, dice: random.Random) -> None:
        self.campaign, self.dice = campaign, dice
        self.provider: Standing = getattr(campaign, provider)
        self.path = CALLS[provider]
        self.kills: list[Blow] = []
        self._run = campaign.open_run()

    def strike(self, blow: Blow, *, times: int | None = None) -> None:
        """One sender begins, and dies at that point of its work."""
        if self.dice.random() < 0.5:  # otherwise the same run is tried again
            self._run = self.campaign.open_run()
        if blow.fault:
            self.provider.control.fail(path=self.path, count=1_000, **blow.fault)
        process, line = sender.start(self._orders(blow, times or self._times(blow)))
        self._wait_for(blow.point, process, line)
        if not blow.held:
            time.sleep(self.dice.uniform(0.0, 0.1))
        if blow.fault:
            self._until(lambda: self.provider.control.faults()[0]["count"] < 1_000, "no call has come")
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE_S)
        assert process.exitcode == -signal.SIGKILL, f"{blow}: it has ended by itself ({process.exitcode})"
        line.close()
        self.provider.control.clear_faults()
        self.kills.append(blow)

    def settle(self) -> None:
        """Until the provider is through with what the dead have left on its sockets.

        Real calls do not take an hour; here an hour takes no time.
        """
        self.provider.control.faults()  # whoever called before this has been let in
        port = int(self.provider.endpoint.rpartition(":")[2])
        found = self.campaign.platform.world.table.find("processors")
        assert found
        process = psutil.Process(found.pid)

        def through() -> bool:
            open_ones = (c for c in process.net_connections("tcp") if c.status != psutil.CONN_LISTEN)
            return all(c.laddr.port != port for c in open_ones)

        self._until(through, "the provider still has connections")

    def _times(self, blow: Blow) -> int:
        if blow.fault:
            return 3  # so many calls without an answer are made before a sender gives up
        return 1 if blow.point in (Point.beginning, Point.settling) else self.dice.randint(1, 3)

    def _orders(self, blow: Blow, times: int) -> sender.Orders:
        names = ("accounts_db", "practice_db", "privacy_ledger", *CALLS)
        return sender.Orders(
            run=self._run,
            connections={name: self.campaign.connect(name) for name in names},
            config=runtime().config(),
            master_key=os.environ["PRIVACY_MASTER_KEY"],
            ahead=self.campaign.now - datetime.now(UTC),
            capacity=PER_CALL,
            point=blow.point,
            times=times,
            hold=blow.held,
        )

    def _wait_for(self, point: Point, process: Any, line: Connection) -> None:
        assert line.poll(PATIENCE_S), f"no sender has got to: {point}"
        try:
            assert line.recv() == point
        except EOFError:
            process.join(PATIENCE_S)
            pytest.fail(f"a sender has ended ({process.exitcode}) before it got to: {point}")

    @staticmethod
    def _until(reached: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.03)


@pytest.mark.parametrize(("provider", "rounds", "seed"), [("sendgrid", 2, 1), ("postmark", 1, 2)])
def test_whatever_is_killed_wherever_everybody_gets_exactly_one(
    approved: Campaign, provider: str, rounds: int, seed: int
) -> None:
    dice, expected = random.Random(seed), approved.addresses()
    pace = {"stopped": None, "people_per_minute": SLOW_PEOPLE_PER_MINUTE}
    approved.ledger.steer_notice(approved.row.id, approved.now, **pace)
    killer = Killer(approved, provider, dice)
    killer.strike(Blow(Point.freezing), times=1)
    assert approved.row.frozen_at is None
    killer.strike(Blow(Point.before_claim), times=1)
    assert approved.states() == {"queued": len(expected)}
    if provider == "postmark":  # as after an outage
        approved.ledger.redirect_queue(approved.row.id, "sendgrid", "postmark")
    killer.strike(Blow(Point.after_booking), times=2)

    blows = [*HELD, *AT_ANY_TIME] * rounds
    dice.shuffle(blows)
    for blow in blows:
        killer.settle()
        approved.later(minutes=dice.choice([1, 20, 61]))
        while blow.point is Point.settling and not approved.ledger.batches_to_look_at(
            approved.row.id, approved.now, 1
        ):
            approved.later(hours=1)
        killer.strike(blow)
        assert set(approved.mailbox().values()) <= {1}, f"somebody has got two after {killer.kills}"
    killer.settle()
    assert approved.states()["queued"] > 0
    pace["people_per_minute"] = FAST_PEOPLE_PER_MINUTE
    approved.ledger.steer_notice(approved.row.id, approved.now, **pace)
    for pause in (61, 61, 61, 61, 73 * 60):
        approved.later(minutes=pause)
        approved.turn()
    assert dict(approved.mailbox()) == dict.fromkeys(expected, 1), f"seed {seed}: {killer.kills}"
    assert written_to(killer.provider, provider) == dict.fromkeys(expected, 1)
    assert len(killer.kills) == 3 + len(blows)
    assert approved.states() == {"silent": len(expected)}
    assert (approved.row.state, approved.row.audience) == ("proven", len(expected))
    assert approved.done["report"]["campaigns"][VERSION]["coverage"] == 1.0
    # Both answers of the log have been needed: it was sent and nobody wrote it down, and it was not.
    assert count(approved, "notice_batch WHERE answered_at IS NULL AND state = 'settled'") > 0
    assert count(approved, "notice_delivery WHERE attempts > 1") > 0
    assert count(approved, "notice_batch WHERE state NOT IN ('settled', 'void')") == 0


def written_to(provider: Standing, name: str) -> Counter[str]:
    """Messages by address, as the provider's own records have them."""
    state = provider.control.state()
    if name == "sendgrid":
        return Counter(each["to_email"] for each in state["log"])
    return Counter(address for each in state["messages"] for address in each["Recipients"])


def count(campaign: Campaign, what: str) -> int:
    """Rows of the ledger."""
    with campaign.ledger.engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM ledger.{what}")) or 0)
