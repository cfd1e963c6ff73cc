"""What else happened since the backup: corrections, restrictions and suppressions are applied again."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from include.privacy.planning.rectification import Correction, plan_rectification
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.objection import RESTRICTIONS, SUPPRESSED
from include.privacy.replay.targets import Target, is_database, restored, since
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

if TYPE_CHECKING:
    from include.privacy.ledger.journal import Entry
    from include.privacy.stores.postgres import PostgresStore

log = logging.getLogger(__name__)

_BATCH = 500
_KINDS = ("corrected", "rows", "refused", "left", "restricted", "lifted", "suppressed")


def databases(targets: list[Target] | None) -> list[dict[str, str]]:
    """The databases of a replay, for one task each."""
    return [{"store": t["store"]} for t in targets or () if is_database(t["store"])]


def apply(ledger_run: str, targets: list[Target], store: str) -> dict[str, int]:
    """Apply the journal to one database; returns what was done, ``corrected`` by people and fields, ``rows``
    with every copy. Repeatable: again changes nothing.

    ``left``: the backup says something else than what was corrected, so the person changed it since.
    """
    run = read_run(ledger_run)
    counts: Counter[str] = Counter(dict.fromkeys(_KINDS, 0))
    with restored(targets):
        mapped = runtime().config().data_map[store]
        assert isinstance(mapped, DatabaseMap)
        after, database = since(targets), runtime().database(store)
        if RESTRICTIONS in mapped.tables:
            counts.update(_restrictions(database, after, dry_run=run.dry_run))
        if SUPPRESSED in mapped.tables:
            counts.update(_suppressions(database, after, dry_run=run.dry_run))
        counts.update(_corrections(run.id, database, after, dry_run=run.dry_run))
    log.info("store %s%s: %s", store, ", dry run" if run.dry_run else "", dict(counts))
    if not run.dry_run:
        runtime().ledger().append_evidence("replay_applied", {"store": store, **counts}, run.id)
    return dict(counts)


def _restrictions(database: PostgresStore, after: datetime | None, *, dry_run: bool) -> Counter[str]:
    from include.privacy.ledger.journal import RESTRICTION

    counts: Counter[str] = Counter()
    for page in _pages(runtime().ledger().journal(RESTRICTION, after)):
        there = _existing(database, (str(entry.key) for entry in page))
        groups: dict[tuple[str, Any, bool, datetime], list[str]] = defaultdict(list)
        for entry in page:
            if entry.key in there and entry.recorded_at is not None:
                what = (entry.body["purpose"], entry.body["reason"], entry.active, entry.recorded_at)
                groups[what].append(str(entry.key))
        for (purpose, reason, active, since_), keys in groups.items():
            if dry_run:
                counts["restricted" if active else "lifted"] += len(keys)
            elif active:
                counts["restricted"] += database.restrict(keys, [purpose], reason, since_)
            else:
                counts["lifted"] += database.lift(keys, [purpose], reason)
    return counts


def _suppressions(database: PostgresStore, after: datetime | None, *, dry_run: bool) -> Counter[str]:
    from include.privacy.ledger.journal import SUPPRESSION

    counts: Counter[str] = Counter()
    for page in _pages(runtime().ledger().journal(SUPPRESSION, after)):
        groups: dict[tuple[str, datetime], list[bytes]] = defaultdict(list)
        for entry in page:
            if entry.active and entry.recorded_at is not None:
                groups[entry.body["purpose"], entry.recorded_at].append(bytes.fromhex(entry.body["mark"]))
        for (purpose, since_), marks in groups.items():
            counts["suppressed"] += len(marks) if dry_run else database.suppress(marks, purpose, since_)
    return counts


def _corrections(
    run_id: UUID, database: PostgresStore, after: datetime | None, *, dry_run: bool
) -> Counter[str]:
    from include.privacy.ledger.journal import CORRECTION

    counts: Counter[str] = Counter()
    entries = runtime().ledger().journal(CORRECTION, after)
    for number, page in enumerate(_pages(entries)):
        there = _existing(database, (str(entry.key) for entry in page))
        wanted = _wanted(database.name, (entry for entry in page if entry.key in there))
        # The journal comes in no order of people, and a batch has each of them once.
        for round_, corrections in enumerate(wanted):
            batch = uuid5(run_id, f"{database.name} {number} {round_}")
            counts.update(_correct(batch, database, corrections, dry_run=dry_run))
    return counts


def _correct(
    batch: UUID, database: PostgresStore, corrections: list[Correction], *, dry_run: bool
) -> Counter[str]:
    look, deed = uuid5(batch, "look"), uuid5(batch, "deed")
    counts: Counter[str] = Counter()
    try:
        bare = [Correction(c.subject, c.values, c.identifiers) for c in corrections]
        current = database.replaced_values(look, bare)
        due = []
        for correction in corrections:
            says = current.get(correction.subject, {})
            (name,) = correction.values
            if set(says.get(name, ())) <= set(correction.previous.get(name, ())):
                due.append(correction)
            else:
                counts["left"] += 1
        if dry_run or not due:
            counts["corrected"] += sum(1 for c in due if c.subject in current)
            return counts
        outcome = database.rectify(deed, due, runtime().ledger().hold_gate())
        counts["refused"] += len(outcome.refused)
        counts["rows"] += sum(outcome.changed.values())
        counts["corrected"] += sum(1 for c in due if c.subject in current) - len(outcome.refused)
    finally:
        database.finish_rectification(look)
        database.finish_rectification(deed)
    return counts


def _wanted(store: str, entries: Iterable[Entry]) -> list[list[Correction]]:
    """One field of a person at a time, and every person once in each list."""
    data_map = runtime().config().data_map
    rounds: list[dict[str, Correction]] = []
    for entry in entries:
        key, values = str(entry.key), {entry.name: entry.body["value"]}
        if store not in plan_rectification(data_map, values).stores:
            continue
        found = Correction(
            key,
            values,
            {kind: tuple(known) for kind, known in entry.body["identifiers"].items()},
            {entry.name: tuple(entry.body["replaced"])},
        )
        free = next((each for each in rounds if key not in each), None)
        if free is None:
            rounds.append(free := {})
        free[key] = found
    return [list(each.values()) for each in rounds]


def _existing(database: PostgresStore, keys: Iterable[str]) -> set[str]:
    """Whom the restored root table knows; in another store everybody who is alive may have rows."""
    wanted = list(keys)
    return database.existing_keys(wanted) if database.map.root else set(wanted)


def _pages(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while page := list(islice(entries, _BATCH)):
        yield page
