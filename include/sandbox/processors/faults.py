"""The switchboard: the next calls that match fail, before or after their effect."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from include.sandbox.processors.exchange import Request, Response

KINDS = ("status", "timeout", "reset", "slow", "malformed")


@dataclass
class Fault:
    """What goes wrong with the next ``count`` calls whose method and path (a regular expression) match.

    ``status``: answered with that status. ``timeout``: no answer for ``seconds``, then the connection
    closes. ``reset``: the connection is reset. ``slow``: answered after ``seconds``. ``malformed``: the
    JSON of the answer is cut off. ``when="before"``: the call has no effect; ``"after"``: it has, and only
    the answer suffers (``slow`` and ``malformed`` are always after). ``skip`` lets calls pass first.
    """

    kind: str = "status"
    status: int = 500
    when: str = "before"
    seconds: float = 30.0
    count: int = 1
    skip: int = 0
    method: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.when not in ("before", "after"):
            raise ValueError(f"kind is one of {', '.join(KINDS)}; when is before or after")
        re.compile(self.path)

    @property
    def has_effect(self) -> bool:
        """Whether the call is carried out all the same."""
        return self.when == "after" or self.kind in ("slow", "malformed")

    def spoil(self, answer: Response, refusal: Callable[[int], Response]) -> Response:
        """What the client gets instead of ``answer``; ``refusal`` makes the processor's own error."""
        if self.kind == "status":
            return refusal(self.status)
        if self.kind == "timeout":
            answer.lost, answer.delay = True, self.seconds
        elif self.kind == "reset":
            answer.lost = answer.reset = True
        elif self.kind == "slow":
            answer.delay = self.seconds
        else:
            answer.body = answer.body[: len(answer.body) // 2] or b'{"cut'
        return answer


class Switchboard:
    """The faults that wait, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, **description: Any) -> None:
        """Add one. Raises ``ValueError`` or ``TypeError`` for what is no fault."""
        with self._lock:
            self._waiting.append(Fault(**description))

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._waiting = []

    def describe(self) -> list[dict[str, Any]]:
        """Those that still wait."""
        with self._lock:
            return [asdict(fault) for fault in self._waiting if fault.count]

    def strike(self, request: Request) -> Fault | None:
        """The fault that hits this call, if any; counts it."""
        with self._lock:
            for fault in self._waiting:
                right_method = fault.method in ("", request.method)
                if not fault.count or not right_method or not re.search(fault.path, request.path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.count -= 1
                return fault
        return None
