"""Counts exactly what an erasure would touch, and stores the weight of each person."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg import sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.erasure import erasure_groups
from include.privacy.planning.models import Cohort, Plan, Step, Verb
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.stores.postgres import statements, workspace
from include.privacy.stores.postgres.joins import Joins, cohort_table
from include.privacy.stores.postgres.session import Connection

# People per shard: below this one task is faster than two that share the disk.
SUBJECTS_PER_SHARD = 25_000


def plan_erasure(
    connection: Connection, joins: Joins, live: LiveSchema, cohort: Cohort, plan_id: UUID, as_of: datetime
) -> Plan:
    """Loads the cohort, orders the steps and counts their rows.

    The counts are exact for the moment of planning; ``weight`` in the work table is the number of
    rows of each person, from which chunks are cut.
    """
    database = joins.database
    groups = erasure_groups(database, live)
    size = workspace.load_cohort(connection, plan_id, cohort, database.subject_key_type)
    counted = _count(connection, joins, plan_id, groups)
    return Plan(
        id=plan_id,
        cohort_id=cohort.id,
        store=database.store,
        action="erase",
        as_of=as_of,
        groups=counted,
        shards=max(1, min(database.max_shards, -(-size // SUBJECTS_PER_SHARD))),
        subjects=size,
        population=population(connection, database),
        matched=sum(step.matched for group in counted for step in group),
        notes=_notes(database, live),
    )


def population(connection: Connection, database: DatabaseMap) -> int:
    """How many data subjects the root table lists; 0 in a store that is not the root."""
    if database.root is None:
        return 0
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(database.schema_, database.root.table))
    ).fetchone()
    return int(row[0]) if row else 0


def _count(
    connection: Connection, joins: Joins, plan_id: UUID, groups: tuple[tuple[Step, ...], ...]
) -> tuple[tuple[Step, ...], ...]:
    """One pass per step, all of them in one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("CREATE TEMP TABLE step_count (step int, ordinal bigint, n bigint) ON COMMIT DROP")
        numbered = [step for group in groups for step in group]
        for number, step in enumerate(numbered):
            if step.path is not None:
                connection.execute(
                    sql.SQL("INSERT INTO step_count SELECT %(step)s, c.* FROM ({}) c").format(
                        statements.counts_by_subject(joins, step, plan_id)
                    ),
                    {"step": number, **statements.replacement_parameters(step)},
                )
        totals = {
            number: int(n)
            for number, n in connection.execute("SELECT step, sum(n) FROM step_count GROUP BY 1")
        }
        connection.execute(
            sql.SQL(
                "UPDATE {} w SET weight = c.n "
                "FROM (SELECT ordinal, sum(n) n FROM step_count GROUP BY ordinal) c "
                "WHERE w.ordinal = c.ordinal AND w.weight <> c.n"
            ).format(cohort_table(plan_id))
        )
    numbers = iter(range(len(numbered)))
    return tuple(
        tuple(step.model_copy(update={"matched": totals.get(next(numbers), 0)}) for step in group)
        for group in groups
    )


def _notes(database: DatabaseMap, live: LiveSchema) -> tuple[str, ...]:
    notes = []
    for name, table in database.tables.items():
        changed = any(s.erasure.delete or s.erasure.anonymise for s in table.subjects.values())
        if changed and name in live.triggers:
            notes.append(
                f"{name} has triggers ({', '.join(live.triggers[name])}): what they write is swept up"
            )
    if any(t.kind == "materialised_view" for t in database.tables.values()):
        notes.append("materialised views are refreshed at the end")
    return tuple(notes)


def steps_to_probe(plan: Plan) -> list[Step]:
    """The steps whose rows must be gone, or changed, afterwards."""
    return [s for s in plan.steps if s.path is not None and (s.verb is Verb.delete or s.replacements)]
