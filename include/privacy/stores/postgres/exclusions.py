"""Whom the legal holds take out of a chunk, and from which tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from psycopg import sql

from include.privacy.planning.graph import reachable
from include.privacy.planning.models import Holds, Plan, Step
from include.privacy.stores.postgres import statements
from include.privacy.stores.postgres.joins import Joins, cohort_table
from include.privacy.stores.postgres.session import Connection


@dataclass
class Exclusions:
    """Ordinals that a chunk must leave alone: everywhere, or in the named tables."""

    everywhere: set[int] = field(default_factory=set)
    by_table: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def of(self, *tables: str) -> list[int]:
        """Who is left out of a statement on these tables."""
        return sorted(self.everywhere.union(*(self.by_table.get(t, set()) for t in tables)))

    @property
    def people(self) -> set[int]:
        """Everybody who is not erased completely."""
        return self.everywhere.union(*self.by_table.values())


def exclusions(
    connection: Connection,
    joins: Joins,
    plan: Plan,
    references: dict[str, set[str]],
    holds: Holds,
    held_back: frozenset[str],
    first: int,
    last: int,
) -> Exclusions:
    """Applies the holds to one slice of the cohort.

    A held person is left alone entirely. A row that belongs to a held person *as well*, and a row
    of a held collection, stays; so do the rows that it points at, or the database (or its ON
    DELETE CASCADE) would refuse (or undo) the hold. ``held_back`` are people whom another store
    could not erase completely.
    """
    found = Exclusions()
    bounds = {"first": first, "last": last, "excluded": []}
    if holds.covers_store(plan.store):
        found.everywhere = set(range(first, last + 1))
        return found
    keys = sorted(holds.subjects | held_back)
    if keys:
        rows = connection.execute(
            sql.SQL(
                "SELECT ordinal FROM {} WHERE ordinal BETWEEN %(first)s AND %(last)s "
                "AND subject_key::text = ANY(%(keys)s)"
            ).format(cohort_table(plan.id)),
            {**bounds, "keys": keys},
        )
        found.everywhere = {row[0] for row in rows}
    held_tables = holds.tables(plan.store)
    for step in plan.steps:
        if step.path is None:
            continue
        people: set[int] = set()
        if step.table in held_tables:
            query = statements.ordinals(joins, step, plan.id)
            people |= {
                row[0]
                for row in connection.execute(query, {**bounds, **statements.replacement_parameters(step)})
            }
        if holds.subjects:
            people |= _entangled(connection, joins, plan, step, holds, bounds)
        if people:
            for table in reachable(step.table, references):
                found.by_table[table] |= people
    return found


def _entangled(
    connection: Connection, joins: Joins, plan: Plan, step: Step, holds: Holds, bounds: dict[str, object]
) -> set[int]:
    people: set[int] = set()
    for role, subject in joins.database.tables[step.table].subjects.items():
        if role == step.role:
            continue
        query = statements.entangled(joins, step, subject.path, plan.id, joins.database.subject_key_type)
        if query is not None:
            parameters = {**bounds, **statements.replacement_parameters(step), "held": sorted(holds.subjects)}
            people |= {row[0] for row in connection.execute(query, parameters)}
    return people
