"""A stand-in in this process, with everything that was said to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.sandbox.processors.__main__ import make
from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.server import StandIn, StandInServer


@dataclass(frozen=True)
class Exchange:
    """One call and its answer, before any fault spoilt it."""

    request: Request
    response: Response


@dataclass
class Standing:
    """A running stand-in: where it listens, how it fails, what it was asked."""

    endpoint: str
    stand_in: Any
    control: ProcessorControl
    said: list[Exchange] = field(default_factory=list)

    def calls(self, method: str = "", path: str = "") -> int:
        """How many calls reached it, of that method and with that text in their path."""
        return sum(e.request.method.startswith(method) and path in e.request.path for e in self.said)


@contextmanager
def standing(name: str, folder: Path, key: str) -> Iterator[Standing]:
    """The stand-in of that name on a free port."""
    running = Standing("", None, ProcessorControl(""))

    def recorded() -> StandIn:
        running.stand_in = stand_in = make(name, folder, key)
        answer = stand_in.answer

        def remember(request: Request) -> Response:
            response = answer(request)
            kept = Response(response.status, response.body, dict(response.headers))
            running.said.append(Exchange(request, kept))
            return response

        stand_in.answer = remember  # type: ignore[method-assign] # heard by the recorder first
        return stand_in

    server = StandInServer(0, recorded)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    running.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    running.control = ProcessorControl(running.endpoint)
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
