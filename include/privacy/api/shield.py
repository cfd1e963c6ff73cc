"""Around every route: a limit to what comes in, and nothing of anybody in what goes wrong."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from include.privacy.connections import UnusableConnectionError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LONGEST_BODY = 64 * 1024
"""Bytes. A request with all corrections a person can think of is a few thousand."""
LONGER = {"/sendgrid-events": 1024 * 1024}
"""Bytes by the end of the path. SendGrid sends its events when they are 768 KB, at the latest."""


class Shield:
    """ASGI middleware. Reads the body up to the limit, and answers what no handler has answered.

    An exception's text can hold what somebody sent: its kind and place are logged, nothing else.
    """

    def __init__(self, app: ASGIApp, longest_body: int = LONGEST_BODY) -> None:
        self._app = app
        self._longest = longest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = [h for h in message.get("headers", []) if h[0].lower() != b"cache-control"]
                message = {**message, "headers": [*headers, (b"cache-control", b"no-store")]}
            await send(message)

        longest = next((n for end, n in LONGER.items() if scope["path"].endswith(end)), self._longest)
        body = await _read(receive, longest)
        if body is None:
            await _say(answer, 413, f"the body is longer than {longest} bytes")
            return
        try:
            await self._app(scope, _replayed(body, receive), answer)
        except Exception as error:  # noqa: BLE001 - the last stop before a traceback with data in it
            status, detail = _verdict(error)
            log.error("%s %s: %s", scope["method"], _route(scope), _place(error))
            if not begun:
                await _say(answer, status, detail)


async def _read(receive: Receive, longest: int) -> bytes | None:
    """The whole body; ``None`` when it is too long."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > longest:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _verdict(error: Exception) -> tuple[int, str]:
    from psycopg import OperationalError
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, UnusableConnectionError):
        return 503, str(error)
    if isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and isinstance(error.orig, OperationalError)
    ):
        return 503, "a database cannot be reached; nothing was lost, send the same again later"
    return 500, "this failed; nothing is half done, send the same again later. The server's log says where"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/include/" in frame.filename] or frames
    where = f" at {PurePath(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{where}"


def _route(scope: Scope) -> str:
    # The pattern, not the path: a path is what the caller wrote.
    return str(getattr(scope.get("route"), "path", "(no route)"))


async def _say(send: Any, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
