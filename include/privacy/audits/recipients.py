"""The report that ends an audit of recipients: a new way out is an alarm (P3.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID

from include.privacy.audits.findings import breach_rule
from include.privacy.audits.looking import Look, promises_of
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)


class WayOutError(FindingError):
    """Something is not as ``config/recipients.yaml`` says, or could not be looked at; counts only."""


def report(
    ledger_run: str, looks: list[Look] | None = None, counts: Iterable[dict[str, int]] | None = None
) -> dict[str, int]:
    """Read what the looks recorded, end the run, and raise :class:`WayOutError` when anything is red.

    ``counts``: what those looks returned that ended well; fewer than ``looks`` means that one did not,
    and then the run is red too: what nobody looked at may be a way out. A dry run is told and not raised.
    """
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    looks, done = looks or [], list(counts or [])
    known = {
        (breach_rule(promise, code), each["name"])
        for each in looks
        for code, promise in promises_of(each).items()
    }
    open_ = [b for b in ledger.open_breaches() if (b.rule, b.store) in known]
    totals: dict[str, int] = {}
    for each in done:
        for code, count in each.items():
            totals[code] = totals.get(code, 0) + count
    missing = len(looks) - len(done)
    red = [f"{b.rule} in {b.store}: {b.count}" for b in open_]
    if missing or not looks:
        red.append(f"{missing or 'all'} of {len(looks)} places could not be looked at: see the tasks look")
    summary = {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.dry_run,
        "looked_at": len(done),
        "found": totals,
        "alarms": {f"{b.rule} in {b.store}": b.note for b in open_},
        "red": red,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if red and not run.dry_run:
        raise WayOutError(
            "not as config/recipients.yaml says:\n"
            + "\n".join(f"  - {line}" for line in red)
            + "\nThe breaches in the ledger, and the logs of the tasks `look`, say what it is and what to do"
        )
    return {"looked_at": len(done), **totals}
