"""Make a stand-in fail, or change its settings, from a test or the demo."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any


class ProcessorControl:
    """Speaks to ``/_sandbox`` of the stand-in at ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def fail(self, **fault: Any) -> None:
        """Make the next calls fail; the fields are those of :class:`..faults.Fault`."""
        self._call("POST", "faults", fault)

    def faults(self) -> list[dict[str, Any]]:
        """Those that still wait."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Forget them."""
        self._call("DELETE", "faults")

    def calls(self) -> int:
        """How many calls have come since the start or :meth:`reset_calls`, also those that were spoilt."""
        return int(self._call("GET", "calls")["calls"])

    def reset_calls(self) -> None:
        """Count from none again."""
        self._call("DELETE", "calls")

    def configure(self, **settings: Any) -> None:
        """Change settings of the stand-in; which there are, its class says."""
        self._call("POST", "settings", settings)

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Make the stand-in know people of the platform; see :mod:`.seeding`."""
        self._call("POST", "seed", {"people": people})

    def state(self) -> dict[str, Any]:
        """Everything that the stand-in stores."""
        return self._call("GET", "state")

    def begin_again(self) -> None:
        """Forget everything but the calls: the stand-in is as it was at its start."""
        self._call("DELETE", "state")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        address = self.endpoint.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
            connection.request(method, f"/_sandbox/{path}", body=data)
            response = connection.getresponse()
            content = response.read()
        if response.status >= 400:
            raise ValueError(f"The stand-in refused {path}: {content.decode()}")
        return dict(json.loads(content))
