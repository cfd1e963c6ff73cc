"""Processors are told (P5.1 to P5.7, Art. 19 GDPR): queued per person, one step further by each run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.planning.models import Member
from include.privacy.runtime import runtime
from include.privacy.steps.executing import finished, kept_back
from include.privacy.steps.planning import find_plan
from include.privacy.steps.runs import read_run
from include.privacy.steps.work import Item, cohort_ids, of_cohort

if TYPE_CHECKING:
    from include.privacy.ledger.recipient_results import TaskResult
    from include.privacy.ledger.recipient_tasks import NewRecipientTask
    from include.privacy.ledger.rows import RecipientTaskRow, RunRow
    from include.privacy.processors.advancing import Work
    from include.privacy.processors.protocol import Processor, Report

log = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 5_000
"""As many as one call of any processor takes (SendGrid's erase job)."""
RECORDED_AT_ONCE = 100
"""What a crash may have to ask again; asking twice does no harm."""
SWEEP = timedelta(minutes=15)
FIRST_PAUSE = timedelta(seconds=15)
"""Doubled by every look; whoever starts a run by hand need not wait for the quarter of an hour."""
LONGEST_PAUSE = timedelta(days=1)
LEFT = "processor_left"
"""Evidence of a run that could not do its work at a processor."""


def open_erasures(ledger_run: str, items: Iterable[Item] | None = None) -> list[dict[str, str]]:
    """Queue the erasure at every processor of everybody whom all stores have erased.

    Nobody whom a hold keeps in a store is erased elsewhere. Returns the processors that have work, for one
    task each.
    """
    if read_run(ledger_run).dry_run:
        return []
    items = list(items or [])
    for cohort_id in cohort_ids(items):
        mine = of_cohort(items, cohort_id)
        if not all(finished(item) for item in mine):
            continue
        kept = kept_back(p for i in mine if (p := find_plan(i)))
        ledger = runtime().ledger()
        asked = ledger.cohort_requests(cohort_id)
        people = (m for m in ledger.cohort(cohort_id).members() if m.key not in kept)
        while page := list(islice(people, 1_000)):
            open_tasks(ledger_run, _erasures(cohort_id, page, asked))
    return due(ledger_run)


def open_tasks(ledger_run: str, tasks: Iterable[NewRecipientTask]) -> int:
    """Queue what is not queued yet; returns how much."""
    return runtime().ledger().open_recipient_tasks(UUID(ledger_run), tasks, read_run(ledger_run).as_of)


def new_task(
    owner: UUID,
    processor: str,
    action: str,
    member: Member,
    request_id: UUID | None,
    **wanted: Any,
) -> NewRecipientTask:
    """A task for one person; ``wanted``: ``values`` of a correction, ``purpose`` of an objection.

    Its id follows from the owner (a request or a cohort), so that a repeated step opens no second one.
    """
    from include.privacy.ledger.recipient_tasks import NewRecipientTask

    mapped = runtime().config().processors[processor]
    known = {k: list(v) for k, v in member.identifiers.items() if k in mapped.identifiers}
    person = {"key": member.key, "emails": known.pop("email", []), "ids": known, "memo": {}, **wanted}
    name = "\x1f".join((member.key, processor, action, str(wanted.get("purpose", ""))))
    return NewRecipientTask(uuid5(owner, name), processor, action, request_id, person)


def processors_for(right: str) -> list[str]:
    """The processors that a right reaches."""
    return [name for name, mapped in runtime().config().processors.items() if right in mapped.rights]


def due(ledger_run: str) -> list[dict[str, str]]:
    """The processors that have something to do now, for one task each."""
    run = read_run(ledger_run)
    if run.dry_run:
        return []
    found = runtime().ledger().due_recipients(run.as_of)
    log.info("work for processors: %s", found or "none")
    return [{"processor": name} for name in found if name in runtime().config().processors]


def work(ledger_run: str, processor: str) -> dict[str, int]:
    """Carry everything that is due at one processor one step further; returns counts by outcome.

    Each outcome is on record before the next is asked for. When the processor is down what is left is due
    again at once; raises what it raised.
    """
    try:
        return _work_all(read_run(ledger_run), processor)
    except Exception as error:
        body = {"processor": processor, "error": type(error).__name__}
        runtime().ledger().append_evidence(LEFT, body, UUID(ledger_run))
        raise


def undone(ledger_run: str) -> dict[str, int]:
    """Processor → how many people this run could not ask about, and nobody has since."""
    run = read_run(ledger_run)
    tried = {row.body["processor"] for row in runtime().ledger().evidence(run_id=run.id, kind=LEFT)}
    found = runtime().ledger().due_recipients(run.as_of) if tried else {}
    return {name: count for name, count in found.items() if name in tried}


def _work_all(run: RunRow, processor: str) -> dict[str, int]:
    adapter = runtime().processor(processor)
    counts: Counter[str] = Counter()
    with runtime().ledger().turn(processor):
        while (
            claimed := runtime().ledger().claim_recipient_tasks(processor, run.as_of, limit=CLAIMED_AT_ONCE)
        ):
            tasks = {str(task.id): task for task in _unless_held(claimed, processor, run.as_of)}
            counts.update(_carry_on(run, adapter, tasks))
    log.info("%s: %s", processor, dict(counts) or "nothing to do")
    return dict(counts)


def _carry_on(run: RunRow, adapter: Processor, tasks: dict[str, RecipientTaskRow]) -> Counter[str]:
    from include.privacy.processors.advancing import advance

    ledger, counts, everybody = runtime().ledger(), Counter[str](), len(tasks)
    try:
        for page in _pages(advance(adapter, [_work(task) for task in tasks.values()], as_of=run.as_of)):
            results = [_result(r, tasks.pop(r.reference), run.as_of) for r in page]
            ledger.record_task_results(run.id, results, run.as_of)
            counts.update(result.state for result in results)
            log.info("%s: %d of %d people", adapter.name, everybody - len(tasks), everybody)
    finally:
        ledger.release_recipient_tasks([task.id for task in tasks.values()], run.as_of)
    if tasks:
        raise RuntimeError(f"{adapter.name}: no outcome for {len(tasks)} people; the next run asks again")
    return counts


def _erasures(
    cohort_id: UUID, members: Sequence[Member], asked: Mapping[str, UUID]
) -> Iterator[NewRecipientTask]:
    for processor in processors_for("erasure"):
        for member in members:
            yield new_task(cohort_id, processor, "erase", member, asked.get(member.key))


def _unless_held(
    claimed: Sequence[RecipientTaskRow], processor: str, as_of: datetime
) -> list[RecipientTaskRow]:
    """Those whom no hold covers by now; the others are asked again with the next sweep."""
    ledger = runtime().ledger()
    with ledger.hold_gate()() as holds:
        held = [
            task
            for task in claimed
            if task.action == "erase"
            and (holds.covers_store(processor) or (task.person or {}).get("key") in holds.subjects)
        ]
    if held:
        log.warning("%s: a legal hold keeps %d people", processor, len(held))
        ledger.release_recipient_tasks([task.id for task in held], as_of + SWEEP)
    ids = {task.id for task in held}
    return [task for task in claimed if task.id not in ids]


def _work(task: RecipientTaskRow) -> Work:
    from include.privacy.processors.advancing import Work
    from include.privacy.processors.protocol import Person

    known = task.person or {}
    person = Person(
        str(task.id),
        tuple(known["emails"]),
        {kind: tuple(values) for kind, values in known["ids"].items()},
        known["memo"],
    )
    return Work(
        person,
        task.action,  # type: ignore[arg-type] # the database allows no other
        begun=task.state == "pending",
        values=known.get("values"),
        purpose=known.get("purpose"),
    )


def _result(report: Report, task: RecipientTaskRow, as_of: datetime) -> TaskResult:
    from include.privacy.ledger.recipient_results import TaskResult

    state = report.state.value
    outcomes = [
        {
            name: value
            for name, value in (
                ("kind", o.kind),
                ("state", o.state.value),
                ("count", o.count),
                ("until", o.until.isoformat() if o.until else None),
                ("basis", o.basis),
                ("code", o.code),
            )
            if value is not None
        }
        for o in report.outcomes
    ]
    next_at = None
    if state in ("pending", "failed"):
        next_at = as_of + min(FIRST_PAUSE * 2 ** min(task.attempts, 13), LONGEST_PAUSE)
        if state == "pending" and report.until:
            # Looked at daily meanwhile: what stands in the way may go away before its date.
            next_at = max(min(report.until, as_of + LONGEST_PAUSE), as_of + SWEEP)
    person = {**(task.person or {}), "memo": dict(report.memo)}
    return TaskResult(task.id, state, report.until, next_at, outcomes, person)


def _pages(reports: Iterator[Report]) -> Iterator[list[Report]]:
    """Also what was reported before the processor failed."""
    page: list[Report] = []
    try:
        for report in reports:
            page.append(report)
            if len(page) == RECORDED_AT_ONCE:
                yield page
                page = []
    except Exception:
        if page:
            yield page
        raise
    if page:
        yield page
