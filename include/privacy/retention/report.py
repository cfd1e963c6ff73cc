"""The report that ends a retention run: what is overdue, what was done, and whether that is as promised."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from include.privacy.planning.models import Holds, Outcome
from include.privacy.policy.policy import ObjectAgeRule, RecordAgeRule, SnapshotAgeRule, SubjectLifecycleRule
from include.privacy.runtime import runtime
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import FindingError, read_run
from include.privacy.steps.work import Item, item_of_rule

log = logging.getLogger(__name__)

AnyRule = SubjectLifecycleRule | RecordAgeRule | ObjectAgeRule | SnapshotAgeRule


class NotAsPromisedError(FindingError):
    """The run was carried out, and something is not as the policy promises; names rules and counts."""


def report_databases(
    ledger_run: str,
    marked: dict[str, int] | None = None,
    items: list[Item] | None = None,
    cleared: list[Item] | None = None,
    concluded: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Report the subject and record-age rules."""
    results = {"mark_deleted": marked, "freeze_cohorts": items, "guard": cleared, "conclude": concluded}
    return _report(ledger_run, (SubjectLifecycleRule, RecordAgeRule), results, [])


def report_backups(
    ledger_run: str,
    items: list[Item] | None = None,
    cleared: list[Item] | None = None,
    concluded: dict[str, int] | None = None,
    differences: Iterable[list[str]] | None = None,
) -> dict[str, Any]:
    """Report the rules on archives and snapshots, and how bucket lifecycles differ from what is needed."""
    drift = [line for lines in differences or [] for line in lines or []]
    results = {"list_backup_rules": items, "guard": cleared, "conclude": concluded}
    return _report(ledger_run, (ObjectAgeRule, SnapshotAgeRule), results, drift)


def _report(
    ledger_run: str, kinds: tuple[type[AnyRule], ...], results: Mapping[str, Any], drift: list[str]
) -> dict[str, Any]:
    """Measure, record, close the run, and raise :class:`NotAsPromisedError` when anything is red.

    A dry run has deleted nothing, so what is overdue is told and not raised.
    """
    run = read_run(ledger_run)
    ledger = runtime().ledger()
    items: list[Item] = results.get("freeze_cohorts") or results.get("list_backup_rules") or []
    red = [
        f"task {name} did not end well, so part of the run was left out"
        for name in results
        if results[name] is None
    ]
    red += [] if run.dry_run else _unfinished(items, results.get("guard") or [])
    findings = [f"lifecycle: {line}" for line in drift]
    findings += [f"{p.store}: {note}" for i in items if (p := find_plan(i)) for note in p.notes]
    holds = ledger.holds()
    rules: dict[str, dict[str, Any]] = {}
    for rule in runtime().config().policy.rules:
        if not isinstance(rule, kinds):
            continue
        figures = _figures(rule, [*items, item_of_rule(UUID(ledger_run), rule.id, rule.store)])
        try:
            overdue = _overdue(rule, run.as_of, holds)
        except Exception as error:  # noqa: BLE001 - one store that is down must not hide the others' figures
            red.append(f"rule {rule.id}: store {rule.store} could not be measured ({type(error).__name__})")
            figures["unmeasured"] = True
        else:
            figures |= {
                "overdue": overdue.count,
                "oldest_overdue_s": _seconds(overdue.oldest),
                "held": overdue.held,
                "unclocked": overdue.unclocked,
                "in_future": overdue.in_future,
            }
            gone = getattr(overdue, "gone", None)
            if gone is not None:
                figures |= {
                    "restorable_overdue": gone.count,
                    "oldest_restorable_overdue_s": _seconds(gone.oldest),
                }
            late = max(overdue, gone or overdue, key=lambda o: (o.count, o.oldest or timedelta(0)))
            if late.count:
                note = (
                    "nothing was matched although rows are overdue"
                    if not figures["matched"]
                    else "past its limit"
                )
                if not run.dry_run:
                    ledger.record_breach(UUID(ledger_run), rule.id, rule.store, late.count, late.oldest, note)
                red.append(
                    f"rule {rule.id}: {late.count} past the limit, the oldest by {late.oldest}; {note}"
                )
            elif not run.dry_run:
                ledger.resolve_breaches(rule.id, rule.store, run.as_of)
        rules[rule.id] = figures
        log.info("rule %s: %s", rule.id, figures)
    waiting = [r for r in ledger.parked_plans() if r.plan.rule in rules]
    summary: dict[str, Any] = {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.dry_run,
        "rules": rules,
        "awaiting_approval": {str(r.plan.rule): r.reason for r in waiting},
        "red": red,
        "findings": findings,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if red and not run.dry_run:
        raise NotAsPromisedError("not as promised:\n" + "\n".join(f"  - {line}" for line in red))
    return {"rules": len(rules), "awaiting_approval": len(waiting)}


def _unfinished(items: list[Item], cleared: list[Item]) -> list[str]:
    ledger = runtime().ledger()
    allowed = {i["plan_id"] for i in cleared}
    red = []
    for item in items:
        where = f"rule {item['rule']}, store {item['store']}"
        if find_plan(item) is None:
            red.append(f"{where}: could not be planned, so nothing was deleted; see the log of task plan")
            continue
        state = ledger.plan_state(UUID(item["plan_id"]))
        for row in ledger.plan_outcomes(UUID(item["plan_id"])):
            red += [f"{where}: not removed: {reason}" for reason in row.outcome.blocked]
        if item["plan_id"] in allowed and state not in ("probed",):
            red.append(f"{where}: ended as {state}; the next run goes on with it")
    return red


def _figures(rule: AnyRule, items: list[Item]) -> dict[str, Any]:
    """What the run planned and did for a rule, per store."""
    ledger = runtime().ledger()
    stores: dict[str, dict[str, int]] = {}
    for item in {i["plan_id"]: i for i in items if i["rule"] == rule.id}.values():
        plan = find_plan(item)
        if plan is None:
            continue
        total = Outcome(store=plan.store)
        done = stores.setdefault(
            plan.store, {"matched": 0, "removed": 0, "anonymised": 0, "kept": 0, "held_people": 0}
        )
        done["matched"] += plan.matched
        for row in ledger.plan_outcomes(plan.id):
            total = row.outcome
            done["removed"] += sum(total.removed.values())
            done["anonymised"] += sum(total.anonymised.values())
            done["kept"] += len(total.kept)
            done["held_people"] += total.held_subjects
    return {"promise": rule.promise, "matched": sum(d["matched"] for d in stores.values()), "stores": stores}


def _overdue(rule: AnyRule, as_of: Any, holds: Holds) -> Any:
    if isinstance(rule, ObjectAgeRule):
        return runtime().bucket(rule.store).overdue(rule, as_of=as_of, holds=holds)
    if isinstance(rule, SnapshotAgeRule):
        return runtime().snapshots(rule.store).overdue(rule, as_of=as_of, holds=holds)
    return runtime().database(rule.store).overdue(rule, as_of=as_of, holds=holds)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())
