"""Postmark's stand-in with messages in it, and the adapter in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from include.privacy.policy.loading import ROOT, load_config
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.postmark import Postmark
from include.privacy.processors.postmark.calls import PostmarkCalls
from include.privacy.processors.postmark.settings import PostmarkSettings
from include.privacy.processors.protocol import Person
from include.sandbox.processors.postmark import account_token
from tests.processors.standing import Standing, standing

KEY = "a-token-for-tests"
MARKETING = "marketing.communications.email"
_OPEN: list[PostmarkCalls] = []
"""Those of this test, to be closed after it."""


@cache
def shipped() -> ProcessorMap:
    """The map as it is shipped."""
    return load_config(ROOT / "config").processors["postmark"]


def address(n: int) -> str:
    """That of the n-th person."""
    return f"user{n}@practice.example"


def person(n: int, *more: str) -> Person:
    """The n-th person as a processor is told of them."""
    return Person(f"request-{n}", (address(n), *more))


@contextmanager
def postmark(folder: Path, people: int, **settings: Any) -> Iterator[Standing]:
    """The stand-in; everybody got one message and opened it. Removals take no time."""
    with standing("postmark", folder, KEY) as running:
        running.control.configure(**({"removal_seconds": 0, "limit": 10_000_000} | settings))
        server = running.stand_in.server
        for n in range(1, people + 1):
            server.open(server.send(address(n), now() - timedelta(days=5), "Our terms change"))
        try:
            yield running
        finally:
            while _OPEN:
                _OPEN.pop().close()


def adapter(
    running: Standing, mapped: ProcessorMap | None = None, *, token: str | None = account_token(KEY)
) -> Postmark:
    """Never waits, and gives up on an answer after 0.3 s."""
    mapped = mapped or shipped()
    calls = PostmarkCalls(
        KEY,
        token,
        running.endpoint,
        calls_per_minute=60_000,
        timeout=timedelta(seconds=0.3),
        sleep=lambda _: None,
    )
    _OPEN.append(calls)
    return Postmark(calls, mapped, PostmarkSettings.of(mapped))


def now() -> datetime:
    """The stand-in keeps real time, so that tests go by it too."""
    return datetime.now(UTC)


def mailed(state: dict[str, Any]) -> set[str]:
    """Who is anywhere in messages, opens, clicks or bounces."""
    people = {each for message in state["messages"] for each in message["Recipients"]}
    people |= {event["Recipient"] for event in [*state["opens"], *state["clicks"]]}
    return people | {bounce["Email"] for bounce in state["bounces"]}


def suppressed(state: dict[str, Any], stream: str) -> set[str]:
    """Whom the stream sends nothing."""
    return {row["EmailAddress"] for row in state["suppressions"][stream]}
