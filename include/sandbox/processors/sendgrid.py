"""SendGrid's stand-in: mail, the log of messages, contacts, suppressions, erase jobs; a mailbox at ``/``.

Modelled on SendGrid's OpenAPI descriptions (2026-01). 202 means queued; two equal mails are two mails, for
SendGrid knows no idempotency key. It is stricter in one respect: an unknown field is a 400. Settings:
``log_lag_seconds`` (how long a mail is missing from the log), ``limit`` and ``per_seconds`` (calls per
window, one window for each kind of path), those of :class:`.sendgrid_mail.Sending` (what becomes of mail),
``job_seconds`` and ``erase_seconds`` (how long jobs take), ``failing_jobs`` (their kinds: upsert, delete),
``erase_job`` (whether the account has it), ``scopes`` of the key, ``clock_offset_seconds`` (how far its
clock is ahead).
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from include.sandbox.processors.mailbox import FOLDER, shared_mailbox
from include.sandbox.processors.sendgrid_account import ERASE_JOB, SCOPES, Account, errors
from include.sandbox.processors.sendgrid_checks import BadRequestError
from include.sandbox.processors.sendgrid_contacts import Contacts
from include.sandbox.processors.sendgrid_erasure import erase_job
from include.sandbox.processors.sendgrid_logs import matches, parse_query
from include.sandbox.processors.sendgrid_mail import Sending
from include.sandbox.processors.sendgrid_messages import Logged, MessageLog, seen_at
from include.sandbox.processors.sendgrid_people import (
    NEWS_FROM,
    NEWSLETTER,
    contact_of,
    lists_of,
    news_of,
)
from include.sandbox.processors.sendgrid_suppressions import Suppressions

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


class SendGrid:
    """One account with one key. Mail lands in ``<folder>/mailbox``."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self.mailbox = shared_mailbox(folder / FOLDER)
        self._key = api_key
        self._lock = threading.Lock()
        self._log = MessageLog()
        self._lag = timedelta(0)
        self.account = Account()
        self.contacts = Contacts(self.account)
        self.suppressions = Suppressions(self.account)
        self.sending = Sending(self.mailbox, self._log, self.suppressions)
        self._erase_limit = RateLimit(100, 60.0)
        self._limits: dict[str, RateLimit] = defaultdict(lambda: RateLimit(*self._window))
        self._window: tuple[int, float] = (10_000, 60.0)

    def configure(self, settings: dict[str, Any]) -> None:
        """The settings of the module's docstring."""
        known = {"log_lag_seconds", "limit", "per_seconds", "job_seconds", "erase_seconds", "failing_jobs"}
        known |= {"erase_job", "scopes", "clock_offset_seconds"} | self.sending.settings
        if unknown := settings.keys() - known:
            raise ValueError(
                f"unknown settings {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        with self._lock, self.account.lock:
            self.sending.configure(settings)
            self._lag = timedelta(seconds=settings.get("log_lag_seconds", self._lag.total_seconds()))
            account = self.account
            account.seconds["contacts"] = settings.get("job_seconds", account.seconds["contacts"])
            account.seconds["erase"] = settings.get("erase_seconds", account.seconds["erase"])
            account.fails = set(settings.get("failing_jobs", account.fails))
            account.scopes = list(settings.get("scopes", account.scopes))
            if "erase_job" in settings:
                wanted = SCOPES if settings["erase_job"] else [s for s in SCOPES if s != ERASE_JOB]
                account.scopes = list(wanted)
            if "clock_offset_seconds" in settings:
                account.offset = timedelta(seconds=settings["clock_offset_seconds"])
            if settings.keys() & {"limit", "per_seconds"}:
                limit, seconds = self._window
                self._window = (settings.get("limit", limit), settings.get("per_seconds", seconds))
                RateLimit(*self._window)
                self._limits.clear()

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Contacts, a few suppressions, and news that were sent; see :mod:`.sendgrid_people`."""
        with self._lock, self.account.lock:
            now = self.account.now()
            known = {(m.to_email, m.sg_message_id) for m in self._log}
            for person in people:
                contact = contact_of(person)
                if contact and not self.contacts.has(person["email"]):
                    self.contacts.put(contact, [NEWSLETTER])
                for name, address in lists_of(person):
                    if name.isdigit():
                        self.suppressions.members[int(name)].add(address.lower())
                    else:
                        self.suppressions.put(name, address)
                for number, at in enumerate(news_of(person, now)):
                    sg_id = f"news-{number}-{person['account_id']}"
                    if (person["email"], sg_id) not in known:
                        self._log.append(Logged(sg_id, NEWS_FROM, person["email"], "News", (), at))

    def describe(self) -> dict[str, Any]:
        """Log, how many messages had which fate, contacts, suppressions and jobs."""
        with self._lock, self.account.lock:
            self.account.run_due()
            return {
                "log": [message.entry() for message in self._log],
                "counts": dict(self._log.counts),
                "contacts": self.contacts.describe(),
                "suppressions": self.suppressions.describe(),
                "jobs": [job.describe() for job in self.account.jobs.values()],
            }

    def refusal(self, status: int) -> Response:
        """The documented error document."""
        response = errors(status, _WORDS.get(status, "error"))
        if status == 429:
            response.headers |= RateLimit(0, 1.0).take()[1]
        return response

    def answer(self, request: Request) -> Response:
        """Check the key and the rate, then do what is asked."""
        if not request.path.startswith("/v3/"):
            page = self.mailbox.page(request.path) if request.method == "GET" else None
            return Response.of_html(page) if page is not None else self.refusal(404)
        with self._lock:
            erasing = request.path == "/v3/recipients/erasejob"
            # One window for all addresses and ids that a path may end in.
            limit = self._erase_limit if erasing else self._limits["/".join(request.path.split("/")[:4])]
        allowed, headers = limit.take()
        response = self._call(request) if allowed else self.refusal(429)
        response.headers |= headers
        return response

    def _call(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
            return self.refusal(401)
        with self.account.lock:
            self.account.run_due()
            if self.account.missing_scope(request.method, request.path):
                return self.refusal(403)
        calls = {"/v3/mail/send": self._send, "/v3/logs": self._search}
        if request.path not in calls:
            return self._other(request)
        if request.method != "POST":
            return self.refusal(405)
        if len(request.body) > LARGEST_MAIL:
            return self.refusal(413)
        try:
            body = request.json()
        except ValueError:
            return errors(400, "Bad Request")
        try:
            return calls[request.path](body)
        except BadRequestError as error:
            return errors(400, error.message, error.field)

    def _other(self, request: Request) -> Response:
        """Everything but mail and the search of the log."""
        try:
            with self.account.lock:
                if (request.method, request.path) == ("GET", "/v3/scopes"):
                    return Response.of_json({"scopes": self.account.scopes})
                if (request.method, request.path) == ("POST", "/v3/recipients/erasejob"):
                    return erase_job(self.account, request.body, request.json(), self._forget)
                if request.method == "GET" and request.path.startswith("/v3/logs/"):
                    wanted = request.path.rpartition("/")[2]
                    found = [m for m in self._visible() if m.sg_message_id == wanted]
                    return Response.of_json(found[0].details()) if found else self.refusal(404)
                answer = self.contacts.answer(request) or self.suppressions.answer(request)
        except (ValueError, KeyError, TypeError, AttributeError):
            return errors(400, "Bad Request")
        return answer or self.refusal(404)

    def _forget(self, people: set[str], until: datetime) -> int:
        """Take what was sent to them until then out of the log."""
        return self._log.forget(lambda m: m.to_email.lower() in people and m.created_at <= until)

    def _visible(self, categories: set[str] | None = None) -> Iterator[Logged]:
        """What the log shows now: neither too young nor too old, the newest first."""
        now = self.account.now()
        for message in self._log.newest_first(categories):
            if now - KEPT <= message.created_at <= now - self._lag:
                yield seen_at(message, now)

    def _send(self, body: Any) -> Response:
        with self.account.lock:
            return self.sending.send(body, self.account.now())

    def _search(self, body: Any) -> Response:
        if not isinstance(body, dict) or body.keys() - {"query", "limit", "subusers"}:
            raise BadRequestError("unknown field in the request")
        limit = body.get("limit", 10)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 1000:
            raise BadRequestError("limit must be between 1 and 1000", "limit")
        query = parse_query(body.get("query", ""))
        found = (m.entry() for m in self._visible(query.categories) if matches(m, query))
        return Response.of_json({"messages": list(islice(found, limit))})
