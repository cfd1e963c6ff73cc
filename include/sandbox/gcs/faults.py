"""Failures on demand: the next calls that match fail, before or after their effect."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response


@dataclass
class Fault:
    """The next ``count`` calls fail with ``status``; 0 closes the connection without an answer.

    ``when="after"``: the call takes effect and only its answer is lost. ``method`` and ``path`` (a
    regular expression, searched in the encoded path) narrow it down; ``skip`` lets that many matching
    calls pass first. ``scope="call"`` counts the calls inside a batch one by one, ``"request"`` whole
    HTTP requests.
    """

    status: int = 503
    count: int = 1
    when: str = "before"
    method: str = ""
    path: str = ""
    skip: int = 0
    scope: str = "request"

    def __post_init__(self) -> None:
        if self.when not in ("before", "after") or self.scope not in ("request", "call"):
            raise ApiError(400, "when is before or after; scope is request or call.")

    def meets(self, request: Request) -> bool:
        """Whether this call is to fail now; counts it."""
        if (
            self.count < 1
            or (self.method and self.method != request.method)
            or not re.search(self.path, request.path)
        ):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.count -= 1
        return True


class Faults:
    """The faults that are waiting, in the order they were asked for."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, description: dict[str, Any]) -> None:
        """Add one; 400 for an unknown field."""
        try:
            self.waiting.append(Fault(**description))
        except TypeError as error:
            raise ApiError(400, str(error)) from None

    def clear(self) -> None:
        """Forget them all."""
        self.waiting = []

    def describe(self) -> list[dict[str, Any]]:
        """Those that still wait."""
        return [asdict(fault) for fault in self.waiting if fault.count > 0]

    def strike(self, request: Request, scope: str) -> Fault | None:
        """The fault that hits this call, if any."""
        return next((fault for fault in self.waiting if fault.scope == scope and fault.meets(request)), None)


def failure(fault: Fault) -> Response:
    """What the client sees of a fault."""
    if fault.status == 0:
        return Response(dropped=True)
    response = Response.of_error(ApiError(fault.status, f"Injected failure {fault.status}."))
    if fault.status in (429, 503):
        response.headers["Retry-After"] = "1"
    return response
