"""SendGrid's stand-in with people in it, and the adapter in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from include.privacy.policy.loading import ROOT, load_config
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.protocol import Person
from include.privacy.processors.sendgrid import SendGrid
from include.privacy.processors.sendgrid.calls import SendGridCalls
from include.privacy.processors.sendgrid.settings import SendGridSettings
from tests.processors.standing import Standing, standing

KEY = "SG.a-key-for-tests"
MARKETING = "marketing.communications.email"
GROUP = "1001"


@cache
def shipped() -> ProcessorMap:
    """The map as it is shipped."""
    return load_config(ROOT / "config").processors["sendgrid"]


def account(n: int, **more: Any) -> dict[str, Any]:
    """Somebody of the platform as the seeding tells it."""
    return {
        "account_id": n, "email": f"user{n}@practice.example", "former_emails": [], "newsletter": True,
        "full_name": f"Gwen Number{n}",
    } | more  # fmt: skip


def person(n: int, *more: str) -> Person:
    """The same as a processor is told of them."""
    return Person(f"request-{n}", (f"user{n}@practice.example", *more))


@contextmanager
def sendgrid(folder: Path, people: list[dict[str, Any]], **settings: Any) -> Iterator[Standing]:
    """The stand-in; nobody is suppressed but whom the test suppresses, and jobs take no time."""
    with standing("sendgrid", folder, KEY) as running:
        running.control.seed(people)
        for name in running.stand_in.suppressions.lists.values():
            name.clear()
        running.stand_in.suppressions.members = {n: set() for n in running.stand_in.suppressions.groups}
        wanted = {"job_seconds": 0, "erase_seconds": 0, "limit": 10_000_000}
        running.control.configure(**(wanted | settings))
        yield running


def adapter(running: Standing, mapped: ProcessorMap | None = None, **settings: Any) -> SendGrid:
    """Never waits, and gives up on an answer after 0.3 s."""
    mapped = mapped or shipped()
    known = {"calls_per_minute": 60_000, **mapped.settings, **settings}
    mapped = mapped.model_copy(update={"settings": known})
    calls = SendGridCalls(
        KEY, running.endpoint, calls_per_minute=60_000, timeout=timedelta(seconds=0.3), sleep=lambda _: None
    )
    return SendGrid(calls, mapped, SendGridSettings.of(mapped))


def now() -> datetime:
    """The stand-in keeps real time, so that tests go by it too."""
    return datetime.now(UTC)


def emails(state: dict[str, Any]) -> set[str]:
    """Whom the account has as contacts."""
    return {contact["email"] for contact in state["contacts"]}


def mailed(state: dict[str, Any]) -> set[str]:
    """Whom the log names."""
    return {message["to_email"] for message in state["log"]}
