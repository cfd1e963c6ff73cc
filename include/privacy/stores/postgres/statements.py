"""The statements of one step: count, delete or anonymise the rows of a slice of the cohort.

Placeholders: ``first`` and ``last`` (ordinals, inclusive), ``excluded`` (ordinals to leave out),
``row_limit`` (bounded statements only), and those of :func:`replacement_parameters`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from include.privacy.planning.models import Step
from include.privacy.policy.data_map import KeyPath, Path, Replacement
from include.privacy.stores.postgres.joins import Join, Joins, cohort_table

_RANDOM = {
    "uuid": "gen_random_uuid()",
    "text": "'erased-' || gen_random_uuid()",
    "email": "'erased-' || gen_random_uuid() || '@erased.invalid'",
}


def counts_by_subject(joins: Joins, step: Step, plan_id: UUID) -> sql.Composed:
    """Ordinal and number of rows of the step, for every person who has any."""
    join = _cohort(joins, step, plan_id)
    return sql.SQL("SELECT {anchor}, count(*) FROM {table} t0{rest} WHERE {where} GROUP BY 1").format(
        anchor=join.anchor,
        table=joins.table(step.table),
        rest=_also(", ", join.relations),
        where=_still_different(join.condition, step),
    )


def count(joins: Joins, step: Step, plan_id: UUID) -> sql.Composed:
    """How many rows of the slice the step matches: the dry run's last verb, and the probe.

    A join, unlike :func:`_slice`, because a probe's slice is the whole cohort: PostgreSQL may then
    read the table once, in parallel, and pass over the rows just deleted.
    """
    join = _cohort(joins, step, plan_id)
    return sql.SQL("SELECT count({rows}) FROM {table} t0{rest} WHERE {where}").format(
        rows=sql.SQL("*" if join.once else "DISTINCT (t0.tableoid, t0.ctid)"),
        table=joins.table(step.table),
        rest=_also(", ", join.relations),
        where=_joined_slice(join, step),
    )


def rows(joins: Joins, step: Step, plan_id: UUID) -> sql.Composed:
    """The addresses of the rows that the step matches; one may come twice."""
    join = _cohort(joins, step, plan_id)
    return sql.SQL("SELECT t0.tableoid, t0.ctid FROM {table} t0{rest} WHERE {where}").format(
        table=joins.table(step.table), rest=_also(", ", join.relations), where=_joined_slice(join, step)
    )


def delete(joins: Joins, step: Step, plan_id: UUID, *, bounded: bool = False) -> sql.Composed:
    """Deletes the rows of the slice; ``bounded``: at most ``row_limit`` of them."""
    if bounded:
        return sql.SQL(
            "WITH doomed AS MATERIALIZED ({rows}) DELETE FROM {table} d USING doomed WHERE {same}"
        ).format(rows=_bounded_rows(joins, step, plan_id), table=joins.table(step.table), same=_SAME_ROW)
    rest, where = _slice(joins, step, plan_id)
    return sql.SQL("DELETE FROM {table} t0{rest} WHERE {where}").format(
        table=joins.table(step.table), rest=_also(" USING ", rest), where=where
    )


def delete_together(joins: Joins, steps: tuple[Step, ...], plan_id: UUID) -> sql.Composed:
    """Deletes a foreign-key cycle in one statement and returns one count per step, in order.

    PostgreSQL checks the keys at the end of the statement, when both sides are gone; every part
    sees the rows as they were before it.
    """
    parts = sql.SQL(", ").join(
        sql.SQL("{} AS ({} RETURNING 1)").format(sql.Identifier(f"d{i}"), delete(joins, step, plan_id))
        for i, step in enumerate(steps)
    )
    totals = sql.SQL(", ").join(
        sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(f"d{i}")) for i in range(len(steps))
    )
    return sql.SQL("WITH {} SELECT {}").format(parts, totals)


def anonymise(joins: Joins, step: Step, plan_id: UUID, *, bounded: bool = False) -> sql.Composed:
    """Writes the replacements into the rows of the slice that do not have them yet."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(
            sql.Identifier(name), _value(i, name, replacement, "d" if bounded else "t0")
        )
        for i, (name, replacement) in enumerate(step.replacements.items())
    )
    if bounded:
        return sql.SQL(
            "WITH doomed AS MATERIALIZED ({rows}) UPDATE {table} d SET {values} FROM doomed WHERE {same}"
        ).format(
            rows=_bounded_rows(joins, step, plan_id),
            table=joins.table(step.table),
            values=assignments,
            same=_SAME_ROW,
        )
    rest, where = _slice(joins, step, plan_id)
    return sql.SQL("UPDATE {table} t0 SET {values}{rest} WHERE {where}").format(
        table=joins.table(step.table), values=assignments, rest=_also(" FROM ", rest), where=where
    )


def entangled(joins: Joins, step: Step, other: Path, plan_id: UUID, key_type: str) -> sql.Composed | None:
    """Ordinals of the slice with a row in ``step.table`` that belongs to a held person as well."""
    join, other_join = _cohort(joins, step, plan_id), joins.to_key(other)
    if other_join is None:
        return None
    return sql.SQL(
        "SELECT DISTINCT {anchor} FROM {table} t0{rest} "
        "WHERE {where} AND {tie} AND {key} = ANY(%(held)s::{type}[])"
    ).format(
        anchor=join.anchor,
        table=joins.table(step.table),
        rest=_also(", ", (*join.relations, *other_join.relations)),
        where=_joined_slice(join, step),
        tie=other_join.condition,
        key=other_join.anchor,
        type=sql.SQL(key_type),
    )


_SAME_ROW = sql.SQL("d.ctid = doomed.ctid AND d.tableoid = doomed.tableoid")


def _bounded_rows(joins: Joins, step: Step, plan_id: UUID) -> sql.Composed:
    rest, where = _slice(joins, step, plan_id)
    return sql.SQL(
        "SELECT t0.ctid, t0.tableoid FROM {table} t0{rest} WHERE {where} LIMIT %(row_limit)s"
    ).format(table=joins.table(step.table), rest=_also(", ", rest), where=where)


def _cohort(joins: Joins, step: Step, plan_id: UUID) -> Join:
    if step.path is None:
        raise ValueError(f"step {step.verb} on {step.table!r} has no path to a data subject")
    return joins.to_cohort(step.path, plan_id)


def _also(keyword: str, relations: tuple[sql.Composable, ...]) -> sql.Composed:
    """The relations behind their keyword; nothing where there are none."""
    return (
        sql.SQL("{}{}").format(sql.SQL(keyword), sql.SQL(", ").join(relations))
        if relations
        else sql.Composed([])
    )


def _slice(joins: Joins, step: Step, plan_id: UUID) -> tuple[tuple[sql.Composable, ...], sql.Composable]:
    """Relations and condition of the step's rows in one slice of the cohort.

    Where the row holds the subject key itself, the keys are handed over as one array: PostgreSQL
    then collects all row addresses first and visits each page once, not once per person.
    """
    if isinstance(step.path, KeyPath):
        keys = sql.SQL(
            "t0.{} = ANY(ARRAY(SELECT w.subject_key FROM {} w WHERE w.ordinal BETWEEN %(first)s AND %(last)s "
            "AND NOT (w.ordinal = ANY(%(excluded)s::bigint[]))))"
        ).format(sql.Identifier(step.path.column), cohort_table(plan_id))
        return (), _still_different(keys, step)
    join = _cohort(joins, step, plan_id)
    return join.relations, _joined_slice(join, step)


def _joined_slice(join: Join, step: Step) -> sql.Composed:
    return sql.SQL(
        "{} AND {anchor} BETWEEN %(first)s AND %(last)s AND NOT ({anchor} = ANY(%(excluded)s::bigint[]))"
    ).format(_still_different(join.condition, step), anchor=join.anchor)


def _still_different(condition: sql.Composable, step: Step) -> sql.Composable:
    """Of the rows that stay, only the ones that still differ from what they become."""
    differing = [
        test
        for i, (name, replacement) in enumerate(step.replacements.items())
        if (test := _differs(i, name, replacement)) is not None
    ]
    if not differing:
        return condition
    return sql.SQL("{} AND ({})").format(condition, sql.SQL(" OR ").join(differing))


def _value(index: int, name: str, replacement: Replacement, alias: str) -> sql.Composable:
    if replacement.random:
        return sql.SQL(_RANDOM[replacement.random])
    if replacement.drop_keys:
        return sql.SQL("{} - {}::text[]").format(sql.Identifier(alias, name), _placeholder(index))
    return _placeholder(index)


def _differs(index: int, name: str, replacement: Replacement) -> sql.Composable | None:
    column = sql.Identifier("t0", name)
    if replacement.random:
        return None
    if replacement.drop_keys:
        return sql.SQL("{} ?| {}::text[]").format(column, _placeholder(index))
    return sql.SQL("{} IS DISTINCT FROM {}").format(column, _placeholder(index))


def _placeholder(index: int) -> sql.Placeholder:
    return sql.Placeholder(f"set_{index}")


def replacement_parameters(step: Step) -> dict[str, Any]:
    """The values that the step writes, under the names of their placeholders."""
    values: dict[str, Any] = {}
    for i, replacement in enumerate(step.replacements.values()):
        if replacement.drop_keys:
            values[f"set_{i}"] = list(replacement.drop_keys)
        elif not replacement.random:
            value = replacement.set
            values[f"set_{i}"] = Jsonb(value) if isinstance(value, (dict, list)) else value
    return values


def ordinals(joins: Joins, step: Step, plan_id: UUID) -> sql.Composed:
    """Who of the slice has rows that the step matches."""
    join = _cohort(joins, step, plan_id)
    return sql.SQL("SELECT DISTINCT {anchor} FROM {table} t0{rest} WHERE {where}").format(
        anchor=join.anchor,
        table=joins.table(step.table),
        rest=_also(", ", join.relations),
        where=_joined_slice(join, step),
    )
