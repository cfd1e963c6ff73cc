"""What this project itself keeps: its ledger, working tables in the stores; and the report of all of it."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.runtime import runtime
from include.privacy.steps.leftovers import drop_leftovers, leftovers_of
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)

SEEN = "work_leftovers_seen"
"""Evidence: working tables that looked abandoned. Only what an earlier run saw too is dropped: a probe that
is under way has tables for seconds that no plan in the ledger knows."""


class OwnRetentionError(FindingError):
    """Part of what is ours could not be expired; the message names the part."""


def expire_records(ledger_run: str) -> dict[str, int]:
    """Expire the ledger's own records, tombstones and journal; returns counts by kind."""
    run, policy = read_run(ledger_run), runtime().config().policy
    counts = (
        runtime()
        .ledger()
        .expire_own_records(
            run.as_of,
            records_days=policy.request_records_days,
            quarantine_days=policy.own_retention.quarantine_days,
            token_days=policy.own_retention.token_days,
            dry_run=run.dry_run,
        )
    )
    log.info("the ledger's own records%s: %s", ", dry run" if run.dry_run else "", counts)
    return counts


def databases(ledger_run: str) -> list[dict[str, str]]:
    """The databases of the map, for one task each."""
    read_run(ledger_run)
    return [{"store": s.store} for s in runtime().stores() if isinstance(s, DatabaseMap)]


def drop_abandoned_work(ledger_run: str, store: str) -> dict[str, int]:
    """Drop working tables that were abandoned already when an earlier run looked; returns counts."""
    run, ledger = read_run(ledger_run), runtime().ledger()
    earlier = [e for e in ledger.evidence(kind=SEEN) if e.body["store"] == store and e.run_id != run.id]
    known = {UUID(owner) for e in earlier[-1:] for owner in e.body["owners"]}
    found = leftovers_of(store)
    dropped = 0 if run.dry_run else drop_leftovers(store, only=known)
    left = found - known
    if not run.dry_run and (left or known):
        body = {"store": store, "owners": sorted(str(owner) for owner in left), "dropped": dropped}
        ledger.append_evidence(SEEN, body, run.id)
    return {"dropped": dropped, "seen": len(left)}


def report(
    ledger_run: str,
    records: dict[str, int] | None = None,
    metadata: dict[str, int] | None = None,
    logs: dict[str, int] | None = None,
    work: list[dict[str, int]] | None = None,
) -> dict[str, Any]:
    """End the run with the counts; red where a part was left out."""
    run = read_run(ledger_run)
    parts = {"records": records, "airflow_metadata": metadata, "airflow_logs": logs}
    undone = [name for name, counts in parts.items() if counts is None]
    if len(work or ()) < len(databases(ledger_run)):
        undone.append("work_tables")
    summary: dict[str, Any] = {
        "as_of": run.as_of.isoformat(),
        **{name: counts or {} for name, counts in parts.items()},
        "work_tables": {name: sum(each[name] for each in work or ()) for name in ("dropped", "seen")},
        "undone": undone,
    }
    if not run.dry_run:
        runtime().ledger().append_evidence("own_retention", summary, run.id)
    runtime().ledger().close_run(run.id, summary)
    log.info("own retention%s: %s", ", dry run" if run.dry_run else "", summary)
    if undone:
        raise OwnRetentionError(
            f"did not end well: {', '.join(undone)}; the rest was done, and the next run tries again"
        )
    return summary
