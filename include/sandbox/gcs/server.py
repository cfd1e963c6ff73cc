"""The socket: HTTP/1.1 with kept connections, a thread for each, on 127.0.0.1 only."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.routes import Api

HOST = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    """Reads a request, asks the API, writes the answer in one piece."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body leave together; http.server flushes after each request.
    wbufsize = 64 * 1024
    server: GcsServer

    def _serve(self) -> None:
        host = self.headers.get("Host") or "{}:{}".format(*self.server.server_address[:2])
        request = Request.of(
            self.command, self.path, dict(self.headers.items()), self._body(), f"http://{host}"
        )
        response = self.server.api.answer(request)
        if response.dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._write(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that http.server calls

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _write(self, response: Response) -> None:
        # Google answers 499, which http.server has no phrase for.
        self.send_response(response.status, None if response.status != 499 else "Client Closed Request")
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body if response.status not in (204, 304) else b"")

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: object names may be personal."""


class GcsServer(ThreadingHTTPServer):
    """One server with its state."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.api = Api(folder)
        super().__init__((HOST, port), Handler)
