"""``/_sandbox/…``: clock and faults. Not part of Google's API; only tests and the demo use it."""

from __future__ import annotations

from datetime import timedelta

from include.sandbox.gcs.clock import parse, text
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.faults import Faults
from include.sandbox.gcs.store import Store


class AdminApi:
    """The switches behind ``include.sandbox.gcs.control``."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults

    def read_clock(self, request: Request) -> Response:
        """``GET /_sandbox/clock``."""
        return Response.of_json({"now": text(self.store.clock.now())})

    def set_clock(self, request: Request) -> Response:
        """``POST``: ``{"now": …}``, ``{"advance_seconds": …}`` or ``{"reset": true}``."""
        body = request.json()
        try:
            if "now" in body:
                self.store.clock.set(parse(str(body["now"])))
            elif "advance_seconds" in body:
                self.store.clock.advance(timedelta(seconds=float(body["advance_seconds"])))
            elif body.get("reset"):
                self.store.clock.reset()
        except (ValueError, TypeError) as error:
            raise ApiError(400, str(error)) from None
        return self.read_clock(request)

    def read_faults(self, request: Request) -> Response:
        """``GET /_sandbox/faults``: those still waiting."""
        return Response.of_json({"faults": self.faults.describe()})

    def add_fault(self, request: Request) -> Response:
        """``POST``: the fields of :class:`Fault`."""
        self.faults.add(request.json())
        return self.read_faults(request)

    def clear_faults(self, request: Request) -> Response:
        """``DELETE``."""
        self.faults.clear()
        return Response(204)
