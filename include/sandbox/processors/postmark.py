"""Postmark's stand-in: mail in batches, searches, suppressions by stream, and removals that take time.

Modelled on Postmark's published description and reference pages. Suppressions answer 200 with a status for
each address; a complaint cannot be deleted; a removal is pending until it is done. It is stricter in one
respect: an unknown parameter is a 422. Settings: ``removal_seconds``, ``removals`` (whether the account has
them: "by request only"), ``refuses`` (addresses that suppressions fail for), ``retention_days``,
``clock_offset_seconds``, ``limit`` and ``per_seconds``, and those of :class:`.postmark_sending.Sending`. The
account's token is the key with ``-account``.
"""

from __future__ import annotations

import re
import secrets
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response
from include.sandbox.processors.limits import RateLimit
from include.sandbox.processors.mailbox import FOLDER, shared_mailbox
from include.sandbox.processors.postmark_sending import Sending
from include.sandbox.processors.postmark_server import STREAMS, Removal, Server

_ADDRESS = re.compile(r"[^\s@<>(),;:\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SUPPRESSIONS = re.compile(r"/message-streams/([^/]+)/suppressions(/dump|/delete)?")
_SEARCHES = {
    "/messages/outbound": ("Messages", "recipient", "Recipients"),
    "/messages/outbound/opens": ("Opens", "recipient", "Recipient"),
    "/messages/outbound/clicks": ("Clicks", "recipient", "Recipient"),
    "/bounces": ("Bounces", "emailFilter", "Email"),
}
_CODES = {401: 10, 403: 403, 404: 404, 422: 300, 429: 429, 500: 500, 503: 100}
MOST_PER_CALL = 50
WINDOW = 10_000


def account_token(key: str) -> str:
    """The token of the account whose server has this one."""
    return f"{key}-account"


class Postmark:
    """One account with one server."""

    def __init__(self, folder: Path, api_key: str) -> None:
        self.server = Server()
        self.sending = Sending(shared_mailbox(folder / FOLDER), self.server)
        self._key = api_key
        self._lock = threading.RLock()
        self._removals = True
        self._refuses: set[str] = set()
        self._limit = RateLimit(100_000, 60.0)

    def configure(self, settings: dict[str, Any]) -> None:
        """The settings of the module's docstring."""
        known = {"removal_seconds", "removals", "refuses", "retention_days", "clock_offset_seconds"}
        known |= {"limit", "per_seconds"} | self.sending.settings
        if unknown := settings.keys() - known:
            raise ValueError(
                f"unknown settings {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        with self._lock:
            self.sending.configure(settings)
            server = self.server
            server.removal_seconds = settings.get("removal_seconds", server.removal_seconds)
            server.retention_days = settings.get("retention_days", server.retention_days)
            if "clock_offset_seconds" in settings:
                server.offset = timedelta(seconds=settings["clock_offset_seconds"])
            self._removals = bool(settings.get("removals", self._removals))
            self._refuses = set(settings.get("refuses", self._refuses))
            if settings.keys() & {"limit", "per_seconds"}:
                self._limit.change(settings.get("limit", 100_000), settings.get("per_seconds", 60.0))

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Notices to some of them, with what became of those."""
        with self._lock:
            for person in people:
                self.server.seed(person)

    def describe(self) -> dict[str, Any]:
        """Messages, opens, clicks, bounces, suppressions and removals."""
        with self._lock:
            self.server.run_due()
            return self.server.describe()

    def refusal(self, status: int) -> Response:
        """Postmark's error document; without a header that says when to come back."""
        return _error(status, "The request was refused.")

    def answer(self, request: Request) -> Response:
        """Check rate and token, then do what is asked."""
        if not self._limit.take()[0]:
            return self.refusal(429)
        ours = request.path.startswith("/data-removals")
        header, token = ("account", account_token(self._key)) if ours else ("server", self._key)
        given = request.headers.get(f"x-postmark-{header}-token", "")
        if not secrets.compare_digest(given.encode(), token.encode()):
            return _error(401, "The token is missing or wrong.")
        try:
            with self._lock:
                self.server.run_due()
                return self._call(request)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(422, "The request is not as described.")

    def _call(self, request: Request) -> Response:
        if request.path.startswith("/data-removals"):
            return self._removal(request)
        if found := _SUPPRESSIONS.fullmatch(request.path):
            return self._suppressions(request, found[1], found[2] or "")
        if (request.method, request.path) == ("POST", "/email/batch"):
            return self.sending.batch(request.json(), len(request.body))
        if request.method != "GET":
            return self.refusal(404)
        if request.path in _SEARCHES:
            return self._search(request)
        if request.path == "/message-streams":
            return self._streams()
        if found := re.fullmatch(r"/messages/outbound/([^/]+)/details", request.path):
            for message in self.server.messages:
                if message["MessageID"] == found[1]:
                    texts = {"TextBody": "Hello", "HtmlBody": "", "Body": "Hello", "MessageEvents": []}
                    return Response.of_json(message | texts)
            return _error(422, "No such message.", 701)
        return self.refusal(404)

    def _search(self, request: Request) -> Response:
        name, parameter, attribute = _SEARCHES[request.path]
        of_mail = name in ("Messages", "Bounces")
        known = {"count", "offset", parameter, "fromdate", "todate"} | ({"tag"} if of_mail else set())
        if request.query.keys() - known:
            return _error(422, "Unknown parameter.")
        count, offset = int(request.query["count"]), int(request.query["offset"])
        if not 1 <= count <= 500 or offset < 0 or count + offset > WINDOW:
            return _error(422, "Count and offset are out of range.")
        wanted = request.query.get(parameter, "").lower()
        if wanted and not _ADDRESS.fullmatch(wanted):
            return _error(422, "No address.")
        rows = list(reversed(getattr(self.server, name.lower())))
        if wanted:
            rows = [r for r in rows if wanted == r[attribute] or wanted in _listed(r[attribute])]
        if tag := request.query.get("tag"):
            rows = [r for r in rows if r["Tag"] == tag]
        for limit, late in (("fromdate", False), ("todate", True)):
            if day := request.query.get(limit):
                at = "BouncedAt" if name == "Bounces" else "ReceivedAt"
                rows = [r for r in rows if (r[at][:10] <= day if late else r[at][:10] >= day)]
        return Response.of_json({"TotalCount": len(rows), name: rows[offset : offset + count]})

    def _streams(self) -> Response:
        told = [
            {"ID": name, "ServerID": 1, "Name": name, "Description": None, "MessageStreamType": kind}
            | {"CreatedAt": "2026-01-01T00:00:00-05:00", "UpdatedAt": None, "ArchivedAt": None}
            | {"ExpectedPurgeDate": None, "SubscriptionManagementConfiguration": {}}
            for name, kind in STREAMS.items()
        ]
        return Response.of_json({"MessageStreams": told, "TotalCount": len(told)})

    def _suppressions(self, request: Request, stream: str, what: str) -> Response:
        if stream not in self.server.suppressions:
            return _error(422, "The stream does not exist.", 1226)
        rows = self.server.suppressions[stream]
        if what == "/dump" and request.method == "GET":
            wanted = request.query.get("EmailAddress")
            if request.query.keys() - {"EmailAddress"}:
                return _error(422, "Unknown parameter.")
            found = [r for a, r in rows.items() if wanted is None or a == wanted.lower()]
            return Response.of_json({"Suppressions": found})
        if request.method != "POST" or what == "/dump":
            return self.refusal(404)
        addresses = [each["EmailAddress"] for each in request.json()["Suppressions"]]
        if not 1 <= len(addresses) <= MOST_PER_CALL:
            return _error(422, "Between 1 and 50 suppressions.")
        delete = what == "/delete"
        return Response.of_json({"Suppressions": [self._one(stream, a, delete=delete) for a in addresses]})

    def _one(self, stream: str, address: str, *, delete: bool) -> dict[str, Any]:
        rows, key = self.server.suppressions[stream], address.lower()
        told: dict[str, Any] = {"EmailAddress": address, "Status": "Deleted" if delete else "Suppressed"}
        if not _ADDRESS.fullmatch(address) or key in self._refuses:
            return told | {"Status": "Failed", "Message": "The address is invalid."}
        if not delete:
            self.server.suppress(stream, address, "ManualSuppression", "Customer")
        elif rows.get(key, {}).get("SuppressionReason") == "SpamComplaint":
            return told | {"Status": "Failed", "Message": "You do not have the required authority."}
        else:
            rows.pop(key, None)
        return told | {"Message": None}

    def _removal(self, request: Request) -> Response:
        if not self._removals:
            return self.refusal(403)
        removals = self.server.removals
        if request.method == "GET":
            removal = removals.get(int(request.path.rpartition("/")[2]))
            if removal is None:
                return self.refusal(404)
            return Response.of_json({"ID": removal.id, "Status": "Done" if removal.done else "Pending"})
        body = request.json()
        if body.keys() != {"RequestedBy", "RequestedFor", "NotifyWhenCompleted"}:
            return _error(422, "Unknown or missing field.")
        if not _ADDRESS.fullmatch(body["RequestedFor"]):
            return _error(422, "No address.")
        now = self.server.now()
        due = now + timedelta(seconds=self.server.removal_seconds)
        made = Removal(1000 + len(removals), body["RequestedFor"].lower(), now, due)
        removals[made.id] = made
        return Response.of_json({"ID": made.id, "Status": "Pending"})


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else []


def _error(status: int, message: str, code: int | None = None) -> Response:
    return Response.of_json({"ErrorCode": code or _CODES.get(status, status), "Message": message}, status)
