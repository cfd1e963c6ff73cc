"""What the parts of SendGrid's stand-in share: its clock, jobs that take time, and the scopes of its key."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.sandbox.processors.exchange import Response

ERASE_JOB = "recipients.erasejob.create"
# Which scope a call needs: method and path (both regular expressions), the first that matches.
_NEEDS = (
    ("POST", r"/v3/mail/send$", "mail.send"),
    ("", r"/v3/logs", "messages.read"),
    ("POST", r"/v3/recipients/erasejob$", ERASE_JOB),
    ("DELETE", r"/v3/marketing/", "marketing.delete"),
    ("PUT", r"/v3/marketing/", "marketing.update"),
    ("", r"/v3/marketing/", "marketing.read"),
    ("GET", r"/v3/asm/groups(/\d+)?$", "asm.groups.read"),
    ("", r"/v3/asm/groups/\d+/suppressions/search$", "asm.groups.suppressions.read"),
    ("GET", r"/v3/asm/suppressions/global", "asm.suppressions.global.read"),
    ("POST", r"/v3/asm/suppressions/global", "asm.suppressions.global.create"),
    ("DELETE", r"/v3/asm/suppressions/global", "asm.suppressions.global.delete"),
    ("POST", r"/v3/asm/groups/\d+/suppressions$", "asm.groups.suppressions.create"),
    ("DELETE", r"/v3/asm/groups/\d+/suppressions/", "asm.groups.suppressions.delete"),
    ("GET", r"/v3/asm/suppressions/", "asm.groups.suppressions.read"),
    *(
        (method, rf"/v3/suppression/{name}", f"suppression.{name}.{word}")
        for name in ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
        for method, word in (("GET", "read"), ("DELETE", "delete"))
    ),
)
SCOPES = tuple(dict.fromkeys(scope for _, _, scope in _NEEDS))


def errors(status: int, message: str, field: str | None = None) -> Response:
    """The documented error document."""
    return Response.of_json({"errors": [{"message": message, "field": field}]}, status)


@dataclass
class Job:
    """Something that was queued: it takes effect when it is due, and not before."""

    id: str
    kind: str
    due: datetime
    effect: Callable[[Job], None]
    started: datetime
    status: str = "pending"
    results: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Without the people it concerns."""
        return {"id": self.id, "kind": self.kind, "status": self.status, "results": self.results}


class Account:
    """Clock, jobs and scopes. ``offset`` moves the clock; ``seconds`` is how long jobs of each kind take."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.offset = timedelta(0)
        self.seconds = {"contacts": 2.0, "erase": 5.0}
        self.fails: set[str] = set()
        self.scopes = list(SCOPES)
        self.jobs: dict[str, Job] = {}

    def now(self) -> datetime:
        """The time here."""
        return datetime.now(UTC) + self.offset

    def queue(self, kind: str, effect: Callable[[Job], None]) -> Job:
        """Take a job over."""
        now = self.now()
        due = now + timedelta(seconds=self.seconds["erase" if kind == "erase" else "contacts"])
        job = Job(secrets.token_hex(16), kind, due, effect, now)
        self.jobs[job.id] = job
        return job

    def run_due(self) -> None:
        """Let every job that is due take effect, in the order in which they were given."""
        now = self.now()
        for job in self.jobs.values():
            if job.status == "pending" and job.due <= now:
                if job.kind in self.fails:
                    job.status = "failed"
                    continue
                job.effect(job)
                job.status = "errored" if job.results.get("errored_count") else "completed"

    def missing_scope(self, method: str, path: str) -> str | None:
        """The scope that the key lacks for this call."""
        for wanted, pattern, scope in _NEEDS:
            if wanted in ("", method) and re.match(pattern, path):
                return None if scope in self.scopes else scope
        return None
