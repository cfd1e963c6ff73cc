"""What the ledger itself holds of people or staff, and when it goes; what stays for ever, and why.

A test holds the two lists against the schema: a table that is in neither, or in both, fails it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, update
from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.drill_models import Drill
from include.privacy.ledger.evidence import append_evidence
from include.privacy.ledger.former_identifiers import purge_former_identifiers
from include.privacy.ledger.models import PlanRecord, Quarantined, SealingKey
from include.privacy.ledger.notice_audience import purge_hearers
from include.privacy.ledger.records import purge_records
from include.privacy.ledger.request_models import (
    ArchiveRecord,
    Callback,
    VerificationAttempt,
    VerificationToken,
)
from include.privacy.ledger.tombstones import expire_tombstones

EXPIRES: Mapping[str, str] = {
    "request": "request_records_days after it was closed; what it said is unreadable from then on",
    "letter": "with its request",
    "decision": "with its request",
    "recipient_outcome": "with its request",
    "reminder": "with its request",
    "recipient_task": "with its request, or request_records_days after it was settled",
    "cohort_page": "destroyed after the second probe, or request_records_days after it was forgotten",
    "cohort_request": "with the cohort's pages",
    "hold": "request_records_days after its release",
    "plan": "who decided is removed request_records_days after the decision; the rest names nobody",
    "drill": "request_records_days after it ended; who was planted is unreadable from then on",
    "archive": "request_records_days after its object was deleted",
    "quarantine": "own_retention.quarantine_days after it was last seen",
    "verification_token": "own_retention.token_days after its end, and with its request",
    "verification_attempt": "own_retention.token_days after the last wrong token",
    "callback": "own_retention.token_days after it was delivered or given up, and with its request",
    "notice_delivery": "request_records_days after the version applied, or was given up",
    "notice_campaign": "who decided, and the key, with its deliveries; the rest names nobody",
    "tombstone": "with the last backup that may hold the person",
    "journal_entry": "with the last backup that does not know it, and with the person's erasure",
    "former_identifier": "with the person's erasure, or request_records_days after it was corrected",
    "tombstone_epoch": "when its last tombstone and journal entry are gone",
    "sealing_key": "with what it sealed",
}
"""Table → when its rows go."""

FOR_EVER: Mapping[str, str] = {
    "evidence": "counts, codes, ids and dates; the proof of every promise",
    "evidence_leaf": "places and hashes of evidence; the proof that none is missing",
    "evidence_node": "hashes of subtrees; follow from the leaves",
    "evidence_checkpoint": "size and root of the log, signed; names nobody",
    "evidence_settled": "how far the log is; one row",
    "certificate": "what an erasure did, as counts; the person's copy alone says whose it is",
    "promise_report": "counts by promise; names nobody",
    "policy_version": "which configuration was in force when; names nobody",
    "run": "which run did what; names nobody",
    "outcome": "counts by table; names nobody",
    "batch": "counts of objects; names nobody",
    "operation": "which copy of a task has a step; names nobody",
    "probe": "counts of what was found afterwards; names nobody",
    "notice_batch": "size, provider and dates of one call; names nobody",
    "policy_in_force": "which version applied when; names nobody",
    "breach": "counts by rule; the record of promises that were not kept",
    "cohort": "size and origin; what identified its people is in its pages",
    "hold_version": "one number",
    "state_transition": "the state machine; no data",
    "alembic_version": "the schema's version; no data",
}
"""Table → why its rows stay."""


def expire_own_records(
    sessions: sessionmaker[Session],
    as_of: datetime,
    *,
    records_days: int,
    quarantine_days: int,
    token_days: int,
    dry_run: bool = False,
) -> dict[str, int]:
    """Delete whatever of :data:`EXPIRES` is past its time, in one transaction; returns counts.

    A dry run does the same and takes it back, so that its counts are those of a live run.
    """
    with sessions() as session, session.begin() as transaction:
        counts = {
            **purge_records(session, as_of, records_days),
            "tombstones": expire_tombstones(session, as_of),
            **_shorter(session, as_of, quarantine_days, token_days),
            **_beside_requests(session, as_of - timedelta(days=records_days)),
            "hearers": purge_hearers(session, as_of - timedelta(days=records_days)),
            "former_identifiers": purge_former_identifiers(session, as_of - timedelta(days=records_days)),
        }
        if any(counts.values()):
            append_evidence(session, "own_records_expired", {**counts, "as_of": as_of})
        if dry_run:
            transaction.rollback()
    return counts


def _shorter(session: Session, as_of: datetime, quarantine_days: int, token_days: int) -> dict[str, int]:
    ended = as_of - timedelta(days=token_days)
    tokens = delete(VerificationToken).where(
        or_(VerificationToken.expires_at <= ended, VerificationToken.used_at <= ended)
    )
    told = delete(Callback).where(or_(Callback.delivered_at <= ended, Callback.given_up_at <= ended))
    kept = session.scalars(
        delete(Quarantined)
        .where(Quarantined.last_seen_at <= as_of - timedelta(days=quarantine_days))
        .returning(Quarantined.key_id)
    ).all()
    if kept:
        session.execute(delete(SealingKey).where(SealingKey.id.in_([key for key in kept if key])))
    return {
        "tokens": _gone(session, tokens),
        "attempts": _gone(session, delete(VerificationAttempt).where(VerificationAttempt.last_at <= ended)),
        "callbacks": _gone(session, told),
        "bad_input": len(kept),
    }


def _beside_requests(session: Session, before: datetime) -> dict[str, int]:
    archives = delete(ArchiveRecord).where(ArchiveRecord.deleted_at <= before)
    names = (
        update(PlanRecord)
        .where(PlanRecord.decided_at <= before, PlanRecord.decided_by_sealed.is_not(None))
        .values(decided_by_sealed=None)
    )
    return {
        "archives": _gone(session, archives),
        "deciders": _gone(session, names),
        "drills": _gone(session, delete(Drill).where(Drill.ended_at <= before)),
    }


def _gone(session: Session, statement: Any) -> int:
    # SQLAlchemy types the result of a statement without rows too widely to have a count.
    return int(getattr(session.execute(statement), "rowcount", 0))
