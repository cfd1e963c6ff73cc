"""Intake: the platform's inbox rows become requests in the ledger; what is malformed is quarantined."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.requests import restricting
from include.privacy.requests.events import add_event
from include.privacy.requests.opening import RIGHTS, MalformedRequestError, Opening, open_request
from include.privacy.requests.verification import codes_of
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import CLOCK_SKEW, read_run

if TYPE_CHECKING:
    from include.privacy.stores.postbox import InboxRow

log = logging.getLogger(__name__)

SOURCE = "privacy_inbox"
WAIT_FOR_OPENING = timedelta(hours=1)
"""How long a verification may be ahead of the request that it belongs to."""


def receive(ledger_run: str) -> dict[str, int]:
    """Take every waiting row of the inbox; returns counts by what became of it.

    Each row is judged alone. The row is marked as taken after the ledger has it, and the ledger
    knows a request by the platform's id, so that a crash in between repeats nothing.
    """
    counts: Counter[str] = Counter()
    run = read_run(ledger_run)

    def handle(row: InboxRow) -> bool:
        outcome = _handle(row, run.as_of)
        counts[outcome] += 1
        return outcome != "left"

    runtime().postbox().take(handle)
    log.info("inbox: %s", dict(counts) or "empty")
    return dict(counts)


def ring(ledger_run: str, *, outlet_events: Any = None) -> dict[str, int]:
    """Wake the DAG of each right for which a verified request waits; returns how many do. Ends this run."""
    from include.privacy.ledger.states import WAITING

    ledger = runtime().ledger()
    counts = {right: len(ledger.requests(WAITING, right)) for right in RIGHTS}
    for right, count in counts.items():
        if count:
            add_event(outlet_events, f"{right}_requests")
    ledger.close_run(UUID(ledger_run), {"waiting": counts})
    log.info("waiting: %s", counts)
    return counts


def _handle(row: InboxRow, as_of: datetime) -> str:
    from include.privacy.ledger.errors import LedgerError

    fault = _fault(row, as_of)
    if fault is not None:
        return _quarantine(row, fault)
    external_id = str(row.request_id)
    ledger = runtime().ledger()
    try:
        if row.kind == "opened":
            open_request(_opening(row), as_of)
            return "opened"
        known = ledger.find_request(external_id)
        if known is None:
            assert row.received_at is not None
            if as_of - row.received_at < WAIT_FOR_OPENING:
                return "left"
            return _quarantine(row, f"a row of kind {row.kind} for a request that was never opened")
        if known.subject_key is not None and known.subject_key != row.account_id:
            return _quarantine(row, f"a row of kind {row.kind} from another account than the request's")
        if row.kind == "verified":
            assert row.verified_at is not None
            ledger.verify_request(external_id, row.verified_at, codes_of(row.verification))
            return "verified"
        state = ledger.withdraw_request(external_id, as_of)
        if state == "withdrawn" and known.right == "erasure" and known.subject_key is not None:
            restricting.lift([known.subject_key], as_of)
        log.info("withdrawal: the request is %s", state)
        return "withdrawn"
    except MalformedRequestError as error:
        return _quarantine(row, str(error))
    except LedgerError as error:
        return _quarantine(row, f"the ledger refused it: {type(error).__name__}")


def _opening(row: InboxRow) -> Opening:
    assert row.received_at is not None and row.account_id is not None
    details = dict(row.details)
    return Opening(
        external_id=str(row.request_id),
        right=row.right,
        subject_key=row.account_id,
        channel=row.channel,
        received_at=row.received_at,
        verification=row.verification,
        verified_at=row.verified_at,
        agent=details.pop("agent", None),
        details=details,
    )


def _fault(row: InboxRow, as_of: datetime) -> str | None:
    if row.kind not in ("opened", "verified", "withdrawn"):
        return "kind must be opened, verified or withdrawn"
    if not row.account_id:
        return "account_id is missing"
    if row.received_at is None:
        return "received_at is missing"
    if row.kind == "verified" and row.verified_at is None:
        return "verified_at is missing on a row of kind verified"
    for name in ("received_at", "verified_at"):
        value = getattr(row, name)
        if value is not None and value > max(as_of, runs.current_instant()) + CLOCK_SKEW:
            return f"{name} lies in the future"
    for name in ("details", "verification"):
        if not isinstance(getattr(row, name), dict):
            return f"{name} must be an object"
    return None


def _quarantine(row: InboxRow, reason: str) -> str:
    payload: dict[str, Any] = {
        "kind": row.kind,
        "request_id": str(row.request_id),
        "account_id": row.account_id,
        "channel": row.channel,
        "details": row.details,
    }
    runtime().ledger().quarantine(SOURCE, str(row.id), reason, payload)
    log.error("inbox row quarantined: %s", reason)
    return "quarantined"


def request_ids(given: Any) -> list[UUID] | None:
    """The ``request_ids`` parameter as ledger ids; ``None`` when it is empty: all that wait.

    Accepts the ledger's id or the platform's. Raises ``ValueError`` naming the position, not the value.
    """
    if not given:
        return None
    if not isinstance(given, list):
        raise ValueError("request_ids must be a list of request ids")
    found = []
    ledger = runtime().ledger()
    for position, text in enumerate(given):
        try:
            wanted = UUID(str(text))
        except ValueError:
            raise ValueError(f"request_ids[{position}] is not a UUID; copy it from the ledger") from None
        by_platform = ledger.find_request(str(wanted))
        found.append(by_platform.id if by_platform else wanted)
    return found
