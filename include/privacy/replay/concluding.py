"""The end of a replay: everything is looked at once more, and only then does the platform get in again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.objection import GENERAL, RESTRICTIONS
from include.privacy.replay.finding import Found, find
from include.privacy.replay.targets import (
    FOUND,
    OPENED,
    Target,
    is_database,
    not_closed,
    opening_body,
    restored,
    restored_database,
)
from include.privacy.runtime import runtime
from include.privacy.steps import concluding
from include.privacy.steps.executing import finished, kept_back
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import FindingError, read_run
from include.privacy.steps.work import Item

log = logging.getLogger(__name__)

Counts = dict[str, int]


class NotReplayedError(FindingError):
    """Something that had to be applied again is not; the message has stores and counts only."""


def conclude(
    ledger_run: str,
    targets: list[Target] | None = None,
    items: list[Item] | None = None,
    applied: list[Counts] | None = None,
    *,
    opening: bool = True,
) -> dict[str, Any]:
    """Look again, conclude the cohorts, open what is clean, report; ends the run.

    Nothing is opened while anybody erased is found whom no hold keeps, or a step of this run failed. People
    whom a hold keeps stay, closed to every job. Tombstones are written anew, because a backup may have been
    made of the restored store meanwhile. ``opening``: whether the platform is to use what was restored.
    """
    run = read_run(ledger_run)
    if targets is None:
        runtime().ledger().close_run(run.id, {"undone": ["check"]})
        raise NotReplayedError("the stores were not ready for a replay; the error of check says what to do")
    total = Counter[str]()
    for each in applied or []:
        total.update(each)
    with restored(targets):
        found = find(targets) if targets else Found()
        everybody = set(found.subjects())
        # Before the cohorts are concluded: with them goes the knowledge of who was kept back.
        held = everybody & _kept_back(items or [])
        left = len(everybody) - len(held)
        concluded = concluding.conclude(ledger_run, items)
        undone = concluded["open"] if items is not None else 1
        problems = _problems(found, left, undone, targets, applied, dict(total))
        problems += not_closed(targets)
        opened: list[str] = []
        if not run.dry_run:
            _close_to_jobs(held & set(found.keys), targets, run.as_of)
            if opening and not problems:
                opened = _open(targets, run.id)
    summary: dict[str, Any] = {
        "as_of": run.as_of.isoformat(),
        "stores": [t["store"] for t in targets],
        "came_back": _came_back(run.id),
        "still_found": found.counts(),
        "erased": _erased(run.id),
        "applied": dict(total),
        "held": len(held),
        "left": left,
        "opened": opened,
        "problems": len(problems),
    }
    if not run.dry_run:
        runtime().ledger().append_evidence("replay_concluded", summary, run.id)
    runtime().ledger().close_run(run.id, summary)
    log.info("replay%s: %s", ", dry run" if run.dry_run else "", summary)
    if held:
        log.warning(
            "%d people are kept by a legal hold and closed to every job; once it is released, erase them by "
            "a request, or close the stores and run the replay again",
            len(held),
        )
    if problems and not run.dry_run:
        raise NotReplayedError("; ".join(problems) + ". Nothing was opened to the platform.")
    return summary


def _kept_back(items: list[Item]) -> frozenset[str]:
    """Whom a hold kept in one of the stores: their own data, or a row that is a held person's as well."""
    plans = [p for i in items if finished(i) and (p := find_plan(i)) is not None]
    return kept_back(plans)


def _problems(
    found: Found,
    left: int,
    undone: int,
    targets: Sequence[Target],
    applied: list[Counts] | None,
    total: Counts,
) -> list[str]:
    problems = []
    if left:
        problems.append(f"{left} erased people are still found; run it again, the log of execute says why")
    if undone:
        problems.append("a cohort is not finished; run it again, it goes on from there")
    if found.earlier:
        problems.append(
            f"{len(found.earlier)} people were erased long before the backup was captured: if it is older "
            "than captured_at says, run it again with the true instant; if their keys were given out twice, "
            "open the database by hand"
        )
    databases = sum(1 for t in targets if is_database(t["store"]))
    if targets and len(applied or ()) < databases:
        problems.append("corrections and restrictions were not applied to every database; run it again")
    if total.get("refused"):
        problems.append(f"{total['refused']} corrections were refused by a store; its log names the field")
    return problems


def _close_to_jobs(held: set[str], targets: Sequence[Target], as_of: datetime) -> None:
    for target in targets if held else ():
        mapped = runtime().config().data_map[target["store"]]
        if isinstance(mapped, DatabaseMap) and RESTRICTIONS in mapped.tables:
            runtime().database(target["store"]).restrict(sorted(held), [GENERAL], "restriction", as_of)


def _open(targets: Sequence[Target], run_id: UUID) -> list[str]:
    """Let the platform in where it was kept out. On record first: after a crash the next run sees to it."""
    opened = []
    for target in targets:
        if target["captured_at"] and is_database(target["store"]):
            runtime().ledger().append_evidence(OPENED, opening_body(target), run_id)
            roles = restored_database(target["store"]).open_to_platform(runtime().config().policy.purposes)
            log.info("store %s: open again to %s", target["store"], ", ".join(roles) or "no role")
            opened.append(target["store"])
    return opened


def _came_back(run_id: UUID) -> Counts:
    """What the first look of the run found, by how it was judged."""
    looks = runtime().ledger().evidence(run_id=run_id, kind=FOUND)
    return dict(looks[0].body) if looks else {}


def _erased(run_id: UUID) -> dict[str, Counts]:
    """By store: rows removed and anonymised, people kept back, of the plans of this run."""
    ledger = runtime().ledger()
    counts: dict[str, Counts] = {}
    for row in ledger.plans(run_id):
        for done in ledger.plan_outcomes(row.plan.id):
            mine = counts.setdefault(row.plan.store, Counter())
            mine["removed"] += sum(done.outcome.removed.values())
            mine["anonymised"] += sum(done.outcome.anonymised.values())
            mine["held_people"] += done.outcome.held_subjects
    return {store: dict(mine) for store, mine in counts.items()}
