"""Subject requests over HTTP: our own API and OpenDSR 2.0, mounted by Airflow's API server at ``/privacy``.

Airflow imports every plugin in every process under its bare file name. So this file costs nothing to
import: what it mounts builds the application at the first request, which only the API server gets. There
the project is not on the path yet, as it is in tasks, whose bundle is rooted at it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
MOUNTED_AT = "/privacy"
Application = Callable[..., Awaitable[None]]


def build() -> Application:
    """The application of ``include/privacy/api``."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # last: nothing of ours may hide a module of Airflow's
    from include.privacy.api.app import create_app

    return create_app()


class LazyApplication:
    """An ASGI application that is built when it is first asked; one that cannot be is tried again."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self._make = make
        self._made: Application | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """See ASGI."""
        if self._made is None:
            try:
                async with self._lock:
                    # Importing takes a second or two, during which the server answers others.
                    self._made = self._made or await asyncio.to_thread(self._make)
            except Exception:
                log.exception("the privacy API could not be loaded")
                await _unavailable(scope, send)
                return
        await self._made(scope, receive, send)


async def _unavailable(scope: MutableMapping[str, Any], send: Any) -> None:
    if scope["type"] != "http":
        return
    body = json.dumps({"detail": "The privacy API could not be loaded; the server's log says why"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PrivacyApiPlugin(AirflowPlugin):
    """Mounts the application."""

    name = "privacy_api"
    fastapi_apps: ClassVar = [
        {"app": LazyApplication(build), "url_prefix": MOUNTED_AT, "name": "Privacy API"}
    ]
