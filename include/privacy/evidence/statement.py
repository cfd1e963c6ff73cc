"""What a certificate of erasure says: plans, outcomes, probes, recipients, what is kept, and until when.

Made from the ledger's records alone, so that it can be made again days later. Nothing personal: counts are of
the whole batch in which the request was carried out, the request is named by its id, and the person's
reference by a commitment that only they can open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.evidence.connecting import settings
from include.privacy.planning.models import Verb
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.certificates import PlanRecords
    from include.privacy.ledger.rows import RecipientRow, RequestRow

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROMISES = ("P4.2", "P6.3", "P6.6")


def facts_of(
    request: RequestRow,
    carried_out: Mapping[str, Any],
    outcome: str,
    answered_at: datetime,
    commitment: str | None,
) -> dict[str, Any]:
    """The predicate without version and date. ``carried_out``: the evidence that names the plans."""
    from include.privacy.ledger.impersonal import impersonal

    ledger = runtime().ledger()
    run = ledger.run(request.run_id) if request.run_id else None
    plans = ledger.plan_records([UUID(each) for each in carried_out["plans"]])
    recipients = [r for r in ledger.recipients(request.id) if r.recipient in runtime().config().processors]
    facts: dict[str, Any] = impersonal(
        {
            "request": {
                "id": request.id,
                "right": request.right,
                "channel": request.channel,
                "received_at": request.received_at,
                "verified_at": request.verified_at,
                "due_at": request.due_at,
                "answered_at": answered_at,
                "outcome": outcome,
                "reference_commitment": commitment,
            },
            "policy": {
                "version": run.policy_version if run else None,
                "digest": run.policy_digest if run else None,
                "promises": PROMISES,
            },
            "stores": [_store(each) for each in plans],
            "recipients": [_recipient(each) for each in recipients],
            "kept": carried_out["retained"],
            "residual_until": carried_out["residual_until"],
        }
    )
    return facts


def statement_of(facts: Mapping[str, Any], version: int, issued_at: datetime) -> dict[str, Any]:
    """An in-toto Statement; its subjects are the plans, by digest."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"plan/{each['store']}", "digest": {"sha256": each["plan_digest"]}}
            for each in facts["stores"]
        ],
        "predicateType": f"https://{settings().origin}/erasure/v1",
        "predicate": {**facts, "version": version, "issued_at": issued_at.isoformat()},
    }


def _store(records: PlanRecords) -> dict[str, Any]:
    plan = records.plan
    removed: Counter[str] = Counter()
    anonymised: Counter[str] = Counter()
    for outcome in records.outcomes:
        removed.update(outcome.removed)
        anonymised.update(outcome.anonymised)
    return {
        "store": plan.store,
        "plan": plan.id,
        "plan_digest": records.digest,
        "people_in_batch": plan.subjects,
        "matched": plan.matched,
        "removed": dict(removed),
        "anonymised": dict(anonymised),
        "kept_back": sum(outcome.held_subjects for outcome in records.outcomes),
        "rules": [
            {"table": step.table, "verb": step.verb, "matched": step.matched, "because": step.kept_because}
            for step in plan.steps
            if step.matched and step.verb is not Verb.refresh
        ],
        "probes": [{"at": at, "clean": clean} for at, clean in records.probes],
        "next_probe": records.due,
    }


def _recipient(row: RecipientRow) -> dict[str, Any]:
    mapped = runtime().config().processors[row.recipient]
    return {
        "recipient": row.recipient,
        "title": mapped.title,
        "outcome": row.state,
        "until": row.until,
        "objects": [
            {name: each.get(name) for name in ("kind", "state", "count", "basis", "until")}
            for each in row.detail.get("objects", ())
        ],
    }
