"""Renewing certificates: missing ones, and those whose story went on (a second probe, a recipient)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from include.privacy.evidence import certificates
from include.privacy.evidence.certificate_page import page_of
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

log = logging.getLogger(__name__)

STILL_MOVING = timedelta(days=60)
"""After so long nothing more happens to a closed request: its second probe was due within days."""


def renew_certificates(ledger_run: str) -> dict[str, int]:
    """Issue what is missing and renew what is outdated; returns how many, and how many failed."""
    run = read_run(ledger_run)
    if run.dry_run or runtime().config().evidence is None:
        return {"issued": 0, "failed": 0}
    return renew_all(run.as_of)


def renew_all(as_of: datetime) -> dict[str, int]:
    """The same for whoever has no run of this kind. One that fails does not stop the others."""
    ledger = runtime().ledger()
    counts = {"issued": 0, "failed": 0}
    if runtime().config().evidence is None:
        return counts
    for request_id in ledger.requests_to_certify(as_of - STILL_MOVING):
        try:
            issued = certificates.renew(request_id, as_of)
            if issued is not None and issued.new:
                _hand_over(request_id, issued)
                counts["issued"] += 1
        except Exception as error:  # noqa: BLE001 - counted; publish_evidence is red for it
            log.error("request %s: certificate not renewed (%s)", request_id, type(error).__name__)
            counts["failed"] += 1
    log.info("certificates: %s", counts)
    return counts


def _hand_over(request_id: UUID, issued: certificates.Issued) -> None:
    """A new version for the person, in the platform's outbox, under the request's id: the account is gone."""
    request = runtime().ledger().request(request_id)
    body = {"certificate": dict(issued.document), "page": page_of(issued.document)}
    kind = f"erasure_certificate_{issued.version}"
    runtime().postbox().answer(UUID(request.external_id), kind, body, account_id=None)
