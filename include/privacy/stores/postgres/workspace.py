"""Our own schema in each database: the cohort, the operation that holds the fence, progress rows."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from uuid import UUID

from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from include.privacy.planning.models import Cohort, PlanError, Superseded
from include.privacy.stores.postgres.joins import (
    SESSION_SCHEMA,
    WORK_SCHEMA,
    cohort_table,
    identifier_table,
)
from include.privacy.stores.postgres.session import Connection

log = logging.getLogger(__name__)


@dataclass
class Operation:
    """One shard of a plan as this copy of the task holds it."""

    plan_id: UUID
    shard: int
    owner: UUID
    position: int
    sweep: int
    finished: bool


def load_cohort(connection: Connection, plan_id: UUID, cohort: Cohort, key_type: str) -> int:
    """Copies the cohort into work tables of the plan and returns its size.

    A plan that has begun keeps the cohort it began with. Raises :class:`PlanError` when the
    workspace has not been migrated.
    """
    if connection.execute("SELECT to_regclass('privacy_work.operation')").fetchone() == (None,):
        raise PlanError(f"schema {WORK_SCHEMA} is missing here: run `python -m include.privacy migrate`")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (plan_id.hex,))
        if has_begun(connection, plan_id) and is_loaded(connection, plan_id):
            log.info("plan %s has begun: its cohort stays as it was", plan_id)
        else:
            _copy(connection, plan_id, cohort, key_type)
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(cohort_table(plan_id))).fetchone()
    return int(row[0]) if row else 0


def load_for_session(connection: Connection, export_id: UUID, cohort: Cohort, key_type: str) -> None:
    """Copies the cohort into work tables that end with the connection: for reading only.

    Raises :class:`PlanError` when the role may not create temporary tables.
    """
    try:
        with connection.transaction():
            _copy(connection, export_id, cohort, key_type, SESSION_SCHEMA)
    except InsufficientPrivilege:
        raise PlanError(
            "this role may not create temporary tables: `python -m include.privacy grants` has the statement"
        ) from None


def _copy(
    connection: Connection, plan_id: UUID, cohort: Cohort, key_type: str, schema: str = WORK_SCHEMA
) -> None:
    people, identifiers = cohort_table(plan_id, schema), identifier_table(plan_id, schema)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(people, identifiers))
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (ordinal bigint PRIMARY KEY, subject_key {} NOT NULL UNIQUE, "
            "weight bigint NOT NULL DEFAULT 0)"
        ).format(people, sql.SQL(key_type))
    )
    connection.execute(
        sql.SQL("CREATE TABLE {} (ordinal bigint NOT NULL, kind text NOT NULL, value text NOT NULL)").format(
            identifiers
        )
    )
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} (ordinal, subject_key) FROM STDIN").format(people)) as copy:
            for ordinal, member in enumerate(cohort.members(), start=1):
                copy.write_row((ordinal, member.key))
        with cursor.copy(sql.SQL("COPY {} (ordinal, kind, value) FROM STDIN").format(identifiers)) as copy:
            for ordinal, member in enumerate(cohort.members(), start=1):
                for kind, values in member.identifiers.items():
                    for value in dict.fromkeys(values):
                        copy.write_row((ordinal, kind, value))
    connection.execute(sql.SQL("CREATE INDEX ON {} (kind, value)").format(identifiers))
    connection.execute(sql.SQL("ANALYZE {}").format(people))
    connection.execute(sql.SQL("ANALYZE {}").format(identifiers))


def is_loaded(connection: Connection, plan_id: UUID) -> bool:
    """Whether the work tables of the plan exist."""
    name = f"{WORK_SCHEMA}.cohort_{plan_id.hex}"
    return connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,)


def has_begun(connection: Connection, plan_id: UUID) -> bool:
    """Whether any shard of the plan has been taken."""
    row = connection.execute(
        "SELECT 1 FROM privacy_work.operation WHERE plan_id = %s LIMIT 1", (plan_id,)
    ).fetchone()
    return row is not None


def take(connection: Connection, plan_id: UUID, shard: int, owner: UUID) -> Operation:
    """Makes this copy the owner of the shard. The newest wins: that is the copy Airflow watches.

    Waits for the chunk that an older copy has open; the older copy stops before its next.
    """
    with connection.transaction():
        # As long as the statement may take: the older copy may itself be waiting inside its chunk.
        connection.execute("SET LOCAL lock_timeout = 0")
        row = connection.execute(
            """INSERT INTO privacy_work.operation AS o (plan_id, shard, owner) VALUES (%s, %s, %s)
               ON CONFLICT (plan_id, shard) DO UPDATE SET owner = excluded.owner, taken_at = clock_timestamp()
               RETURNING o.position, o.sweep, o.finished_at IS NOT NULL""",
            (plan_id, shard, owner),
        ).fetchone()
    assert row is not None
    return Operation(plan_id, shard, owner, int(row[0]), int(row[1]), bool(row[2]))


def fence(connection: Connection, operation: Operation) -> None:
    """Inside the chunk's transaction: locks the operation row, or raises :class:`Superseded`."""
    row = connection.execute(
        "SELECT owner FROM privacy_work.operation WHERE plan_id = %s AND shard = %s FOR UPDATE",
        (operation.plan_id, operation.shard),
    ).fetchone()
    if row is None or row[0] != operation.owner:
        raise Superseded(
            f"plan {operation.plan_id} shard {operation.shard}: another copy of this task has taken over; "
            "this one stopped between two chunks and did nothing twice"
        )


def advance(
    connection: Connection, operation: Operation, position: int, counts: dict[str, int], seconds: float
) -> None:
    """Inside the chunk's transaction: moves the position and writes the progress row."""
    connection.execute(
        "UPDATE privacy_work.operation SET position = %s WHERE plan_id = %s AND shard = %s",
        (position, operation.plan_id, operation.shard),
    )
    connection.execute(
        """INSERT INTO privacy_work.progress (plan_id, shard, sweep, position, counts, seconds)
           VALUES (%s, %s, %s, %s, %s::jsonb, %s)""",
        (operation.plan_id, operation.shard, operation.sweep, position, json.dumps(counts), seconds),
    )
    operation.position = position


def next_sweep(connection: Connection, operation: Operation, start: int) -> None:
    """Goes back to the start of the shard for what appeared behind the position."""
    with connection.transaction():
        fence(connection, operation)
        connection.execute(
            "UPDATE privacy_work.operation SET position = %s, sweep = sweep + 1 "
            "WHERE plan_id = %s AND shard = %s",
            (start, operation.plan_id, operation.shard),
        )
    operation.position, operation.sweep = start, operation.sweep + 1


def finish_shard(connection: Connection, operation: Operation) -> bool:
    """Marks the shard done; True when every shard that began is done."""
    with connection.transaction():
        fence(connection, operation)
        connection.execute(
            "UPDATE privacy_work.operation SET finished_at = clock_timestamp() "
            "WHERE plan_id = %s AND shard = %s",
            (operation.plan_id, operation.shard),
        )
        row = connection.execute(
            "SELECT count(*) FROM privacy_work.operation WHERE plan_id = %s AND finished_at IS NULL",
            (operation.plan_id,),
        ).fetchone()
    return row == (0,)


def defer(connection: Connection, plan_id: UUID, ordinals: set[int], reason: str) -> None:
    """Remembers whom a hold kept back, so that their request or clock stays open."""
    if ordinals:
        connection.execute(
            """INSERT INTO privacy_work.deferred (plan_id, ordinal, reason)
               SELECT %s, unnest(%s::bigint[]), %s ON CONFLICT DO NOTHING""",
            (plan_id, sorted(ordinals), reason),
        )


def drop(connection: Connection, plan_id: UUID) -> None:
    """Removes everything that the plan left here."""
    with connection.transaction():
        connection.execute(
            sql.SQL("DROP TABLE IF EXISTS {}, {}").format(cohort_table(plan_id), identifier_table(plan_id))
        )
        for name in ("progress", "deferred", "operation"):
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE plan_id = %s").format(sql.Identifier(WORK_SCHEMA, name)),
                (plan_id,),
            )
