"""One PostgreSQL database as a store: the face that use cases see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from psycopg import sql

from include.privacy.planning.catalogue import LiveSchema
from include.privacy.planning.models import Cohort, HoldGate, Holds, Member, Outcome, Plan, ProbeResult
from include.privacy.planning.rectification import (
    Correction,
    RectificationCheck,
    RectificationOutcome,
)
from include.privacy.planning.restriction import Reason, Restriction
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.policy import Purpose, RecordAgeRule, SubjectLifecycleRule
from include.privacy.policy.purpose_views import LiveViews
from include.privacy.policy.purpose_views import purpose_views as views_of
from include.privacy.stores.overdue import Overdue
from include.privacy.stores.postgres import (
    contact,
    dry_counts,
    exceptions,
    executor,
    export,
    holders,
    planner,
    purpose_views,
    record_age,
    rectify,
    rectify_work,
    restrict,
    subjects,
    workspace,
)
from include.privacy.stores.postgres.catalogue import read_schema
from include.privacy.stores.postgres.joins import Joins, cohort_table
from include.privacy.stores.postgres.migrate import migrate_workspace
from include.privacy.stores.postgres.session import Connection, connect


class PostgresStore:
    """Plans, executes and probes in one database. Connections are short-lived: one per call."""

    def __init__(self, database: DatabaseMap, dsn: str) -> None:
        self.map = database
        self.name = database.store
        self._dsn = dsn

    @contextmanager
    def _open(self, **limits: int) -> Iterator[tuple[Connection, LiveSchema, Joins]]:
        with connect(self._dsn, **limits) as connection:
            live = read_schema(connection, self.map.schema_)
            keys = {name: table.primary_key for name, table in live.tables.items()}
            yield connection, live, Joins(self.map, keys)

    def migrate_workspace(self) -> None:
        """Creates or upgrades schema ``privacy_work``."""
        migrate_workspace(self._dsn)

    def migrate_views(self, purposes: Mapping[str, Purpose]) -> int:
        """Makes the views for the platform's jobs those of map and policy; returns how many there are."""
        with self._open() as (connection, _, joins):
            return purpose_views.apply(connection, joins, views_of(self.map, purposes))

    def view_statements(self, purposes: Mapping[str, Purpose]) -> list[str]:
        """The SQL of :meth:`migrate_views`, to be read."""
        with self._open() as (connection, _, joins):
            script = purpose_views.script(joins, views_of(self.map, purposes))
            return [f"{statement.as_string(connection)};" for statement in script]

    def read_views(self, purposes: Mapping[str, Purpose]) -> LiveViews:
        """The views that exist, and what their readers can see without them."""
        views = views_of(self.map, purposes)
        with connect(self._dsn) as connection:
            rights = purpose_views.direct_rights(connection, self.map.schema_, {v.reader for v in views})
            return LiveViews(purpose_views.read_views(connection, views), rights)

    def read_schema(self) -> LiveSchema:
        """The live schema, for the comparison with the map."""
        with self._open() as (_, live, _):
            return live

    def population(self) -> int:
        """How many data subjects the root table lists."""
        with self._open() as (connection, _, _):
            return planner.population(connection, self.map)

    def plan_erasure(self, cohort: Cohort, plan_id: UUID, *, as_of: datetime) -> Plan:
        """See :class:`ErasureStore`."""
        with self._open() as (connection, live, joins):
            return planner.plan_erasure(connection, joins, live, cohort, plan_id, as_of)

    def plan_record_age(self, rule: RecordAgeRule, plan_id: UUID, *, as_of: datetime) -> Plan:
        """The rows of one table whose own clock has run out."""
        with self._open() as (connection, live, joins):
            return record_age.plan_record_age(connection, joins, live, rule, plan_id, as_of)

    def execute(
        self,
        plan: Plan,
        cohort: Cohort | None,
        gate: HoldGate,
        *,
        shard: int = 0,
        dry_run: bool = False,
        held_back: frozenset[str] = frozenset(),
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """See :class:`ErasureStore`. ``held_back``: people whom another store had to keep."""
        with self._open() as (connection, live, joins):
            if plan.action == "expire_rows":
                return record_age.RecordAgeExecution(
                    connection, joins, live, plan, gate, dry_run, progress
                ).run()
            self._reload(connection, plan, cohort)
            return executor.Execution(
                connection, joins, live, plan, gate, shard, dry_run, held_back, progress
            ).run()

    def count_removals(
        self, plan: Plan, cohort: Cohort, gate: HoldGate, *, held_back: frozenset[str] = frozenset()
    ) -> tuple[dict[str, int], frozenset[str]]:
        """See :func:`dry_counts.removals`."""
        with self._open() as (connection, live, joins):
            self._reload(connection, plan, cohort)
            return dry_counts.removals(connection, joins, live, plan, gate, held_back)

    def probe(
        self, plan: Plan, cohort: Cohort | None, *, held_back: frozenset[str] = frozenset()
    ) -> ProbeResult:
        """Counts what is left of everybody in the cohort, by every path and frozen identifier."""
        with self._open() as (connection, _, joins):
            if plan.action == "expire_rows":
                return ProbeResult(self.name, 0, {})
            self._reload(connection, plan, cohort)
            if held_back:
                rows = connection.execute(
                    sql.SQL("SELECT ordinal FROM {} WHERE subject_key::text = ANY(%s)").format(
                        cohort_table(plan.id)
                    ),
                    (sorted(held_back),),
                )
                workspace.defer(connection, plan.id, {row[0] for row in rows}, "legal hold")
            left = executor.remaining(connection, joins, plan, 1, plan.subjects)
            return ProbeResult(self.name, plan.subjects, left, len(self._deferred(connection, plan)))

    def deferred(self, plan: Plan) -> frozenset[str]:
        """Subject keys that a legal hold kept back in this store."""
        with connect(self._dsn) as connection:
            return self._deferred(connection, plan)

    def finish(self, plan: Plan) -> None:
        """Drops the plan's work tables and progress rows; the ledger has the outcome."""
        with connect(self._dsn) as connection:
            workspace.drop(connection, plan.id)

    def due_keys(self, rule: SubjectLifecycleRule, *, as_of: datetime) -> list[str]:
        """Whose clock plus target has passed."""
        with connect(self._dsn) as connection:
            return subjects.due_keys(connection, self.map, rule, as_of)

    def deleted_accounts(self, *, as_of: datetime) -> dict[int, int]:
        """Whole days since deletion → how many accounts are still there."""
        with connect(self._dsn) as connection:
            return subjects.deleted_accounts(connection, self.map, as_of)

    def existing_keys(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that the root table lists."""
        with connect(self._dsn) as connection:
            return subjects.existing_keys(connection, self.map, keys)

    def contact_of(self, key: str, *, on_file_at: datetime | None = None) -> contact.ContactPoint | None:
        """See :func:`contact.contact_of`."""
        with connect(self._dsn) as connection:
            return contact.contact_of(connection, Joins(self.map, {}), key, on_file_at=on_file_at)

    def keys_of_address(self, address: str) -> list[str]:
        """See :func:`contact.keys_of_address`."""
        with connect(self._dsn) as connection:
            return contact.keys_of_address(connection, Joins(self.map, {}), address)

    def rows_to_decide(self, keys: Iterable[str]) -> dict[str, dict[str, int]]:
        """See :func:`exceptions.rows_to_decide`."""
        with self._open() as (connection, _, joins):
            return exceptions.rows_to_decide(connection, joins, keys)

    def freeze_identifiers(self, keys: Iterable[str]) -> Iterator[Member]:
        """The identifiers this store holds of these people."""
        with self._open() as (connection, _, joins):
            yield from subjects.freeze_identifiers(connection, joins, keys)

    def holders(self, kind: str, values: Iterable[str]) -> dict[str, set[str]]:
        """See :func:`holders.holders`."""
        with self._open() as (connection, _, joins):
            return holders.holders(connection, joins, kind, values)

    def copies(self, kind: str, values: Iterable[str]) -> set[str]:
        """See :func:`holders.copies`."""
        with self._open() as (connection, _, joins):
            return holders.copies(connection, joins, kind, values)

    @contextmanager
    def export(self, cohort: Cohort, *, portable: bool = False) -> Iterator[export.DatabaseExport]:
        """See :class:`ExportStore`."""
        limits = {
            "statement_timeout_s": export.STATEMENT_TIMEOUT_S,
            "idle_timeout_s": export.IDLE_TIMEOUT_S,
        }
        with (
            self._open(**limits) as (connection, live, joins),
            export.open_export(connection, joins, live, cohort, portable=portable) as opened,
        ):
            yield opened

    def mark_deleted(self, rule: SubjectLifecycleRule, *, as_of: datetime, dry_run: bool = False) -> int:
        """P4.1: service ended a target ago, so the account is deleted from that instant."""
        with connect(self._dsn) as connection:
            return subjects.mark_deleted(connection, self.map, rule, as_of, dry_run=dry_run)

    def replaced_values(
        self, batch: UUID, corrections: Sequence[Correction]
    ) -> dict[str, dict[str, tuple[str, ...]]]:
        """By person and field, what a correction will replace here: to be sealed before it begins."""
        with self._open() as (connection, live, joins):
            return rectify.Rectification(connection, joins, live, batch, corrections).replaced_values()

    def rectify(self, batch: UUID, corrections: Sequence[Correction], gate: HoldGate) -> RectificationOutcome:
        """Writes everybody's new values into every column that holds the field; may be called again."""
        with self._open() as (connection, live, joins):
            return rectify.Rectification(connection, joins, live, batch, corrections).run(gate)

    def check_rectified(self, batch: UUID, corrections: Sequence[Correction]) -> RectificationCheck:
        """Looks at every corrected column again."""
        with self._open() as (connection, live, joins):
            return rectify.Rectification(connection, joins, live, batch, corrections).check()

    def finish_rectification(self, batch: UUID) -> None:
        """Drops the batch's work tables, and with them every value that was replaced."""
        with connect(self._dsn) as connection:
            rectify_work.drop(connection, batch)

    def restrict(self, keys: Iterable[str], purposes: Iterable[str], reason: Reason, since: datetime) -> int:
        """Closes the purposes (``*``: all but storage) to these people's data, from the next query on."""
        with connect(self._dsn) as connection:
            return restrict.restrict(connection, self.map, keys, purposes, reason, since)

    def lift(self, keys: Iterable[str], purposes: Iterable[str] | None, reason: Reason) -> int:
        """Ends restrictions of one reason; ``purposes=None`` for all purposes."""
        with connect(self._dsn) as connection:
            return restrict.lift(connection, self.map, keys, purposes, reason)

    def restricted(self, keys: Iterable[str]) -> dict[str, tuple[Restriction, ...]]:
        """The restrictions in force, by subject key."""
        with connect(self._dsn) as connection:
            return restrict.restricted(connection, self.map, keys)

    def suppress(self, marks: Iterable[bytes], purpose: str, since: datetime) -> int:
        """Puts marks of contacts on the suppression list, which survives the people's erasure."""
        with connect(self._dsn) as connection:
            return restrict.suppress(connection, self.map, marks, purpose, since)

    def lift_suppression(self, marks: Iterable[bytes], purpose: str) -> int:
        """Takes marks off the suppression list."""
        with connect(self._dsn) as connection:
            return restrict.lift_suppression(connection, self.map, marks, purpose)

    def overdue(
        self, rule: SubjectLifecycleRule | RecordAgeRule, *, as_of: datetime, holds: Holds
    ) -> Overdue:
        """What is past the limit of the rule."""
        with self._open() as (connection, _, joins):
            if isinstance(rule, RecordAgeRule):
                return record_age.overdue(connection, joins, rule, as_of, holds)
            return subjects.overdue(connection, self.map, rule, as_of, holds)

    def _reload(self, connection: Connection, plan: Plan, cohort: Cohort | None) -> None:
        """A plan whose work tables are gone (a later probe) gets them again from the ledger."""
        if not workspace.is_loaded(connection, plan.id):
            if cohort is None:
                raise ValueError(f"plan {plan.id} acts on people, but no cohort was given")
            workspace.load_cohort(connection, plan.id, cohort, self.map.subject_key_type)

    def _deferred(self, connection: Connection, plan: Plan) -> frozenset[str]:
        if not workspace.is_loaded(connection, plan.id):
            return frozenset()
        rows = connection.execute(
            sql.SQL(
                "SELECT w.subject_key::text FROM {} w JOIN privacy_work.deferred d USING (ordinal) "
                "WHERE d.plan_id = %s"
            ).format(cohort_table(plan.id)),
            (plan.id,),
        )
        return frozenset(row[0] for row in rows)
