"""Turn the server's clock and make its calls fail, from a test or the demo."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from include.sandbox.gcs.clock import parse


class GcsControl:
    """Speaks to ``/_sandbox`` of the server at ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def now(self) -> datetime:
        """What time it is there."""
        return parse(self._call("GET", "clock")["now"])

    def set_clock(self, instant: datetime) -> None:
        """Make it ``instant`` there; the clock runs on."""
        self._call("POST", "clock", {"now": instant.isoformat()})

    def advance(self, step: timedelta) -> None:
        """Let time pass; soft deletes and retention run out."""
        self._call("POST", "clock", {"advance_seconds": step.total_seconds()})

    def reset_clock(self) -> None:
        """Back to real time."""
        self._call("POST", "clock", {"reset": True})

    @contextlib.contextmanager
    def at(self, instant: datetime) -> Iterator[None]:
        """Do something at another time; ``with control.at(then): blob.upload_from_string(…)`` back-dates."""
        self.set_clock(instant)
        try:
            yield
        finally:
            self.reset_clock()

    def fail(self, **fault: Any) -> None:
        """Make the next calls fail; the fields are those of :class:`include.sandbox.gcs.faults.Fault`."""
        self._call("POST", "faults", fault)

    def faults(self) -> list[dict[str, Any]]:
        """Those that still wait."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Forget them."""
        self._call("DELETE", "faults")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        with contextlib.closing(
            http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=10)
        ) as conn:
            conn.request(method, f"/_sandbox/{path}", body=data)
            response = conn.getresponse()
            content = response.read()
        if response.status >= 400:
            raise ValueError(f"The sandbox refused {path}: {content.decode()}")
        return dict(json.loads(content)) if content else {}
