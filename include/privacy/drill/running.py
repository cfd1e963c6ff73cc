"""One run of the drill: goes on from where the last one stopped, until something has to be waited for."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.audits.findings import breach_rule
from include.privacy.drill import steps
from include.privacy.drill.planter import Planter, load_planter
from include.privacy.drill.steps import DrillFailure, Moment
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.drills import DrillRow

log = logging.getLogger(__name__)

TURN = "drill"
NAME = "drill"
"""Of its breaches, after the promise."""
AT_ONCE = timedelta(seconds=1)
RESTORING = ("erased", "restored", "replayed")
"""States that only :func:`rehearse` leaves."""


class DrillFailedError(FindingError):
    """A drill found a promise broken, or left something behind; stores and counts only."""


def advance(ledger_run: str) -> dict[str, Any]:
    """Begin a drill when one is due, and take every step up to the restore that can be taken now."""
    return _go(ledger_run, tuple(s for s in steps.STEPS if s not in RESTORING), may_begin=True)


def rehearse(ledger_run: str) -> dict[str, Any]:
    """The restore, the replay of the restored copy, and the end of the drill, when it has come so far."""
    return _go(ledger_run, (*RESTORING, "clearing"))


def report(
    ledger_run: str, advanced: dict[str, Any] | None = None, rehearsed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """End the run; raises :class:`DrillFailedError` when a drill failed in it, or left something behind.

    ``advanced``, ``rehearsed``: what those tasks returned; nothing means that a step could not be taken.
    """
    from include.privacy.ledger.drills import EVIDENCE

    ledger, run = runtime().ledger(), read_run(ledger_run)
    rows = [dict(e.body) for e in ledger.evidence(run_id=run.id, kind=EVIDENCE)]
    latest, on = ledger.latest_drill(), runtime().config().drill.planter is not None
    summary: dict[str, Any] = {
        "as_of": run.as_of.isoformat(),
        "drill": str(latest.id) if latest else None,
        "state": latest.state if latest else None,
        "steps": [row["state"] for row in rows],
        "failed": [row["failure"] for row in rows if "failure" in row],
        "left": next((row["left"] for row in rows if row.get("left")), {}),
    }
    if not on:
        summary["off"] = "no planter in config/drill.yaml: nothing is rehearsed"
        log.warning("the drill is off: config/drill.yaml names no planter")
    ledger.close_run(UUID(ledger_run), summary)
    log.info("drill: %s", summary)
    red = list(summary["failed"])
    if advanced is None or rehearsed is None:
        red.append(
            "a step could not be taken: the log of the task that failed says why; the next run tries again"
        )
    if summary["left"]:
        red.append(
            f"P6.3: a failed drill could not take away what it planted in {steps.told(summary['left'])}; "
            "erase it by hand, the planter knows it by the drill's id"
        )
    if red:
        raise DrillFailedError("; ".join(red))
    return summary


def _go(ledger_run: str, leave: Collection[str], *, may_begin: bool = False) -> dict[str, Any]:
    from include.privacy.ledger.turns import NotOurTurn

    run, ledger = read_run(ledger_run), runtime().ledger()
    planter = load_planter()
    if planter is None:
        return {"off": True}
    try:
        with ledger.turn(TURN, AT_ONCE):
            drill = _under_way(run.id, run.as_of, may_begin=may_begin)
            moved = 0
            while drill is not None and drill.state in leave:
                after = _step(ledger_run, drill, planter, run.as_of)
                if after is None:
                    break
                drill, moved = after, moved + 1
            return {"state": drill.state if drill else "none", "moved": moved}
    except NotOurTurn:
        log.info("another run is at it")
        return {"state": "busy", "moved": 0}
    finally:
        planter.close()


def _under_way(run_id: UUID, as_of: datetime, *, may_begin: bool) -> DrillRow | None:
    ledger = runtime().ledger()
    latest = ledger.latest_drill()
    if latest is not None and latest.ended_at is None:
        return latest
    every = runtime().config().drill.every
    if not may_begin or (latest is not None and as_of < latest.began_at + every):
        return None
    return ledger.begin_drill(run_id, as_of)


def _step(ledger_run: str, drill: DrillRow, planter: Planter, as_of: datetime) -> DrillRow | None:
    """The drill after this step; ``None`` while it waits."""
    now = Moment(drill, planter, as_of, ledger_run)
    late = as_of >= drill.moved_at + runtime().config().drill.waits(drill.state)
    try:
        done = steps.STEPS[drill.state](now)
    except DrillFailure as failure:
        return _fail(ledger_run, drill, failure, as_of)
    except Exception as error:
        if not late or drill.state == "clearing":
            raise
        log.exception("a step of the drill cannot be taken")
        return _fail(ledger_run, drill, steps.too_late(now, error), as_of)
    if done is None:
        return _fail(ledger_run, drill, steps.too_late(now), as_of) if late else None
    log.info("drill %s: %s", drill.id, done.state)
    planted = done.planted.stored() if done.planted else None
    moved = runtime().ledger().move_drill(
        drill.id,
        drill.state,
        done.state,
        UUID(ledger_run),
        as_of,
        facts=done.facts,
        notes=done.notes,
        planted=planted,
    )  # fmt: skip
    if moved.state == "passed":
        _resolve(as_of)
    elif moved.state == "failed" and (left := done.facts.get("left")):
        _record(ledger_run, steps.PROMISES[steps.ERASURE], left, "left behind by a drill that failed")
    return moved


def _fail(ledger_run: str, drill: DrillRow, failure: DrillFailure, as_of: datetime) -> DrillRow:
    """On record, with its breach; what was planted is taken away from now on."""
    log.error("drill %s failed: %s", drill.id, failure)
    _record(ledger_run, failure.promise, failure.where, failure.what)
    return runtime().ledger().move_drill(
        drill.id, drill.state, "clearing", UUID(ledger_run), as_of, failure=str(failure),
        facts={"after": drill.state, "where": dict(failure.where)},
    )  # fmt: skip


def _record(ledger_run: str, promise: str, where: Any, what: str) -> None:
    for store, count in where.items():
        note = f"drill: {what}"
        runtime().ledger().record_breach(
            UUID(ledger_run), breach_rule(promise, NAME), store, count, None, note
        )


def _resolve(as_of: datetime) -> None:
    """A drill that passes ends what former ones found."""
    ledger = runtime().ledger()
    for breach in ledger.open_breaches():
        if breach.rule.endswith(f" {NAME}"):
            ledger.resolve_breaches(breach.rule, breach.store, as_of)
