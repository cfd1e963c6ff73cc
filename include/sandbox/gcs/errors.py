"""Errors in the documented shape: https://cloud.google.com/storage/docs/json_api/v1/status-codes."""

from __future__ import annotations

import json

REASONS = {
    400: "invalid",
    403: "forbidden",
    404: "notFound",
    408: "requestTimeout",
    409: "conflict",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    500: "internalError",
    502: "backendError",
    503: "backendError",
}


class ApiError(Exception):
    """An answer other than success: HTTP status, reason (default: the usual one) and message."""

    def __init__(
        self, status: int, message: str, reason: str | None = None, location: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason or REASONS.get(status, "invalid")
        self.location = location

    def body(self) -> bytes:
        """The JSON error document; none for 304, which has no body."""
        if self.status == 304:
            return b""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"locationType": "parameter", "location": self.location}
        return json.dumps(
            {"error": {"code": self.status, "message": self.message, "errors": [detail]}}
        ).encode()


def no_such_object(bucket: str, name: str) -> ApiError:
    """404 for an object or a generation of it."""
    return ApiError(404, f"No such object: {bucket}/{name}")


def precondition_failed(location: str) -> ApiError:
    """412; ``location`` names the parameter that did not hold."""
    return ApiError(412, "At least one of the pre-conditions you specified did not hold.", location=location)
