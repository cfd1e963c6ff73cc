"""SendGrid's stand-in in this process, and the real client in front of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.mail.sendgrid import SendGridMail
from include.privacy.policy.letters import Sender
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.mailbox import Mail
from include.sandbox.processors.sendgrid import SendGrid
from include.sandbox.processors.server import StandInServer

KEY = "SG.a-key-for-tests"
SENDER = Sender(name="The Practice Engine – Privacy", address="privacy@practice-engine.example")


@dataclass
class Exchange:
    request: Request
    response: Response


@dataclass
class Post:
    """The stand-in, what was said to it, and how to make it fail."""

    endpoint: str
    stand_in: SendGrid
    control: ProcessorControl
    said: list[Exchange]

    def mails(self) -> list[Mail]:
        return self.stand_in.mailbox.read()

    def wait_for_mails(self, count: int) -> None:
        """A client that gave up knows nothing of the server, which may still be at work."""
        deadline = time.monotonic() + 20
        while len(self.mails()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.mails()) == count


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    stand_in, said = SendGrid(tmp_path, KEY), list[Exchange]()
    answer = stand_in.answer

    def remember(request: Request) -> Response:
        response = answer(request)
        said.append(Exchange(request, Response(response.status, response.body, dict(response.headers))))
        return response

    stand_in.answer = remember  # type: ignore[method-assign]
    server = StandInServer(0, lambda: stand_in)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    yield Post(endpoint, stand_in, ProcessorControl(endpoint), said)
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail(post: Post) -> Callable[..., SendGridMail]:
    """``mail(timeout=seconds, key=…)``: the adapter against the stand-in."""

    def make(*, timeout: float = 10.0, key: str = KEY, **options: Any) -> SendGridMail:
        return SendGridMail(
            key,
            SENDER,
            **{"endpoint_url": post.endpoint, "timeout": timedelta(seconds=timeout)} | options,
        )

    return make
