"""The report that ends an audit of controls: every verdict with its reason, and what is red."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from include.privacy.audits.controls.probing import EVIDENCE, Group, is_red, rule_of
from include.privacy.audits.controls.verdicts import Verdict
from include.privacy.policy.controls import CONTROLS
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)


class ControlError(FindingError):
    """A control does not hold, or nobody can tell whether it does; names controls, places and reasons."""


def report(
    ledger_run: str, groups: list[Group] | None = None, counts: Iterable[dict[str, int]] | None = None
) -> dict[str, int]:
    """Read what the looks left, end the run, and raise :class:`ControlError` when anything is red.

    ``counts``: what those groups returned that ended well; fewer than ``groups`` is red too. Where all of
    them did, breaches of places that the config no longer has are ended. A dry run is told and not raised.
    """
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    groups, done = groups or [], list(counts or [])
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for row in ledger.evidence(run_id=UUID(ledger_run), kind=EVIDENCE):
        seen[row.body["control"], row.body["place"]] = row.body
    if groups and len(done) == len(groups) and not run.dry_run:
        known = {(rule_of(control), place) for control, place in seen}
        for breach in ledger.open_breaches():
            if breach.rule in _RULES and (breach.rule, breach.store) not in known:
                ledger.resolve_breaches(breach.rule, breach.store, run.as_of)
    red = [
        f"{rule_of(control)} in {place}: {body['verdict']}: {body['reason']}; {body['fix']}"
        for (control, place), body in sorted(seen.items())
        if is_red(control, Verdict(body["verdict"]))
    ]
    missing = len(groups) - len(done)
    if missing or not groups:
        red.append(f"{missing or 'all'} of {len(groups)} groups could not be looked at: see the tasks probe")
    verdicts = Counter(str(body["verdict"]) for body in seen.values())
    summary = {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.dry_run,
        "verdicts": dict(verdicts),
        "controls": {
            f"{rule_of(control)} in {place}": f"{body['verdict']}: {body['reason']}"
            for (control, place), body in sorted(seen.items())
        },
        "red": red,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if red and not run.dry_run:
        raise ControlError(
            "not as config/controls.yaml asks:\n"
            + "\n".join(f"  - {line}" for line in red)
            + "\nThe breaches in the ledger, and the logs of the tasks `probe`, say the same"
        )
    return dict(verdicts)


_RULES = frozenset(rule_of(control) for control in CONTROLS)
