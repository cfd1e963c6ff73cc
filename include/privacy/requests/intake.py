"""Intake: the platform's inbox rows become requests in the ledger; what is malformed is quarantined."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.requests.due import answer_due
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import CLOCK_SKEW, read_run

if TYPE_CHECKING:
    from include.privacy.stores.postbox import Letter

log = logging.getLogger(__name__)

SOURCE = "privacy_inbox"
WAIT_FOR_OPENING = timedelta(hours=1)
"""How long a verification may be ahead of the request that it belongs to."""


def receive(ledger_run: str) -> dict[str, int]:
    """Take every waiting erasure row of the inbox; returns counts by what became of it.

    Each row is judged alone. The row is marked as taken after the ledger has it, and the ledger
    knows a request by the platform's id, so that a crash in between repeats nothing.
    """
    counts: Counter[str] = Counter()
    run = read_run(ledger_run)

    def handle(letter: Letter) -> bool:
        outcome = _handle(letter, run.as_of)
        counts[outcome] += 1
        return outcome != "left"

    runtime().postbox().take("erasure", handle)
    log.info("inbox: %s", dict(counts) or "empty")
    return dict(counts)


def _handle(letter: Letter, as_of: datetime) -> str:
    from include.privacy.ledger.errors import LedgerError

    fault = _fault(letter, as_of)
    if fault is not None:
        return _quarantine(letter, fault)
    external_id = str(letter.request_id)
    ledger = runtime().ledger()
    try:
        if letter.kind == "opened":
            assert letter.received_at is not None and letter.account_id is not None
            ledger.receive_request(
                external_id,
                letter.right,
                letter.account_id,
                letter.received_at,
                letter.verified_at,
                letter.channel,
                letter.details,
                answer_due(letter.received_at),
            )
            return "opened"
        known = ledger.find_request(external_id)
        if known is None:
            assert letter.received_at is not None
            if as_of - letter.received_at < WAIT_FOR_OPENING:
                return "left"
            return _quarantine(letter, f"a row of kind {letter.kind} for a request that was never opened")
        if known.subject_key is not None and known.subject_key != letter.account_id:
            return _quarantine(letter, f"a row of kind {letter.kind} from another account than the request's")
        if letter.kind == "verified":
            assert letter.verified_at is not None
            ledger.verify_request(external_id, letter.verified_at)
            return "verified"
        state = ledger.withdraw_request(external_id)
        log.info("withdrawal: the request is %s", state)
        return "withdrawn"
    except LedgerError as error:
        return _quarantine(letter, f"the ledger refused it: {type(error).__name__}")


def _fault(letter: Letter, as_of: datetime) -> str | None:
    if letter.kind not in ("opened", "verified", "withdrawn"):
        return "kind must be opened, verified or withdrawn"
    if not letter.account_id:
        return "account_id is missing"
    if letter.received_at is None:
        return "received_at is missing"
    if letter.kind == "verified" and letter.verified_at is None:
        return "verified_at is missing on a row of kind verified"
    for name in ("received_at", "verified_at"):
        value = getattr(letter, name)
        if value is not None and value > max(as_of, runs.current_instant()) + CLOCK_SKEW:
            return f"{name} lies in the future"
    if not isinstance(letter.details, dict):
        return "details must be an object"
    return None


def _quarantine(letter: Letter, reason: str) -> str:
    payload: dict[str, Any] = {
        "kind": letter.kind,
        "request_id": str(letter.request_id),
        "account_id": letter.account_id,
        "channel": letter.channel,
        "details": letter.details,
    }
    runtime().ledger().quarantine(SOURCE, str(letter.id), reason, payload)
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
