"""Carries corrections out: everybody's own values at once, one statement for each column.

New and replaced values are in two work tables of the batch and nowhere else; ``finish`` drops them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
from psycopg import errors

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.models import HoldGate, Holds, PlanError
from include.privacy.planning.rectification import (
    Correction,
    Place,
    RectificationCheck,
    RectificationError,
    RectificationOutcome,
    RefusalCode,
    Trace,
    fields_of,
    places,
    traces,
)
from include.privacy.policy.documents import Document
from include.privacy.policy.live_rectification import rectification_problems_live
from include.privacy.policy.sharing import path_columns
from include.privacy.stores.postgres import rectify_statements as statements
from include.privacy.stores.postgres import rectify_work as work
from include.privacy.stores.postgres import workspace
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.pace import Pace
from include.privacy.stores.postgres.refreshing import refresh
from include.privacy.stores.postgres.session import Connection

log = logging.getLogger(__name__)

_TRANSIENT = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
_ATTEMPTS = 6
# What the database itself refuses: a key, a check, a length, a trigger that raises.
_REFUSALS = (errors.IntegrityError, errors.DataError, errors.RaiseException)
_IN_USE = (errors.UniqueViolation, errors.ExclusionViolation)


@dataclass
class Rectification:
    """A batch of corrections in one database. A person is never cut: a chunk is some people with all
    of their rows.

    Raises :class:`PlanError` where the live columns cannot take the corrections.
    """

    connection: Connection
    joins: Joins
    live: LiveSchema
    batch: UUID
    corrections: Sequence[Correction]

    def __post_init__(self) -> None:
        database, fields = self.joins.database, fields_of(self.corrections)
        found = places(database, fields)
        self._places = [p for p in found if not p.materialised]
        # Rows are found through these columns, so they are changed when all others have been.
        self._places.sort(key=self._leads_to_the_person)
        self._views = [p for p in found if p.materialised]
        self._traces = [t for t in traces(database, fields) if t.reason is None]
        self._lower = {p.rectify.field: p.rectify.case == "lower" for p in found}
        document = Document(f"store {database.store}")
        problems = [str(p) for p in rectification_problems_live(database, self.live, document, fields)]
        concerned: list[Place | Trace] = [*found, *self._traces]
        problems += [
            f"{p.label} is in the data map but not in the database: correct the map"
            for p in concerned
            if p.table not in self.live.tables or p.column not in self.live.tables[p.table].columns
        ]
        if problems:
            raise PlanError(
                f"store {database.store!r}: nothing was corrected, because it cannot be done safely:\n"
                + "\n".join(f"  - {p}" for p in problems)
            )

    def replaced_values(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Loads the batch and returns, by person and field, the values that it will replace.

        Seal them before :meth:`run`: after it they are in the batch's work table only.
        """
        with self._guarded():
            bounds = {"first": 1, "last": self._load()}
            with self.connection.transaction():
                for place in self._places:
                    if not place.rectify.copy_:
                        query = statements.capture(self.joins, place, self.batch, lock=False)
                        self.connection.execute(query, bounds)
            return work.replaced_values(self.connection, self.batch)

    def run(self, gate: HoldGate) -> RectificationOutcome:
        """Corrects from the recorded position to the end and returns what happened.

        May be called again, also while another copy runs: the older one stops before its next chunk with
        :class:`Superseded`. Raises :class:`RectificationError`, without values, when the database fails.
        """
        with self._guarded():
            size = self._load()
            self._gate, self._pace = gate, Pace(rows=500, least_rows=50, most_rows=5_000)
            self._operation = workspace.take(self.connection, self.batch, 0, uuid4())
            unique = sorted({p.rectify.field for p in self._unique()})
            self.connection.execute(statements.refuse_repeated(self.batch), {"fields": unique})
            while not self._operation.finished and self._operation.position < size:
                first = self._operation.position + 1
                self._chunk(first, min(size, first + self._pace.rows - 1))
            if not self._operation.finished:
                self._refresh_views()
                workspace.finish_shard(self.connection, self._operation)
            return work.outcome(self.connection, self.batch, self.joins.database.store)

    def check(self) -> RectificationCheck:
        """Looks at every column again, views and traces included; refused corrections aside."""
        looked_at: list[Place | Trace] = [*self._places, *self._views, *self._traces]
        with self._guarded():
            bounds = {"first": 1, "last": self._load()}
            remaining: Counter[str] = Counter()
            people: set[int] = set()
            for place in looked_at:
                query = statements.left(self.joins, place, self.batch, lower=self._folds(place))
                rows = self.connection.execute(query, bounds).fetchall()
                remaining[place.label] += sum(n for _, n in rows)
                people |= {ordinal for ordinal, _ in rows}
            found = work.keys(self.connection, self.batch, people)
            return RectificationCheck(self.joins.database.store, dict(remaining), found)

    def _load(self) -> int:
        key_type = self.joins.database.subject_key_type
        return work.load(self.connection, self.batch, self.corrections, key_type)

    def _chunk(self, first: int, last: int) -> None:
        """One transaction; where the database refuses it, halves of it, down to one field of one person."""
        began = time.monotonic()
        try:
            self._transaction(first, last, position=last)
        except _REFUSALS as error:
            if first < last:
                middle = (first + last) // 2
                self._chunk(first, middle)
                self._chunk(middle + 1, last)
            else:
                self._field_by_field(first, error)
        else:
            self._pace.took(time.monotonic() - began, last - first + 1)

    def _field_by_field(self, ordinal: int, error: psycopg.Error) -> None:
        fields = work.open_fields(self.connection, self.batch, ordinal)
        for name in fields:
            refused: psycopg.Error | None = error
            if len(fields) > 1:
                try:
                    self._transaction(ordinal, ordinal, position=self._operation.position, only=name)
                    refused = None
                except _REFUSALS as found:
                    refused = found
            if refused is not None:
                in_use = isinstance(refused, _IN_USE)
                code: RefusalCode = "already_in_use" if in_use else "not_accepted"
                work.refuse(self.connection, self.batch, ordinal, name, code)
        with self.connection.transaction():
            workspace.fence(self.connection, self._operation)
            workspace.advance(self.connection, self._operation, ordinal, {}, 0.0)

    def _transaction(self, first: int, last: int, *, position: int, only: str | None = None) -> None:
        """Fence, deed and evidence in one transaction; transient refusals are tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._gate() as holds, self.connection.transaction():
                    began = time.monotonic()
                    workspace.fence(self.connection, self._operation)
                    self._note_holds(holds, first, last)
                    counts = self._statements({"first": first, "last": last}, only)
                    seconds = time.monotonic() - began
                    workspace.advance(self.connection, self._operation, position, counts, seconds)
                return
            except _TRANSIENT as error:
                if attempt == _ATTEMPTS:
                    raise
                self._pace.back_off()
                store = self.joins.database.store
                log.info("store %s: %s, chunk is tried again", store, type(error).__name__)
                time.sleep(0.05 * 2**attempt)

    def _statements(self, bounds: dict[str, int], only: str | None) -> dict[str, int]:
        counts: Counter[str] = Counter()
        mine = [p for p in self._places if only in (None, p.rectify.field)]
        facts = [p for p in mine if not p.rectify.copy_]
        for place in self._unique():
            if only in (None, place.rectify.field):
                self.connection.execute(statements.refuse_taken(self.joins, place, self.batch), bounds)
        for place in facts:
            self.connection.execute(statements.capture(self.joins, place, self.batch, lock=True), bounds)
        for place in mine:
            if place.rectify.doubled == "delete":
                query = statements.delete_doubled(self.joins, place, self.batch)
                counts[f"delete:{place.label}"] += self.connection.execute(query, bounds).rowcount
            query = statements.correct(self.joins, place, self.batch)
            counts[f"correct:{place.label}"] += self.connection.execute(query, bounds).rowcount
        for trace in self._traces:
            if only in (None, trace.field):
                query = statements.delete_trace(self.joins, trace, self.batch, lower=self._folds(trace))
                counts[f"delete:{trace.label}"] += self.connection.execute(query, bounds).rowcount
        return dict(counts)

    def _unique(self) -> Iterator[Place]:
        for place in self._places:
            column = self.live.tables[place.table].columns[place.column]
            if column.unique and not (place.rectify.copy_ or place.rectify.key):
                yield place

    def _note_holds(self, holds: Holds, first: int, last: int) -> None:
        """A legal hold does not forbid a correction, but the old value may be evidence: say whose it is."""
        store = self.joins.database.store
        tables = {p.table for p in self._places} | {t.table for t in self._traces}
        everybody = holds.covers_store(store) or bool(holds.tables(store) & tables)
        if everybody or holds.subjects:
            held = sorted(holds.subjects)
            work.note_held(self.connection, self.batch, first, last, held, everybody=everybody)

    def _refresh_views(self) -> None:
        counts, _, _ = work.recorded(self.connection, self.batch)
        changed = {p.rectify.field for p in self._places if counts[f"correct:{p.label}"]}
        for name in dict.fromkeys(p.table for p in self._views if p.rectify.field in changed):
            refresh(self.connection, self.joins.table(name))

    def _leads_to_the_person(self, place: Place) -> bool:
        subject = self.joins.database.tables[place.table].subjects[place.role]
        return place.column in path_columns(subject.path)

    def _folds(self, place: Place | Trace) -> bool:
        name = place.rectify.field if isinstance(place, Place) else place.field
        return self._lower.get(name, False)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """The driver's messages quote values (``Key (email)=(…) already exists``); ours do not."""
        try:
            yield
        except psycopg.Error as error:
            raise RectificationError(
                f"store {self.joins.database.store!r}: the corrections were interrupted "
                f"({type(error).__name__}, SQLSTATE {error.sqlstate}); what was committed stays, "
                "and the next attempt goes on behind it"
            ) from None
