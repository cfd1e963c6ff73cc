"""The end of a replay: everything is looked at once more, and only then does the platform get in again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from include.privacy.planning.models import Cohort
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.objection import GENERAL, RESTRICTIONS
from include.privacy.replay.finding import Found, find
from include.privacy.replay.targets import (
    FOUND,
    OPENED,
    Target,
    is_database,
    opening_body,
    restored,
    restored_database,
)
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)

Counts = dict[str, int]


class NotReplayedError(FindingError):
    """Something that had to be applied again is not; the message has stores and counts only."""


def conclude(
    ledger_run: str,
    targets: list[Target] | None = None,
    concluded: Counts | None = None,
    applied: list[Counts] | None = None,
) -> dict[str, Any]:
    """Look again, open what is clean, report; ends the run.

    Nothing is opened while anybody erased is found who is under no hold, or a step of this run failed. People
    under a hold stay, closed to every job.
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
        held = set(found.keys) if found.people and not _removable(found, targets, run.as_of) else set()
        left = 0 if held or not found.people else found.people
        problems = _problems(found, left, targets, concluded, applied, dict(total))
        opened: list[str] = []
        if not run.dry_run:
            _close_to_jobs(held, targets, run.as_of)
            if not problems:
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
            "%d people are kept by a legal hold and closed to every job; once it is released, run the replay "
            "again for a quarantined store, or erase them by a request",
            len(held),
        )
    if problems and not run.dry_run:
        raise NotReplayedError("; ".join(problems) + ". Nothing was opened to the platform.")
    return summary


def _problems(
    found: Found,
    left: int,
    targets: Sequence[Target],
    concluded: Counts | None,
    applied: list[Counts] | None,
    total: Counts,
) -> list[str]:
    problems = []
    if left:
        problems.append(f"{left} erased people are still found; run it again, the log of execute says why")
    if concluded is None or concluded["open"]:
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


def _removable(found: Found, targets: Sequence[Target], as_of: datetime) -> int:
    """How many rows and objects of those who are left no hold keeps: what a run would remove even now.

    A hold also keeps rows of others that are the held person's as well, so names alone do not tell.
    """
    cohort = Cohort(id=uuid4(), size=found.people, members=found.members)
    gate, removable = runtime().ledger().hold_gate(), 0
    for target in targets:
        store = runtime().store(target["store"])
        plan = store.plan_erasure(cohort, uuid4(), as_of=as_of)
        try:
            outcome = store.execute(plan, cohort, gate, dry_run=True)
        finally:
            store.finish(plan)
        removable += sum(outcome.removed.values()) + sum(outcome.anonymised.values())
    return removable


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
