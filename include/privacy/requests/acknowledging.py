"""Acknowledging: a letter at once, and where identity is not established a one-time link (P6.7)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from include.privacy.requests import telling
from include.privacy.requests.verification import PLATFORM
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow
    from include.privacy.stores.postgres.contact import ContactPoint

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Letters under way at the same time: enough to keep up with a burst, few enough for any provider."""


class LettersOpenError(FindingError):
    """Some people could not be written to yet; the message has counts only."""


def acknowledge(ledger_run: str) -> dict[str, int]:
    """Confirm the receipt of every request that has no such letter yet, and move it on.

    A provider that is down holds up no request: the outbox has the confirmation, the letter follows.
    """
    ledger = runtime().ledger()
    as_of = read_run(ledger_run).as_of
    waiting = {
        *ledger.requests_without_letter("received"),
        *(row.request_id for row in ledger.unsettled_letters(as_of) if row.kind == "received"),
        *(row.id for row in ledger.requests(["received", "acknowledged"])),
    }
    return _each(waiting, lambda request: _acknowledge(request, as_of))


def challenge(ledger_run: str) -> dict[str, int]:
    """Send a one-time link to whoever is not verified yet, to an address on file before the request came.

    Once per request; a link whose letter was lost is replaced by a fresh one. Whoever is unknown, or
    has no address, gets none and is refused at the due date like anybody who does not answer.
    """
    from include.privacy.ledger.refusing import UNVERIFIED_REASON

    ledger = runtime().ledger()
    as_of = read_run(ledger_run).as_of
    unsettled = {row.request_id for row in ledger.unsettled_letters(as_of) if row.kind == "verify"}
    without = set(ledger.requests_without_letter("verify"))
    waiting = {
        row.id
        for row in ledger.requests(["verifying"])
        if row.id in (unsettled | without)
        and row.verification.get("pending") != PLATFORM
        and row.reason != UNVERIFIED_REASON  # is being refused: a link would promise too much
    }
    return _each(waiting, lambda request: _challenge(request, as_of))


def _acknowledge(request: RequestRow, as_of: datetime) -> str:
    from include.privacy.letters.facts import Received

    due = telling.day(request.due_at)
    verified = request.verified_at is not None
    telling.answer(request, "received", {"due_on": due.isoformat(), "verified": verified})

    def facts() -> Received:
        return Received(**telling.head(request), due_on=due, verified=verified)

    settled = telling.tell(request, "received", facts, as_of)
    if request.state in ("received", "acknowledged"):
        runtime().ledger().acknowledge_request(request.id)
    return "told" if settled else "letter_follows"


def _challenge(request: RequestRow, as_of: datetime) -> str:
    from include.privacy.letters.facts import Verify

    rules = runtime().config().policy.verification
    valid_for = timedelta(hours=rules.token_valid_hours)

    def facts() -> Verify:
        token = runtime().ledger().issue_token(request.id, as_of, valid_for)
        return Verify(
            **telling.head(request),
            link=rules.token_url.format(request=request.external_id, token=token),
            link_expires_at=as_of + valid_for,
            due_on=telling.day(request.due_at),
        )

    def contact() -> ContactPoint | None:
        return telling.contact_of(request, on_file_at=request.received_at)

    settled = telling.tell(request, "verify", facts, as_of, contact=contact)
    return "challenged" if settled else "letter_follows"


def _each(ids: set[UUID], work: Callable[[RequestRow], str]) -> dict[str, int]:
    """Do the work for each request alone: one that fails stops none of the others."""
    ledger = runtime().ledger()

    def one(request_id: UUID) -> str:
        try:
            return work(ledger.request(request_id))
        except Exception as error:
            log.exception("request %s could not be written to: %s", request_id, type(error).__name__)
            return "failed"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        counts = Counter(pool.map(one, sorted(ids)))
    log.info("%s", dict(counts) or "nobody to write to")
    if counts["failed"]:
        raise LettersOpenError(
            f"{counts['failed']} of {sum(counts.values())} people could not be written to; the next sweep "
            "tries again, and the log above says what stopped it"
        )
    return dict(counts)
