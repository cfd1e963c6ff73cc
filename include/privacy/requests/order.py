"""Which of a person's requests comes first: what they asked to see is shown before it is erased."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

FIRST = ("access", "portability", "rectification")


def waits_for_another(request: RequestRow) -> bool:
    """Whether the erasure must wait because the same person is still to be answered otherwise.

    Who was verified for the erasure is verified for what they asked before as well. A request that
    failed or waits for a decision does not hold the erasure up: a person looks after it.
    """
    from include.privacy.ledger.states import UNVERIFIED, WAITING, WORKING

    ledger = runtime().ledger()
    assert request.subject_key is not None
    waits = False
    for other in ledger.requests_of(request.subject_key, FIRST):
        if other.state in UNVERIFIED and request.verified_at is not None:
            verification = {"method": "with another request of the same person"}
            ledger.verify_request(other.external_id, request.verified_at, verification, by="engine")
        waits = waits or other.state in UNVERIFIED | WAITING | WORKING
    return waits


def put_back(request: RequestRow) -> None:
    """Let the erasure wait until the other request is answered; the run that answers it rings again."""
    log.info("request %s waits until the person's other request is answered", request.id)
    runtime().ledger().transition(request.id, "assessing", "an earlier request of the person comes first")
