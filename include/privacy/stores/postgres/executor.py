"""Carries an erasure plan out: short transactions, fenced, holds re-checked, evidence beside the deed."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import errors, sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.erasure import references_of
from include.privacy.planning.models import HoldGate, Outcome, Plan, Step, Verb
from include.privacy.stores.postgres import statements, workspace
from include.privacy.stores.postgres.exclusions import Exclusions, exclusions
from include.privacy.stores.postgres.joins import Joins, cohort_table
from include.privacy.stores.postgres.pace import Pace
from include.privacy.stores.postgres.planner import steps_to_probe
from include.privacy.stores.postgres.refreshing import refresh
from include.privacy.stores.postgres.session import Connection

log = logging.getLogger(__name__)

# A trigger may write again what was deleted; what it writes after the third sweep is a finding.
MAX_SWEEPS = 3
_TRANSIENT = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
_ATTEMPTS = 6


@dataclass
class Execution:
    """One shard of one plan in one database, run by one copy of a task."""

    connection: Connection
    joins: Joins
    live: LiveSchema
    plan: Plan
    gate: HoldGate
    shard: int = 0
    dry_run: bool = False
    held_back: frozenset[str] = frozenset()
    progress: Callable[[int, int], None] | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _longest: float = 0.0
    _chunks: int = 0
    _deferred: set[int] = field(default_factory=set)

    def run(self) -> Outcome:
        """Works from the recorded position to the end of the shard and returns what happened.

        Raises :class:`Superseded` when another copy takes over. Whatever else it raises, what was
        committed stays recorded and the next call goes on behind it.
        """
        started = time.monotonic()
        self._references = references_of(self.joins.database, self.live)
        size = self.plan.subjects
        self._start = size * self.shard // self.plan.shards
        self._end = size * (self.shard + 1) // self.plan.shards
        self._operation = workspace.Operation(self.plan.id, self.shard, uuid4(), 0, 0, False)
        if not self.dry_run:
            self._operation = workspace.take(self.connection, self.plan.id, self.shard, self._operation.owner)
        self._operation.position = max(self._operation.position, self._start)
        if not self._operation.finished:
            self._pass_over()
            while not self.dry_run and self._operation.sweep < MAX_SWEEPS and self._leftovers():
                log.info("store %s: rows appeared behind the position, sweeping again", self.plan.store)
                workspace.next_sweep(self.connection, self._operation, self._start)
                self._pass_over()
            if not self.dry_run and workspace.finish_shard(self.connection, self._operation):
                self._refresh_views()
        return self._outcome(time.monotonic() - started)

    def _pass_over(self) -> None:
        pace, ahead = Pace(), deque[tuple[int, int]]()
        while self._operation.position < self._end:
            first = self._operation.position + 1
            last, weight = self._next_slice(ahead, first, pace.rows)
            if first == last and weight > pace.most_rows and not self.dry_run:
                self._thin_out(first, pace)
            began = time.monotonic()
            self._chunk(first, last, pace)
            pace.took(time.monotonic() - began, weight)
            if self.progress:
                self.progress(last - self._start, self._end - self._start)

    def _next_slice(self, ahead: deque[tuple[int, int]], first: int, rows: int) -> tuple[int, int]:
        """As many people as their rows fit into ``rows``; at least one. ``ahead`` holds who comes next."""
        last, total = first, 0
        while True:
            if not ahead:
                ahead.extend(self._people(last + 1 if total else first))
            # Somebody without rows still costs an index probe per table.
            if not ahead or (total and total + ahead[0][1] + 1 > rows):
                return last, total
            last, weight = ahead.popleft()
            total += weight + 1

    def _people(self, first: int) -> list[tuple[int, int]]:
        """Ordinals and weights of the next people of the shard, a bounded number of them."""
        query = sql.SQL(
            "SELECT ordinal, weight FROM {} WHERE ordinal BETWEEN %s AND %s ORDER BY ordinal LIMIT 5000"
        ).format(cohort_table(self.plan.id))
        return self.connection.execute(query, (first, self._end)).fetchall()

    def _chunk(self, first: int, last: int, pace: Pace) -> None:
        self._transaction(first, last, pace, self._statements, position=last)

    def _thin_out(self, ordinal: int, pace: Pace) -> None:
        """One person with more rows than a chunk may hold: table by table, a bounded number at a time."""
        for group in self.plan.groups:
            if len(group) > 1 or group[0].verb is Verb.refresh or group[0].path is None:
                continue
            step = group[0]
            if step.verb is not Verb.delete and not step.replacements:
                continue
            build = statements.delete if step.verb is Verb.delete else statements.anonymise
            query = build(self.joins, step, self.plan.id, bounded=True)
            while True:
                limit = pace.rows
                began = time.monotonic()

                def bounded(
                    out: Exclusions,
                    bounds: dict[str, Any],
                    limit: int = limit,
                    query: sql.Composed = query,
                    step: Step = step,
                ) -> dict[str, int]:
                    parameters = {
                        **bounds,
                        **statements.replacement_parameters(step),
                        "excluded": out.of(step.table),
                        "row_limit": limit,
                    }
                    return {_label(step): self.connection.execute(query, parameters).rowcount}

                counts = self._transaction(ordinal, ordinal, pace, bounded, position=self._operation.position)
                pace.took(time.monotonic() - began, limit)
                if counts.get(_label(step), 0) < limit:
                    break

    def _transaction(
        self,
        first: int,
        last: int,
        pace: Pace,
        work: Callable[[Exclusions, dict[str, Any]], dict[str, int]],
        *,
        position: int,
    ) -> dict[str, int]:
        """Holds, fence, deed and evidence in one transaction; transient refusals are tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.gate() as holds, self.connection.transaction():
                    began = time.monotonic()
                    if not self.dry_run:
                        workspace.fence(self.connection, self._operation)
                    out = exclusions(
                        self.connection,
                        self.joins,
                        self.plan,
                        self._references,
                        holds,
                        self.held_back,
                        first,
                        last,
                    )
                    counts = work(out, {"first": first, "last": last})
                    seconds = time.monotonic() - began
                    if not self.dry_run:
                        workspace.defer(self.connection, self.plan.id, out.people, "legal hold")
                        workspace.advance(self.connection, self._operation, position, counts, seconds)
                    else:
                        self._operation.position = position
                break
            except _TRANSIENT as error:
                if attempt == _ATTEMPTS:
                    raise
                pace.back_off()
                log.info("store %s: %s, chunk is tried again", self.plan.store, type(error).__name__)
                time.sleep(0.05 * 2**attempt)
        self._counts.update(counts)
        self._deferred |= out.people
        self._chunks += 1
        self._longest = max(self._longest, time.monotonic() - began)
        return counts

    def _statements(self, out: Exclusions, bounds: dict[str, Any]) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for group in self.plan.groups:
            step = group[0]
            if step.verb is Verb.refresh or (step.verb is not Verb.delete and not step.replacements):
                continue
            parameters = {
                **bounds,
                **statements.replacement_parameters(step),
                "excluded": out.of(*(s.table for s in group)),
            }
            if self.dry_run:
                for each in group:
                    row = self.connection.execute(
                        statements.count(self.joins, each, self.plan.id), parameters
                    ).fetchone()
                    counts[_label(each)] += int(row[0]) if row else 0
            elif len(group) > 1:
                row = self.connection.execute(
                    statements.delete_together(self.joins, group, self.plan.id), parameters
                ).fetchone()
                for each, n in zip(group, row or (), strict=True):
                    counts[_label(each)] += int(n)
            else:
                build = statements.delete if step.verb is Verb.delete else statements.anonymise
                cursor = self.connection.execute(build(self.joins, step, self.plan.id), parameters)
                counts[_label(step)] += cursor.rowcount
        return dict(counts)

    def _leftovers(self) -> bool:
        return any(remaining(self.connection, self.joins, self.plan, self._start + 1, self._end).values())

    def _refresh_views(self) -> None:
        for step in self.plan.steps:
            if step.verb is Verb.refresh:
                refresh(self.connection, self.joins.table(step.table))

    def _outcome(self, seconds: float) -> Outcome:
        outcome = Outcome(store=self.plan.store, seconds=seconds)
        counts, chunks, longest, held = self._counts, self._chunks, self._longest, len(self._deferred)
        if not self.dry_run:
            counts, chunks, longest = recorded(self.connection, self.plan, self.shard)
            row = self.connection.execute(
                "SELECT count(*) FROM privacy_work.deferred "
                "WHERE plan_id = %s AND ordinal > %s AND ordinal <= %s",
                (self.plan.id, self._start, self._end),
            ).fetchone()
            held = int(row[0]) if row else 0
        for label, n in counts.items():
            verb, table = label.split(":", 1)
            target = outcome.removed if verb == Verb.delete else outcome.anonymised
            target[table] = target.get(table, 0) + n
        for step in self.plan.steps:
            if step.path is not None and self.shard == 0:
                outcome.matched[step.table] = outcome.matched.get(step.table, 0) + step.matched
            if step.kept_because and step.matched and self.shard == 0:
                outcome.kept[step.table] = f"{step.matched} rows kept, {step.kept_because}"
        outcome.chunks, outcome.longest_transaction_s, outcome.held_subjects = chunks, longest, held
        return outcome


def _label(step: Step) -> str:
    return f"{step.verb}:{step.table}"


def recorded(connection: Connection, plan: Plan, shard: int) -> tuple[Counter[str], int, float]:
    """What the progress rows of the shard add up to: counts, chunks, the longest transaction."""
    counts: Counter[str] = Counter()
    chunks, longest = 0, 0.0
    for row_counts, seconds in connection.execute(
        "SELECT counts, seconds FROM privacy_work.progress WHERE plan_id = %s AND shard = %s",
        (plan.id, shard),
    ):
        counts.update(row_counts)
        chunks, longest = chunks + 1, max(longest, seconds)
    return counts, chunks, longest


def remaining(connection: Connection, joins: Joins, plan: Plan, first: int, last: int) -> dict[str, int]:
    """Rows that should be gone or changed and are not, per table; those kept back by a hold aside."""
    excluded = [
        row[0]
        for row in connection.execute(
            "SELECT ordinal FROM privacy_work.deferred WHERE plan_id = %s AND ordinal BETWEEN %s AND %s",
            (plan.id, first, last),
        )
    ]
    found: Counter[str] = Counter()
    for step in steps_to_probe(plan):
        parameters = {
            "first": first,
            "last": last,
            "excluded": excluded,
            **statements.replacement_parameters(step),
        }
        row = connection.execute(statements.count(joins, step, plan.id), parameters).fetchone()
        found[step.table] += int(row[0]) if row else 0
    return dict(found)
