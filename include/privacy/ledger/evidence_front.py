"""The part of the ledger's front that evidence, certificates and reports use; and the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from include.privacy.ledger import certificates as _certificates
from include.privacy.ledger import commitments as _commitments
from include.privacy.ledger import evidence_log as _log
from include.privacy.ledger import report_records as _report_records
from include.privacy.ledger import runs as _runs
from include.privacy.ledger import sequencing as _sequencing
from include.privacy.ledger.front import Front, plain, sealed

log = logging.getLogger(__name__)

_MOST_AT_A_TIME = 50_000
"""Rows that the end of a run sequences at most: a few seconds."""


class EvidenceFront(Front):
    """The log of evidence, certificates, what reports are made of."""

    _close_run = plain(_runs.close_run)
    last_runs = plain(_report_records.last_runs)
    last_evidence = plain(_report_records.last_evidence)
    breaches_since = plain(_report_records.breaches_since)
    request_margins = plain(_report_records.request_margins)
    keep_report = plain(_report_records.keep_report)
    newest_report = plain(_report_records.newest_report)
    commitments = sealed(_commitments.commitments)
    newest_certificate = plain(_certificates.newest_certificate)
    keep_certificate = plain(_certificates.keep_certificate)
    requests_to_certify = plain(_certificates.requests_to_certify)
    plan_records = plain(_certificates.plan_records)
    checkpoint_note = plain(_log.checkpoint_note)
    evidence_size = plain(_sequencing.log_size)
    checkpoints = plain(_log.checkpoints)

    def close_run(self, run_id: UUID, summary: Mapping[str, Any]) -> None:
        """See :func:`runs.close_run`; then what was written gets its place in the log of evidence.

        A sequencer that fails, or has too much to do, leaves the rest to `publish_evidence`, which is loud.
        """
        self._close_run(run_id, summary)
        try:
            self.sequence_evidence(most=_MOST_AT_A_TIME)
        except DBAPIError as error:
            log.warning("run %s: evidence was not sequenced (%s)", run_id, type(error).__name__)

    def sequence_evidence(self, *, full: bool = False, most: int | None = None) -> int:
        """See :func:`sequencing.sequence_all`."""
        return _sequencing.sequence_all(self.sessions, full=full, most=most)
