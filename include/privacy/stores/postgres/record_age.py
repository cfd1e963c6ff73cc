"""Rows that expire by a timestamp of their own; whole partitions go in one piece."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.models import HoldGate, Holds, Outcome, Plan, PlanError, Step, Verb
from include.privacy.policy.policy import RecordAgeRule
from include.privacy.stores.overdue import Overdue
from include.privacy.stores.postgres import workspace
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.pace import Pace
from include.privacy.stores.postgres.session import Connection

log = logging.getLogger(__name__)

# The upper bound is the second value of FROM (…) TO (…); DEFAULT partitions and lists have none.
_PARTITIONS = """
SELECT c.oid::regclass::text, c.relname, n.nspname,
       substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)')::timestamptz,
       pg_has_role(c.relowner, 'USAGE')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = %s::regclass AND c.relkind = 'r'
  AND pg_get_expr(c.relpartbound, c.oid) ~ 'TO \\(''[^'']+''\\)'
ORDER BY 4
"""


def plan_record_age(
    connection: Connection,
    joins: Joins,
    live: LiveSchema,
    rule: RecordAgeRule,
    plan_id: UUID,
    as_of: datetime,
) -> Plan:
    """Counts the rows whose clock plus target has passed.

    Raises :class:`PlanError` for a missing table or clock, hidden rows, or rows of other tables
    that point here and would block or vanish with them.
    """
    table = live.tables.get(rule.table)
    where = f"rule {rule.id!r}, store {rule.store!r}, table {rule.table!r}"
    if rule.table not in joins.database.tables or table is None:
        raise PlanError(
            f"{where}: the table is not in both the data map and the database; correct policy.yaml"
        )
    if rule.clock not in table.columns:
        raise PlanError(f"{where}: there is no column {rule.clock!r}; correct `clock` in policy.yaml")
    if table.row_security:
        raise PlanError(f"{where}: row-level security hides rows from this role; grant BYPASSRLS")
    if not {"SELECT", "DELETE"} <= table.privileges:
        raise PlanError(f"{where}: this role lacks SELECT or DELETE; see `python -m include.privacy grants`")
    for key in live.foreign_keys:
        if key.references == rule.table and key.on_delete not in ("SET NULL", "SET DEFAULT"):
            raise PlanError(
                f"{where}: foreign key {key.name!r} of {key.table!r} points here; expire that table instead"
            )
    due = _count(connection, joins, rule.table, rule.clock, as_of - timedelta(days=rule.target_days))
    total = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(joins.table(rule.table))).fetchone()
    return Plan(
        id=plan_id,
        cohort_id=None,
        store=rule.store,
        action="expire_rows",
        rule=rule.id,
        as_of=as_of,
        groups=((Step(table=rule.table, role="", verb=Verb.delete, matched=due),),),
        population=int(total[0]) if total else 0,
        matched=due,
        params={
            "table": rule.table,
            "clock": rule.clock,
            "cutoff": (as_of - timedelta(days=rule.target_days)).isoformat(),
        },
    )


def overdue(
    connection: Connection, joins: Joins, rule: RecordAgeRule, as_of: datetime, holds: Holds
) -> Overdue:
    """Rows past the limit of the rule, those under a legal hold counted apart."""
    limit = timedelta(days=rule.limit_days)
    held, parameters = _held(joins, rule.table, holds)
    row = connection.execute(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE at <= %(before)s AND NOT held), min(at) FILTER (WHERE NOT held),
                      count(*) FILTER (WHERE at <= %(before)s AND held), count(*) FILTER (WHERE at IS NULL),
                      count(*) FILTER (WHERE at > %(as_of)s)
               FROM (SELECT t0.{clock}::timestamptz AS at, {held} AS held FROM {table} t0) x"""
        ).format(clock=sql.Identifier(rule.clock), table=joins.table(rule.table), held=held),
        {"before": as_of - limit, "as_of": as_of, **parameters},
    ).fetchone()
    if row is None:
        return Overdue()
    oldest = as_of - limit - row[1] if row[0] and row[1] else None
    return Overdue(int(row[0]), oldest, int(row[2]), int(row[3]), int(row[4]))


@dataclass
class RecordAgeExecution:
    """Deletes what a record-age plan names: due partitions whole, the rest in bounded chunks."""

    connection: Connection
    joins: Joins
    live: LiveSchema
    plan: Plan
    gate: HoldGate
    dry_run: bool = False
    progress: Callable[[int, int], None] | None = None
    _position: str | None = field(default=None, init=False)

    def run(self) -> Outcome:
        """Runs to zero and returns what happened; may be called again and concurrently."""
        started = time.monotonic()
        table, clock = self.plan.params["table"], self.plan.params["clock"]
        cutoff = datetime.fromisoformat(self.plan.params["cutoff"])
        if self.dry_run:
            with self.gate() as holds:
                removed = _count(self.connection, self.joins, table, clock, cutoff, holds)
            return Outcome(
                store=self.plan.store,
                matched={table: self.plan.matched},
                removed={table: removed},
                seconds=time.monotonic() - started,
            )
        self._operation = workspace.take(self.connection, self.plan.id, 0, uuid4())
        self._done = 0
        self._drop_partitions(table, clock, cutoff)
        self._delete_rows(table, clock, cutoff)
        workspace.finish_shard(self.connection, self._operation)
        removed, chunks, longest = _recorded(self.connection, self.plan.id)
        with self.gate() as holds:
            due = _count(self.connection, self.joins, table, clock, cutoff)
            left = _count(self.connection, self.joins, table, clock, cutoff, holds)
        return Outcome(
            store=self.plan.store,
            matched={table: self.plan.matched},
            removed={table: removed},
            kept={table: f"{due - left} rows kept, legal hold"} if due > left else {},
            chunks=chunks,
            longest_transaction_s=longest,
            seconds=time.monotonic() - started,
        )

    def _chunk(self, work: Callable[[Holds], int]) -> int:
        with self.gate() as holds, self.connection.transaction():
            began = time.monotonic()
            workspace.fence(self.connection, self._operation)
            n = work(holds)
            self._done += n
            workspace.advance(
                self.connection, self._operation, self._done, {"delete": n}, time.monotonic() - began
            )
        if self.progress:
            self.progress(self._done, self.plan.matched)
        return n

    def _drop_partitions(self, table: str, clock: str, cutoff: datetime) -> None:
        key = self.live.tables[table].partition_key or ""
        if key not in (f"RANGE ({clock})", f'RANGE ("{clock}")'):
            return
        if any(fk.references == table for fk in self.live.foreign_keys):
            return
        name = self.joins.table(table).as_string(self.connection)
        for _, partition, schema, upper, owned in self.connection.execute(_PARTITIONS, (name,)).fetchall():
            # Range bounds are exclusive: every row of the partition is older than ``upper``.
            if upper > cutoff or not owned:
                continue
            self._chunk(partial(self._drop, table, schema, partition))

    def _drop(self, table: str, schema: str, partition: str, holds: Holds) -> int:
        name = sql.Identifier(schema, partition)
        held, parameters = _held(self.joins, table, holds)
        row = self.connection.execute(
            sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} t0").format(held, name)
            if parameters
            else sql.SQL("SELECT count(*), 0 FROM {}").format(name),
            parameters,
        ).fetchone()
        if (
            row is None
            or row[1]
            or holds.covers_store(self.plan.store)
            or table in holds.tables(self.plan.store)
        ):
            return 0
        self.connection.execute(sql.SQL("DROP TABLE {}").format(name))
        log.info("store %s: dropped a partition of %s, %d rows", self.plan.store, table, row[0])
        return int(row[0])

    def _delete_rows(self, table: str, clock: str, cutoff: datetime) -> None:
        """Goes on from the last clock it deleted: as long as somebody's snapshot is open, what is
        deleted stays in the index, and every chunk would read all of it again.
        """
        pace = Pace()
        while True:
            limit, came_from, began = pace.rows, self._position, time.monotonic()
            n = self._chunk(partial(self._delete, table, clock, cutoff, limit))
            pace.took(time.monotonic() - began, limit)
            if n < limit:
                if came_from is None:
                    return
                # Once more from the start: for what was held, or not there yet, when it was passed.
                self._position = None

    def _delete(self, table: str, clock: str, cutoff: datetime, limit: int, holds: Holds) -> int:
        held, parameters = _held(self.joins, table, holds)
        ahead = sql.SQL("t0.{} >= %(position)s").format(sql.Identifier(clock))
        row = self.connection.execute(
            sql.SQL(
                """WITH doomed AS MATERIALIZED (
                     SELECT t0.ctid, t0.tableoid FROM {table} t0
                     WHERE t0.{clock} <= %(cutoff)s AND {ahead} AND NOT {held}
                     ORDER BY t0.{clock} LIMIT %(row_limit)s),
                   gone AS (
                     DELETE FROM {table} d USING doomed
                     WHERE d.ctid = doomed.ctid AND d.tableoid = doomed.tableoid RETURNING d.{clock} AS at)
                   SELECT count(*), max(at)::text FROM gone"""
            ).format(
                table=self.joins.table(table),
                clock=sql.Identifier(clock),
                held=held,
                ahead=sql.SQL("true") if self._position is None else ahead,
            ),
            {"cutoff": cutoff, "row_limit": limit, "position": self._position, **parameters},
        ).fetchone()
        deleted, last = row or (0, None)
        self._position = last or self._position
        return int(deleted)


def _count(
    connection: Connection, joins: Joins, table: str, clock: str, cutoff: datetime, holds: Holds | None = None
) -> int:
    held, parameters = _held(joins, table, holds or Holds())
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM {} t0 WHERE t0.{} <= %(cutoff)s AND NOT {}").format(
            joins.table(table), sql.Identifier(clock), held
        ),
        {"cutoff": cutoff, **parameters},
    ).fetchone()
    return int(row[0]) if row else 0


def _held(joins: Joins, table: str, holds: Holds) -> tuple[sql.Composable, dict[str, Any]]:
    """A condition on ``t0``: the row is under a legal hold."""
    if holds.covers_store(joins.database.store) or table in holds.tables(joins.database.store):
        return sql.SQL("true"), {}
    if not holds.subjects:
        return sql.SQL("false"), {}
    tests = []
    for number, subject in enumerate(joins.database.tables[table].subjects.values()):
        join = joins.to_key(subject.path, prefix=f"r{number}_")
        if join is None:
            continue
        match = sql.SQL("{} = ANY(%(held)s::{}[])").format(
            join.anchor, sql.SQL(joins.database.subject_key_type)
        )
        if not join.relations:
            # NULL means that the row has nobody in this role.
            tests.append(sql.SQL("coalesce({}, false)").format(match))
        else:
            tests.append(
                sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND {})").format(
                    sql.SQL(", ").join(join.relations), join.condition, match
                )
            )
    if not tests:
        return sql.SQL("false"), {}
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests)), {"held": sorted(holds.subjects)}


def _recorded(connection: Connection, plan_id: UUID) -> tuple[int, int, float]:
    row = connection.execute(
        """SELECT coalesce(sum((counts ->> 'delete')::bigint), 0), count(*), coalesce(max(seconds), 0)
           FROM privacy_work.progress WHERE plan_id = %s""",
        (plan_id,),
    ).fetchone()
    return (int(row[0]), int(row[1]), float(row[2])) if row else (0, 0, 0.0)
