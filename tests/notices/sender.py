"""One worker that sends a campaign in a process of its own, to be killed where its parent chooses.

It is forked from a server that has loaded the project already, so that thirty of them take seconds. Nothing
in it is prepared for its death: SIGKILL runs no ``finally``, cuts its sockets and leaves its transactions to
the database.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

# What a sender needs on its way is loaded once, by the server of the forks.
import include.privacy.letters.notices
import include.privacy.notices.lanes
import include.privacy.processors.connecting
import include.privacy.stores.postbox
import include.privacy.stores.postgres.account_book  # noqa: F401
from include.privacy import runtime
from include.privacy.connections import ConnectionInfo
from include.privacy.ledger import Ledger
from include.privacy.mail.postmark_bulk import PostmarkBulk
from include.privacy.mail.sendgrid_bulk import SendGridBulk
from include.privacy.notices import campaigns, entering, gathering, proving, reporting, sending
from include.privacy.policy.loading import Config
from include.privacy.steps import runs


class Point(StrEnum):
    """Where a sender can be held. Inside a transaction: all of it is said to the database but COMMIT."""

    beginning = "when it begins"
    freezing = "inside the transaction that freezes the audience"
    before_claim = "before the claim"
    claiming = "inside the transaction of the claim"
    after_claim = "after the claim"
    calling = "during the call, which has left and is not answered"
    after_call = "after the call"
    booking = "inside the transaction of the bookkeeping"
    after_booking = "after the bookkeeping"
    settling = "inside the transaction that writes down the provider's records"


@dataclass(frozen=True)
class Orders:
    """What a sender does: one turn of the ledger's ``run``, by a clock that is ``ahead`` of ours.

    When it gets to ``point`` for the ``times``-th time it tells its parent, and ``hold`` makes it wait there
    for its end.
    """

    run: str
    connections: Mapping[str, ConnectionInfo] = field(repr=False)
    config: Config = field(repr=False)
    master_key: str = field(repr=False)
    ahead: timedelta
    capacity: int
    point: Point
    times: int
    hold: bool


def turn(run: str, now: datetime) -> dict[str, Any]:
    """One run of the DAG, its tasks in their order."""
    versions = campaigns.take_up(run)
    done: dict[str, Any] = {"versions": versions, "unasked": len(campaigns.unasked(now))}
    for version in versions:
        done["gathered"] = gathering.gather(run, version)
        done["looked"] = proving.look(run, version)
        done["sent"] = sending.send(run, version)
        done["concluded"] = proving.conclude(run, version)
    done |= entering.apply(run)
    done["report"] = reporting.report(run, versions)
    return done


def start(orders: Orders) -> tuple[Any, Connection]:
    """The process, begun, and the line on which it says that it is at its point; it ends with the process."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    ours, theirs = forks.Pipe()
    process = forks.Process(target=_work, args=(orders, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _work(orders: Orders, line: Connection) -> None:
    os.environ["PRIVACY_MASTER_KEY"] = orders.master_key
    runs.current_instant = lambda: datetime.now(UTC) + orders.ahead
    SendGridBulk.capacity = PostmarkBulk.capacity = orders.capacity
    watch = _Watch(orders, line)
    watch.everywhere()
    watch.reach(Point.beginning)
    with runtime.use_runtime(runtime.Runtime(orders.connections.__getitem__, lambda: orders.config)):
        turn(orders.run, runs.current_instant())


class _Watch:
    """Holds the thread that gets to the point; the others go on until they die with it."""

    def __init__(self, orders: Orders, line: Connection) -> None:
        self._orders, self._left, self._line = orders, orders.times, line
        self._lock = threading.Lock()
        self._inside = threading.local()

    def everywhere(self) -> None:
        """Watch every point of the loop."""
        self._wrap(Ledger, "freeze_audience", inside=Point.freezing)
        self._wrap(Ledger, "claim_batch", Point.before_claim, Point.claiming, Point.after_claim)
        for provider in (SendGridBulk, PostmarkBulk):
            self._wrap(provider, "send", inside=Point.calling, after=Point.after_call)
        self._wrap(Ledger, "record_accepted", inside=Point.booking, after=Point.after_booking)
        self._wrap(Ledger, "record_fates", inside=Point.settling)
        event.listen(Session, "before_commit", lambda _: self.reach(self._where()))
        # Both clients write their request, and then read the answer with one of these.
        for name in ("recv", "recv_into"):
            self._before_reading(name)

    def _wrap(
        self,
        owner: Any,
        name: str,
        before: Point | None = None,
        inside: Point | None = None,
        after: Point | None = None,
    ) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            self.reach(before)
            self._inside.point = inside
            try:
                result = real(*args, **kwargs)
            finally:
                self._inside.point = None
            self.reach(after)
            return result

        setattr(owner, name, step)

    def _before_reading(self, name: str) -> None:
        real: Callable[..., Any] = getattr(socket.socket, name)

        def read(*args: Any) -> Any:
            if self._where() is Point.calling:
                self.reach(Point.calling)
            return real(*args)

        setattr(socket.socket, name, read)

    def _where(self) -> Point | None:
        return getattr(self._inside, "point", None)

    def reach(self, point: Point | None) -> None:
        """A thread is there."""
        if point is not self._orders.point:
            return
        with self._lock:
            self._left -= 1
            here = self._left == 0
        if not here:
            return
        try:
            self._line.send(point)
            if self._orders.hold:
                self._line.recv()
        except (OSError, EOFError):
            os._exit(1)  # the parent is gone, and nobody will kill us
