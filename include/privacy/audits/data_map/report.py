"""The report that ends an audit of the data map: what is not mapped as it is, is an alarm (P2.1 to P2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from include.privacy.audits.data_map.looking import MapLook, rules_of
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run


class MapError(FindingError):
    """Stores are not as the data map says, or could not be looked at; counts only."""


def report_map(
    ledger_run: str, looks: list[MapLook] | None = None, counts: Iterable[dict[str, int]] | None = None
) -> dict[str, int]:
    """Read what the looks recorded, end the run, and raise :class:`MapError` when anything is red.

    ``counts``: what those looks returned that ended well; fewer than ``looks`` means that one did not, and
    then the run is red too: what nobody looked at may hold anything. A dry run is told and not raised.
    """
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    looks, done = looks or [], list(counts or [])
    known = {(rule, each["name"]) for each in looks for rule in rules_of(each)}
    open_ = [b for b in ledger.open_breaches() if (b.rule, b.store) in known]
    totals: dict[str, int] = {}
    for each in done:
        for code, count in each.items():
            totals[code] = totals.get(code, 0) + count
    sampled = totals.pop("sampled", 0)
    missing = len(looks) - len(done)
    red = [f"{b.rule} in {b.store}: {b.count}" for b in open_]
    if missing or not looks:
        red.append(
            f"{missing or 'all'} of {len(looks)} places could not be looked at: see the tasks look_at_map"
        )
    summary = {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.dry_run,
        "looked_at": len(done),
        "values_sampled": sampled,
        "found": totals,
        "alarms": {f"{b.rule} in {b.store}": b.note for b in open_},
        "red": red,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if red and not run.dry_run:
        raise MapError(
            "not as config/data_map/ says:\n"
            + "\n".join(f"  - {line}" for line in red)
            + "\nThe breaches in the ledger, and the logs of `look_at_map`, say what it is and what to do"
        )
    return {"looked_at": len(done), "values_sampled": sampled, **totals}
