"""Our states in the four words of OpenDSR (section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.privacy.requests.following import Progress, progress_of

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

API_VERSION = "2.0"
STATUSES = ("pending", "in_progress", "completed", "cancelled")
FINAL = ("completed", "cancelled")

_PENDING = frozenset({"received", "acknowledged", "verifying"})
_CANCELLED = frozenset({"withdrawn"})
_COMPLETED = frozenset({"completed", "completed_with_retention", "refused", "expired"})


def status_of(state: str) -> str:
    """One state. What was refused is ``completed`` too: the protocol has no other word for an end."""
    if state in _PENDING:
        return "pending"
    if state in _CANCELLED:
        return "cancelled"
    return "completed" if state in _COMPLETED else "in_progress"


def overall(rows: Sequence[RequestRow]) -> tuple[str, list[Progress]]:
    """The status of a request for all its accounts: over only when every one of them is."""
    progress = [progress_of(row) for row in rows]
    each = {status_of(p.state) for p in progress}
    if len(each) > 1:
        each -= {"cancelled"}
    if len(each) == 1:
        return each.pop(), progress
    return "in_progress", progress


def status_body(
    rows: Sequence[RequestRow], *, controller_id: str, domain: str, status: str | None = None
) -> dict[str, Any]:
    """The status message; ``status`` is what is to be told, by default what is so now.

    How a completed request ended stands in our extension: the protocol has no word for a refusal.
    """
    present, progress = overall(rows)
    told = status or present
    body: dict[str, Any] = {
        "controller_id": controller_id,
        "expected_completion_time": instant(max(row.due_at for row in rows)),
        "subject_request_id": rows[0].external_id,
        "request_status": told,
        "api_version": API_VERSION,
        "results_url": None,
        "results_count": None,
    }
    if told == "completed":
        ends = sorted({(p.state, p.reason or "") for p in progress})
        outcomes = [{"outcome": state, "reason": reason or None} for state, reason in ends]
        body["extensions"] = {domain: {"outcomes": outcomes}}
    return body


def instant(moment: Any) -> str:
    """RFC 3339 in UTC, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
