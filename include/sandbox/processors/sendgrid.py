"""SendGrid's stand-in: ``POST /v3/mail/send``, ``POST /v3/logs``, and a mailbox for people at ``/``.

Modelled on SendGrid's OpenAPI descriptions (2026-01). 202 means queued and has no body; two equal calls
are two mails, for SendGrid knows no idempotency key. It is stricter in one respect: an unknown field is
a 400. Settings: ``log_lag_seconds`` (how long a mail is missing from the log), ``limit`` and
``per_seconds`` (calls per window, one window for each path).
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from include.sandbox.processors.mailbox import FOLDER, Mailbox
from include.sandbox.processors.sendgrid_checks import BadRequestError, check_mail
from include.sandbox.processors.sendgrid_logs import matches, parse_query

LARGEST_MAIL = 30 * 1024 * 1024
KEPT = timedelta(days=30)
_WORDS = {
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    404: "not found",
    405: "method not allowed",
    413: "content too large",
    429: "too many requests",
    500: "internal server error",
}


@dataclass(frozen=True)
class Logged:
    """One message in the log."""

    sg_message_id: str
    from_email: str
    to_email: str
    subject: str
    categories: tuple[str, ...]
    created_at: datetime
    status: str = "delivered"

    def entry(self) -> dict[str, str]:
        """As the API shows it."""
        return {
            "from_email": self.from_email,
            "sg_message_id": self.sg_message_id,
            "subject": self.subject,
            "to_email": self.to_email,
            "reason": "",
            "status": self.status,
            "sg_message_id_created_at": self.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class SendGrid:
    """One account with one key. Mail lands in ``<folder>/mailbox``."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self.mailbox = Mailbox(folder / FOLDER)
        self._key = api_key
        self._lock = threading.Lock()
        self._log: list[Logged] = []
        self._lag = timedelta(0)
        self._limits: dict[str, RateLimit] = defaultdict(lambda: RateLimit(*self._window))
        self._window: tuple[int, float] = (10_000, 60.0)

    def configure(self, settings: dict[str, Any]) -> None:
        """``log_lag_seconds``, ``limit`` and ``per_seconds``."""
        known = {"log_lag_seconds", "limit", "per_seconds"}
        if unknown := settings.keys() - known:
            raise ValueError(
                f"unknown settings {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        with self._lock:
            self._lag = timedelta(seconds=settings.get("log_lag_seconds", self._lag.total_seconds()))
            if settings.keys() & {"limit", "per_seconds"}:
                limit, seconds = self._window
                self._window = (settings.get("limit", limit), settings.get("per_seconds", seconds))
                RateLimit(*self._window)
                self._limits.clear()

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Nothing yet to know of anybody."""

    def describe(self) -> dict[str, Any]:
        """The log."""
        with self._lock:
            return {"log": [message.entry() for message in self._log]}

    def refusal(self, status: int) -> Response:
        """The documented error document."""
        response = _errors(status, _WORDS.get(status, "error"))
        if status == 429:
            response.headers |= RateLimit(0, 1.0).take()[1]
        return response

    def answer(self, request: Request) -> Response:
        """Check the key and the rate, then do what is asked."""
        if not request.path.startswith("/v3/"):
            page = self.mailbox.page(request.path) if request.method == "GET" else None
            return Response.of_html(page) if page is not None else self.refusal(404)
        with self._lock:
            limit = self._limits[request.path]
        allowed, headers = limit.take()
        response = self._call(request) if allowed else self.refusal(429)
        response.headers |= headers
        return response

    def _call(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
            return self.refusal(401)
        calls = {"/v3/mail/send": self._send, "/v3/logs": self._search}
        if request.path not in calls:
            return self.refusal(404)
        if request.method != "POST":
            return self.refusal(405)
        if len(request.body) > LARGEST_MAIL:
            return self.refusal(413)
        try:
            body = request.json()
        except ValueError:
            return _errors(400, "Bad Request")
        try:
            return calls[request.path](body)
        except BadRequestError as error:
            return _errors(400, error.message, error.field)

    def _send(self, body: Any) -> Response:
        check_mail(body)
        message_id = secrets.token_urlsafe(16)
        if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Response(200, headers={"X-Message-Id": message_id})
        for number, envelope in enumerate(body["personalizations"]):
            self._deliver(body, envelope, f"{message_id}.filter-{number}", message_id)
        return Response(202, headers={"X-Message-Id": message_id})

    def _deliver(self, body: dict[str, Any], envelope: dict[str, Any], sg_id: str, message_id: str) -> None:
        now = datetime.now(UTC)
        sender = envelope.get("from", body["from"])
        subject = envelope.get("subject", body.get("subject", ""))
        arguments = {**body.get("custom_args", {}), **envelope.get("custom_args", {})}
        extra = [("X-Message-Id", message_id)]
        extra.append(("X-Custom-Args", json.dumps(arguments)))
        extra += [("X-Category", name) for name in body.get("categories", [])]
        if "reply_to" in body:
            extra.append(("Reply-To", body["reply_to"]["email"]))
        for recipient in [*envelope["to"], *envelope.get("cc", []), *envelope.get("bcc", [])]:
            self.mailbox.put(
                to=recipient["email"],
                sender=(sender.get("name", ""), sender["email"]),
                subject=subject,
                parts={part["type"]: part["value"] for part in body["content"]},
                message_id=sg_id,
                at=now,
                extra=extra,
            )
            categories = tuple(body.get("categories", ()))
            with self._lock:
                self._log.append(Logged(sg_id, sender["email"], recipient["email"], subject, categories, now))

    def _search(self, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() - {"query", "limit", "subusers"}:
            raise BadRequestError("unknown field in the request")
        limit = body.get("limit", 10)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 1000:
            raise BadRequestError("limit must be between 1 and 1000", "limit")
        conditions = parse_query(body.get("query", ""))
        now = datetime.now(UTC)
        with self._lock:
            seen = [m for m in self._log if now - KEPT <= m.created_at <= now - self._lag]
        found = [m.entry() for m in reversed(seen) if matches(m, conditions)]
        return Response.of_json({"messages": found[:limit]})


def _errors(status: int, message: str, field: str | None = None) -> Response:
    return Response.of_json({"errors": [{"message": message, "field": field}]}, status)
