"""How many rows an erasure would remove, each counted once, whoever it belongs to besides.

A dry run counts step by step, as a live one works; but a row that two steps reach is gone after the first.
"""

from __future__ import annotations

from collections import defaultdict

from psycopg import sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.erasure import references_of
from include.privacy.planning.models import HoldGate, Plan, Step, Verb
from include.privacy.stores.postgres import statements
from include.privacy.stores.postgres.exclusions import exclusions
from include.privacy.stores.postgres.joins import Joins, cohort_table
from include.privacy.stores.postgres.session import Connection


def removals(
    connection: Connection,
    joins: Joins,
    live: LiveSchema,
    plan: Plan,
    gate: HoldGate,
    held_back: frozenset[str],
) -> tuple[dict[str, int], frozenset[str]]:
    """Rows by table that go, and the keys of those of whom a hold keeps something here.

    One statement a table, for a plan whose cohort is loaded. ``held_back``: whom another store keeps.
    """
    going: dict[str, list[Step]] = defaultdict(list)
    together: dict[str, set[str]] = defaultdict(set)
    for group in plan.groups:
        for step in group:
            if step.verb is Verb.delete and step.path is not None:
                going[step.table].append(step)
                together[step.table] |= {each.table for each in group}
    with gate() as holds:
        references = references_of(joins.database, live)
        out = exclusions(connection, joins, plan, references, holds, held_back, 1, plan.subjects)
    found = {}
    for table, steps in going.items():
        rows = sql.SQL(" UNION ").join(statements.rows(joins, step, plan.id) for step in steps)
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM ({}) x").format(rows),
            {"first": 1, "last": plan.subjects, "excluded": out.of(*together[table])},
        ).fetchone()
        found[table] = int(row[0]) if row else 0
    people = connection.execute(
        sql.SQL("SELECT subject_key::text FROM {} WHERE ordinal = ANY(%s)").format(cohort_table(plan.id)),
        (sorted(out.people),),
    ).fetchall()
    return found, frozenset(row[0] for row in people)
