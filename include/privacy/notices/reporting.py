"""The campaign's report: counts and dates of everybody who had to hear of it, nothing about anybody."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.privacy.notices.campaigns import WORKING, changed_since_approval, too_late
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.notice_campaigns import CampaignRow
    from include.privacy.ledger.notice_coverage import Coverage
    from include.privacy.ledger.rows import RunRow

log = logging.getLogger(__name__)

PROMISE = "P8.1"


def report(ledger_run: str, versions: Iterable[str] | None = None) -> dict[str, Any]:
    """Write each campaign's report and the run's summary; red for what endangers the promise.

    Raises :class:`FindingError` naming each: a date that cannot be met, a folder that changed after its
    approval or is gone, a policy.yaml that is not the version in force.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    campaigns: dict[str, Any] = {}
    for row in ledger.notice_campaigns():
        if row.state in WORKING or row.version in set(versions or ()):
            campaigns[row.version] = campaign_report(row)
            if not run.dry_run:
                ledger.note_report(row.id, campaigns[row.version])
            log.info("version %s: %s", row.version, _in_short(campaigns[row.version]))
    findings = _findings(run)
    summary = {"promise": PROMISE, "campaigns": campaigns, "findings": findings}
    if not run.dry_run:
        ledger.close_run(run.id, summary)
    if findings:
        raise FindingError("; ".join(findings))
    return summary


def _findings(run: RunRow) -> list[str]:
    config, ledger = runtime().config(), runtime().ledger()
    rows = {row.version: row for row in ledger.notice_campaigns()}
    found: list[str] = []
    for notice in config.notices.versions:
        row = rows.get(notice.head.version)
        if notice.head.material and (row is None or row.state in ("proposed", "rejected")):
            problem = too_late(notice, run.as_of)
            found += [problem] if problem else []
        elif row is not None and (problem := changed_since_approval(row)):
            found.append(problem)
    known = {notice.head.version for notice in config.notices.versions}
    found += [
        f"version {row.version} is being announced, and config/notices/{row.version}/ is gone: restore it"
        for row in rows.values()
        if row.state in ("approved", "sending", "proven") and row.version not in known
    ]
    current = ledger.policy_in_force()
    if current is not None and current.version != config.policy.version:
        found.append(
            f"config/policy.yaml is version {config.policy.version}, and {current.version} is in force: "
            f"make it that of config/notices/{current.version}/"
            if current.version in known
            else f"config/policy.yaml is version {config.policy.version}, which nobody has been told of: "
            f"{current.version} is in force; announce it with a folder in config/notices/"
        )
    return found


def campaign_report(row: CampaignRow) -> dict[str, Any]:
    """Coverage, curve, first and last dispatch, exceptions."""
    covered: Coverage = runtime().ledger().coverage(row.id)
    audience = sum(covered.states.values())
    return {
        "version": row.version,
        "state": row.state,
        "as_of": runs.current_instant(),
        "effective_on": row.effective_on,
        "written_to_by": row.dispatch_by,
        "audience": audience,
        "accounted_for": covered.accounted,
        "coverage": covered.accounted / audience if audience else 1.0,
        "states": covered.states,
        "joined_later": covered.joined,
        "reasons": covered.reasons,
        "first_dispatch": covered.first,
        "last_dispatch": covered.last,
        "days_ahead": _days(covered.last, row.effective_at),
        "curve": [[hour, count] for hour, count in covered.curve],
        "stopped": row.stopped_at is not None,
        "outage_since": row.outage_since,
        "proven_through": row.proven_through,
    }


def _days(last: datetime | None, effective_at: datetime) -> float | None:
    return round((effective_at - last).total_seconds() / 86_400, 2) if last else None


def _in_short(told: dict[str, Any]) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in told["states"].items()) or "nobody yet"
    return (
        f"{told['state']}; {told['accounted_for']:,} of {told['audience']:,} accounted for "
        f"({told['coverage']:.1%}); {states}"
    )
