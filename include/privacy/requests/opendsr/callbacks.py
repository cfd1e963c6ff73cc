"""Telling controllers of every change of status: signed, in order, at least once, and only where agreed.

What is to be told is compared with what was queued, so that no place that changes a state has to think of
callbacks; a status is told once per address and never goes back. A request that is closed and forgotten is
still told of: its status rows hold addresses of controllers and nothing of the person.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.privacy.clock import require_utc
from include.privacy.requests.following import family
from include.privacy.requests.opendsr.processor import Processor, processor
from include.privacy.requests.opendsr.statuses import FINAL, STATUSES, overall, status_body
from include.privacy.requests.opendsr.subject_request import callback_allowed
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError
from include.privacy.wire import tls_13

if TYPE_CHECKING:
    import httpx

    from include.privacy.ledger.rows import CallbackRow

log = logging.getLogger(__name__)

BATCH = 50
AT_ONCE = 8
"""Deliveries under way: one controller that hangs keeps none of the others waiting."""
MOST_BATCHES = 20
"""In one run; whatever else is due waits for the next."""
WITHIN_SECONDS = 15.0
"""For one delivery, from the first byte of the handshake to the status line."""
LEASE = timedelta(minutes=15)
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=12)
GIVE_UP = timedelta(days=7)


class CallbacksGivenUpError(FindingError):
    """Controllers could not be told; the message has counts only."""


def queue(*, dag_run: Any = None) -> int:
    """:func:`queue_status_callbacks` at the instant of the Airflow run."""
    return queue_status_callbacks(require_utc(dag_run.run_after))


def deliver(*, dag_run: Any = None) -> dict[str, int]:
    """:func:`deliver_callbacks` at the instant of the Airflow run."""
    return deliver_callbacks(require_utc(dag_run.run_after))


def queue_status_callbacks(as_of: datetime) -> int:
    """Queue a callback for every address whose request has gone on since; returns how many."""
    ledger = runtime().ledger()
    queued = 0
    for address in ledger.open_callback_addresses(FINAL):
        status, _ = overall(family(ledger.request(address.request_id).external_id))
        if STATUSES.index(status) <= max(STATUSES.index(told) for told in address.told):
            continue
        # Later than what was queued before, whatever the clocks of two machines say: the order counts.
        at = max(as_of, address.last_queued_at + timedelta(microseconds=1))
        ledger.queue_callback(address.request_id, address.url, status, at)
        queued += 1
    log.info("status callbacks queued: %d", queued)
    return queued


def deliver_callbacks(as_of: datetime) -> dict[str, int]:
    """Try every callback that is due; returns counts by outcome.

    Any 2xx is a delivery. Redirects are not followed. After a failure the pause doubles, from five minutes to
    half a day; a week after it was queued a callback is given up, which raises
    :class:`CallbacksGivenUpError` at the end. :class:`UnusableProcessorError` when nobody can sign.
    """
    ledger = runtime().ledger()
    counts: Counter[str] = Counter()
    if not ledger.claim_callbacks(as_of, timedelta(0), 1):
        log.info("status callbacks: none due")
        return {}
    # Before anything is claimed: what nobody can sign stays due, and every try says so.
    signer = processor(as_of)
    for _ in range(MOST_BATCHES):
        claimed = ledger.claim_callbacks(as_of, LEASE, BATCH)
        if not claimed:
            break
        bodies = [_body(row, signer) for row in claimed]
        for row, outcome in zip(claimed, asyncio.run(_deliver(claimed, bodies, signer)), strict=True):
            counts[_record(row, outcome, as_of)] += 1
    log.info("status callbacks: %s", dict(counts))
    if counts["given_up"]:
        raise CallbacksGivenUpError(
            f"{counts['given_up']} status callbacks could not be delivered within {GIVE_UP.days} days, or "
            "their host is no longer in opendsr.callback_hosts; tell the controllers: they can ask for it"
        )
    return dict(counts)


def _record(row: CallbackRow, outcome: str, as_of: datetime) -> str:
    ledger = runtime().ledger()
    if outcome == "delivered":
        ledger.record_callback(row.id, delivered_at=as_of)
        return outcome
    log.warning("callback %s was not delivered: %s", row.id, outcome)
    if outcome == "refused" or as_of - row.queued_at >= GIVE_UP:
        ledger.record_callback(row.id, given_up_at=as_of)
        return "given_up"
    pause = min(FIRST_PAUSE * 2 ** min(row.attempts, 20), LONGEST_PAUSE)
    ledger.record_callback(row.id, next_at=as_of + pause)
    return "to_be_repeated"


async def _deliver(rows: Sequence[CallbackRow], bodies: Sequence[bytes], signer: Processor) -> list[str]:
    import httpx

    hosts = runtime().config().policy.opendsr.callback_hosts
    turns = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(
        verify=_tls(), timeout=WITHIN_SECONDS, follow_redirects=False, trust_env=False
    ) as client:

        async def one(url: str, body: bytes) -> str:
            if not callback_allowed(url, hosts):
                return "refused"
            async with turns:
                return await _post(client, url, body, signer)

        return await asyncio.gather(*(one(row.url, body) for row, body in zip(rows, bodies, strict=True)))


async def _post(client: httpx.AsyncClient, url: str, body: bytes, signer: Processor) -> str:
    """What became of one try: ``delivered``, or the kind of failure, without what the other side wrote."""
    headers = {"Content-Type": "application/json", **signer.headers(body)}
    try:
        # httpx counts each read anew; this counts the whole, so that nobody can hold us by dripping.
        async with (
            asyncio.timeout(WITHIN_SECONDS),
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            return "delivered" if answer.is_success else f"status {answer.status_code}"
    except Exception as error:  # noqa: BLE001 - one address must not keep the others from being told
        return type(error).__name__


def _body(row: CallbackRow, signer: Processor) -> bytes:
    request = runtime().ledger().request(row.request_id)
    body = status_body(
        family(request.external_id),
        controller_id=signer.controller_id,
        domain=signer.domain,
        status=row.status,
    )
    return json.dumps({**body, "status_callback_url": row.url}).encode()


def _tls() -> Any:
    return tls_13()
