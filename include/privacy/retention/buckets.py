"""The buckets' own lifecycle rules: the net under the sweep, compared every day."""

from __future__ import annotations

import logging

from include.privacy.policy.policy import ObjectAgeRule
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

log = logging.getLogger(__name__)


def object_age_rules() -> list[str]:
    """The ids of the rules that expire backups."""
    return [r.id for r in runtime().config().policy.rules if isinstance(r, ObjectAgeRule)]


def compare_lifecycle(ledger_run: str, rule_id: str) -> list[str]:
    """Compare the bucket's lifecycle with what the rule needs, and set ours where the map lets us.

    Returns what was put right and what still differs. A dry run changes nothing.
    """
    rule = runtime().config().policy.rule(rule_id)
    if not isinstance(rule, ObjectAgeRule):
        raise TypeError(f"rule {rule_id!r} does not expire objects")
    report = runtime().bucket(rule.store).bucket_lifecycle(rule, apply=not read_run(ledger_run).dry_run)
    told = [f"{rule.store}: {line}" for line in report.differences]
    if report.applied:
        told.insert(0, f"{rule.store}: rule {rule.id}: our lifecycle rules were missing or changed; set now")
    for line in told:
        log.warning("lifecycle: %s", line)
    return told
