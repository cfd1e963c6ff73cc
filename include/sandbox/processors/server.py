"""The socket of every stand-in: HTTP/1.1 on 127.0.0.1, faults, and ``/_sandbox`` to steer it and count."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from include.sandbox.processors import HOST
from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.faults import Switchboard

LARGEST = 64 * 1024 * 1024


class StandIn(Protocol):
    """One processor: answers, refuses in its own words, and takes settings that tests and the demo change."""

    def answer(self, request: Request) -> Response:
        """The answer to a call of its API, or to a person who looks at its pages."""
        ...

    def refusal(self, status: int) -> Response:
        """The processor's own answer of that status."""
        ...

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Know these people of the platform (:mod:`.seeding`); a second time changes nothing."""
        ...

    def describe(self) -> dict[str, Any]:
        """What is stored, for assertions on the final state."""
        ...

    def configure(self, settings: dict[str, Any]) -> None:
        """Change settings. Raises ``ValueError`` or ``TypeError`` for those it does not know."""
        ...


class StandInServer(ThreadingHTTPServer):
    """One server with its stand-in; ``make`` makes it, and a new one for whoever wants to begin again."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, make: Callable[[], StandIn]) -> None:
        self._make = make
        self.stand_in = make()
        self.switchboard = Switchboard()
        self._counting = threading.Lock()
        self._calls = 0
        super().__init__((HOST, port), Handler)

    def exchange(self, request: Request) -> Response:
        """Answer one request: the controls are never spoilt or counted, everything else may be and is."""
        if request.path.startswith("/_sandbox/"):
            return self._control(request)
        with self._counting:
            self._calls += 1
        fault = self.switchboard.strike(request)
        if fault is None:
            return self.stand_in.answer(request)
        answer = self.stand_in.answer(request) if fault.has_effect else Response()
        return fault.spoil(answer, self.stand_in.refusal)

    def _control(self, request: Request) -> Response:
        try:
            match request.method, request.path.removeprefix("/_sandbox/"):
                case "GET", "faults":
                    return Response.of_json({"faults": self.switchboard.describe()})
                case "POST", "faults":
                    self.switchboard.add(**request.json())
                case "DELETE", "faults":
                    self.switchboard.clear()
                case "GET", "calls":
                    return Response.of_json({"calls": self._calls})
                case "DELETE", "calls":
                    with self._counting:
                        self._calls = 0
                case "POST", "settings":
                    self.stand_in.configure(request.json())
                case "POST", "seed":
                    self.stand_in.seed(request.json()["people"])
                case "GET", "state":
                    return Response.of_json(self.stand_in.describe())
                case "DELETE", "state":
                    self.switchboard.clear()
                    self.stand_in = self._make()
                case _:
                    known = "faults: GET, POST, DELETE; calls, state: GET, DELETE; settings, seed: POST"
                    return Response.of_json({"error": known}, 404)
        except (ValueError, TypeError) as error:
            return Response.of_json({"error": str(error)}, 400)
        return Response.of_json({})


class Handler(BaseHTTPRequestHandler):
    """Reads a request, asks the server, writes the answer in one piece, or does not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = 120
    server: StandInServer

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > LARGEST:
            self.close_connection = True
            return self._write(self.server.stand_in.refusal(413))
        request = Request.of(self.command, self.path, dict(self.headers.items()), self.rfile.read(size))
        response = self.server.exchange(request)
        time.sleep(response.delay)
        if not response.lost:
            return self._write(response)
        self.close_connection = True
        if response.reset:
            # Lingering for no time makes the kernel send RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        return None

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that http.server calls

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def finish(self) -> None:
        """End quietly when the connection was taken away on purpose, or the client has gone."""
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: paths hold addresses."""
