"""What PayPal's stand-in stores, and its error documents."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from include.sandbox.processors.exchange import Response

_MALFORMED = "Request is not well-formed, syntactically incorrect, or violates schema."
_FAILED = (
    "The requested action could not be performed, semantically incorrect, or failed business validation."
)
_ERRORS = {
    400: ("INVALID_REQUEST", _MALFORMED),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
    ),
    403: ("NOT_AUTHORIZED", "Authorization failed due to insufficient permissions."),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    422: ("UNPROCESSABLE_ENTITY", _FAILED),
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    500: ("INTERNAL_SERVER_ERROR", "An internal server error occurred."),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable."),
}


@dataclass
class Objects:
    """Everything by id; ``transactions`` as the transaction search shows them, the oldest first."""

    payment_tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    transactions: list[dict[str, Any]] = field(default_factory=list)
    payers: list[str] = field(default_factory=list)


class Refused(Exception):  # noqa: N818 - an answer, not a fault of the program
    """A call that PayPal answers with an error; ``issue`` is PayPal's word for it."""

    def __init__(self, status: int, issue: str | None = None, *, name: str | None = None) -> None:
        super().__init__(f"{status} {issue or ''}")
        self.status, self.issue, self.name = status, issue, name


def error(status: int, issue: str | None = None, *, name: str | None = None) -> Response:
    """The error document of a status. PayPal's limit comes without a header that says when it ends."""
    word, message = _ERRORS.get(status, ("INTERNAL_SERVER_ERROR", "An internal server error occurred."))
    body: dict[str, Any] = {"name": name or word, "message": message, "debug_id": secrets.token_hex(7)}
    if issue:
        body["details"] = [{"issue": issue}]
    return Response.of_json(body, status)
