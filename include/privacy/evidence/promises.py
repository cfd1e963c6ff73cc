"""Every promise with what keeps it, what that did last, and whether there is any evidence of it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.privacy.policy.loading import ROOT
from include.privacy.policy.policy import ObjectAgeRule, Policy, Rule, SnapshotAgeRule
from include.privacy.policy.promises import Keeper, keepers

if TYPE_CHECKING:
    from include.privacy.ledger.report_records import BreachFacts, LastRun

FRESH = timedelta(hours=48)
"""What runs every day has left evidence within two."""
DATABASES, BACKUPS = "database_retention", "backup_retention"
BY_HAND = {
    "place_legal_hold": "hold_placed",
    "release_legal_hold": "hold_released",
    "extend_subject_request": "request_extended",
}
"""DAGs that have no run of their own in the ledger, and the evidence that they leave."""
OF_NO_RULE = {"second_probe": "P6.3"}
"""Breaches that are named after neither a rule nor a promise."""

_OPENED = re.compile(r"runs\.open_run\)\(\"([a-z_]+)\"")
_PROMISE = re.compile(r"P\d\.\d")


def run_kinds(dags: Path = ROOT / "dags") -> dict[str, str]:
    """DAG → the kind of run under which the ledger knows it, as its file says."""
    found = ((path.stem, _OPENED.search(path.read_text())) for path in sorted(dags.glob("*.py")))
    return {name: match[1] for name, match in found if match}


def promises(
    policy: Policy,
    runs: Mapping[str, LastRun],
    evidence: Mapping[str, tuple[datetime, int]],
    breaches: list[BreachFacts],
    as_of: datetime,
) -> Iterator[dict[str, Any]]:
    """One entry a promise, in their order. ``evidence``: kind → newest row and count."""
    rules = {rule.id: rule for rule in policy.rules}
    kinds = run_kinds()
    for name in sorted(policy.promises):
        kept_by = [
            _keeper(keeper, rules, kinds, runs, evidence)
            for keeper in keepers(policy.promises[name], rules.keys())
        ]
        mine = [b for b in breaches if promise_of(b.rule, rules) == name]
        seen = max((k["last"] for k in kept_by if k["last"]), default=None)
        yield {
            "id": name,
            "title": policy.promises[name].title,
            "kept_by": kept_by,
            "evidence": seen,
            "no_evidence_since": _missing(seen, as_of),
            "open": [_breach(b) for b in mine if b.resolved_at is None],
            "resolved": [_breach(b) for b in mine if b.resolved_at is not None],
        }


def promise_of(rule: str, rules: Mapping[str, Rule]) -> str | None:
    """The promise that a breach of that name broke."""
    if rule in rules:
        return rules[rule].promise
    found = _PROMISE.match(rule)
    return found[0] if found else OF_NO_RULE.get(rule)


def _missing(seen: str | None, as_of: datetime) -> str | None:
    if seen is None:
        return "never"
    return seen if datetime.fromisoformat(seen) < as_of - FRESH else None


def _keeper(
    keeper: Keeper,
    rules: Mapping[str, Rule],
    kinds: Mapping[str, str],
    runs: Mapping[str, LastRun],
    evidence: Mapping[str, tuple[datetime, int]],
) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": keeper.kind, "name": keeper.name, "last": None, "figures": {}}
    if keeper.kind == "rule":
        kind = BACKUPS if isinstance(rules[keeper.name], ObjectAgeRule | SnapshotAgeRule) else DATABASES
        run = runs.get(kind)
        figures = (run.summary.get("rules") or {}).get(keeper.name) if run else None
        if run and figures:
            made |= {"last": run.as_of.isoformat(), "figures": numbers(figures)}
    elif keeper.kind == "dag" and (run := runs.get(kinds.get(keeper.name, ""))):
        made |= {"last": run.as_of.isoformat(), "figures": numbers(run.summary)}
    elif keeper.kind == "dag" and (found := evidence.get(BY_HAND.get(keeper.name, ""))):
        made |= {"last": found[0].isoformat(), "figures": {"times": found[1]}}
    return made


def numbers(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The counts of a summary, flat: what a report can show without knowing every kind of run."""
    found: dict[str, float] = {}
    for name, value in summary.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            found[f"{prefix}{name}"] = value
        elif isinstance(value, Mapping) and not prefix:
            found |= numbers(value, f"{name}: ")
    return found


def _breach(breach: BreachFacts) -> dict[str, Any]:
    return {
        "rule": breach.rule,
        "store": breach.store,
        "count": breach.count,
        "since": breach.opened_at.isoformat(),
        "resolved": breach.resolved_at.isoformat() if breach.resolved_at else None,
    }
